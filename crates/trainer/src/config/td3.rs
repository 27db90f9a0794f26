//! Settings of TD3 and of DDPG.

use elegante_policy::settings;
use serde::{Deserialize, Serialize};

use super::{check, count, fraction, limit, replaying::check_replaying, small, step_size, weight};
use crate::{TrainError, schedule::Schedule};

/// Noise that is added to actions to explore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Noise {
    /// None: the environment's own chance has to do.
    None,
    /// Independent from step to step.
    #[default]
    Normal,
    /// A walk that is drawn back to 0 (Uhlenbeck & Ornstein, 1930), at rest where an episode begins.
    OrnsteinUhlenbeck,
}

settings! {
    /// Settings of TD3. The defaults are those of Stable-Baselines3, but for the noise, which it leaves out
    /// until asked for and the paper has.
    pub struct Td3Config {
        /// Transitions that are kept to learn from, over all lanes; the oldest give way.
        pub buffer_size: usize = 1_000_000,
        /// Bytes that they may take; a buffer that would grow beyond is refused before training starts, as is
        /// one that does not fit three times into what the machine has free: once by itself, and twice while a
        /// checkpoint is written.
        pub buffer_memory: Option<u64> = None,
        /// Steps before the learning starts, with actions drawn evenly.
        pub learning_starts: u64 = 100,
        /// Steps of each lane between updates.
        pub train_freq: usize = 1,
        /// Minibatches in an update; 0: as many as steps were made since the last.
        pub gradient_steps: usize = 1,
        /// Transitions in a minibatch.
        pub batch_size: usize = 256,
        /// Discount γ of future rewards.
        pub gamma: f64 = 0.99,
        /// Steps that a transition spans: its rewards are summed, what follows is bootstrapped.
        pub n_steps: usize = 1,
        /// Adam's step size, for the policy and the critics.
        pub learning_rate: f64 = 1e-3,
        /// The step size over the run: "linear" (down to 0) or "constant".
        pub schedule: Schedule = Schedule::Constant,
        /// ε in the denominator of Adam.
        pub adam_epsilon: f64 = 1e-8,
        /// Largest global norm of the policy's gradient, and of the critics'; longer ones are scaled down. 0:
        /// no limit.
        pub max_grad_norm: f64 = 0.0,
        /// How far the target networks move to those that learn, after every step of the policy; 1: they
        /// become copies.
        pub tau: f64 = 0.005,
        /// Critics, the least of whose values counts.
        pub critics: usize = 2,
        /// Minibatches from one step of the policy to the next.
        pub policy_delay: u64 = 2,
        /// Standard deviation of the noise that smooths the target policy; 0: none.
        pub target_noise: f64 = 0.2,
        /// The largest magnitude of that noise.
        pub target_noise_clip: f64 = 0.5,
        /// The noise that is added to actions while experience is gathered: "none", "normal" or
        /// "ornstein-uhlenbeck" (which drifts, anew in each episode).
        pub noise: Noise = Noise::Normal,
        /// Its standard deviation, where the bounds of an action are ±1.
        pub noise_std: f64 = 0.1,
    }
}

settings! {
    /// Settings of DDPG. The defaults are those of Stable-Baselines3, but for the noise.
    pub struct DdpgConfig {
        /// Transitions that are kept to learn from, over all lanes; the oldest give way.
        pub buffer_size: usize = 1_000_000,
        /// Bytes that they may take; a buffer that would grow beyond is refused before training starts, as is
        /// one that does not fit three times into what the machine has free: once by itself, and twice while a
        /// checkpoint is written.
        pub buffer_memory: Option<u64> = None,
        /// Steps before the learning starts, with actions drawn evenly.
        pub learning_starts: u64 = 100,
        /// Steps of each lane between updates.
        pub train_freq: usize = 1,
        /// Minibatches in an update; 0: as many as steps were made since the last.
        pub gradient_steps: usize = 1,
        /// Transitions in a minibatch.
        pub batch_size: usize = 256,
        /// Discount γ of future rewards.
        pub gamma: f64 = 0.99,
        /// Steps that a transition spans: its rewards are summed, what follows is bootstrapped.
        pub n_steps: usize = 1,
        /// Adam's step size, for the policy and the critic.
        pub learning_rate: f64 = 1e-3,
        /// The step size over the run: "linear" (down to 0) or "constant".
        pub schedule: Schedule = Schedule::Constant,
        /// ε in the denominator of Adam.
        pub adam_epsilon: f64 = 1e-8,
        /// Largest global norm of the policy's gradient, and of the critic's; longer ones are scaled down. 0:
        /// no limit.
        pub max_grad_norm: f64 = 0.0,
        /// How far the target networks move to those that learn, after every step of the policy; 1: they
        /// become copies.
        pub tau: f64 = 0.005,
        /// The noise that is added to actions while experience is gathered: "none", "normal" or
        /// "ornstein-uhlenbeck" (which drifts, anew in each episode).
        pub noise: Noise = Noise::Normal,
        /// Its standard deviation, where the bounds of an action are ±1.
        pub noise_std: f64 = 0.1,
    }
}

impl Td3Config {
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        check_replaying!("td3", self);
        let critics = (1..=64).contains(&self.critics);
        check("td3.critics", self.critics, critics, "between 1 and 64")?;
        check("td3.policy_delay", self.policy_delay, self.policy_delay > 0, "at least 1")?;
        weight("td3.target_noise", self.target_noise)?;
        weight("td3.target_noise_clip", self.target_noise_clip)?;
        weight("td3.noise_std", self.noise_std)
    }
}

impl DdpgConfig {
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        check_replaying!("ddpg", self);
        weight("ddpg.noise_std", self.noise_std)
    }

    /// DDPG is TD3 without what TD3 added: one critic, no delay, no smoothing.
    pub(crate) fn as_td3(&self) -> Td3Config {
        Td3Config {
            buffer_size: self.buffer_size,
            buffer_memory: self.buffer_memory,
            learning_starts: self.learning_starts,
            train_freq: self.train_freq,
            gradient_steps: self.gradient_steps,
            batch_size: self.batch_size,
            gamma: self.gamma,
            n_steps: self.n_steps,
            learning_rate: self.learning_rate,
            schedule: self.schedule,
            adam_epsilon: self.adam_epsilon,
            max_grad_norm: self.max_grad_norm,
            tau: self.tau,
            critics: 1,
            policy_delay: 1,
            target_noise: 0.0,
            target_noise_clip: 0.0,
            noise: self.noise,
            noise_std: self.noise_std,
        }
    }
}
