//! Trials and configurations for tests.

use std::{fs, path::Path};

use elegante_env::Registry;

use super::{Params, Reading, SeedScore, Trial};
use crate::{ExperimentConfig, Request};

pub(crate) fn config(env: &str, algo: &str, sets: &[&str]) -> ExperimentConfig {
    let sets = sets.iter().map(ToString::to_string).collect();
    let (env, algo) = (Some(env.to_owned()), Some(algo.to_owned()));
    let request = Request { env, algo, sets, ..Request::default() };
    ExperimentConfig::resolve(&Registry::standard(), &request).unwrap()
}

/// An evaluation of seed 0.
pub(crate) fn reading(position: u64, value: f64) -> Reading {
    Reading { seed: 0, position, steps: 100 * position, mean_return: value, value }
}

pub(crate) fn complete(trial: u64, value: f64) -> Trial {
    let score = SeedScore { seed: 0, mean_return: value, std_return: 1.5 };
    Trial::complete(trial, Params::new(), vec![score], Vec::new())
}

pub(crate) fn pruned(trial: u64, position: u64, value: f64) -> Trial {
    Trial::pruned(trial, Params::new(), Vec::new(), vec![reading(position, value)])
}

pub(crate) fn failed(trial: u64) -> Trial {
    let error = "a number is not finite".to_owned();
    Trial::failed(trial, Params::new(), Vec::new(), Vec::new(), error)
}

/// Writes a search by hand into `dir`: of four settings, with four trials more than these to come.
pub(crate) fn write_search(dir: &Path, trials: &[Trial]) {
    let write = |name: &str, text: String| fs::write(dir.join(name), text).unwrap();
    let info = format!(
        r#"{{"version": "0.1.0", "commit": "abc", "env": "CartPole-v1", "algo": "ppo", "steps": 800,
        "trials": {}, "seeds": [0, 1], "sampler": "tpe", "pruner": "median", "evaluate_every": 100}}"#,
        trials.len() + 4
    );
    write("tune.json", info);
    let config = config("CartPole-v1", "ppo", &["steps=800"]);
    write("tune.toml", config.to_toml(&Registry::standard()).unwrap());
    let space = r#"
        network.activation = { choices = ["tanh", "relu"] }
        ppo.clip_range = { low = 0.1, high = 0.4 }
        ppo.gamma = { low = 0.9, high = 0.9999, scale = "one-minus-log" }
        ppo.learning_rate = { low = 1e-5, high = 1e-1, scale = "log" }"#;
    write("space.toml", space.to_owned());
    let lines = trials.iter().map(|trial| serde_json::to_string(trial).unwrap() + "\n");
    write("trials.jsonl", lines.collect());
}
