#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(clippy::print_stdout)]

mod action;
pub mod check;
mod classic;
mod env;
mod erased;
mod error;
mod options;
mod registry;
#[cfg(feature = "render")]
pub mod render;
mod rng;
pub mod scene;
pub mod space;
pub mod state;
mod teaching;
mod vector;
pub mod wrappers;

pub use action::{Action, ActionKind, Actions};
pub use check::check_env;
pub use classic::{Acrobot, AcrobotParams, CartPole, MountainCar, MountainCarContinuous, Pendulum};
pub use env::{Ending, Env, Reset, Step};
pub use erased::{AnyEnv, DynEnv};
pub use error::EnvError;
pub use registry::{Entry, EnvOption, Registry};
pub use rng::{EnvRng, SeedSequence};
pub use scene::Scene;
pub use space::{
    BoxSpace, DictSpace, Discrete, MultiBinary, MultiDiscrete, Space, TupleSpace, Value,
};
pub use teaching::{
    Bandit, GridRewards, GridWorld, Identity, IdentityContinuous, Mdp, Memory, Outcome, Tabular,
};
#[cfg(feature = "parallel")]
pub use vector::ParallelEnv;
pub use vector::{
    Batch, BatchEnv, FinishedEpisode, Item, Lane, LaneState, StepOut, VecEnv, VectorEnv,
};
pub use wrappers::TimeLimit;
