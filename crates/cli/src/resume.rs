//! `elegante resume`.

use std::path::Path;

use elegante::{
    Trainer,
    experiment::{
        Recorder, Requests, Resumed, Run, RunDir, RunError, RunInfo, RunState, experiment_files,
        files, json_line,
    },
    kernels::set_instructions,
};
use serde::Serialize;

use crate::{
    args::ResumeArgs,
    exit::{Misuse, Outcome},
    output::Output,
    program::Program,
    progress::summary,
    seeds,
    text::grouped,
    train::{Training, listen, with_threads},
    tui,
};

pub(crate) fn run(
    args: ResumeArgs,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    if args.tui {
        tui::check()?;
    }
    if args.run.join(experiment_files::EXPERIMENT).exists() {
        return seeds::resume(&args, program, output);
    }
    if args.jobs.is_some() {
        let path = args.run.display();
        return Err(
            Misuse(format!("--jobs is for experiments of many seeds, and {path} is none")).into()
        );
    }
    let registry = &program.registry;
    let dir = RunDir::open(&args.run)?;
    let mut config = dir.config(registry)?;
    if let Some(steps) = args.steps {
        config = config.with_steps(steps, dir.path())?;
    }
    if let RunState::Finished(info) = RunState::of(dir.path(), config.train.run.steps) {
        // Whatever else may be wrong with its policy is not mended by the checkpoints.
        match Run::open(&args.run, registry, config.train.device) {
            Err(RunError::LostPolicy { source, .. }) => {
                output.warning(&format!("{source}: it is made anew from the last checkpoint"));
            }
            _ => return finished(&info, &args, output),
        }
    }
    set_instructions(config.kernels);
    let requests = Requests::default();
    let interrupt = listen(args.worker, &requests)?;
    let make = config.env_factory(registry)?;
    let make = || Trainer::from_factory(with_threads(&config, args.worker), make.clone());
    let resumed = Recorder::resume(dir, &config, registry, program.began, make)?;
    for warning in &resumed.warnings {
        output.warning(warning);
    }
    introduce(&resumed, config.train.run.steps, &args, output)?;
    let Resumed { mut recorder, mut trainer, .. } = resumed;
    trainer.inspect_every(config.log.histograms_every);
    recorder.heed(requests.clone());
    let (json, quiet, tui) = (args.json, args.quiet, args.tui.then_some(requests));
    let training = Training { config, trainer, recorder, json, quiet, tui };
    training.conduct(&interrupt, program, output)
}

/// There is nothing left to do.
fn finished(info: &RunInfo, args: &ResumeArgs, output: &mut Output) -> anyhow::Result<Outcome> {
    let path = args.run.display();
    if args.json {
        let run = &args.run;
        output.line(&json_line("finished", &Finished { run, info }))?;
    } else {
        let came_to = info.evaluation.as_ref().map_or(String::new(), summary);
        output.line(&format!(
            "{path} is finished: {} steps, evaluation {came_to}",
            grouped(info.steps)
        ))?;
    }
    Ok(Outcome::Complete)
}

/// The first line, which says where it goes on.
fn introduce(
    resumed: &Resumed,
    steps: u64,
    args: &ResumeArgs,
    output: &mut Output,
) -> anyhow::Result<()> {
    let progress = resumed.trainer.progress();
    let (run, from) = (resumed.recorder.dir().path(), resumed.from.as_deref());
    if args.json {
        let trained = progress.steps;
        output.line(&json_line("resume", &Start { run, from, trained, steps }))?;
    } else if !args.quiet {
        let path = run.display();
        output.note(&match from {
            Some(_) => format!(
                "{path} · going on after {} of {} steps",
                grouped(progress.steps),
                grouped(steps)
            ),
            None => format!("{path} · it has no {} yet: from the beginning", files::CHECKPOINTS),
        });
    }
    Ok(())
}

#[derive(Serialize)]
struct Start<'a> {
    run: &'a Path,
    from: Option<&'a Path>,
    trained: u64,
    steps: u64,
}

#[derive(Serialize)]
struct Finished<'a> {
    run: &'a Path,
    #[serde(flatten)]
    info: &'a RunInfo,
}
