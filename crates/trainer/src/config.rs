//! What a run is: plain settings, checked once.

mod dqn;
mod replaying;
mod sac;
mod td3;

use elegante_env::Space;
use elegante_policy::{Cell, DeviceChoice, MlpConfig, PolicyConfig, settings};
use serde::{Deserialize, Serialize};

pub use dqn::{DqnConfig, ValueLoss};
pub use sac::SacConfig;
pub use td3::{DdpgConfig, Noise, Td3Config};

use crate::{
    TrainError,
    bridge::{deterministic_config, policy_config, soft_config, value_config},
    evaluate::check_episodes,
    minibatches::Minibatches,
    schedule::Schedule,
};

/// A whole training run.
///
/// ```
/// use elegante_trainer::{Algorithm, Estimator, ReinforceConfig, RunConfig, TrainConfig};
///
/// let config = TrainConfig {
///     run: RunConfig { seed: 7, steps: 100_000, ..RunConfig::default() },
///     algorithm: Algorithm::Reinforce(ReinforceConfig {
///         estimator: Estimator::RewardToGo,
///         ..ReinforceConfig::default()
///     }),
///     ..TrainConfig::default()
/// };
/// config.validate()?;
/// # Ok::<(), elegante_trainer::TrainError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainConfig {
    /// Seed, length and surroundings of the run.
    pub run: RunConfig,
    /// The networks, of the policy and of the value function alike.
    pub network: MlpConfig,
    /// The algorithm and its settings.
    pub algorithm: Algorithm,
    /// When to give up a run that has gone astray.
    pub guard: GuardConfig,
    /// Where the networks live.
    pub device: DeviceChoice,
}

settings! {
    /// What every algorithm needs to know of a run.
    pub struct RunConfig {
        /// Seed of every random stream of the run.
        pub seed: u64 = 0,
        /// Environment steps to train for, summed over lanes; the run ends at the first update
        /// boundary at or after them.
        pub steps: u64 = 300_000,
        /// Environments stepped side by side.
        pub lanes: usize = 4,
        /// Threads to use; 0 takes one for each core. The results do not depend on it.
        pub threads: usize = 0,
        /// Evaluate whenever this many further steps have been trained; 0: only at the end.
        pub eval_every: u64 = 0,
        /// Episodes in one evaluation, all with the policy's most probable action.
        pub eval_episodes: usize = 100,
        /// Stop as soon as this mean return is reached: by an evaluation if there are any during
        /// training, else by the last 100 training episodes.
        pub stop_at: Option<f64> = None,
    }
}

settings! {
    /// Limits that end a run which has gone astray, with the update that passed one on record. A number
    /// that is not finite always does.
    pub struct GuardConfig {
        /// Stop when KL(π_old, πθ) passes this after an update (PPO: the mean over its minibatches, each
        /// before its step), as `approx_kl` in the metrics tells it; not set: never.
        pub max_kl: Option<f64> = None,
        /// Stop when the mean entropy of πθ(·|sₜ), as the metrics tell it, falls below this; not set: never.
        pub min_entropy: Option<f64> = None,
    }
}

/// The algorithms, each with its settings.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Algorithm {
    /// The policy gradient itself (Williams, 1992).
    Reinforce(ReinforceConfig),
    /// Advantage actor-critic (Mnih et al., 2016).
    A2c(A2cConfig),
    /// Proximal policy optimisation (Schulman et al., 2017).
    Ppo(PpoConfig),
    /// Deep Q-learning (Mnih et al., 2015) and what became of it.
    Dqn(DqnConfig),
    /// Soft actor-critic (Haarnoja et al., 2018).
    Sac(SacConfig),
    /// Twin delayed deep deterministic policy gradients (Fujimoto et al., 2018).
    Td3(Td3Config),
    /// Deep deterministic policy gradients (Lillicrap et al., 2016).
    Ddpg(DdpgConfig),
}

impl Default for Algorithm {
    fn default() -> Self {
        Self::Reinforce(ReinforceConfig::default())
    }
}

/// What each log-probability is multiplied with, from the equation itself to less and less variance.
/// All three have the same expected gradient (`docs/derivation.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// r(τ), the return of the whole trajectory: the equation to the letter.
    TotalReturn,
    /// Gₜ, the rewards from step t on: an action can't have caused what came before it.
    RewardToGo,
    /// Gₜ − Vφ(sₜ), less what was to be expected of the state anyway.
    #[default]
    Baseline,
}

settings! {
    /// Settings of REINFORCE.
    pub struct ReinforceConfig {
        /// What log πθ(aₜ|sₜ) is multiplied with: "total-return" (r(τ), the equation to the letter),
        /// "reward-to-go" (Gₜ) or "baseline" (Gₜ − Vφ(sₜ), with V a network of its own).
        pub estimator: Estimator = Estimator::Baseline,
        /// Steps in a batch: trajectories are started until there are this many, and each is run to
        /// its end.
        pub batch_steps: usize = 2_000,
        /// Discount γ of future rewards. With 1 the objective is E[r(τ)] itself.
        pub gamma: f64 = 1.0,
        /// Subtract from the weights of log πθ their mean over the batch's steps and divide by their
        /// standard deviation.
        pub normalize: bool = true,
        /// Adam's step size for the policy.
        pub learning_rate: f64 = 1e-2,
        /// The step sizes over the run: "linear" (down to 0) or "constant".
        pub schedule: Schedule = Schedule::Linear,
        /// Largest global norm of the policy's gradient, and of the value network's; longer ones are
        /// scaled down. 0: no limit.
        pub max_grad_norm: f64 = 0.0,
        /// Weight of the entropy bonus, added to each step's log πθ(aₜ|sₜ)·wₜ.
        pub entropy_coef: f64 = 0.0,
        /// ε in the denominator of Adam.
        pub adam_epsilon: f64 = 1e-8,
        /// Estimator "baseline": Adam's step size for the value network.
        pub value_learning_rate: f64 = 1e-2,
        /// Estimator "baseline": full-batch steps of the value network in each update.
        pub value_epochs: usize = 5,
        /// Continuous actions: log σ of the Gaussian before training.
        pub initial_log_std: f64 = 0.0,
    }
}

/// How real-valued actions are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Continuous {
    /// From a Gaussian, moved into the action space's bounds by the environment's side.
    #[default]
    Gaussian,
    /// From a Gaussian that tanh presses between the bounds.
    SquashedGaussian,
    /// From Beta distributions between the bounds.
    Beta,
    /// From a Gaussian whose noise is a function of the state (gSDE; Raffin et al., 2021).
    Gsde,
}

settings! {
    /// Settings of A2C. The defaults are those of Stable-Baselines3.
    pub struct A2cConfig {
        /// Steps of each lane between updates.
        pub n_steps: usize = 5,
        /// Discount γ of future rewards.
        pub gamma: f64 = 0.99,
        /// λ of the advantage estimates: 1 for n-step returns, 0 for one-step errors.
        pub gae_lambda: f64 = 1.0,
        /// RMSprop's step size.
        pub learning_rate: f64 = 7e-4,
        /// The step size over the run: "linear" (down to 0) or "constant".
        pub schedule: Schedule = Schedule::Constant,
        /// α of RMSprop, the decay of its mean of squares.
        pub rms_decay: f64 = 0.99,
        /// ε in the denominator of RMSprop.
        pub rms_epsilon: f64 = 1e-5,
        /// Subtract the batch's mean from the advantages and divide by their standard deviation.
        pub normalize_advantages: bool = false,
        /// c_H, the weight of the entropy bonus.
        pub entropy_coef: f64 = 0.0,
        /// c_V, the weight of the value loss.
        pub value_coef: f64 = 0.5,
        /// Largest global norm of the gradient; longer ones are scaled down. 0: no limit.
        pub max_grad_norm: f64 = 0.5,
        /// Normalise observations by their running mean and deviation; the policy keeps both.
        pub normalize_observations: bool = false,
        /// Divide rewards by the running deviation of the discounted return.
        pub normalize_rewards: bool = false,
        /// Continuous actions: "gaussian", "squashed-gaussian", "beta" or "gsde".
        pub distribution: Continuous = Continuous::Gaussian,
        /// Distributions "gaussian" and "gsde": log σ before training.
        pub initial_log_std: f64 = 0.0,
        /// gSDE: steps after which the exploration is drawn anew, as it is with every rollout; 0: only then.
        pub sde_sample_steps: usize = 0,
    }
}

settings! {
    /// Settings of PPO. The defaults are those of Stable-Baselines3, Adam's ε apart (1e-5 there too).
    pub struct PpoConfig {
        /// Steps of each lane in a rollout.
        pub n_steps: usize = 2_048,
        /// Steps in a minibatch: a size that divides the rollout, or at least as large as it.
        pub batch_size: usize = 64,
        /// Times that each rollout is learnt from.
        pub epochs: usize = 10,
        /// Discount γ of future rewards.
        pub gamma: f64 = 0.99,
        /// λ of the advantage estimates.
        pub gae_lambda: f64 = 0.95,
        /// Adam's step size.
        pub learning_rate: f64 = 3e-4,
        /// The step size over the run: "linear" (down to 0) or "constant".
        pub schedule: Schedule = Schedule::Constant,
        /// ε of the surrogate: ratios beyond 1 ± ε are clipped.
        pub clip_range: f64 = 0.2,
        /// ε over the run: "linear" (down to 0) or "constant".
        pub clip_schedule: Schedule = Schedule::Constant,
        /// Keep the value within this distance of the old one; not set: no clipping.
        pub clip_value: Option<f64> = None,
        /// Subtract each minibatch's mean from its advantages and divide by their standard deviation.
        pub normalize_advantages: bool = true,
        /// c_H, the weight of the entropy bonus.
        pub entropy_coef: f64 = 0.0,
        /// c_V, the weight of the value loss.
        pub value_coef: f64 = 0.5,
        /// Largest global norm of the gradient; longer ones are scaled down. 0: no limit.
        pub max_grad_norm: f64 = 0.5,
        /// End an update when KL(π_old, πθ) passes 1.5 times this; not set: never.
        pub target_kl: Option<f64> = None,
        /// ε in the denominator of Adam.
        pub adam_epsilon: f64 = 1e-5,
        /// Normalise observations by their running mean and deviation; the policy keeps both.
        pub normalize_observations: bool = false,
        /// Divide rewards by the running deviation of the discounted return.
        pub normalize_rewards: bool = false,
        /// Continuous actions: "gaussian", "squashed-gaussian", "beta" or "gsde".
        pub distribution: Continuous = Continuous::Gaussian,
        /// Distributions "gaussian" and "gsde": log σ before training.
        pub initial_log_std: f64 = 0.0,
        /// gSDE: steps after which the exploration is drawn anew, as it is with every rollout; 0: only then.
        pub sde_sample_steps: usize = 0,
    }
}

impl TrainConfig {
    /// Checks every number once, so that nothing later need doubt them.
    ///
    /// # Errors
    /// [`TrainError::Setting`] names the first setting that makes no sense, and what would.
    pub fn validate(&self) -> Result<(), TrainError> {
        self.run.validate()?;
        self.guard.validate()?;
        match &self.algorithm {
            Algorithm::Reinforce(config) => {
                self.without_memory("\"none\": REINFORCE works with networks that have no memory")?;
                let expected = "false: REINFORCE's baseline has a network of its own";
                check("network.shared", true, !self.network.shared, expected)?;
                config.validate()
            }
            Algorithm::A2c(config) => config.validate(),
            Algorithm::Ppo(config) => {
                config.validate()?;
                let remembering = self.network.recurrent != Cell::None;
                let (steps, lanes) = (config.n_steps, self.run.lanes);
                Minibatches::new(config.batch_size, steps, lanes, remembering).map(drop)
            }
            Algorithm::Dqn(config) => {
                self.without_memory("\"none\": DQN works with networks that have no memory")?;
                let expected = "false: DQN has no value function beside its values of actions";
                check("network.shared", true, !self.network.shared, expected)?;
                let max_kl = self.guard.max_kl.unwrap_or_default();
                let expected = "left out: DQN has no distribution to keep near";
                check("guard.max_kl", max_kl, self.guard.max_kl.is_none(), expected)?;
                if config.noisy {
                    self.without_entropy("left out: what is noisy is the network, not the choice")?;
                }
                config.validate()
            }
            Algorithm::Sac(config) => {
                self.with_critics([
                    "\"none\": SAC works with networks that have no memory",
                    "false: SAC's critics have networks of their own",
                    "left out: SAC has no old policy to keep near",
                ])?;
                config.validate()
            }
            Algorithm::Td3(config) => {
                self.with_critics([
                    "\"none\": TD3 works with networks that have no memory",
                    "false: TD3's critics have networks of their own",
                    "left out: TD3 has no distribution to keep near",
                ])?;
                self.without_entropy("left out: TD3's policy has no entropy")?;
                config.validate()
            }
            Algorithm::Ddpg(config) => {
                self.with_critics([
                    "\"none\": DDPG works with networks that have no memory",
                    "false: DDPG's critic has a network of its own",
                    "left out: DDPG has no distribution to keep near",
                ])?;
                self.without_entropy("left out: DDPG's policy has no entropy")?;
                config.validate()
            }
        }
    }

    /// What an actor with critics of their own has no use for, with what is expected of each instead.
    fn with_critics(&self, [memory, shared, kl]: [&'static str; 3]) -> Result<(), TrainError> {
        self.without_memory(memory)?;
        check("network.shared", true, !self.network.shared, shared)?;
        let max_kl = self.guard.max_kl.unwrap_or_default();
        check("guard.max_kl", max_kl, self.guard.max_kl.is_none(), kl)
    }

    fn without_entropy(&self, expected: &'static str) -> Result<(), TrainError> {
        let limit = self.guard.min_entropy;
        check("guard.min_entropy", limit.unwrap_or_default(), limit.is_none(), expected)
    }

    fn without_memory(&self, expected: &'static str) -> Result<(), TrainError> {
        let cell = format!("{:?}", self.network.recurrent).to_lowercase();
        check("network.recurrent", cell, self.network.recurrent == Cell::None, expected)
    }
}

impl RunConfig {
    fn validate(&self) -> Result<(), TrainError> {
        check("steps", self.steps, self.steps > 0, "at least 1")?;
        let lanes = (1..=65_536).contains(&self.lanes);
        check("lanes", self.lanes, lanes, "between 1 and 65536")?;
        check("threads", self.threads, self.threads <= 4_096, "at most 4096; 0 takes every core")?;
        check_episodes("eval_episodes", self.eval_episodes)?;
        let stop_at = self.stop_at.unwrap_or_default();
        check("stop_at", stop_at, !stop_at.is_nan(), "a return")
    }
}

impl GuardConfig {
    fn validate(&self) -> Result<(), TrainError> {
        small("guard.max_kl", self.max_kl.unwrap_or(1.0))?;
        let entropy = self.min_entropy.unwrap_or_default();
        check("guard.min_entropy", entropy, entropy.is_finite(), "an entropy in nats")
    }

    /// Whether an update's measures lie within the limits; what was not measured does.
    pub(crate) fn check(
        &self,
        update: u64,
        kl: Option<f64>,
        entropy: f64,
    ) -> Result<(), TrainError> {
        let stop = |what, value, setting, limit| {
            Err(TrainError::Guard { update, what, value, setting, limit })
        };
        match (self.max_kl, kl) {
            (Some(limit), Some(kl)) if kl > limit => {
                return stop("approx_kl", kl, "guard.max_kl", limit);
            }
            _ => {}
        }
        match self.min_entropy {
            Some(limit) if entropy < limit => stop("entropy", entropy, "guard.min_entropy", limit),
            _ => Ok(()),
        }
    }
}

impl ReinforceConfig {
    fn validate(&self) -> Result<(), TrainError> {
        let batch = (1..=1 << 30).contains(&self.batch_steps);
        check("reinforce.batch_steps", self.batch_steps, batch, "between 1 and 2³⁰")?;
        fraction("reinforce.gamma", self.gamma)?;
        step_size("reinforce.learning_rate", self.learning_rate)?;
        limit("reinforce.max_grad_norm", self.max_grad_norm)?;
        weight("reinforce.entropy_coef", self.entropy_coef)?;
        small("reinforce.adam_epsilon", self.adam_epsilon)?;
        step_size("reinforce.value_learning_rate", self.value_learning_rate)?;
        let epochs = (1..=10_000).contains(&self.value_epochs);
        check("reinforce.value_epochs", self.value_epochs, epochs, "between 1 and 10000")?;
        log_std("reinforce.initial_log_std", self.initial_log_std)
    }
}

impl A2cConfig {
    fn validate(&self) -> Result<(), TrainError> {
        count("a2c.n_steps", self.n_steps)?;
        fraction("a2c.gamma", self.gamma)?;
        fraction("a2c.gae_lambda", self.gae_lambda)?;
        step_size("a2c.learning_rate", self.learning_rate)?;
        fraction("a2c.rms_decay", self.rms_decay)?;
        small("a2c.rms_epsilon", self.rms_epsilon)?;
        weight("a2c.entropy_coef", self.entropy_coef)?;
        weight("a2c.value_coef", self.value_coef)?;
        limit("a2c.max_grad_norm", self.max_grad_norm)?;
        log_std("a2c.initial_log_std", self.initial_log_std)
    }
}

impl PpoConfig {
    fn validate(&self) -> Result<(), TrainError> {
        count("ppo.n_steps", self.n_steps)?;
        count("ppo.batch_size", self.batch_size)?;
        let epochs = (1..=10_000).contains(&self.epochs);
        check("ppo.epochs", self.epochs, epochs, "between 1 and 10000")?;
        fraction("ppo.gamma", self.gamma)?;
        fraction("ppo.gae_lambda", self.gae_lambda)?;
        step_size("ppo.learning_rate", self.learning_rate)?;
        small("ppo.clip_range", self.clip_range)?;
        small("ppo.clip_value", self.clip_value.unwrap_or(1.0))?;
        weight("ppo.entropy_coef", self.entropy_coef)?;
        weight("ppo.value_coef", self.value_coef)?;
        limit("ppo.max_grad_norm", self.max_grad_norm)?;
        small("ppo.target_kl", self.target_kl.unwrap_or(1.0))?;
        small("ppo.adam_epsilon", self.adam_epsilon)?;
        log_std("ppo.initial_log_std", self.initial_log_std)
    }
}

impl Algorithm {
    /// The settings by which what an update does depends on how many steps the whole run is to have.
    pub fn scheduled(&self) -> Vec<&'static str> {
        let all = match self {
            Self::Reinforce(config) => vec![("reinforce.schedule", config.schedule)],
            Self::A2c(config) => vec![("a2c.schedule", config.schedule)],
            Self::Ppo(config) => {
                vec![("ppo.schedule", config.schedule), ("ppo.clip_schedule", config.clip_schedule)]
            }
            Self::Dqn(config) => vec![("dqn.schedule", config.schedule)],
            Self::Sac(config) => vec![("sac.schedule", config.schedule)],
            Self::Td3(config) => vec![("td3.schedule", config.schedule)],
            Self::Ddpg(config) => vec![("ddpg.schedule", config.schedule)],
        };
        let mut names: Vec<_> = all
            .into_iter()
            .filter(|(_, schedule)| *schedule != Schedule::Constant)
            .map(|(name, _)| name)
            .collect();
        if let Self::Dqn(config) = self {
            let falls = config.exploration_initial != config.exploration_final;
            let falls = falls && config.exploration_fraction > 0.0 && !config.noisy;
            names.extend(falls.then_some("dqn.exploration_fraction"));
            let rises = config.prioritized && config.priority_beta < 1.0;
            names.extend(rises.then_some("dqn.priority_beta"));
        }
        names
    }

    /// Whether it learns from what is replayed.
    pub fn replays(&self) -> bool {
        !matches!(self, Self::Reinforce(_) | Self::A2c(_) | Self::Ppo(_))
    }

    /// Whether a run of so many steps in so many lanes learns nothing, because they are all of those that an
    /// algorithm that replays only gathers from at first: the setting that says how many these are, and what it
    /// says.
    pub fn never_learns(&self, steps: u64, lanes: usize) -> Option<(&'static str, u64)> {
        let (setting, starts, train_freq) = match self {
            Self::Reinforce(_) | Self::A2c(_) | Self::Ppo(_) => return None,
            Self::Dqn(c) => ("dqn.learning_starts", c.learning_starts, c.train_freq),
            Self::Sac(c) => ("sac.learning_starts", c.learning_starts, c.train_freq),
            Self::Td3(c) => ("td3.learning_starts", c.learning_starts, c.train_freq),
            Self::Ddpg(c) => ("ddpg.learning_starts", c.learning_starts, c.train_freq),
        };
        // Rounds are made whole.
        let round = (train_freq as u64).saturating_mul(lanes as u64).max(1);
        let made = steps.div_ceil(round).saturating_mul(round);
        (starts >= made).then_some((setting, starts))
    }

    /// The policy that this algorithm trains in an environment with these spaces.
    pub(crate) fn policy_config(
        &self,
        observation: &Space,
        action: &Space,
        network: &MlpConfig,
    ) -> Result<PolicyConfig, TrainError> {
        let (distribution, log_std) = match self {
            Self::Reinforce(config) => (Continuous::Gaussian, config.initial_log_std),
            Self::A2c(config) => (config.distribution, config.initial_log_std),
            Self::Ppo(config) => (config.distribution, config.initial_log_std),
            Self::Dqn(config) => return value_config(observation, action, network, config),
            Self::Sac(config) => return soft_config(observation, action, network, config),
            Self::Td3(_) => return deterministic_config("TD3", observation, action, network),
            Self::Ddpg(_) => return deterministic_config("DDPG", observation, action, network),
        };
        policy_config(observation, action, network, distribution, log_std as f32)
    }
}

fn count(name: &'static str, n: usize) -> Result<(), TrainError> {
    check(name, n, (1..=1 << 24).contains(&n), "between 1 and 2²⁴")
}

fn fraction(name: &'static str, x: f64) -> Result<(), TrainError> {
    check(name, x, (0.0..=1.0).contains(&x), "between 0 and 1")
}

fn step_size(name: &'static str, x: f64) -> Result<(), TrainError> {
    check(name, x, x > 0.0 && x.is_finite(), "a positive number, often 0.0001 to 0.01")
}

fn limit(name: &'static str, x: f64) -> Result<(), TrainError> {
    check(name, x, x >= 0.0 && x.is_finite(), "positive, or 0 for no limit")
}

fn weight(name: &'static str, x: f64) -> Result<(), TrainError> {
    check(name, x, x >= 0.0 && x.is_finite(), "0 or a positive number")
}

fn small(name: &'static str, x: f64) -> Result<(), TrainError> {
    check(name, x, x > 0.0 && x.is_finite(), "a small positive number")
}

fn log_std(name: &'static str, x: f64) -> Result<(), TrainError> {
    check(name, x, (-20.0..=2.0).contains(&x), "between −20 and 2")
}

/// Refuses a setting that is not `sound`.
pub(crate) fn check(
    name: &'static str,
    value: impl ToString,
    sound: bool,
    expected: impl Into<String>,
) -> Result<(), TrainError> {
    if sound {
        return Ok(());
    }
    Err(TrainError::Setting { name, value: value.to_string(), expected: expected.into() })
}
