//! What a run is: plain settings, checked once.

use elegante_policy::{DeviceChoice, MlpConfig, settings};
use serde::{Deserialize, Serialize};

use crate::{TrainError, evaluate::check_episodes, schedule::Schedule};

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

/// The algorithms, each with its settings.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Algorithm {
    /// The policy gradient itself (Williams, 1992).
    Reinforce(ReinforceConfig),
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

impl TrainConfig {
    /// Checks every number once, so that nothing later need doubt them.
    ///
    /// # Errors
    /// [`TrainError::Setting`] names the first setting that makes no sense, and what would.
    pub fn validate(&self) -> Result<(), TrainError> {
        self.run.validate()?;
        match &self.algorithm {
            Algorithm::Reinforce(config) => config.validate(),
        }
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

impl ReinforceConfig {
    fn validate(&self) -> Result<(), TrainError> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let not_negative = |x: f64| x >= 0.0 && x.is_finite();
        let batch = (1..=1 << 30).contains(&self.batch_steps);
        check("reinforce.batch_steps", self.batch_steps, batch, "between 1 and 2³⁰")?;
        check("reinforce.gamma", self.gamma, (0.0..=1.0).contains(&self.gamma), "between 0 and 1")?;
        let lr = self.learning_rate;
        check(
            "reinforce.learning_rate",
            lr,
            positive(lr),
            "a positive number, often 0.001 to 0.01",
        )?;
        let norm = self.max_grad_norm;
        check("reinforce.max_grad_norm", norm, not_negative(norm), "positive, or 0 for no limit")?;
        let bonus = self.entropy_coef;
        check(
            "reinforce.entropy_coef",
            bonus,
            not_negative(bonus),
            "0 or a small positive number",
        )?;
        let eps = self.adam_epsilon;
        check("reinforce.adam_epsilon", eps, positive(eps), "a small positive number")?;
        let lr = self.value_learning_rate;
        check(
            "reinforce.value_learning_rate",
            lr,
            positive(lr),
            "a positive number, often 0.001 to 0.01",
        )?;
        let epochs = (1..=10_000).contains(&self.value_epochs);
        check("reinforce.value_epochs", self.value_epochs, epochs, "between 1 and 10000")?;
        let log_std = self.initial_log_std;
        check(
            "reinforce.initial_log_std",
            log_std,
            (-20.0..=2.0).contains(&log_std),
            "between −20 and 2",
        )
    }
}

/// Refuses a setting that is not `sound`.
pub(crate) fn check(
    name: &'static str,
    value: impl ToString,
    sound: bool,
    expected: &'static str,
) -> Result<(), TrainError> {
    if sound {
        return Ok(());
    }
    Err(TrainError::Setting { name, value: value.to_string(), expected })
}
