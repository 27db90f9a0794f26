//! Trials and configurations for tests.

use elegante_env::Registry;

use super::{Params, Reading, SeedScore, Trial};
use crate::{ExperimentConfig, Request};

pub(super) fn config(env: &str, algo: &str, sets: &[&str]) -> ExperimentConfig {
    let sets = sets.iter().map(ToString::to_string).collect();
    let (env, algo) = (Some(env.to_owned()), Some(algo.to_owned()));
    let request = Request { env, algo, sets, ..Request::default() };
    ExperimentConfig::resolve(&Registry::standard(), &request).unwrap()
}

/// An evaluation of seed 0.
pub(super) fn reading(position: u64, value: f64) -> Reading {
    Reading { seed: 0, position, steps: 100 * position, mean_return: value, value }
}

pub(super) fn complete(trial: u64, value: f64) -> Trial {
    let score = SeedScore { seed: 0, mean_return: value, std_return: 1.5 };
    Trial::complete(trial, Params::new(), vec![score], Vec::new())
}

pub(super) fn pruned(trial: u64, position: u64, value: f64) -> Trial {
    Trial::pruned(trial, Params::new(), Vec::new(), vec![reading(position, value)])
}

pub(super) fn failed(trial: u64) -> Trial {
    let error = "a number is not finite".to_owned();
    Trial::failed(trial, Params::new(), Vec::new(), Vec::new(), error)
}
