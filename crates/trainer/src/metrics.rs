//! What a run tells of itself.

use std::collections::{BTreeMap, VecDeque};

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

/// Measurements by name.
pub type Values = BTreeMap<&'static str, f64>;

/// What one update did.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    /// Episodes that ended in this update's batch.
    pub batch_episodes: usize,
    /// Mean return of those; NaN when there were none.
    pub batch_return: f64,
    /// Value of the loss. A policy gradient's surrogate means nothing by itself; only its gradient
    /// does.
    pub loss: f64,
    /// Mean entropy of πθ(·|sₜ) over the batch, in nats.
    pub entropy: f64,
    /// Global norm of the gradient, before clipping; the mean where an update takes several steps.
    pub grad_norm: f64,
    /// The step size.
    pub learning_rate: f64,
    /// What only some algorithms have, by the field's usual names: `value_loss`,
    /// `explained_variance`, `policy_loss`, `approx_kl`, `clip_fraction`, `std` and so on. They stand
    /// beside the other fields in JSON.
    #[serde(flatten)]
    pub values: Values,
    /// Seconds of the run so far, without those between its end and its continuation.
    pub seconds: f64,
    /// Environment steps a second, over all of those.
    pub steps_per_second: f64,
}

/// Means of measurements that are made several times in an update.
#[derive(Clone, Debug, Default)]
pub(crate) struct Means(BTreeMap<&'static str, (f64, f64)>);

impl Means {
    pub(crate) fn add(&mut self, name: &'static str, value: f64) {
        let (sum, count) = self.0.entry(name).or_default();
        *sum += value;
        *count += 1.0;
    }

    /// Takes out the mean of `name`; NaN if it was never measured.
    pub(crate) fn take(&mut self, name: &str) -> f64 {
        let (sum, count) = self.0.remove(name).unwrap_or_default();
        sum / count
    }

    /// The means that are left.
    pub(crate) fn finish(self) -> Values {
        self.0.into_iter().map(|(name, (sum, count))| (name, sum / count)).collect()
    }
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
