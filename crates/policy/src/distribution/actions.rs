//! Actions themselves: on the host as they are drawn and stored, on a device as they are learnt from.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

/// Actions on the host, a row each.
///
/// They are stored as they were drawn, which is what
/// [`Distribution::log_prob`](super::Distribution::log_prob) takes;
/// [`Policy::to_env`](crate::Policy::to_env) makes of them what an environment takes.
#[derive(Clone, Debug, PartialEq)]
pub enum ActionBatch {
    /// `[rows]` indices.
    Discrete(Vec<usize>),
    /// `[rows × dims]` indices, row by row.
    MultiDiscrete {
        /// The indices.
        values: Vec<usize>,
        /// Indices in one action.
        dims: usize,
    },
    /// `[rows × dims]` bits, row by row.
    MultiBinary {
        /// The bits.
        values: Vec<bool>,
        /// Bits in one action.
        dims: usize,
    },
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
            Self::MultiDiscrete { values, dims } => values.len() / dims,
            Self::MultiBinary { values, dims } => values.len() / dims,
            Self::Continuous { values, dims } => values.len() / dims,
        }
    }

    /// Entries in one action; 1 for a choice among n.
    pub fn dims(&self) -> usize {
        match self {
            Self::Discrete(_) => 1,
            Self::MultiDiscrete { dims, .. }
            | Self::MultiBinary { dims, .. }
            | Self::Continuous { dims, .. } => *dims,
        }
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        match self {
            Self::Discrete(indices) => indices.clear(),
            Self::MultiDiscrete { values, .. } => values.clear(),
            Self::MultiBinary { values, .. } => values.clear(),
            Self::Continuous { values, .. } => values.clear(),
        }
    }

    /// Appends row `row` of `other`, which is of the same kind.
    ///
    /// # Panics
    /// When the kinds differ: a policy returns one kind only.
    pub fn push_row(&mut self, other: &Self, row: usize) {
        self.extend_rows(other, &[row]);
    }

    /// Appends these rows of `other`, which is of the same kind, in this order.
    ///
    /// # Panics
    /// When the kinds differ: a policy returns one kind only.
    pub fn extend_rows(&mut self, other: &Self, rows: &[usize]) {
        fn extend<T: Copy>(to: &mut Vec<T>, from: &[T], dims: usize, rows: &[usize]) {
            to.reserve(rows.len() * dims);
            rows.iter().for_each(|row| to.extend_from_slice(&from[row * dims..(row + 1) * dims]));
        }
        match (self, other) {
            (Self::Discrete(to), Self::Discrete(from)) => {
                to.extend(rows.iter().map(|&row| from[row]));
            }
            (
                Self::MultiDiscrete { values: to, .. },
                Self::MultiDiscrete { values: from, dims },
            ) => extend(to, from, *dims, rows),
            (Self::MultiBinary { values: to, .. }, Self::MultiBinary { values: from, dims }) => {
                extend(to, from, *dims, rows);
            }
            (Self::Continuous { values: to, .. }, Self::Continuous { values: from, dims }) => {
                extend(to, from, *dims, rows);
            }
            (to, from) => to.refuse(from),
        }
    }

    /// Appends all of `other`, which is of the same kind.
    ///
    /// # Panics
    /// When the kinds differ: a policy returns one kind only.
    pub fn append(&mut self, other: &Self) {
        match (self, other) {
            (Self::Discrete(to), Self::Discrete(from)) => to.extend_from_slice(from),
            (Self::MultiDiscrete { values: to, .. }, Self::MultiDiscrete { values: from, .. }) => {
                to.extend_from_slice(from);
            }
            (Self::MultiBinary { values: to, .. }, Self::MultiBinary { values: from, .. }) => {
                to.extend_from_slice(from);
            }
            (Self::Continuous { values: to, .. }, Self::Continuous { values: from, .. }) => {
                to.extend_from_slice(from);
            }
            (to, from) => to.refuse(from),
        }
    }

    fn refuse(&self, other: &Self) -> ! {
        panic!("a batch of {} actions can't take {} ones", self.kind(), other.kind())
    }

    /// The same actions as a tensor on `device`.
    pub fn to_tensor(&self, device: &Device) -> ActionTensor {
        let (rows, dims) = (self.rows(), self.dims());
        let ids = |values: &[usize]| values.iter().map(|&i| i as i32).collect::<Vec<i32>>();
        match self {
            Self::Discrete(indices) => {
                let data = TensorData::new(ids(indices), [rows]);
                ActionTensor::Discrete(Tensor::from_data(data, device))
            }
            Self::MultiDiscrete { values, .. } => {
                let data = TensorData::new(ids(values), [rows, dims]);
                ActionTensor::MultiDiscrete(Tensor::from_data(data, device))
            }
            Self::MultiBinary { values, .. } => {
                let data = TensorData::new(values.clone(), [rows, dims]);
                ActionTensor::MultiBinary(Tensor::from_data(data, device))
            }
            Self::Continuous { values, .. } => {
                let data = TensorData::new(values.clone(), [rows, dims]);
                ActionTensor::Continuous(Tensor::from_data(data, device))
            }
        }
    }

    /// The kind in a word.
    fn kind(&self) -> &'static str {
        match self {
            Self::Discrete(_) => "discrete",
            Self::MultiDiscrete { .. } => "multi-discrete",
            Self::MultiBinary { .. } => "multi-binary",
            Self::Continuous { .. } => "continuous",
        }
    }
}

/// Actions as a tensor.
#[derive(Clone, Debug)]
pub enum ActionTensor {
    /// `[rows]` indices.
    Discrete(Tensor<1, Int>),
    /// `[rows, dims]` indices.
    MultiDiscrete(Tensor<2, Int>),
    /// `[rows, dims]` bits.
    MultiBinary(Tensor<2, Bool>),
    /// `[rows, dims]` numbers.
    Continuous(Tensor<2>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceChoice;

    fn batches() -> [ActionBatch; 4] {
        [
            ActionBatch::Discrete(vec![3, 1]),
            ActionBatch::MultiDiscrete { values: vec![0, 1, 2, 3], dims: 2 },
            ActionBatch::MultiBinary { values: vec![true, false, false, true], dims: 2 },
            ActionBatch::Continuous { values: vec![0.5, -1.0, 2.0, 0.0], dims: 2 },
        ]
    }

    #[test]
    fn rows_are_appended_one_by_one_and_all_at_once() {
        for batch in batches() {
            let mut copy = batch.clone();
            copy.clear();
            assert_eq!((copy.rows(), copy.dims()), (0, batch.dims()));
            copy.push_row(&batch, 1);
            copy.push_row(&batch, 0);
            assert_ne!(copy, batch, "in the other order");
            let mut turned = batch.clone();
            turned.clear();
            turned.extend_rows(&batch, &[1, 0]);
            assert_eq!(turned, copy);
            copy.clear();
            copy.append(&batch);
            assert_eq!(copy, batch);
            assert_eq!(copy.rows(), 2);
        }
    }

    #[test]
    fn tensors_hold_the_same_values_in_the_same_places() {
        let device = DeviceChoice::Auto.open().unwrap();
        let [discrete, indices, bits, numbers] = batches().map(|batch| batch.to_tensor(&device));
        let ActionTensor::Discrete(t) = discrete else { panic!("{discrete:?}") };
        assert_eq!(t.into_data().iter::<i64>().collect::<Vec<_>>(), [3, 1]);
        let ActionTensor::MultiDiscrete(t) = indices else { panic!("{indices:?}") };
        assert_eq!(t.dims(), [2, 2]);
        assert_eq!(t.into_data().iter::<i64>().collect::<Vec<_>>(), [0, 1, 2, 3]);
        let ActionTensor::MultiBinary(t) = bits else { panic!("{bits:?}") };
        assert_eq!(t.into_data().iter::<bool>().collect::<Vec<_>>(), [true, false, false, true]);
        let ActionTensor::Continuous(t) = numbers else { panic!("{numbers:?}") };
        assert_eq!(t.into_data().iter::<f32>().collect::<Vec<_>>(), [0.5, -1.0, 2.0, 0.0]);
    }

    #[test]
    #[should_panic(expected = "a batch of discrete actions can't take multi-binary ones")]
    fn kinds_do_not_mix() {
        let [mut discrete, _, bits, _] = batches();
        discrete.push_row(&bits, 0);
    }
}
