//! Distributions over actions: πθ(·|s) as tensors for learning, and as numbers for acting.

mod categorical;
mod gaussian;

pub use categorical::Categorical;
pub use gaussian::DiagGaussian;

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::Rng;

use crate::PolicyError;

/// Actions on the host, a row each.
#[derive(Clone, Debug, PartialEq)]
pub enum ActionBatch {
    /// `[rows]` indices.
    Discrete(Vec<usize>),
    /// `[rows × dims]` numbers, row by row.
    Continuous {
        /// The numbers.
        values: Vec<f32>,
        /// Numbers in one action.
        dims: usize,
    },
}

impl ActionBatch {
    /// Number of actions.
    pub fn rows(&self) -> usize {
        match self {
            Self::Discrete(indices) => indices.len(),
            Self::Continuous { values, dims } => values.len() / dims,
        }
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        match self {
            Self::Discrete(indices) => indices.clear(),
            Self::Continuous { values, .. } => values.clear(),
        }
    }

    /// Appends row `row` of `other`, which is of the same kind.
    ///
    /// # Panics
    /// When the kinds differ: a policy returns one kind only.
    pub fn push_row(&mut self, other: &Self, row: usize) {
        match (self, other) {
            (Self::Discrete(to), Self::Discrete(from)) => to.push(from[row]),
            (Self::Continuous { values: to, .. }, Self::Continuous { values: from, dims }) => {
                to.extend_from_slice(&from[row * dims..(row + 1) * dims]);
            }
            _ => panic!("a batch of discrete actions can't take a continuous one, nor the reverse"),
        }
    }

    /// Appends all of `other`, which is of the same kind.
    ///
    /// # Panics
    /// When the kinds differ: a policy returns one kind only.
    pub fn append(&mut self, other: &Self) {
        match (self, other) {
            (Self::Discrete(to), Self::Discrete(from)) => to.extend_from_slice(from),
            (Self::Continuous { values: to, .. }, Self::Continuous { values: from, .. }) => {
                to.extend_from_slice(from);
            }
            _ => panic!("a batch of discrete actions can't take a continuous one, nor the reverse"),
        }
    }

    /// The same actions as a tensor on `device`.
    pub fn to_tensor(&self, device: &Device) -> ActionTensor {
        match self {
            Self::Discrete(indices) => {
                let ids: Vec<i32> = indices.iter().map(|&i| i as i32).collect();
                let rows = ids.len();
                ActionTensor::Discrete(Tensor::from_data(TensorData::new(ids, [rows]), device))
            }
            Self::Continuous { values, dims } => {
                let shape = [values.len() / dims, *dims];
                let data = TensorData::new(values.clone(), shape);
                ActionTensor::Continuous(Tensor::from_data(data, device))
            }
        }
    }
}

/// Actions as a tensor.
#[derive(Clone, Debug)]
pub enum ActionTensor {
    /// `[rows]` indices.
    Discrete(Tensor<1, Int>),
    /// `[rows, dims]` numbers.
    Continuous(Tensor<2>),
}

/// πθ(·|s) for every row of a batch of observations.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "made once for a batch, not kept in lists")]
pub enum Distribution {
    /// A choice among n.
    Categorical(Categorical),
    /// A real vector with independent normal entries.
    Gaussian(DiagGaussian),
}

impl Distribution {
    /// log πθ(aₜ|sₜ), row by row; densities for continuous actions.
    ///
    /// # Shapes
    /// `actions`: `[rows]` or `[rows, dims]`; result: `[rows]`.
    ///
    /// # Panics
    /// When the actions are not of this distribution's kind: that is a mistake in the caller.
    pub fn log_prob(&self, actions: ActionTensor) -> Tensor<1> {
        match (self, actions) {
            (Self::Categorical(d), ActionTensor::Discrete(a)) => d.log_prob(a),
            (Self::Gaussian(d), ActionTensor::Continuous(a)) => d.log_prob(a),
            _ => {
                panic!("discrete actions go with a categorical policy, continuous with a Gaussian")
            }
        }
    }

    /// H(πθ(·|s)) in nats, row by row; differential entropy for continuous actions.
    ///
    /// # Shapes
    /// Result: `[rows]`.
    pub fn entropy(&self) -> Tensor<1> {
        match self {
            Self::Categorical(d) => d.entropy(),
            Self::Gaussian(d) => d.entropy(),
        }
    }

    /// One action per row, each drawn from the next of `streams`.
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
            Self::Gaussian(d) => d.sample(streams),
        }
    }

    /// The most probable action of every row (the mean of a Gaussian).
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`] when the network returned NaN or an infinity.
    pub fn mode(&self) -> Result<ActionBatch, PolicyError> {
        match self {
            Self::Categorical(d) => Ok(ActionBatch::Discrete(d.mode()?)),
            Self::Gaussian(d) => d.mode(),
        }
    }
}

/// A tensor's values on the host, row by row.
fn host_rows(tensor: Tensor<2>) -> Vec<f32> {
    let data = tensor.into_data_dtype(burn::tensor::DType::F32);
    data.iter::<f32>().collect()
}
