//! All settings that a search varies, checked against the configuration that they go into.

use std::{fs, path::Path};

use elegante_env::{EnvRng, Registry};
use elegante_trainer::{Purpose, stream};
use toml::{Table, Value};

use super::{Dimension, Params};
use crate::{
    AlgorithmInfo, ConfigError, ExperimentConfig, Origin,
    config::{not_of_another, parse},
    schema::{NETWORK, Schema},
};

/// Draws of the other settings that an extreme value is tried with, before it counts as impossible.
const COMPANIONS: u64 = 40;

/// The settings that a search varies, each with its values, in the order of their names.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchSpace {
    dimensions: Vec<Dimension>,
}

impl SearchSpace {
    /// The settings that a search of `config`'s algorithm varies where nobody says otherwise.
    ///
    /// # Errors
    /// When the algorithm has none, or `config` allows for none of a setting's values.
    pub fn usual(config: &ExperimentConfig, registry: &Registry) -> Result<Self, ConfigError> {
        let text = built_in(&config.algo)
            .ok_or_else(|| ConfigError::NoSpace { algo: config.algo.clone() })?;
        // The files are part of the program, and a test reads each of them.
        let table = text.parse().unwrap_or_default();
        Self::of(table, &Origin::Space, config, registry)
    }

    /// The settings in the file at `path`: a table of the configuration's own keys, each with
    /// `{ low = …, high = …, scale = "log" }` or `{ choices = […] }`.
    ///
    /// ```toml
    /// ppo.learning_rate = { low = 1e-5, high = 1e-2, scale = "log" }
    /// ppo.n_steps = { choices = [32, 64, 128] }
    /// network.hidden = { choices = [[64], [64, 64]] }
    /// ```
    ///
    /// # Errors
    /// When it can't be read, or has a key that is not known, can't be searched, or has values that
    /// `config` does not allow for.
    pub fn read(
        path: &Path,
        config: &ExperimentConfig,
        registry: &Registry,
    ) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        let table = parse(&fs::read_to_string(path).map_err(read)?, path)?;
        Self::of(table, &Origin::File(path.to_owned()), config, registry)
    }

    fn of(
        table: Table,
        origin: &Origin,
        config: &ExperimentConfig,
        registry: &Registry,
    ) -> Result<Self, ConfigError> {
        let algo = AlgorithmInfo::find(&config.algo)?;
        let schema = Schema::new(&registry.get(&config.env)?, algo);
        let mut dimensions = Vec::new();
        for (key, value) in flat(table, &schema) {
            not_of_another(algo, &key, origin)?;
            let field = schema.find(&key).ok_or_else(|| ConfigError::UnknownKey {
                nearest: schema.nearest(&key),
                key: key.clone(),
                origin: origin.clone(),
            })?;
            if key != "lanes" && ![NETWORK, algo.id].contains(&field.section) {
                let reason = format!(
                    "it is not a setting of the method: a search may vary lanes and what is in [{NETWORK}] and [{}]",
                    algo.id
                );
                return Err(ConfigError::Space { key, reason, origin: origin.clone() });
            }
            dimensions.push(Dimension::read(field, value, origin)?);
        }
        if dimensions.is_empty() {
            return Err(ConfigError::Space {
                key: "the search space".into(),
                reason:
                    "it is empty: name a setting, such as ppo.gamma = { low = 0.9, high = 0.999 }"
                        .into(),
                origin: origin.clone(),
            });
        }
        dimensions.sort_by(|a, b| a.key.cmp(&b.key));
        let space = Self { dimensions };
        space.check(origin, config, registry)?;
        Ok(space)
    }

    /// Refuses an end of a range or a choice that no configuration can have, whatever the others are.
    fn check(
        &self,
        origin: &Origin,
        config: &ExperimentConfig,
        registry: &Registry,
    ) -> Result<(), ConfigError> {
        for (lane, dimension) in self.dimensions.iter().enumerate() {
            for extreme in dimension.extremes() {
                let with = |mut params: Params| {
                    params.insert(dimension.key.clone(), extreme.clone());
                    config.with(registry, &params, origin).map(drop)
                };
                let Err(error) = with(Params::new()) else { continue };
                let mut rng = stream(0, Purpose::Search, lane as u64);
                if !(0..COMPANIONS).any(|_| with(self.draw(&mut rng)).is_ok()) {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Settings that no configuration has.
    #[cfg(test)]
    pub(super) fn over(dimensions: Vec<Dimension>) -> Self {
        Self { dimensions }
    }

    /// The settings.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// Leaves out the settings of these names; returns those that were there.
    pub fn fix<'a>(&mut self, keys: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let mut fixed = Vec::new();
        for key in keys {
            let before = self.dimensions.len();
            self.dimensions.retain(|dimension| dimension.key != key);
            if self.dimensions.len() < before {
                fixed.push(key.to_owned());
            }
        }
        fixed
    }

    /// As a file that [`read`](Self::read) takes.
    pub fn to_toml(&self) -> String {
        let lines = self.dimensions.iter().map(|it| format!("{} = {}\n", it.key, it.domain));
        lines.collect()
    }

    /// Values for all settings, each drawn by itself.
    pub(super) fn draw(&self, rng: &mut EnvRng) -> Params {
        self.dimensions.iter().map(|it| (it.key.clone(), it.draw(rng))).collect()
    }

    /// What `config` itself has; a setting that is not set is left out.
    pub(super) fn of_config(&self, config: &ExperimentConfig) -> Params {
        let table = config.to_table().unwrap_or_default();
        let find = |key: &str| match key.split_once('.') {
            Some((section, name)) => table.get(section)?.as_table()?.get(name).cloned(),
            None => table.get(key).cloned(),
        };
        self.dimensions.iter().filter_map(|it| Some((it.key.clone(), find(&it.key)?))).collect()
    }
}

/// The keys with their dots; a table of the configuration may be written as one.
fn flat(table: Table, schema: &Schema) -> Vec<(String, Value)> {
    let mut keys = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) if schema.is_section(&name) => {
                keys.extend(inner.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            value => keys.push((name, value)),
        }
    }
    keys
}

/// What a search of an algorithm varies: embedded TOML with its source.
fn built_in(algo: &str) -> Option<&'static str> {
    Some(match algo {
        "ppo" => include_str!("../../spaces/ppo.toml"),
        "a2c" => include_str!("../../spaces/a2c.toml"),
        "dqn" => include_str!("../../spaces/dqn.toml"),
        "sac" => include_str!("../../spaces/sac.toml"),
        "td3" => include_str!("../../spaces/td3.toml"),
        "ddpg" => include_str!("../../spaces/ddpg.toml"),
        "reinforce" => include_str!("../../spaces/reinforce.toml"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ALGORITHMS, preset_envs, tune::testing::config};
    use std::collections::BTreeSet;

    fn read(text: &str) -> Result<SearchSpace, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("space.toml");
        fs::write(&path, text).unwrap();
        SearchSpace::read(&path, &config("CartPole-v1", "ppo", &[]), &Registry::standard())
    }

    #[test]
    fn every_algorithm_has_a_space_that_its_presets_allow_for() {
        let registry = Registry::standard();
        for algo in ALGORITHMS.iter().filter(|algo| built_in(algo.id).is_some()) {
            built_in(algo.id).unwrap().parse::<Table>().unwrap();
            for env in preset_envs(algo) {
                let config = config(&env, algo.id, &[]);
                let space = SearchSpace::usual(&config, &registry).unwrap();
                assert!(space.dimensions().len() >= 5, "{} {env}", algo.id);
            }
        }
        assert!(ALGORITHMS.iter().all(|algo| built_in(algo.id).is_some()));
    }

    #[test]
    fn a_space_is_read_back_as_it_was_written() {
        let space = SearchSpace::usual(&config("CartPole-v1", "ppo", &[]), &Registry::standard());
        let space = space.unwrap();
        assert_eq!(read(&space.to_toml()).unwrap(), space);
        let tables =
            "[ppo]\ngamma = { low = 0.9, high = 0.99 }\n[network]\nhidden.choices = [[8], [9]]";
        let keys: Vec<_> = read(tables).unwrap().dimensions.into_iter().map(|it| it.key).collect();
        assert_eq!(keys, ["network.hidden", "ppo.gamma"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place_and_what_would_do() {
        for (text, words) in [
            ("ppo.gama = { low = 0.9, high = 0.99 }", &["unknown key `ppo.gama`", "ppo.gamma"][..]),
            ("a2c.gamma = { low = 0.9, high = 0.99 }", &["a setting of a2c", "--algo a2c"]),
            ("ppo.gamma = { low = 0.9, hihg = 0.99 }", &["ppo.gamma", "`hihg`", "high"]),
            ("ppo.gamma = 0.99", &["ppo.gamma", "choices", "--set"]),
            ("ppo.gamma = { low = 0.9 }", &["ppo.gamma", "no `high`"]),
            ("ppo.gamma = { low = 0.99, high = 0.9 }", &["0.99 is not below high = 0.9"]),
            ("ppo.gamma = { low = 0.9, high = 1.5 }", &["ppo.gamma", "1.5", "between 0 and 1"]),
            (
                "ppo.gamma = { low = 0.9, high = 0.99, scale = \"exp\" }",
                &["exp", "\"one-minus-log\""],
            ),
            ("ppo.gamma = { low = 0.9, high = 1.0, scale = \"one-minus-log\" }", &["below 1"]),
            ("ppo.learning_rate = { low = 0, high = 1, scale = \"log\" }", &["positive"]),
            ("ppo.gamma = { low = 0.9, high = 0.99, choices = [0.9] }", &["both"]),
            ("ppo.gamma = { choices = [0.9] }", &["two choices"]),
            ("ppo.gamma = { choices = [1, 1.0] }", &["1.0", "twice"]),
            ("ppo.gamma = { choices = 0.9 }", &["must be a list"]),
            ("ppo.gamma = { choices = [0.9, \"high\"] }", &["\"high\"", "a number"]),
            ("ppo.n_steps = { low = 1.5, high = 8 }", &["low = 1.5", "a whole number"]),
            ("ppo.schedule = { low = 1, high = 8 }", &["low = 1", "\"linear\""]),
            ("network.hidden = { choices = [[64], [\"wide\"]] }", &["network.hidden", "wide"]),
            ("network.activation = { choices = [\"tanh\", \"rely\"] }", &["rely", "\"relu\""]),
            ("steps = { low = 1, high = 8 }", &["steps", "not a setting of the method"]),
            ("log.csv = { choices = [true, false] }", &["log.csv", "not a setting of the method"]),
            ("ppo.batch_size = { choices = [64, 7] }", &["ppo.batch_size", "7"]),
            ("", &["empty"]),
            ("ppo.gamma = {", &["not valid TOML"]),
        ] {
            let error = read(text).unwrap_err().to_string();
            let all = [&["space.toml"], words].concat();
            assert!(all.iter().all(|words| error.contains(words)), "{text}: {error}");
        }
    }

    #[test]
    fn a_value_that_only_goes_with_others_is_allowed() {
        // 512 alone would not divide the preset's rollout of 256 steps, but is all of it at once; 96
        // divides only that of 384 steps.
        let text = "ppo.batch_size = { choices = [64, 96] }\nppo.n_steps = { choices = [32, 48] }";
        assert!(read(text).is_ok());
    }

    #[test]
    fn draws_fill_the_range_evenly_on_its_scale_and_keep_to_it() {
        let text = "ppo.learning_rate = { low = 1e-5, high = 1e-1, scale = \"log\" }
            ppo.gamma = { low = 0.9, high = 0.9999, scale = \"one-minus-log\" }
            ppo.clip_range = { low = 0.1, high = 0.4 }
            ppo.epochs = { low = 1, high = 3 }
            ppo.n_steps = { low = 8, high = 512, scale = \"log\" }
            network.activation = { choices = [\"tanh\", \"relu\"] }";
        let space = read(text).unwrap();
        let mut rng = EnvRng::new(0);
        let draws: Vec<Params> = (0..4000).map(|_| space.draw(&mut rng)).collect();
        let share = |key: &str, is: &dyn Fn(&Value) -> bool| {
            draws.iter().filter(|draw| is(&draw[key])).count() as f64 / 4000.0
        };
        let below = |x: f64| move |value: &Value| value.as_float().unwrap() < x;
        // Standard deviations are 0.008 and less.
        for (found, expected) in [
            (share("ppo.learning_rate", &below(1e-3)), 0.5),
            (share("ppo.gamma", &below(0.99)), 1.0 / 3.0),
            (share("ppo.clip_range", &below(0.25)), 0.5),
            (share("ppo.epochs", &|n| *n == Value::Integer(1)), 1.0 / 3.0),
            (share("ppo.epochs", &|n| *n == Value::Integer(3)), 1.0 / 3.0),
            (share("network.activation", &|it| it.as_str() == Some("relu")), 0.5),
        ] {
            assert!((found - expected).abs() < 0.035, "{found} instead of {expected}");
        }
        for dimension in space.dimensions() {
            let values: Vec<&Value> = draws.iter().map(|draw| &draw[&dimension.key]).collect();
            assert!(values.iter().all(|value| dimension.place(value).is_some()), "{dimension:?}");
            let written: BTreeSet<_> = values.iter().map(ToString::to_string).collect();
            assert!(written.iter().all(|text| text.len() <= 10), "{written:?}");
        }
    }

    #[test]
    fn a_value_has_its_place_and_the_place_its_value() {
        let space = SearchSpace::usual(&config("CartPole-v1", "ppo", &[]), &Registry::standard());
        for dimension in space.unwrap().dimensions() {
            let (start, end) = dimension.ends();
            for part in 0..=20 {
                let place = (start + (end - start) * f64::from(part) / 20.0).min(end.next_down());
                let value = dimension.value(place);
                let again = dimension.place(&value).unwrap();
                assert_eq!(dimension.value(again), value, "{}", dimension.key);
                assert!((start..end).contains(&again), "{}: {again}", dimension.key);
            }
            assert_eq!(dimension.place(&Value::Boolean(true)), None);
        }
    }

    #[test]
    fn what_is_fixed_is_no_longer_searched() {
        let registry = Registry::standard();
        let mut space = SearchSpace::usual(&config("CartPole-v1", "ppo", &[]), &registry).unwrap();
        let all = space.dimensions().len();
        assert_eq!(space.fix(["ppo.gamma", "steps"]), ["ppo.gamma"]);
        assert_eq!(space.dimensions().len(), all - 1);
    }
}
