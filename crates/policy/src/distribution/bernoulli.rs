//! Independent yes-or-no choices.

use burn::tensor::{Bool, Tensor, activation::sigmoid};
use rand::{Rng, RngExt};

use super::{ActionBatch, FORBIDDEN, check_finite, host_rows, special::softplus};
use crate::PolicyError;

/// A bit for each dimension, set with probability σ(logit).
#[derive(Clone, Debug)]
pub struct Bernoulli {
    /// `[rows, dims]`.
    logits: Tensor<2>,
}

impl Bernoulli {
    /// P(aⱼ = 1) = σ(logitⱼ).
    ///
    /// # Shapes
    /// `logits`: `[rows, dims]`.
    pub fn new(logits: Tensor<2>) -> Self {
        Self { logits }
    }

    /// The same, with probability 0 of setting a bit where `valid` is false. Leaving all bits unset is
    /// always possible, so that no row of a mask can be wrong.
    ///
    /// # Shapes
    /// `logits`, `valid`: `[rows, dims]`.
    pub fn masked(logits: Tensor<2>, valid: Tensor<2, Bool>) -> Self {
        Self::new(logits.mask_fill(valid.bool_not(), FORBIDDEN))
    }

    /// log p(a) = −Σⱼ softplus(∓logitⱼ), − where the bit is set, + where not.
    ///
    /// # Shapes
    /// `action`: `[rows, dims]`; result: `[rows]`.
    pub fn log_prob(&self, action: Tensor<2, Bool>) -> Tensor<1> {
        let against = self.logits.clone().mask_where(action, -self.logits.clone());
        -softplus(against).sum_dim(1).squeeze_dim(1)
    }

    /// The same without autodiff.
    #[must_use]
    pub fn valid(&self) -> Self {
        Self { logits: self.logits.clone().inner() }
    }

    /// H = Σⱼ [p softplus(−logitⱼ) + (1 − p) softplus(logitⱼ)] with p = σ(logitⱼ), in nats.
    ///
    /// # Shapes
    /// Result: `[rows]`.
    pub fn entropy(&self) -> Tensor<1> {
        let surprise = |x: Tensor<2>| sigmoid(x.clone()) * softplus(-x);
        let per_dim = surprise(self.logits.clone()) + surprise(-self.logits.clone());
        per_dim.sum_dim(1).squeeze_dim(1)
    }

    /// `dims` bits per row, a uniform number for each from the row's stream.
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`].
    ///
    /// # Panics
    /// When there are fewer streams than rows.
    pub fn sample<'r, R: Rng + 'r>(
        &self,
        streams: impl IntoIterator<Item = &'r mut R>,
    ) -> Result<ActionBatch, PolicyError> {
        let [_, dims] = self.logits.dims();
        let mut streams = streams.into_iter();
        let mut values = Vec::new();
        for row in self.logits_on_host()?.chunks_exact(dims) {
            let stream = streams.next().expect("a random stream for every row");
            // In f64, where σ(−1e9) is 0 and no uniform number lies below it.
            let set =
                row.iter().map(|&x| stream.random::<f64>() < 1.0 / (1.0 + (-f64::from(x)).exp()));
            values.extend(set);
        }
        Ok(ActionBatch::MultiBinary { values, dims })
    }

    /// The more probable value of every bit; unset where both are equal.
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`].
    pub fn mode(&self) -> Result<ActionBatch, PolicyError> {
        let [_, dims] = self.logits.dims();
        let values = self.logits_on_host()?.into_iter().map(|x| x > 0.0).collect();
        Ok(ActionBatch::MultiBinary { values, dims })
    }

    fn logits_on_host(&self) -> Result<Vec<f32>, PolicyError> {
        let [_, dims] = self.logits.dims();
        let logits = host_rows(self.logits.clone());
        check_finite(&logits, dims)?;
        Ok(logits)
    }
}

#[cfg(all(test, any(feature = "flex", feature = "ndarray")))]
mod tests {
    use burn::tensor::TensorData;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    use super::*;
    use crate::distribution::testing::{
        check_frequency, check_gradient, device, host, matrix, stays_finite,
    };

    const LOGITS: [f64; 3] = [0.7, -1.3, 0.0];

    /// All eight actions, a row each.
    fn actions() -> Tensor<2, Bool> {
        let all: Vec<bool> = (0..8).flat_map(|i| [i & 4 > 0, i & 2 > 0, i & 1 > 0]).collect();
        Tensor::from_data(TensorData::new(all, [8, 3]), &device())
    }

    fn in_every_row(x: Tensor<2>) -> Bernoulli {
        Bernoulli::new(x.expand([8, 3]))
    }

    fn bits(values: [bool; 3]) -> Tensor<2, Bool> {
        Tensor::from_data(TensorData::new(values.to_vec(), [1, 3]), &device())
    }

    #[test]
    fn probabilities_are_products_that_sum_to_one_and_the_entropy_is_their_sum() {
        let d = in_every_row(matrix(&LOGITS, [1, 3]));
        let log_p = host(d.log_prob(actions()));
        for (i, log_p) in log_p.iter().enumerate() {
            let p = |j: usize| {
                let p = 1.0 / (1.0 + (-LOGITS[j]).exp());
                if i & (4 >> j) > 0 { p } else { 1.0 - p }
            };
            assert!((log_p.exp() - p(0) * p(1) * p(2)).abs() < 1e-12, "action {i}");
        }
        let entropy: f64 = log_p.iter().map(|l| -l.exp() * l).sum();
        assert!((entropy - host(d.entropy())[0]).abs() < 1e-12, "{entropy}");
        let mode = Bernoulli::new(matrix(&LOGITS, [1, 3])).mode().unwrap();
        let expected = ActionBatch::MultiBinary { values: vec![true, false, false], dims: 3 };
        assert_eq!(mode, expected);
    }

    #[test]
    fn gradients_agree_with_finite_differences_at_zero_too() {
        check_gradient("log p", &LOGITS, [1, 3], |x| in_every_row(x).log_prob(actions()));
        check_gradient("H", &LOGITS, [1, 3], |x| in_every_row(x).entropy());
    }

    #[test]
    fn samples_have_the_probabilities_they_claim() {
        let rows = 20_000;
        let d = Bernoulli::new(matrix(&LOGITS, [1, 3]).expand([rows, 3]));
        let mut streams: Vec<Pcg64> = (0..rows as u64).map(Pcg64::seed_from_u64).collect();
        let ActionBatch::MultiBinary { values, dims: 3 } = d.sample(&mut streams).unwrap() else {
            panic!("of the wrong kind");
        };
        for (i, log_p) in
            host(in_every_row(matrix(&LOGITS, [1, 3])).log_prob(actions())).into_iter().enumerate()
        {
            let action = [i & 4 > 0, i & 2 > 0, i & 1 > 0];
            let count = values.chunks_exact(3).filter(|a| **a == action).count();
            check_frequency("a triple", count, rows, log_p.exp());
        }
    }

    #[test]
    fn a_forbidden_bit_is_never_set_and_its_logit_gets_no_gradient() {
        let x = matrix(&[5.0, 0.5, 0.0], [1, 3]).require_grad();
        let d = Bernoulli::masked(x.clone(), bits([false, true, true]));
        let mut rng = Pcg64::seed_from_u64(4);
        for _ in 0..500 {
            let ActionBatch::MultiBinary { values, .. } = d.sample([&mut rng]).unwrap() else {
                panic!("of the wrong kind");
            };
            assert!(!values[0]);
        }
        let gradients = (d.entropy() + d.log_prob(bits([false, true, true]))).sum().backward();
        let gradient = host(x.grad(&gradients).unwrap());
        assert_eq!(gradient[0], 0.0);
        assert!(gradient[1].abs() > 0.1 && gradient[2].abs() > 0.1, "{gradient:?}");
        let none = Bernoulli::masked(x, bits([false; 3]));
        let unset = ActionBatch::MultiBinary { values: vec![false; 3], dims: 3 };
        assert_eq!(none.sample([&mut rng]).unwrap(), unset);
        assert_eq!(host(none.entropy()), [0.0]);
        assert_eq!(host(none.log_prob(bits([false; 3]))), [0.0]);
    }

    #[test]
    fn extreme_logits_stay_finite_and_exact() {
        let logits = [50.0, -50.0, 1e4];
        for action in [[true, true, false], [false, false, true]] {
            let of = Bernoulli::new;
            stays_finite("log p", &logits, [1, 3], |x| of(x).log_prob(bits(action)));
        }
        stays_finite("H", &logits, [1, 3], |x| Bernoulli::new(x).entropy());
        let d = Bernoulli::new(matrix(&[50.0, -50.0, 50.0], [1, 3]));
        let log_p = host(d.log_prob(bits([true, false, true])))[0];
        assert!((log_p / (-3.0 * (-50f64).exp()) - 1.0).abs() < 1e-9, "{log_p:e}");
    }

    #[test]
    fn nan_is_an_error_that_names_the_row() {
        let d = Bernoulli::new(matrix(&[0.0, 0.0, 0.0, f64::NAN], [2, 2]));
        let error = d.mode().unwrap_err();
        assert!(matches!(error, PolicyError::OutputNotFinite { row: 1, .. }), "{error}");
    }
}
