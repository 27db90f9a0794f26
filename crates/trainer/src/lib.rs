#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]

mod algorithms;
mod bridge;
mod checkpoint;
mod config;
mod error;
mod evaluate;
mod lanes;
pub mod loss;
mod metrics;
pub mod optim;
pub mod returns;
mod schedule;
mod streams;
mod trainer;
mod trajectories;

pub use bridge::{env_actions, policy_config};
pub use config::{Algorithm, Estimator, ReinforceConfig, RunConfig, TrainConfig};
pub use error::TrainError;
pub use evaluate::{EvalConfig, Evaluation, evaluate};
pub use metrics::{Episode, Progress, UpdateMetrics};
pub use schedule::Schedule;
pub use streams::{Purpose, evaluation_seed, stream, training_env_seed};
pub use trainer::{Event, Restored, Stop, Trainer};
pub use trajectories::Trajectories;
