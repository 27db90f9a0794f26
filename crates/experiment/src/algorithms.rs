//! The algorithms by name, with the tables that hold their settings.

use elegante_policy::{Setting, Settings};
use elegante_trainer::{
    A2cConfig, Algorithm, DdpgConfig, DqnConfig, PpoConfig, ReinforceConfig, SacConfig, Td3Config,
};
use toml::Table;

use crate::{ConfigError, names::nearest};

/// An algorithm as a configuration file knows it. Its settings stand in a table of its name.
#[derive(Clone, Copy, Debug)]
pub struct AlgorithmInfo {
    /// Its name, as `--algo` takes it.
    pub id: &'static str,
    /// What it is, in a sentence.
    pub summary: &'static str,
    /// The paper it comes from.
    pub source: &'static str,
    /// The kinds of action it can choose.
    pub actions: &'static [&'static str],
    /// Its settings.
    pub settings: &'static [Setting],
    /// Settings by environment, as TOML.
    pub(crate) presets: &'static str,
    /// The algorithm with the settings of a table; what the table lacks is the default.
    pub(crate) read: fn(Table) -> Result<Algorithm, toml::de::Error>,
}

/// Every algorithm, the default first and the one that it grew out of last.
pub const ALGORITHMS: &[AlgorithmInfo] = &[
    AlgorithmInfo {
        id: "ppo",
        summary: "Proximal policy optimisation: many small steps on each rollout, kept close to the policy that collected it.",
        source: "Schulman et al., 2017: Proximal policy optimization algorithms",
        actions: ACTIONS,
        settings: PpoConfig::SETTINGS,
        presets: include_str!("../presets/ppo.toml"),
        read: |table| table.try_into().map(Algorithm::Ppo),
    },
    AlgorithmInfo {
        id: "a2c",
        summary: "Advantage actor-critic: one step on each short rollout, from many environments side by side.",
        source: "Mnih et al., 2016: Asynchronous methods for deep reinforcement learning",
        actions: ACTIONS,
        settings: A2cConfig::SETTINGS,
        presets: include_str!("../presets/a2c.toml"),
        read: |table| table.try_into().map(Algorithm::A2c),
    },
    AlgorithmInfo {
        id: "dqn",
        summary: "Deep Q-learning: the values of actions, learnt from replayed experience; double, dueling, n-step, prioritised, noisy and by quantiles where asked for.",
        source: "Mnih et al., 2015: Human-level control through deep reinforcement learning",
        actions: &["discrete"],
        settings: DqnConfig::SETTINGS,
        presets: include_str!("../presets/dqn.toml"),
        read: |table| table.try_into().map(Algorithm::Dqn),
    },
    AlgorithmInfo {
        id: "sac",
        summary: "Soft actor-critic: a policy that is paid for its entropy too, learnt from replayed experience.",
        source: "Haarnoja et al., 2018: Soft actor-critic algorithms and applications",
        actions: &["discrete", "continuous"],
        settings: SacConfig::SETTINGS,
        presets: include_str!("../presets/sac.toml"),
        read: |table| table.try_into().map(Algorithm::Sac),
    },
    AlgorithmInfo {
        id: "td3",
        summary: "Twin delayed DDPG: an action for each state, learnt through two critics from replayed experience.",
        source: "Fujimoto et al., 2018: Addressing function approximation error in actor-critic methods",
        actions: &["continuous"],
        settings: Td3Config::SETTINGS,
        presets: include_str!("../presets/td3.toml"),
        read: |table| table.try_into().map(Algorithm::Td3),
    },
    AlgorithmInfo {
        id: "ddpg",
        summary: "Deep deterministic policy gradients: what TD3 grew out of, with one critic.",
        source: "Lillicrap et al., 2016: Continuous control with deep reinforcement learning",
        actions: &["continuous"],
        settings: DdpgConfig::SETTINGS,
        presets: include_str!("../presets/ddpg.toml"),
        read: |table| table.try_into().map(Algorithm::Ddpg),
    },
    AlgorithmInfo {
        id: "reinforce",
        summary: "The policy gradient itself, from whole trajectories; estimators total-return, reward-to-go and baseline.",
        source: "Williams, 1992: Simple statistical gradient-following algorithms for connectionist reinforcement learning",
        actions: ACTIONS,
        settings: ReinforceConfig::SETTINGS,
        presets: include_str!("../presets/reinforce.toml"),
        read: |table| table.try_into().map(Algorithm::Reinforce),
    },
];

const ACTIONS: &[&str] = &["discrete", "multi-discrete", "multi-binary", "continuous"];

impl AlgorithmInfo {
    /// The algorithm that is meant where none is named: PPO.
    pub fn usual() -> &'static Self {
        &ALGORITHMS[0]
    }

    /// The algorithm called `name`.
    ///
    /// # Errors
    /// [`ConfigError::UnknownAlgorithm`] with the nearest names.
    pub fn find(name: &str) -> Result<&'static Self, ConfigError> {
        ALGORITHMS.iter().find(|info| info.id == name).ok_or_else(|| {
            ConfigError::UnknownAlgorithm {
                name: name.to_owned(),
                nearest: nearest(name, ALGORITHMS.iter().map(|info| info.id)),
            }
        })
    }
}

/// The settings of `algorithm` as a table, each of them.
pub(crate) fn settings_of(algorithm: &Algorithm) -> Result<Table, toml::ser::Error> {
    match algorithm {
        Algorithm::Reinforce(config) => Table::try_from(config),
        Algorithm::A2c(config) => Table::try_from(config),
        Algorithm::Ppo(config) => Table::try_from(config),
        Algorithm::Dqn(config) => Table::try_from(config),
        Algorithm::Sac(config) => Table::try_from(config),
        Algorithm::Td3(config) => Table::try_from(config),
        Algorithm::Ddpg(config) => Table::try_from(config),
        _ => Err(serde::ser::Error::custom("this algorithm has no entry in ALGORITHMS")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_algorithm_names_the_nearest() {
        let error = AlgorithmInfo::find("reinforc").unwrap_err().to_string();
        assert!(error.contains("`reinforc`") && error.contains("reinforce"), "{error}");
        assert_eq!(AlgorithmInfo::find("reinforce").unwrap().id, "reinforce");
    }

    #[test]
    fn the_usual_one_is_ppo() {
        assert_eq!(AlgorithmInfo::usual().id, "ppo");
    }

    #[test]
    fn every_algorithm_reads_its_own_defaults_and_knows_each_setting() {
        for info in ALGORITHMS {
            let default = (info.read)(Table::new()).unwrap();
            let table = settings_of(&default).unwrap();
            assert_eq!((info.read)(table.clone()).unwrap(), default);
            let known: Vec<_> = info.settings.iter().map(|setting| setting.name).collect();
            assert!(table.keys().all(|key| known.contains(&key.as_str())), "{}", info.id);
            assert!(!table.is_empty());
        }
    }
}
