//! `elegante replay`, and the word about it at the end of a training that failed.

use elegante::{
    DeviceChoice, Trainer,
    experiment::{FailedUpdate, Recorder, RunError, json_line},
    kernels::set_instructions,
    trainer::{FailureReport, Phase, Replay, Stage},
};
use serde::Serialize;

use crate::{
    args::{ReplayArgs, device},
    exit::{Misuse, Outcome},
    output::Output,
    program::Program,
    text::grouped,
};

/// Writes down what the training failed on, if that is something to be replayed, and says how.
pub(crate) fn offer(trainer: &Trainer, recorder: &Recorder, program: &Program, output: &Output) {
    match recorder.save_failure(trainer, &program.registry) {
        Ok(Some(path)) => {
            let culprit = trainer.failure().map(|failure| failure.report().culprit());
            output.note(&format!(
                "first to go bad: {}; the update is on record in {}",
                culprit.unwrap_or_default(),
                path.display()
            ));
            let run = recorder.dir().path().display();
            output.note(&format!("see it happen again: {} replay {run}", program.name));
        }
        Ok(None) => {}
        Err(error) => output.note(&format!("the failed update could not be written down: {error}")),
    }
}

pub(crate) fn run(
    args: &ReplayArgs,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let registry = &program.registry;
    let device = args.device.as_deref().map(device).transpose()?;
    let update = FailedUpdate::open(&args.failure, registry).map_err(unusable)?;
    set_instructions(update.config.kernels);
    let replay = update.replay(registry, device).map_err(unusable)?;
    if args.json {
        let line = Line {
            env: &update.config.env,
            algo: &update.config.algo,
            recorded: update.report(),
            replayed: replay.report.as_ref(),
            reproduced: replay.report.is_some(),
            fresh_lanes: &replay.fresh_lanes,
        };
        output.line(&json_line("replay", &line))?;
    } else {
        tell(&update, &replay, device, output)?;
    }
    Ok(if replay.report.is_some() { Outcome::Partial } else { Outcome::Complete })
}

/// A record that is damaged, or some other run's, is a wrong argument: 1 means that the update failed.
fn unusable(error: RunError) -> anyhow::Error {
    match error {
        RunError::Damaged { .. } | RunError::Io { .. } => Misuse(error.to_string()).into(),
        other => other.into(),
    }
}

fn tell(
    update: &FailedUpdate,
    replay: &Replay,
    device: Option<DeviceChoice>,
    output: &mut Output,
) -> anyhow::Result<()> {
    let recorded = update.report();
    let config = &update.config;
    let device = device.unwrap_or(config.train.device).resolve();
    output.line(&format!(
        "{} · {} · seed {} · {device} · {}",
        config.env,
        config.algo,
        config.train.run.seed,
        update.path.display()
    ))?;
    let phase = match (recorded.phase, recorded.minibatch) {
        (Phase::Collecting, _) => "collecting".to_owned(),
        (Phase::Learning, Some(n)) => format!("learning, minibatch {n}"),
        (Phase::Learning, None) => "learning".to_owned(),
    };
    let (number, steps) = (recorded.update, grouped(recorded.steps));
    output.line(&format!("update      {number}, after {steps} steps, while {phase}"))?;
    output.line(&format!("recorded    {}", recorded.culprit()))?;
    output.line(&format!("            {}", recorded.error))?;
    let verdict = match &replay.report {
        None => output.paint.green("it goes through: nothing went wrong this time"),
        Some(now) if same(now, recorded) => {
            output.paint.red(&format!("{}, the same again", now.culprit()))
        }
        Some(now) => output.paint.red(&format!("{}, something else: {}", now.culprit(), now.error)),
    };
    output.line(&format!("replayed    {verdict}"))?;
    if !replay.fresh_lanes.is_empty() {
        output.line(&format!(
            "note        the environments of lanes {:?} can't save their state, so that they began anew and went another way",
            replay.fresh_lanes
        ))?;
    }
    if update.version != elegante::experiment::VERSION
        || update.commit != elegante::experiment::COMMIT
    {
        output.line(&format!(
            "note        the record is of elegante {} ({}), and this is {} ({})",
            update.version,
            update.commit,
            elegante::experiment::VERSION,
            elegante::experiment::COMMIT
        ))?;
    }
    let stages = replay.report.as_ref().map_or(&recorded.stages, |now| &now.stages);
    table(stages, output)
}

fn same(a: &FailureReport, b: &FailureReport) -> bool {
    (&a.first, &a.value, a.update, a.minibatch) == (&b.first, &b.value, b.update, b.minibatch)
}

/// Every stage of the minibatch with its range, in the order in which they are computed.
fn table(stages: &[Stage], output: &mut Output) -> anyhow::Result<()> {
    if stages.is_empty() {
        return Ok(());
    }
    let width = stages.iter().map(|stage| stage.name.chars().count()).max().unwrap_or(0).max(5);
    let head =
        format!("\n{:width$}  {:>8}  {:>11}  {:>11}", "stage", "numbers", "smallest", "largest");
    output.line(&output.paint.bold(&head))?;
    for stage in stages {
        let [low, high] = match stage.range {
            Some(range) => range.map(|x| format!("{x:.4e}")),
            None => ["–".into(), "–".into()],
        };
        let row = format!("{:width$}  {:>8}  {low:>11}  {high:>11}", stage.name, stage.count);
        match &stage.bad {
            Some(bad) => {
                let at = if stage.count == 1 { String::new() } else { format!("{:?} ", bad.at) };
                output.line(&output.paint.red(&format!("{row}  ← {at}= {}", bad.value)))?;
            }
            None => output.line(&row)?,
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Line<'a> {
    env: &'a str,
    algo: &'a str,
    reproduced: bool,
    recorded: &'a FailureReport,
    replayed: Option<&'a FailureReport>,
    fresh_lanes: &'a [usize],
}
