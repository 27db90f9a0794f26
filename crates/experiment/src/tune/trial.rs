//! One configuration that a search has tried, and what came of it.

use std::{cmp::Ordering, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use toml::Value;

/// The settings of a trial by their names; one that is not set is missing.
pub type Params = BTreeMap<String, Value>;

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrialState {
    /// All its seeds were trained and evaluated.
    Complete,
    /// It was given up: others had done better by then.
    Pruned,
    /// A run of it failed.
    Failed,
}

/// The final evaluation of one of a trial's seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedScore {
    /// The seed.
    pub seed: u64,
    /// Mean return of the last policy.
    pub mean_return: f64,
    /// Standard deviation of its returns.
    pub std_return: f64,
}

/// What a trial had come to at an evaluation during its training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The seed that was being trained.
    pub seed: u64,
    /// How far the trial was, in evaluations that are due, those of earlier seeds included.
    pub position: u64,
    /// Environment steps of this seed.
    pub steps: u64,
    /// Mean return of this evaluation.
    pub mean_return: f64,
    /// The mean over this and the final evaluations of the seeds before: what pruning goes by.
    pub value: f64,
}

/// A trial that is over, as `trials.jsonl` has it. No clock is in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its number; 0 is the configuration that the search began with.
    pub trial: u64,
    /// How it ended.
    pub state: TrialState,
    /// What is searched for the largest of: the mean over the seeds of the last policies' mean returns.
    /// `None` unless the trial is complete.
    pub value: Option<f64>,
    /// Its settings.
    pub params: Params,
    /// Its seeds, as far as they were trained to the end.
    pub scores: Vec<SeedScore>,
    /// Evaluations during the training.
    pub readings: Vec<Reading>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Trial {
    /// A trial whose seeds were all trained.
    pub fn complete(
        trial: u64,
        params: Params,
        scores: Vec<SeedScore>,
        readings: Vec<Reading>,
    ) -> Self {
        let value = scores.iter().map(|score| score.mean_return).sum::<f64>() / scores.len() as f64;
        let blank = Self::blank(trial, params, scores, readings);
        if value.is_finite() {
            return Self { value: Some(value), ..blank };
        }
        let error = Some(format!("the mean return is {value}"));
        Self { state: TrialState::Failed, error, ..blank }
    }

    /// A trial that was given up.
    pub fn pruned(
        trial: u64,
        params: Params,
        scores: Vec<SeedScore>,
        readings: Vec<Reading>,
    ) -> Self {
        Self { state: TrialState::Pruned, ..Self::blank(trial, params, scores, readings) }
    }

    /// A trial with a run that failed.
    pub fn failed(
        trial: u64,
        params: Params,
        scores: Vec<SeedScore>,
        readings: Vec<Reading>,
        error: String,
    ) -> Self {
        let blank = Self::blank(trial, params, scores, readings);
        Self { state: TrialState::Failed, error: Some(error), ..blank }
    }

    fn blank(trial: u64, params: Params, scores: Vec<SeedScore>, readings: Vec<Reading>) -> Self {
        let state = TrialState::Complete;
        Self { trial, state, value: None, params, scores, readings, error: None }
    }

    /// How far it got and what it had come to there.
    pub(super) fn last(&self) -> (u64, f64) {
        self.readings.last().map_or((0, f64::NEG_INFINITY), |it| (it.position, it.value))
    }

    /// The better trial first: complete ones by their value, then those that were given up, the later
    /// the better, then those that failed.
    pub(super) fn better_first(a: &Self, b: &Self) -> Ordering {
        let value = |trial: &Self| trial.value.unwrap_or(f64::NEG_INFINITY);
        let ((a_at, a_value), (b_at, b_value)) = (a.last(), b.last());
        a.state.cmp(&b.state).then_with(|| match a.state {
            TrialState::Complete => value(b).total_cmp(&value(a)),
            TrialState::Pruned => b_at.cmp(&a_at).then(b_value.total_cmp(&a_value)),
            TrialState::Failed => Ordering::Equal,
        })
    }

    /// The trials, the best first; of equal ones the earlier.
    pub(super) fn ranked(trials: &[Self]) -> Vec<&Self> {
        let mut ranked: Vec<&Self> = trials.iter().collect();
        ranked.sort_by(|a, b| Self::better_first(a, b).then(a.trial.cmp(&b.trial)));
        ranked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::testing::{complete, failed, pruned};

    #[test]
    fn complete_trials_come_before_pruned_ones_and_those_before_failures() {
        let trials = [
            failed(0),
            pruned(1, 3, 90.0),
            complete(2, -5.0),
            pruned(3, 6, 10.0),
            complete(4, 7.0),
            complete(5, 7.0),
            pruned(6, 3, 91.0),
        ];
        let order: Vec<u64> = Trial::ranked(&trials).iter().map(|trial| trial.trial).collect();
        assert_eq!(order, [4, 5, 2, 3, 6, 1, 0]);
    }

    #[test]
    fn the_value_is_the_mean_over_the_seeds_and_a_failure_where_it_is_none() {
        let score = |mean_return| SeedScore { seed: 0, mean_return, std_return: 0.0 };
        let of = |returns: &[f64]| {
            let scores = returns.iter().map(|it| score(*it)).collect();
            Trial::complete(1, Params::new(), scores, Vec::new())
        };
        assert_eq!(of(&[1.0, 4.0]).value, Some(2.5));
        for returns in [&[f64::NAN, 1.0][..], &[f64::INFINITY], &[]] {
            assert_eq!((of(returns).state, of(returns).value), (TrialState::Failed, None));
        }
    }

    #[test]
    fn a_line_of_the_file_is_the_trial_to_the_bit() {
        let mut trial = complete(7, 0.1 + 0.2);
        trial.params = Params::from([
            ("ppo.learning_rate".into(), Value::Float(1e-5)),
            ("ppo.gamma".into(), Value::Float(1.0)),
            ("ppo.n_steps".into(), Value::Integer(32)),
            ("network.hidden".into(), Value::Array(vec![64.into(), 64.into()])),
            ("network.activation".into(), Value::String("relu".into())),
        ]);
        let line = serde_json::to_string(&trial).unwrap();
        assert_eq!(serde_json::from_str::<Trial>(&line).unwrap(), trial, "{line}");
    }
}
