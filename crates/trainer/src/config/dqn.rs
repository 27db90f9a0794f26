//! Settings of DQN.

use elegante_policy::settings;
use serde::{Deserialize, Serialize};

use super::{check, count, fraction, limit, replaying::check_replaying, small, step_size};
use crate::{TrainError, schedule::Schedule};

/// What errors of a value count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueLoss {
    /// Their square up to 1, from there on their size: ones that are far off count little more than others.
    #[default]
    Huber,
    /// Their square.
    Squared,
}

settings! {
    /// Settings of DQN and its family. The defaults are those of Stable-Baselines3; Rainbow's parts (double,
    /// dueling, n_steps, prioritized, noisy, quantiles) are off until they are asked for.
    pub struct DqnConfig {
        /// Transitions that are kept to learn from, over all lanes; the oldest give way.
        pub buffer_size: usize = 1_000_000,
        /// Bytes that they may take; a buffer that would grow beyond is refused before training starts, as is
        /// one that does not fit three times into what the machine has free: once by itself, and twice while a
        /// checkpoint is written.
        pub buffer_memory: Option<u64> = None,
        /// Steps before the learning starts, with actions drawn evenly.
        pub learning_starts: u64 = 100,
        /// Steps of each lane between updates.
        pub train_freq: usize = 4,
        /// Minibatches in an update; 0: as many as steps were made since the last.
        pub gradient_steps: usize = 1,
        /// Transitions in a minibatch.
        pub batch_size: usize = 32,
        /// Discount γ of future rewards.
        pub gamma: f64 = 0.99,
        /// Steps that a transition spans: its rewards are summed, what follows is bootstrapped.
        pub n_steps: usize = 1,
        /// Adam's step size.
        pub learning_rate: f64 = 1e-4,
        /// The step size over the run: "linear" (down to 0) or "constant".
        pub schedule: Schedule = Schedule::Constant,
        /// ε in the denominator of Adam.
        pub adam_epsilon: f64 = 1e-8,
        /// Largest global norm of the gradient; longer ones are scaled down. 0: no limit.
        pub max_grad_norm: f64 = 10.0,
        /// Steps between two updates of the target network.
        pub target_update_interval: u64 = 10_000,
        /// How far the target network then moves to the one that learns; 1: it becomes a copy.
        pub tau: f64 = 1.0,
        /// Chance of a random action at the beginning; with `noisy` there is none once the learning has started.
        pub exploration_initial: f64 = 1.0,
        /// Chance of a random action from then on.
        pub exploration_final: f64 = 0.05,
        /// Fraction of the run over which the chance goes from one to the other.
        pub exploration_fraction: f64 = 0.1,
        /// What an error of a value counts: "huber" (its square up to 1, from there on its size) or "squared".
        pub loss: ValueLoss = ValueLoss::Huber,
        /// Double DQN: the network that learns chooses the next action, the target network values it.
        pub double: bool = false,
        /// Dueling networks: one output for the state's value, one for each action's advantage.
        pub dueling: bool = false,
        /// Quantiles of the return that are learnt for each action (QR-DQN); 1: its expected value.
        pub quantiles: usize = 1,
        /// Prioritised replay: transitions are drawn by how wrong their values were when last seen.
        pub prioritized: bool = false,
        /// Prioritised replay: α, how much the error counts; 0: not at all.
        pub priority_alpha: f64 = 0.6,
        /// Prioritised replay: β, how much of the bias is corrected at the beginning; at the end all of it.
        pub priority_beta: f64 = 0.4,
        /// Noisy networks: the weights have noise in them, as much as is learnt to be right, and explore by that
        /// alone; the settings `exploration_…` then have nothing to do.
        pub noisy: bool = false,
        /// Noisy networks: σ₀; the standard deviation σ of a weight is σ₀/√inputs at the beginning.
        pub noisy_std: f64 = 0.5,
    }
}

impl DqnConfig {
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        check_replaying!("dqn", self);
        let interval = self.target_update_interval;
        check("dqn.target_update_interval", interval, interval > 0, "at least 1")?;
        fraction("dqn.exploration_initial", self.exploration_initial)?;
        fraction("dqn.exploration_final", self.exploration_final)?;
        fraction("dqn.exploration_fraction", self.exploration_fraction)?;
        let quantiles = (1..=1 << 12).contains(&self.quantiles);
        check("dqn.quantiles", self.quantiles, quantiles, "between 1 and 4096")?;
        let fit = self.quantiles == 1 || self.loss == ValueLoss::Huber;
        let expected = "\"huber\": quantiles are learnt by quantile regression";
        check("dqn.loss", "squared", fit, expected)?;
        fraction("dqn.priority_alpha", self.priority_alpha)?;
        fraction("dqn.priority_beta", self.priority_beta)?;
        let std = self.noisy_std > 0.0 && self.noisy_std <= 100.0;
        check("dqn.noisy_std", self.noisy_std, std, "positive and at most 100, often 0.5")
    }
}
