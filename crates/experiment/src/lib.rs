#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(clippy::print_stdout)]

mod algorithms;
mod axis;
mod chart;
mod checkpoints;
mod config;
mod curve;
mod cut;
mod entries;
mod error;
mod experiment;
mod failure;
mod figure;
mod intervals;
mod lock;
mod log;
mod logging;
mod machine;
mod names;
mod player;
mod presets;
mod raster;
mod recorder;
mod render;
mod report;
mod requests;
mod resume;
mod run;
mod run_dir;
mod schema;
mod seeds;
mod sessions;
pub mod statistics;
mod summary;
mod throughput;
mod training;
pub mod tune;

pub use algorithms::{ALGORITHMS, AlgorithmInfo};
pub use chart::{Chart, Series};
pub use checkpoints::{CheckpointConfig, load_checkpoint};
pub use config::{ExperimentConfig, Flag, Request};
pub use curve::{BandPoint, Curve, WINDOW, band};
pub use error::{ConfigError, Origin, RunError};
pub use experiment::{Experiment, ExperimentDir, ExperimentInfo, SeedRun, experiment_files};
pub use failure::FailedUpdate;
pub use figure::{Figure, Shape, grouped};
pub use intervals::{Intervals, Row};
pub use log::json_line;
pub use logging::LogConfig;
pub use player::{Moment, Player};
pub use presets::preset_envs;
pub use recorder::{Recorder, RunInfo, StopReason};
pub use report::{Film, NamedFigure, Report, Source};
pub use requests::Requests;
pub use resume::{Resumed, RunState};
pub use run::Run;
pub use run_dir::{RunDir, files};
pub use seeds::{Seeds, SeedsError};
pub use summary::{Passing, SeedResult, Summary};
pub use throughput::{Driven, env_steps_per_second};
pub use training::News;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The git commit that this build was made from, or "unknown".
pub const COMMIT: &str = env!("ELEGANTE_COMMIT");
