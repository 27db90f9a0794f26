//! What can stop a training run, in words that say what to do.

use elegante_env::EnvError;
use elegante_policy::PolicyError;

use crate::memory::{ReplayMemory, size, table};

/// Errors of training and evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A setting that makes no sense.
    #[error("{name} = {value}: it must be {expected}")]
    Setting {
        /// The setting, by its name in a configuration file.
        name: &'static str,
        /// What it was set to.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// The environment failed, or broke its contract.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The policy or its device failed.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A number that training depends on is NaN or infinite. The weights are those from before.
    #[error(
        "update {update}: the {what} is {value}; training stopped before it touched the weights: lower the learning rate, set max_grad_norm, or scale the rewards down"
    )]
    NotFinite {
        /// Which update.
        update: u64,
        /// Which quantity.
        what: &'static str,
        /// NaN or an infinity.
        value: f64,
    },
    /// A measure of the policy passed a limit that was set for it. The weights are those from before.
    #[error(
        "update {update}: the {what} is {value}, beyond {setting} = {limit}; training stopped before the update counted: lower the learning rate, raise the entropy bonus, or move the limit"
    )]
    Guard {
        /// Which update.
        update: u64,
        /// Which measure, as the metrics call it.
        what: &'static str,
        /// What it came to.
        value: f64,
        /// The setting that limits it.
        setting: &'static str,
        /// The limit.
        limit: f64,
    },
    /// A replay buffer that would not fit.
    #[error("{0}")]
    ReplayMemory(ReplayMemory),
    /// A replay buffer that has come to take more than it may, by what masks and episodes that were cut off add to it.
    #[error(
        "{setting}: the replay buffer has come to {} with what masks of actions add to it and the {cut_off} episodes that were cut off, an observation each; {}.buffer_memory allows {}: raise it, or keep fewer transitions", size(*.bytes), table(.setting), size(*.limit)
    )]
    ReplayGrown {
        /// The setting that says how many transitions are kept.
        setting: &'static str,
        /// Episodes in the buffer that were cut off.
        cut_off: usize,
        /// What the buffer takes.
        bytes: u64,
        /// What it may.
        limit: u64,
    },
    /// An episode that does not end.
    #[error(
        "an episode of lane {lane} has gone on for {steps} steps: REINFORCE and evaluation run every episode to its end, so wrap the environment in `TimeLimit`"
    )]
    EndlessEpisode {
        /// Which lane.
        lane: usize,
        /// Its length so far.
        steps: usize,
    },
    /// The algorithm can't work with what the environment is.
    #[error("{0}")]
    Unsupported(String),
    /// A checkpoint that can't be restored.
    #[error("checkpoint: {0}")]
    Checkpoint(String),
    /// The record of a failed update that can't be written or read, or belongs to another run.
    #[error("failed update: {0}")]
    Failure(String),
}
