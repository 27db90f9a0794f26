#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]

mod algorithms;
mod config;
mod error;
mod log;
mod names;
mod player;
mod presets;
mod recorder;
mod render;
mod run;
mod run_dir;
mod schema;
pub mod statistics;
mod throughput;

pub use algorithms::{ALGORITHMS, AlgorithmInfo};
pub use config::{ExperimentConfig, Flag, Request};
pub use error::{ConfigError, Origin, RunError};
pub use log::json_line;
pub use player::{Moment, Player};
pub use presets::preset_envs;
pub use recorder::{Recorder, RunInfo, StopReason};
pub use run::Run;
pub use run_dir::{RunDir, files};
pub use throughput::env_steps_per_second;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The git commit that this build was made from, or "unknown".
pub const COMMIT: &str = env!("ELEGANTE_COMMIT");
