//! No choice at all: one action in each state.

use burn::tensor::Tensor;

use super::{ActionBatch, check_finite, host_rows};
use crate::{PolicyError, tanh};

/// The action a = tanh u, with certainty: what TD3 and DDPG act with. Whoever explores adds noise to it.
///
/// Actions lie within ±1; the map to the bounds of an action space happens at the environment
/// ([`Policy::to_env`](crate::Policy::to_env)).
#[derive(Clone, Debug)]
pub struct Deterministic {
    /// a, `[rows, dims]`.
    action: Tensor<2>,
}

impl Deterministic {
    /// Always tanh u.
    ///
    /// # Shapes
    /// `unsquashed`, that is u: `[rows, dims]`.
    pub fn new(unsquashed: Tensor<2>) -> Self {
        Self { action: tanh(unsquashed) }
    }

    /// a, a function of the parameters through which gradients flow.
    ///
    /// # Shapes
    /// Result: `[rows, dims]`.
    pub fn action(&self) -> Tensor<2> {
        self.action.clone()
    }

    /// The logarithm of a probability, not of a density: 0 for the action itself, −∞ for any other.
    ///
    /// # Shapes
    /// `action`: `[rows, dims]`; result: `[rows]`.
    pub fn log_prob(&self, action: Tensor<2>) -> Tensor<1> {
        let apart = (action - self.action.clone()).abs().sum_dim(1).squeeze_dim::<1>(1);
        let elsewhere = apart.clone().greater_elem(0.0);
        apart.zeros_like().mask_fill(elsewhere, f32::NEG_INFINITY)
    }

    /// The same without autodiff.
    #[must_use]
    pub fn valid(&self) -> Self {
        Self { action: self.action.clone().inner() }
    }

    /// 0: what is certain surprises nobody.
    ///
    /// # Shapes
    /// Result: `[rows]`.
    pub fn entropy(&self) -> Tensor<1> {
        let [rows, _] = self.action.dims();
        Tensor::zeros([rows], (&self.action.device(), self.action.dtype()))
    }

    /// a. No random number is drawn.
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`].
    pub fn mode(&self) -> Result<ActionBatch, PolicyError> {
        let [_, dims] = self.action.dims();
        let values = host_rows(self.action.clone());
        check_finite(&values, dims)?;
        Ok(ActionBatch::Continuous { values, dims })
    }
}

#[cfg(all(test, any(feature = "flex", feature = "ndarray")))]
mod tests {
    use super::*;
    use crate::distribution::testing::{check_gradient, host, matrix, numbers};

    #[test]
    fn the_action_is_certain() {
        let d = Deterministic::new(matrix(&[0.5, -1.0, 0.0, 9.0], [2, 2]));
        let actions = numbers(d.mode().unwrap());
        for (a, u) in actions.iter().zip([0.5f64, -1.0, 0.0, 9.0]) {
            assert!((f64::from(*a) - u.tanh()).abs() < 1e-6, "{actions:?}");
        }
        assert_eq!(host(d.entropy()), [0.0; 2]);
        assert_eq!(host(d.log_prob(d.action())), [0.0; 2]);
        let other = d.action() + matrix(&[0.0, 0.0, 0.0, 0.1], [2, 2]);
        assert_eq!(host(d.log_prob(other)), [0.0, f64::NEG_INFINITY]);
    }

    #[test]
    fn gradients_flow_through_the_action() {
        check_gradient("tanh u", &[0.5, -1.0], [1, 2], |u| {
            let action = Deterministic::new(u).action();
            (action * matrix(&[1.0, 3.0], [1, 2])).sum_dim(1).squeeze_dim(1)
        });
    }
}
