//! How a network's outputs stand for the values of actions.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// What the outputs of a network that values actions are: plainly Q(s, a), or quantiles of the return,
/// or either of them split into the state's value and the actions' advantages.
///
/// Outputs are laid out action by action, the quantiles of each side by side; where they are split, the
/// state's own come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionValues {
    /// Number of actions.
    pub n: usize,
    /// Whether Q(s, a) = V(s) + A(s, a) − meanₐ′ A(s, a′), with outputs for V and A (Wang et al., 2016, eq. 9).
    #[serde(default)]
    pub dueling: bool,
    /// Quantiles of the distribution of returns, at the levels (i + ½)/N; with 1 it is the expected return
    /// that is learnt (Dabney et al., 2018).
    #[serde(default = "one")]
    pub quantiles: usize,
}

fn one() -> usize {
    1
}

impl ActionValues {
    /// Outputs of the network. A product beyond all numbers is refused as too large, like any other.
    pub fn outputs(&self) -> usize {
        self.n.saturating_add(usize::from(self.dueling)).saturating_mul(self.quantiles)
    }

    /// The quantiles of each action's return.
    ///
    /// # Shapes
    /// `out`: `[rows, self.outputs()]`; result: `[rows, n, quantiles]`.
    pub fn quantiles(&self, out: Tensor<2>) -> Tensor<3> {
        let (rows, n) = (out.dims()[0], self.n);
        if !self.dueling {
            return out.reshape([rows, n, self.quantiles]);
        }
        let out = out.reshape([rows, n + 1, self.quantiles]);
        let (advantage, value) = (out.clone().narrow(1, 0, n), out.narrow(1, n, 1));
        advantage.clone() - advantage.mean_dim(1) + value
    }

    /// Q(s, a): the mean of the quantiles.
    ///
    /// # Shapes
    /// `out`: `[rows, self.outputs()]`; result: `[rows, n]`.
    pub fn expected(&self, out: Tensor<2>) -> Tensor<2> {
        match self {
            Self { dueling: false, quantiles: 1, .. } => out,
            Self { quantiles: 1, .. } => self.quantiles(out).squeeze_dim(2),
            _ => self.quantiles(out).mean_dim(2).squeeze_dim(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceChoice;

    #[test]
    fn values_are_made_of_the_outputs_as_the_papers_say() {
        let device = DeviceChoice::Auto.open().unwrap();
        let out = || Tensor::from_data([[1.0f32, 3.0, 5.0, 7.0, 10.0, 20.0]], &device);
        let host = |tensor: Tensor<2>| tensor.into_data().iter::<f32>().collect::<Vec<_>>();

        let plain = ActionValues { n: 6, dueling: false, quantiles: 1 };
        assert_eq!(host(plain.expected(out())), [1.0, 3.0, 5.0, 7.0, 10.0, 20.0]);
        let quantiles = ActionValues { n: 3, dueling: false, quantiles: 2 };
        assert_eq!(host(quantiles.expected(out())), [2.0, 6.0, 15.0]);
        // A has a mean of 26/5 over its five entries, V is 20.
        let dueling = ActionValues { n: 5, dueling: true, quantiles: 1 };
        let expected = [1.0f32, 3.0, 5.0, 7.0, 10.0].map(|a| a - 5.2 + 20.0);
        for (ours, theirs) in host(dueling.expected(out())).iter().zip(expected) {
            assert!((ours - theirs).abs() < 1e-5);
        }
        // Both: for each quantile A of two actions and V.
        let both = ActionValues { n: 2, dueling: true, quantiles: 2 };
        let expected = [1.0 - 3.0 + 10.0, 3.0 - 5.0 + 20.0, 5.0 - 3.0 + 10.0, 7.0 - 5.0 + 20.0];
        let ours: Vec<f32> = both.quantiles(out()).into_data().iter::<f32>().collect();
        assert_eq!(ours, expected);
        assert_eq!([plain, quantiles, dueling, both].map(|v| v.outputs()), [6, 6, 6, 6]);
    }
}
