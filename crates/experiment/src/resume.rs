//! Going on with a run that was stopped, by whatever it was.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use elegante_env::Registry;
use elegante_policy::write_atomic;
use elegante_trainer::{Progress, TrainError, Trainer};

use crate::{
    ExperimentConfig, Recorder, Request, RunDir, RunError, RunInfo, StopReason,
    checkpoints::{Checkpoints, load_checkpoint},
    cut::Kept,
    experiment::read_json,
    logging::tensorboard,
    run_dir::{files, remove_files},
    sessions::{self, Session},
};

/// A run that can go on, with its trainer where it was.
pub struct Resumed {
    /// Writes down what is to come, behind what is there.
    pub recorder: Recorder,
    /// The training, as it was at the checkpoint.
    pub trainer: Trainer,
    /// The checkpoint; `None`: there was none yet, and the run begins at its beginning.
    pub from: Option<PathBuf>,
    /// What stands in the way of the same bytes as without the interruption, and checkpoints that could
    /// not be used: a sentence each.
    pub warnings: Vec<String>,
}

/// What has become of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// Nothing has been done: there is no such directory, or nothing of a run in it.
    Missing,
    /// It was stopped, or is under way.
    Unfinished,
    /// Its steps have been trained, or it reached what it was to reach, and its policy was evaluated.
    Finished(Box<RunInfo>),
}

impl RunState {
    /// What has become of the run in `path` that was to have `steps` steps.
    pub fn of(path: &Path, steps: u64) -> Self {
        if !path.join(files::CONFIG).exists() {
            return Self::Missing;
        }
        // The file is written last of all; one that can't be read does not count.
        let Ok(info) = read_json::<RunInfo>(&path.join(files::RUN)) else {
            return Self::Unfinished;
        };
        let done = match info.stop {
            StopReason::Solved => true,
            StopReason::Budget => info.steps >= steps,
            StopReason::Interrupted | StopReason::Failed => false,
        };
        if done && info.evaluation.is_some() {
            Self::Finished(Box::new(info))
        } else {
            Self::Unfinished
        }
    }
}

impl RunDir {
    /// The resolved configuration of the run in it.
    ///
    /// # Errors
    /// When it is missing or damaged, or `registry` does not have the environment.
    pub fn config(&self, registry: &Registry) -> Result<ExperimentConfig, RunError> {
        let request = Request { file: Some(self.file(files::CONFIG)), ..Request::default() };
        Ok(ExperimentConfig::resolve(registry, &request)?)
    }
}

impl ExperimentConfig {
    /// The same with another number of steps, for a run in `path` to go on to.
    ///
    /// # Errors
    /// When there are no such runs, or a schedule spans the whole run: what has been trained would be the
    /// beginning of another one.
    pub fn with_steps(mut self, steps: u64, path: &Path) -> Result<Self, RunError> {
        let all = std::mem::replace(&mut self.train.run.steps, steps);
        self.train.validate()?;
        let scheduled = self.train.algorithm.scheduled();
        if steps != all && !scheduled.is_empty() {
            let constant = scheduled.iter().map(|key| match *key {
                "dqn.exploration_fraction" => format!("{key} = 0"),
                "dqn.priority_beta" => format!("{key} = 1"),
                schedule => format!("{schedule} = \"constant\""),
            });
            let (keys, constant) =
                (scheduled.join(" and "), constant.collect::<Vec<_>>().join(" and "));
            let reason = format!(
                "by {keys} every update depends on the {all} steps that the run was given, so that a run of {steps} differs from its first step on: train anew with --steps {steps}; with {constant} it could go on"
            );
            return Err(RunError::Steps { path: path.to_owned(), reason });
        }
        Ok(self)
    }
}

impl Recorder {
    /// Goes on with the run in `dir` from its newest checkpoint that can be used: to the same policy,
    /// byte for byte, and the same logs, clock readings aside, as if it had never been stopped. The logs
    /// are cut back to the checkpoint. `config` is the run's own, or the same with other steps;
    /// `make` makes its trainer.
    ///
    /// # Errors
    /// When there are checkpoints and none of them can be used, or more steps have been trained than are
    /// asked for: nothing has then been changed. When a file can't be read or written.
    pub fn resume(
        dir: RunDir,
        config: &ExperimentConfig,
        registry: &Registry,
        process_began: Instant,
        make: impl Fn() -> Result<Trainer, TrainError>,
    ) -> Result<Resumed, RunError> {
        let mut warnings = Vec::new();
        let found = newest(dir.path(), &make, &mut warnings)?;
        let Some((mut trainer, kept, from)) = found else {
            let trainer = make()?;
            let written = files::ALL.into_iter().filter(|name| *name != files::CONFIG);
            remove_files(dir.path(), &written.collect::<Vec<_>>())?;
            tensorboard::remove(&dir.file(files::TENSORBOARD))?;
            let recorder = Self::begin(dir, config, registry, process_began)?;
            return Ok(Resumed { recorder, trainer, from: None, warnings });
        };
        let progress = trainer.progress();
        not_fewer(&dir, config.train.run.steps, dir.config(registry)?.train.run.steps, progress)?;
        if let Some(before) = sessions::last(&dir) {
            let differences = before.differences(&Session::now(config, progress));
            warnings.extend(differences.into_iter().map(|difference| {
                format!("{difference}: the rest of the run may round differently")
            }));
        }
        Checkpoints::of(dir.path()).set_aside_after(progress.steps)?;
        // Were it left, a run that fails this time would pass for finished.
        remove_files(dir.path(), &[files::RUN])?;
        write_atomic(&dir.file(files::CONFIG), config.to_toml(registry)?.as_bytes())?;
        trainer.set_clock(kept.seconds());
        let recorder = Self::go_on(dir, config, &kept, progress, process_began)?;
        Ok(Resumed { recorder, trainer, from: Some(from), warnings })
    }
}

/// Refuses a new number of steps that the run has passed already.
fn not_fewer(dir: &RunDir, asked: u64, given: u64, progress: Progress) -> Result<(), RunError> {
    // With its own it may be further, by less than an update.
    if asked == given || progress.steps <= asked {
        return Ok(());
    }
    let trained = progress.steps;
    let reason = format!("it has trained {trained} steps already, more than the {asked} asked for");
    Err(RunError::Steps { path: dir.path().to_owned(), reason })
}

/// A trainer restored from the newest checkpoint that it and the logs can go on from; none if no
/// checkpoint was made yet.
fn newest(
    run: &Path,
    make: &impl Fn() -> Result<Trainer, TrainError>,
    warnings: &mut Vec<String>,
) -> Result<Option<(Trainer, Kept, PathBuf)>, RunError> {
    let mut paths = Checkpoints::of(run).newest_first()?;
    let old = run.join(files::OLD_CHECKPOINT);
    paths.extend(old.exists().then_some((0, old)));
    let mut reasons = Vec::new();
    for (_, path) in &paths {
        let mut trainer = make()?;
        match restored(&mut trainer, run, path) {
            Ok((kept, fresh)) => {
                if !reasons.is_empty() {
                    let path = path.display();
                    warnings.push(format!("{}: going on from {path}", reasons.join("; ")));
                }
                warnings.extend(fresh);
                return Ok(Some((trainer, kept, path.clone())));
            }
            Err(error) => reasons.push(error.to_string()),
        }
    }
    if reasons.is_empty() {
        return Ok(None);
    }
    Err(RunError::NoCheckpoint { path: run.to_owned(), reasons })
}

/// Restores `trainer` from `path` and finds what of the logs belongs to it; with a warning about lanes
/// that could not be restored.
fn restored(
    trainer: &mut Trainer,
    run: &Path,
    path: &Path,
) -> Result<(Kept, Option<String>), RunError> {
    let fresh = load_checkpoint(trainer, path)?.fresh_lanes;
    let Progress { updates, episodes, .. } = trainer.progress();
    let kept = Kept::until(run, updates, episodes)?;
    let lanes: Vec<String> = fresh.iter().map(ToString::to_string).collect();
    let warning = (!lanes.is_empty()).then(|| {
        format!(
            "the environment can't save its state, so that lanes {} begin a new episode: the rest of the run differs from that of one that was never stopped",
            lanes.join(", ")
        )
    });
    Ok((kept, warning))
}
