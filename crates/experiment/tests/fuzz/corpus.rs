//! The good files.

use std::path::Path;

use elegante_env::Registry;
use elegante_experiment::{ExperimentConfig, Request, load_checkpoint};
use elegante_policy::{DeviceChoice, Policy};
use elegante_trainer::Trainer;

use crate::{draw::Draw, tensors::Parts, text};

/// What reads a file; the error in words.
pub(crate) type Reader = Box<dyn FnMut(&Path) -> Result<(), String>>;

/// A good file.
pub(crate) struct Sample {
    /// What it is of.
    pub(crate) name: String,
    /// What it is called on disk.
    pub(crate) file: &'static str,
    pub(crate) bytes: Vec<u8>,
    config: ExperimentConfig,
    parts: Option<Parts>,
}

const POLICY: &str = "policy.safetensors";
const CHECKPOINT: &str = "checkpoint.safetensors";
const CONFIG: &str = "config.toml";

/// Environment, algorithm and settings: between them every head, network, normaliser and schedule.
const RUNS: [(&str, &str, &str); 9] = [
    ("CartPole-v1", "ppo", "ppo.n_steps=8 ppo.batch_size=16 ppo.epochs=1"),
    (
        "Pendulum-v1",
        "ppo",
        "ppo.n_steps=8 ppo.batch_size=16 ppo.epochs=1 network.recurrent=gru network.recurrent_size=3 \
         ppo.normalize_observations=true ppo.normalize_rewards=true",
    ),
    (
        "Pendulum-v1",
        "a2c",
        "a2c.distribution=gsde a2c.normalize_observations=true network.shared=true",
    ),
    (
        "CartPole-v1",
        "dqn",
        "dqn.learning_starts=20 dqn.batch_size=4 dqn.dueling=true dqn.quantiles=3 dqn.prioritized=true dqn.noisy=true",
    ),
    ("Pendulum-v1", "sac", "sac.learning_starts=20 sac.batch_size=4 sac.sde=true"),
    ("FrozenLake-v1", "sac", "sac.learning_starts=20 sac.batch_size=4 sac.entropy_coef=0.1"),
    (
        "MountainCarContinuous-v0",
        "td3",
        "td3.learning_starts=20 td3.batch_size=4 td3.noise=ornstein-uhlenbeck",
    ),
    ("FrozenLake-v1", "reinforce", "reinforce.batch_steps=20"),
    (
        "MountainCarContinuous-v0",
        "a2c",
        "a2c.distribution=beta network.recurrent=lstm network.recurrent_size=2",
    ),
];

/// A policy, a checkpoint and a configuration of each run.
pub(crate) fn samples() -> Vec<Sample> {
    let registry = Registry::standard();
    let of = |(env, algo, sets): (&str, &str, &str)| {
        let small = "lanes=2 steps=100 threads=1 network.hidden=[3]".split_whitespace();
        let sets = small.chain(sets.split_whitespace()).map(str::to_owned).collect();
        let (env, algo) = (Some(env.to_owned()), Some(algo.to_owned()));
        let request = Request { env, algo, sets, ..Request::default() };
        let config = ExperimentConfig::resolve(&registry, &request).unwrap();
        let mut trainer = trainer(&config);
        trainer.step().unwrap();
        let files = [
            (POLICY, trainer.policy().to_safetensors().unwrap()),
            (CHECKPOINT, trainer.checkpoint().unwrap()),
            (CONFIG, config.to_toml(&registry).unwrap().into_bytes()),
        ];
        files.map(|(file, bytes)| Sample {
            name: format!("{file} of {} on {}", config.algo, config.env),
            file,
            parts: (file != CONFIG).then(|| Parts::of(&bytes)),
            bytes,
            config: config.clone(),
        })
    };
    RUNS.into_iter().flat_map(of).collect()
}

fn trainer(config: &ExperimentConfig) -> Trainer {
    let make = config.env_factory(&Registry::standard()).unwrap();
    Trainer::from_factory(config.train.clone(), make).unwrap()
}

impl Sample {
    pub(crate) fn kind(&self) -> &'static str {
        self.file.split('.').next().unwrap_or_default()
    }

    /// What a user's program would read it with.
    pub(crate) fn reader(&self) -> Reader {
        match self.file {
            POLICY => {
                let device = DeviceChoice::Auto.open().unwrap();
                Box::new(move |path| Policy::load(path, &device).map(drop).map_err(words))
            }
            CHECKPOINT => {
                let mut trainer = trainer(&self.config);
                Box::new(move |path| load_checkpoint(&mut trainer, path).map(drop).map_err(words))
            }
            _ => {
                let registry = Registry::standard();
                Box::new(move |path| {
                    let request = Request { file: Some(path.to_owned()), ..Request::default() };
                    let config = ExperimentConfig::resolve(&registry, &request).map_err(words)?;
                    // What is taken can be written again.
                    config.to_toml(&registry).map(drop).map_err(|e| format!("{path:?} {e}"))
                })
            }
        }
    }

    /// The same file, written by this test.
    pub(crate) fn put_together(&self) -> Vec<u8> {
        self.parts.as_ref().map_or_else(|| self.bytes.clone(), Parts::put_together)
    }

    pub(crate) fn mutated(&self, draw: &mut Draw) -> (&'static str, Vec<u8>) {
        match &self.parts {
            _ if draw.below(4) == 0 => text::bytes(&self.bytes, draw),
            Some(parts) => parts.mutated(draw),
            None => text::toml(std::str::from_utf8(&self.bytes).unwrap(), draw),
        }
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
