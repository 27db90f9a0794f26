#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(clippy::print_stdout)]

pub use elegante_env as env;
pub use elegante_experiment as experiment;
pub use elegante_kernels as kernels;
pub use elegante_policy as policy;
pub use elegante_trainer as trainer;

pub use elegante_env::{Ending, Env, EnvError, Registry, Reset, Space, Step, TimeLimit};
pub use elegante_policy::{ActionBatch, DeviceChoice, MlpConfig, Policy, PolicyError};
pub use elegante_trainer::{
    Algorithm, Estimator, EvalConfig, Evaluation, Event, ReinforceConfig, RunConfig, Stop,
    TrainConfig, TrainError, Trainer, evaluate,
};

/// What most programs need, for `use elegante::prelude::*`.
pub mod prelude {
    pub use elegante_env::{
        AnyEnv, BoxSpace, Discrete, Ending, Entry, Env, EnvError, EnvRng, Registry, Reset, Scene,
        Space, Step, TimeLimit, check_env,
    };
    pub use elegante_policy::{
        ActionBatch, Activation, DeviceChoice, Init, MlpConfig, Policy, PolicyError,
    };
    pub use elegante_trainer::{
        Algorithm, Episode, Estimator, EvalConfig, Evaluation, Event, ReinforceConfig, RunConfig,
        Schedule, Stop, TrainConfig, TrainError, Trainer, UpdateMetrics, evaluate,
    };
    pub use std::ops::ControlFlow;
}
