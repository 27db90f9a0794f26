//! The trainer's side of the flight recorder: what it keeps, what it leaves behind, how it goes back.

use super::Trainer;
use crate::{
    Failure, FailureReport, Phase, Restored, TrainError,
    algorithms::{Evidence, Failed, Watched},
    checkpoint::{Checkpoint, State},
    failure::blamed,
    schedule::Left,
    watch::{Array, Arrays, Numbers},
};

/// Environment steps after which the state to go back to is taken anew. It costs about as much as a few
/// dozen steps, and so does making so many of them again.
const EVERY: u64 = 4_096;
/// Of them in each lane, at least: what is kept of a lane costs about as much as half a step of training in it.
const OF_EACH: u64 = 128;

/// What came of making a failed update once more.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// What went wrong this time; `None`: nothing did.
    pub report: Option<FailureReport>,
    /// Lanes whose environment can't be put back to where it was, so that they went another way.
    pub fresh_lanes: Vec<usize>,
}

impl Trainer {
    /// What the last [`step`](Self::step) failed on, if it was a number that is not finite or a limit of
    /// [`GuardConfig`](crate::GuardConfig).
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Keeps the state to go back to, every now and then.
    pub(super) fn remember(&mut self) {
        let interval = EVERY.max(OF_EACH * self.config.run.lanes as u64);
        let due = |(at, _): &(u64, Checkpoint)| self.progress.steps >= at + interval;
        if self.method.light() && self.remembered.as_ref().is_none_or(due) {
            self.remembered = Some((self.progress.steps, self.whole()));
        }
    }

    /// Takes down what an update failed on; returns the error.
    pub(super) fn failed(&mut self, failed: Failed, update: u64) -> TrainError {
        let Failed { error, evidence } = failed;
        if let Some(blamed) = blamed(&error) {
            let failure = match evidence {
                Some(evidence) => self.learning_failure(&error, update, blamed, *evidence),
                None => self.collecting_failure(&error, update, blamed),
            };
            // Without it the error is what it was; there is nobody else to tell.
            self.failure = failure.ok();
        }
        error
    }

    fn learning_failure(
        &self,
        error: &TrainError,
        update: u64,
        blamed: (String, String),
        evidence: Evidence,
    ) -> Result<Failure, TrainError> {
        let Evidence { batch, watched } = evidence;
        let report = self.learning_report(error, update, blamed, &watched);
        // Only the networks: what the environments have come to need not even be finite.
        let progress = self.progress;
        let mut before = Checkpoint::new(State { progress, ..State::default() });
        self.method.save_learning(&mut before);
        let named = |prefix: &'static str| {
            move |(name, array): (String, Array)| (format!("{prefix}{name}"), array)
        };
        let mut arrays: Arrays = batch.into_iter().map(named("batch.")).collect();
        arrays.extend(watched.watch.into_arrays().into_iter().map(named("stage ")));
        Ok(Failure { report, state: before.to_bytes()?, arrays })
    }

    fn learning_report(
        &self,
        error: &TrainError,
        update: u64,
        (what, value): (String, String),
        watched: &Watched,
    ) -> FailureReport {
        let stages = watched.watch.summary();
        let found = stages.iter().find_map(|stage| {
            let bad = stage.bad.as_ref()?;
            let at = if stage.count == 1 { String::new() } else { format!("{:?}", bad.at) };
            Some((format!("{}{at}", stage.name), bad.value.clone()))
        });
        let (first, value) = found.unwrap_or((what, value));
        FailureReport {
            update,
            steps: self.progress.steps,
            phase: Phase::Learning,
            error: error.to_string(),
            first,
            value,
            minibatch: Some(watched.watch.minibatch()),
            stages,
            fresh_lanes: Vec::new(),
        }
    }

    fn collecting_failure(
        &self,
        error: &TrainError,
        update: u64,
        (first, value): (String, String),
    ) -> Result<Failure, TrainError> {
        let (_, before) = self.remembered.as_ref().ok_or_else(|| {
            TrainError::Failure("there is no state from before the update".into())
        })?;
        let lanes = 0..self.config.run.lanes;
        let report = FailureReport {
            update,
            steps: self.progress.steps,
            phase: Phase::Collecting,
            error: error.to_string(),
            first,
            value,
            minibatch: None,
            stages: Vec::new(),
            fresh_lanes: lanes.filter(|lane| !before.has_env(*lane)).collect(),
        };
        let weights = before.numbers.iter().map(|(name, numbers)| {
            (format!("before.{name}"), Array::flat(Numbers::F32(numbers.clone())))
        });
        Ok(Failure { report, state: before.to_bytes()?, arrays: weights.collect() })
    }

    /// Makes a failed update once more, this trainer being a new one of the same configuration; every
    /// number of the learning is watched. An update that failed on what had been collected needs no
    /// environment for that; one that failed while collecting is reached by training from a state a
    /// few thousand steps before.
    ///
    /// The trainer should not be used any further.
    ///
    /// # Errors
    /// When the failure belongs to another configuration, or the training meets another kind of error.
    pub fn replay(&mut self, failure: &Failure) -> Result<Replay, TrainError> {
        match failure.report.phase {
            Phase::Learning => self.learn_again(failure),
            Phase::Collecting => self.collect_again(failure),
        }
    }

    fn learn_again(&mut self, failure: &Failure) -> Result<Replay, TrainError> {
        let mut before = Checkpoint::from_bytes(&failure.state)?;
        self.method.restore_learning(&mut before)?;
        self.progress = before.state.progress;
        let batch = failure.arrays.iter().filter_map(|(name, array)| {
            Some((name.strip_prefix("batch.")?.to_owned(), array.clone()))
        });
        let left = Left { steps: self.progress.steps, of: self.config.run.steps };
        let update = failure.report.update;
        let watched = self.method.watch(&mut batch.collect(), left, update)?;
        let report = match &watched.outcome {
            Ok(()) => None,
            Err(error) => {
                let blamed = blamed(error).unwrap_or_default();
                Some(self.learning_report(error, update, blamed, &watched))
            }
        };
        Ok(Replay { report, fresh_lanes: Vec::new() })
    }

    fn collect_again(&mut self, failure: &Failure) -> Result<Replay, TrainError> {
        let Restored { fresh_lanes } = self.restore(&failure.state)?;
        while self.progress.updates < failure.report.update {
            if let Err(error) = self.step() {
                let report = self.failure.take().ok_or(error)?.report;
                return Ok(Replay { report: Some(report), fresh_lanes });
            }
        }
        Ok(Replay { report: None, fresh_lanes })
    }
}
