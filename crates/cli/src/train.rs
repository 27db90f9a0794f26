//! `elegante train`.

use std::{ops::ControlFlow, path::Path, time::Duration};

use elegante::{
    Trainer,
    experiment::{
        ExperimentConfig, Recorder, RunDir, RunInfo, StopReason, env_steps_per_second, json_line,
    },
    kernels::set_instructions,
    trainer::{Evaluation, TrainConfig},
};
use serde::Serialize;

use crate::{
    args::TrainArgs,
    exit::Outcome,
    interrupt::Interrupt,
    output::Output,
    program::Program,
    progress::{Progress, summary},
    seeds,
    text::{grouped, rate, span},
};

/// How long the stepping of the environment alone is measured for `--json`.
const STEPPING: Duration = Duration::from_millis(20);

pub(crate) fn run(
    mut args: TrainArgs,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let registry = &program.registry;
    let config = ExperimentConfig::resolve(registry, &args.request()?)?;
    if let Some(seeds) = args.seeds.take() {
        return seeds::run(args, &seeds, &config, program, output);
    }
    set_instructions(config.kernels);
    // Refuse what can be refused before any work is done or any file touched.
    if let Some(path) = &args.out {
        RunDir::check(path, args.force)?;
    }
    let make = config.env_factory(registry)?;
    let mut trainer = Trainer::from_factory(with_threads(&config, args.worker), make.clone())?;
    let interrupt = Interrupt::listen(|| {})?;
    let interrupt = if args.worker.is_some() { interrupt.or_end_of_input() } else { interrupt };
    let dir = match args.out.take() {
        Some(path) => RunDir::create(path, args.force)?,
        None => RunDir::create_numbered(Path::new("runs"), &config)?,
    };
    let mut recorder = Recorder::begin(dir, &config, registry, program.began)?;

    let mut progress = Progress::new(args.json, args.quiet, config.train.run.steps);
    introduce(&args, &config, &recorder, output)?;
    let stop = train(&mut trainer, &mut recorder, &mut progress, &interrupt, output);
    progress.finish();
    let stop = stop?;
    let evaluation = match stop {
        StopReason::Interrupted => None,
        _ => Some(trainer.evaluate()?),
    };
    let info = recorder.finish(&trainer, stop, evaluation)?;
    let path = recorder.dir().path();
    if args.json {
        let stepping = env_steps_per_second(&make, config.train.run.lanes, STEPPING)?;
        output.line(&json_line("end", &End::new(&info, path, stepping)))?;
    } else {
        conclude(&info, path, args.quiet, &program.name, output)?;
    }
    Ok(if stop == StopReason::Interrupted { Outcome::Interrupted } else { Outcome::Complete })
}

/// The training with the threads that it may take beside others. The configuration keeps what was asked
/// for: the result does not depend on it.
fn with_threads(config: &ExperimentConfig, worker: Option<usize>) -> TrainConfig {
    let mut train = config.train.clone();
    if let (0, Some(threads)) = (train.run.threads, worker) {
        train.run.threads = threads;
    }
    train
}

/// Trains to the end of the run and saves what came out, also when an error ended it.
fn train(
    trainer: &mut Trainer,
    recorder: &mut Recorder,
    progress: &mut Progress,
    interrupt: &Interrupt,
    output: &mut Output,
) -> anyhow::Result<StopReason> {
    let mut unwritten = None;
    let stop = trainer.run(|event| {
        let recorded = recorder.on_event(event);
        if let Err(error) = progress.on_event(event, output) {
            unwritten.get_or_insert(error);
        }
        let end = recorded.is_break() || unwritten.is_some() || interrupt.asked();
        if end { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let saved = recorder.save(trainer);
    match stop {
        Ok(stop) => {
            saved?;
            unwritten.map_or(Ok(()), Err)?;
            Ok(stop.into())
        }
        Err(error) => {
            // The error that ended the training is the one to report; what could be kept is kept.
            if saved.is_ok() && recorder.finish(trainer, StopReason::Failed, None).is_ok() {
                let path = recorder.dir().path().display();
                output.note(&format!("the state before the error is saved in {path}"));
            }
            Err(error.into())
        }
    }
}

/// The first line, which says what is going to happen.
fn introduce(
    args: &TrainArgs,
    config: &ExperimentConfig,
    recorder: &Recorder,
    output: &mut Output,
) -> anyhow::Result<()> {
    let path = recorder.dir().path();
    let device = config.train.device.resolve();
    if args.json {
        let run = &config.train.run;
        let start = Start {
            env: &config.env,
            algo: &config.algo,
            seed: run.seed,
            steps: run.steps,
            device: device.to_string(),
            run: path,
            version: elegante::experiment::VERSION,
            commit: elegante::experiment::COMMIT,
        };
        output.line(&json_line("start", &start))?;
    } else if !args.quiet {
        let (env, algo, run) = (&config.env, &config.algo, &config.train.run);
        let (steps, seed) = (grouped(run.steps), run.seed);
        output.note(&format!(
            "{env} · {algo} · {steps} steps · seed {seed} · {device} · {}",
            path.display()
        ));
    }
    Ok(())
}

/// What a person reads at the end.
fn conclude(
    info: &RunInfo,
    path: &Path,
    quiet: bool,
    name: &str,
    output: &mut Output,
) -> anyhow::Result<()> {
    let paint = output.paint;
    let path = path.display();
    let why = match info.stop {
        StopReason::Interrupted => "interrupted; everything up to here is saved",
        StopReason::Solved => "the mean return asked for is reached",
        StopReason::Budget | StopReason::Failed => "",
    };
    if !why.is_empty() {
        output.line(why)?;
    }
    if let Some(evaluation) = &info.evaluation {
        let how = paint.dim(&how(evaluation));
        output.line(&format!(
            "evaluation  {}  {how}",
            paint.green(&paint.bold(&summary(evaluation)))
        ))?;
    }
    if quiet {
        return Ok(output.line(&format!("run         {path}"))?);
    }
    let (steps, episodes, updates) =
        (grouped(info.steps), grouped(info.episodes), grouped(info.updates));
    output.line(&format!("trained     {steps} steps, {episodes} episodes, {updates} updates"))?;
    output.line(&format!(
        "wall time   {}, {} steps/s",
        span(info.seconds),
        rate(info.steps_per_second)
    ))?;
    output.line(&format!("run         {path}"))?;
    output.line(&format!("\n{}", paint.dim("Next:")))?;
    output.line(&format!("  {name} eval {path}"))?;
    output.line(&format!("  {name} play {path}"))?;
    Ok(())
}

/// What the numbers of an evaluation are.
pub(crate) fn how(evaluation: &Evaluation) -> String {
    let actions = if evaluation.deterministic { "most probable actions" } else { "actions drawn" };
    format!("mean ± std [min, max] of {} episodes, {actions}", grouped(evaluation.episodes as u64))
}

#[derive(Serialize)]
struct Start<'a> {
    env: &'a str,
    algo: &'a str,
    seed: u64,
    steps: u64,
    device: String,
    run: &'a Path,
    version: &'static str,
    commit: &'static str,
}

/// The last line of `--json`. `episodes` and `seed` are the evaluation's, as in `eval --json`.
#[derive(Serialize)]
struct End<'a> {
    stop: StopReason,
    run: &'a Path,
    steps: u64,
    train_episodes: u64,
    updates: u64,
    /// Of the training alone.
    train_seconds: f64,
    train_steps_per_second: f64,
    /// Of the whole process.
    seconds: f64,
    steps_per_second: f64,
    /// Of the environment alone, on one thread.
    env_steps_per_second: f64,
    #[serde(flatten)]
    evaluation: Option<&'a Evaluation>,
}

impl<'a> End<'a> {
    fn new(info: &'a RunInfo, run: &'a Path, env_steps_per_second: f64) -> Self {
        Self {
            stop: info.stop,
            run,
            steps: info.steps,
            train_episodes: info.episodes,
            updates: info.updates,
            train_seconds: info.train_seconds,
            train_steps_per_second: info.train_steps_per_second,
            seconds: info.seconds,
            steps_per_second: info.steps_per_second,
            env_steps_per_second,
            evaluation: info.evaluation.as_ref(),
        }
    }
}
