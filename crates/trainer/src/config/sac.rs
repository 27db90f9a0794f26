//! Settings of SAC.

use elegante_policy::settings;

use super::{
    check, count, fraction, limit, log_std, replaying::check_replaying, small, step_size, weight,
};
use crate::{TrainError, schedule::Schedule};

settings! {
    /// Settings of SAC, for continuous and for discrete actions. The defaults are those of Stable-Baselines3.
    pub struct SacConfig {
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
        /// Adam's step size, for the policy, the critics and the temperature.
        pub learning_rate: f64 = 3e-4,
        /// The step size over the run: "linear" (down to 0) or "constant".
        pub schedule: Schedule = Schedule::Constant,
        /// ε in the denominator of Adam.
        pub adam_epsilon: f64 = 1e-8,
        /// Largest global norm of the policy's gradient, and of the critics'; longer ones are scaled down. 0:
        /// no limit.
        pub max_grad_norm: f64 = 0.0,
        /// Critics, the least of whose values counts.
        pub critics: usize = 2,
        /// Minibatches between two updates of the target critics.
        pub target_update_interval: u64 = 1,
        /// How far the target critics then move to those that learn; 1: they become copies.
        pub tau: f64 = 0.005,
        /// α, the weight of the entropy; not set: it is learnt.
        pub entropy_coef: Option<f64> = None,
        /// Learnt α: what it begins with.
        pub initial_entropy_coef: f64 = 1.0,
        /// Learnt α: the entropy that it aims at, in nats. Not set: minus the number of entries of a continuous
        /// action, 0.98 ln n for a choice among n (the valid ones: their mean over the minibatch, where there are masks).
        pub target_entropy: Option<f64> = None,
        /// Continuous actions: whether the noise is a function of the state (gSDE).
        pub sde: bool = false,
        /// gSDE: steps after which the exploration is drawn anew, as it is after every update; 0: only then.
        pub sde_sample_steps: usize = 0,
        /// gSDE: log σ before training.
        pub initial_log_std: f64 = -3.0,
    }
}

impl SacConfig {
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        check_replaying!("sac", self);
        let critics = (1..=64).contains(&self.critics);
        check("sac.critics", self.critics, critics, "between 1 and 64")?;
        let interval = self.target_update_interval;
        check("sac.target_update_interval", interval, interval > 0, "at least 1")?;
        weight("sac.entropy_coef", self.entropy_coef.unwrap_or_default())?;
        small("sac.initial_entropy_coef", self.initial_entropy_coef)?;
        let target = self.target_entropy.unwrap_or_default();
        check("sac.target_entropy", target, target.is_finite(), "an entropy in nats")?;
        log_std("sac.initial_log_std", self.initial_log_std)
    }
}
