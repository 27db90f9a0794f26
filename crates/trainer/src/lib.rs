#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(clippy::print_stdout)]

pub mod advantages;
mod algorithms;
mod arrays;
mod bridge;
mod checkpoint;
mod collector;
mod config;
mod crew;
mod error;
mod evaluate;
mod failure;
mod flat;
mod inspect;
mod lanes;
mod learner;
pub mod loss;
mod memory;
mod metrics;
mod minibatches;
pub mod optim;
mod replay_buffer;
pub mod returns;
mod rollout;
mod schedule;
pub mod selfcheck;
mod streams;
mod sum_tree;
mod target;
mod trainer;
mod trajectories;
mod valuer;
mod watch;
mod world;

pub use bridge::{env_actions, fits, policy_config};
pub use config::{
    A2cConfig, Algorithm, Continuous, DdpgConfig, DqnConfig, Estimator, GuardConfig, Noise,
    PpoConfig, ReinforceConfig, RunConfig, SacConfig, Td3Config, TrainConfig, ValueLoss,
};
pub use error::TrainError;
pub use evaluate::{EvalConfig, Evaluation, evaluate};
pub use failure::{Bad, Failure, FailureReport, Stage};
pub use inspect::Inspected;
pub use memory::ReplayMemory;
pub use metrics::{Episode, Progress, UpdateMetrics, Values};
pub use schedule::Schedule;
pub use streams::{Purpose, evaluation_seed, stream, training_env_seed};
pub use trainer::{Event, Replay, Restored, Stop, Trainer};
pub use trajectories::Trajectories;
pub use watch::Phase;
