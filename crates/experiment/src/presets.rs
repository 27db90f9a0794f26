//! Settings that are known to work, by algorithm and environment: embedded TOML, one file for each
//! algorithm, with its sources.

use toml::{Table, Value};

use crate::AlgorithmInfo;

/// The keys, with their dots, and values that an algorithm's preset sets for an environment: those of
/// the table `default` first, then the environment's own.
pub(crate) fn preset(algo: &AlgorithmInfo, env: &str) -> Vec<(String, Value)> {
    let tables = tables(algo);
    let found = ["default", env].map(|name| tables.get(name).and_then(Value::as_table));
    let mut keys = Vec::new();
    found.into_iter().flatten().for_each(|table| flatten("", table, &mut keys));
    keys
}

/// The environments that have a preset of their own.
pub fn preset_envs(algo: &AlgorithmInfo) -> Vec<String> {
    tables(algo).keys().filter(|name| *name != "default").cloned().collect()
}

fn tables(algo: &AlgorithmInfo) -> Table {
    // The files are part of the program, and a test reads each of them.
    algo.presets.parse().unwrap_or_default()
}

fn flatten(prefix: &str, table: &Table, keys: &mut Vec<(String, Value)>) {
    for (name, value) in table {
        match value {
            Value::Table(inner) => flatten(&format!("{prefix}{name}."), inner, keys),
            value => keys.push((format!("{prefix}{name}"), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ALGORITHMS, ExperimentConfig, Request};
    use elegante_env::Registry;

    #[test]
    fn every_preset_is_a_sound_configuration_of_a_registered_environment() {
        let registry = Registry::standard();
        for algo in ALGORITHMS {
            algo.presets.parse::<Table>().unwrap();
            for env in preset_envs(algo) {
                let (env, algo) = (Some(env), Some(algo.id.to_owned()));
                let request = Request { env, algo, ..Request::default() };
                ExperimentConfig::resolve(&registry, &request).unwrap();
            }
        }
    }

    #[test]
    fn a_preset_lies_over_the_defaults_and_under_the_user() {
        let registry = Registry::standard();
        let resolve = |sets: &[&str]| {
            let sets = sets.iter().map(ToString::to_string).collect();
            let (env, algo) = (Some("CartPole-v1".into()), Some("ppo".into()));
            let request = Request { env, algo, sets, ..Request::default() };
            ExperimentConfig::resolve(&registry, &request).unwrap().train
        };
        let plain = resolve(&[]);
        assert_eq!((plain.run.steps, plain.run.lanes), (100_000, 8));
        assert_eq!(plain.network.hidden, [64, 64]);
        assert_eq!(resolve(&["steps=5"]).run.steps, 5);
    }
}
