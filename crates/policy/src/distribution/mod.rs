//! Distributions over actions: πθ(·|s) as tensors for learning, and as numbers for acting.

mod actions;
mod bernoulli;
mod beta;
mod categorical;
mod deterministic;
mod epsilon_greedy;
mod gaussian;
mod gsde;
mod multi_categorical;
mod special;
mod squashed;
#[cfg(all(test, any(feature = "flex", feature = "ndarray")))]
mod testing;

pub use actions::{ActionBatch, ActionTensor};
pub use bernoulli::Bernoulli;
pub use beta::Beta;
pub use categorical::Categorical;
pub use deterministic::Deterministic;
pub use epsilon_greedy::EpsilonGreedy;
pub use gaussian::DiagGaussian;
pub use gsde::{Exploration, Gsde};
pub use multi_categorical::MultiCategorical;
pub use squashed::SquashedGaussian;

use burn::tensor::Tensor;
use rand::Rng;

use crate::PolicyError;

/// What a forbidden action's logit becomes: e to this power is 0 in f32, and it is finite, so that
/// 0 · log 0 stays 0 in the entropy and its gradient.
const FORBIDDEN: f32 = -1e9;

/// πθ(·|s) for every row of a batch of observations.
#[expect(clippy::large_enum_variant, reason = "handles of tensors; there is one to a batch")]
#[derive(Clone, Debug)]
pub enum Distribution {
    /// A choice among n.
    Categorical(Categorical),
    /// Several choices at once.
    MultiCategorical(MultiCategorical),
    /// Independent yes-or-no choices.
    Bernoulli(Bernoulli),
    /// A real vector with independent normal entries.
    Gaussian(DiagGaussian),
    /// The same pressed into a box by tanh.
    SquashedGaussian(SquashedGaussian),
    /// A vector in a box with independent Beta entries.
    Beta(Beta),
    /// A real vector whose noise is a function of the state.
    Gsde(Gsde),
    /// The best of n by its value, or any of them.
    EpsilonGreedy(EpsilonGreedy),
    /// One vector in a box, with certainty.
    Deterministic(Deterministic),
}

impl Distribution {
    /// log πθ(aₜ|sₜ), row by row; densities for continuous actions.
    ///
    /// The actions are those that were drawn, before [`Policy::to_env`](crate::Policy::to_env).
    ///
    /// # Shapes
    /// `actions`: `[rows]` or `[rows, dims]`; result: `[rows]`.
    ///
    /// # Panics
    /// When the actions are not of this distribution's kind: that is a mistake in the caller.
    pub fn log_prob(&self, actions: ActionTensor) -> Tensor<1> {
        match (self, actions) {
            (Self::Categorical(d), ActionTensor::Discrete(a)) => d.log_prob(a),
            (Self::EpsilonGreedy(d), ActionTensor::Discrete(a)) => d.log_prob(a),
            (Self::MultiCategorical(d), ActionTensor::MultiDiscrete(a)) => d.log_prob(a),
            (Self::Bernoulli(d), ActionTensor::MultiBinary(a)) => d.log_prob(a),
            (Self::Gaussian(d), ActionTensor::Continuous(a)) => d.log_prob(a),
            (Self::SquashedGaussian(d), ActionTensor::Continuous(a)) => d.log_prob(a),
            (Self::Beta(d), ActionTensor::Continuous(a)) => d.log_prob(a),
            (Self::Gsde(d), ActionTensor::Continuous(a)) => d.log_prob(a),
            (Self::Deterministic(d), ActionTensor::Continuous(a)) => d.log_prob(a),
            _ => panic!("these actions are not of the kind that this distribution draws"),
        }
    }

    /// [`log_prob`](Self::log_prob) of actions that are on the host, read where it is instead of computed: of a choice
    /// among n whose tensors are in the program's memory. `None` for every other distribution or device.
    ///
    /// # Panics
    /// Where an action is not below n: that is a mistake in the caller.
    pub fn log_prob_in_memory(&self, actions: &ActionBatch) -> Option<Vec<f32>> {
        match (self, actions) {
            (Self::Categorical(d), ActionBatch::Discrete(a)) => d.log_prob_in_memory(a),
            _ => None,
        }
    }

    /// The same distribution without autodiff, for numbers that are only looked at.
    #[must_use]
    pub fn valid(&self) -> Self {
        match self {
            Self::Categorical(d) => Self::Categorical(d.valid()),
            Self::MultiCategorical(d) => Self::MultiCategorical(d.valid()),
            Self::Bernoulli(d) => Self::Bernoulli(d.valid()),
            Self::Gaussian(d) => Self::Gaussian(d.valid()),
            Self::SquashedGaussian(d) => Self::SquashedGaussian(d.valid()),
            Self::Beta(d) => Self::Beta(d.valid()),
            Self::Gsde(d) => Self::Gsde(d.valid()),
            Self::EpsilonGreedy(d) => Self::EpsilonGreedy(d.valid()),
            Self::Deterministic(d) => Self::Deterministic(d.valid()),
        }
    }

    /// H(πθ(·|s)) in nats, row by row; differential entropy for continuous actions.
    ///
    /// # Shapes
    /// Result: `[rows]`.
    pub fn entropy(&self) -> Tensor<1> {
        match self {
            Self::Categorical(d) => d.entropy(),
            Self::MultiCategorical(d) => d.entropy(),
            Self::Bernoulli(d) => d.entropy(),
            Self::Gaussian(d) => d.entropy(),
            Self::SquashedGaussian(d) => d.entropy(),
            Self::Beta(d) => d.entropy(),
            Self::Gsde(d) => d.entropy(),
            Self::EpsilonGreedy(d) => d.entropy(),
            Self::Deterministic(d) => d.entropy(),
        }
    }

    /// One action per row, each drawn from the next of `streams`; every row's noise is its own.
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`] when the network returned NaN or an infinity.
    ///
    /// # Panics
    /// When there are fewer streams than rows: that is a mistake in the caller.
    pub fn sample<'r, R: Rng + 'r>(
        &self,
        streams: impl IntoIterator<Item = &'r mut R>,
    ) -> Result<ActionBatch, PolicyError> {
        match self {
            Self::Categorical(d) => Ok(ActionBatch::Discrete(d.sample(streams)?)),
            Self::MultiCategorical(d) => d.sample(streams),
            Self::Bernoulli(d) => d.sample(streams),
            Self::Gaussian(d) => d.sample(streams),
            Self::SquashedGaussian(d) => d.sample(streams),
            Self::Beta(d) => d.sample(streams),
            Self::Gsde(d) => d.sample(streams),
            Self::EpsilonGreedy(d) => Ok(ActionBatch::Discrete(d.sample(streams)?)),
            Self::Deterministic(d) => d.mode(),
        }
    }

    /// One action per row as a rollout draws them: with the noise that the row's environment holds on
    /// to where the exploration depends on the state (nothing is drawn then), from its stream otherwise.
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`] when the network returned NaN or an infinity.
    ///
    /// # Panics
    /// When there are fewer environments than rows, or an exploration is not of this policy's size:
    /// that is a mistake in the caller.
    pub fn explore<'r, R: Rng + 'r>(
        &self,
        environments: impl IntoIterator<Item = (&'r Exploration, &'r mut R)>,
    ) -> Result<ActionBatch, PolicyError> {
        let environments = environments.into_iter();
        match self {
            Self::Gsde(d) => d.explore(environments.map(|(exploration, _)| exploration)),
            _ => self.sample(environments.map(|(_, stream)| stream)),
        }
    }

    /// The most probable action of every row (the mean of a Gaussian, also of one that is squashed).
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`] when the network returned NaN or an infinity.
    pub fn mode(&self) -> Result<ActionBatch, PolicyError> {
        match self {
            Self::Categorical(d) => Ok(ActionBatch::Discrete(d.mode()?)),
            Self::MultiCategorical(d) => d.mode(),
            Self::Bernoulli(d) => d.mode(),
            Self::Gaussian(d) => d.mode(),
            Self::SquashedGaussian(d) => d.mode(),
            Self::Beta(d) => d.mode(),
            Self::Gsde(d) => d.mode(),
            Self::EpsilonGreedy(d) => Ok(ActionBatch::Discrete(d.mode()?)),
            Self::Deterministic(d) => d.mode(),
        }
    }
}

/// A tensor's values on the host, row by row.
fn host_rows(tensor: Tensor<2>) -> Vec<f32> {
    let data = tensor.into_data_dtype(burn::tensor::DType::F32);
    data.iter::<f32>().collect()
}

/// Whether all `[rows × dims]` values are finite; if not, the first row where they aren't.
fn check_finite(values: &[f32], dims: usize) -> Result<(), PolicyError> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(i) => Err(PolicyError::OutputNotFinite { row: i / dims, value: values[i] }),
        None => Ok(()),
    }
}
