//! `elegante eval`.

use std::path::Path;

use elegante::{
    evaluate,
    experiment::{Run, json_line},
    kernels::set_instructions,
    trainer::{EvalConfig, Evaluation},
};
use serde::Serialize;

use crate::{
    args::{EvalArgs, device},
    exit::Outcome,
    output::Output,
    program::Program,
    progress::summary,
    train::how,
};

pub(crate) fn run(
    args: &EvalArgs,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let registry = &program.registry;
    let run = Run::open(&args.run, registry, device(&args.device)?)?;
    set_instructions(args.kernels.map_or(run.config.kernels, Into::into));
    let defaults = &run.config.train.run;
    let episodes = match args.episodes {
        Some(episodes) => usize::try_from(episodes)?,
        None => defaults.eval_episodes,
    };
    let config = EvalConfig {
        episodes,
        seed: args.seed.unwrap_or(defaults.seed),
        deterministic: !args.stochastic,
    };
    let evaluation = evaluate(&run.policy, run.env_factory(registry)?, &config)?;
    if args.json {
        let result = Result { env: &run.config.env, run: &run.path, evaluation: &evaluation };
        output.line(&json_line("evaluation", &result))?;
    } else {
        let paint = output.paint;
        output.line(&format!(
            "{} · seed {} · {}",
            run.config.env,
            config.seed,
            args.run.display()
        ))?;
        let figures = paint.green(&paint.bold(&summary(&evaluation)));
        output.line(&format!("evaluation  {figures}  {}", paint.dim(&how(&evaluation))))?;
        output.line(&format!("length      {:.1} steps on average", evaluation.mean_length))?;
    }
    Ok(Outcome::Complete)
}

#[derive(Serialize)]
struct Result<'a> {
    env: &'a str,
    run: &'a Path,
    #[serde(flatten)]
    evaluation: &'a Evaluation,
}
