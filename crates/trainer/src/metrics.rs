//! What a run tells of itself.

use std::collections::VecDeque;

use elegante_env::Ending;
use serde::{Deserialize, Serialize};

/// One finished training episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Its number in the run, from 1.
    pub index: u64,
    /// Steps of all episodes of the run up to this one.
    pub steps: u64,
    /// The lane it ran in.
    pub lane: usize,
    /// Sum of its rewards, undiscounted.
    pub episode_return: f64,
    /// Its steps.
    pub length: usize,
    /// Why it ended.
    pub ending: Ending,
}

/// What one update did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpdateMetrics {
    /// Number of this update, from 1.
    pub update: u64,
    /// Environment steps of the run so far, over all lanes.
    pub steps: u64,
    /// Finished episodes of the run so far.
    pub episodes: u64,
    /// Mean return of the last 100 training episodes (fewer in the beginning).
    pub mean_return_100: f64,
    /// Mean length of the same.
    pub mean_length_100: f64,
    /// Steps in this update's batch.
    pub batch_steps: usize,
    /// Trajectories in this update's batch.
    pub batch_episodes: usize,
    /// Mean return of this update's batch.
    pub batch_return: f64,
    /// Value of the surrogate; only its gradient means anything.
    pub loss: f64,
    /// Mean entropy of πθ(·|sₜ) over the batch, in nats.
    pub entropy: f64,
    /// Global norm of the policy's gradient, before clipping.
    pub grad_norm: f64,
    /// The policy's step size.
    pub learning_rate: f64,
    /// Mean squared error of the value network on its standardised targets, in the last of its steps.
    pub value_loss: Option<f64>,
    /// Share of the variance of Gₜ that the value network foresaw, before it learnt from this batch.
    pub explained_variance: Option<f64>,
    /// Seconds since the trainer was made.
    pub seconds: f64,
    /// Environment steps a second, since the trainer was made.
    pub steps_per_second: f64,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Environment steps, over all lanes.
    pub steps: u64,
    /// Finished episodes.
    pub episodes: u64,
    /// Updates.
    pub updates: u64,
}

/// Returns and lengths of the last 100 episodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recent(VecDeque<(f64, usize)>);

/// How many episodes count as recent, here as everywhere.
pub(crate) const RECENT: usize = 100;

impl Recent {
    pub(crate) fn push(&mut self, episode: &Episode) {
        if self.0.len() == RECENT {
            self.0.pop_front();
        }
        self.0.push_back((episode.episode_return, episode.length));
    }

    /// Whether there are a hundred already.
    pub(crate) fn full(&self) -> bool {
        self.0.len() == RECENT
    }

    pub(crate) fn mean_return(&self) -> f64 {
        self.0.iter().map(|(r, _)| r).sum::<f64>() / self.0.len() as f64
    }

    pub(crate) fn mean_length(&self) -> f64 {
        self.0.iter().map(|(_, l)| *l as f64).sum::<f64>() / self.0.len() as f64
    }
}
