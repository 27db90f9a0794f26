//! Several choices made at once, each independent of the others.

use burn::tensor::{Bool, Int, Tensor};
use rand::Rng;

use super::{ActionBatch, Categorical};
use crate::PolicyError;

/// A categorical distribution for each of several components; the action is one index from each.
#[derive(Clone, Debug)]
pub struct MultiCategorical {
    components: Vec<Categorical>,
}

impl MultiCategorical {
    /// π(a|s) = Πᵢ softmax(logitsᵢ) at aᵢ, where component i has `ns[i]` choices.
    ///
    /// # Shapes
    /// `logits`: `[rows, Σ ns]`, one component's after the other's.
    pub fn new(logits: Tensor<2>, ns: &[usize]) -> Self {
        let each = logits.split_with_sizes(ns.to_vec(), 1);
        Self { components: each.into_iter().map(Categorical::new).collect() }
    }

    /// The same, each component renormalised over the choices that `valid` allows it.
    ///
    /// # Shapes
    /// `logits`, `valid`: `[rows, Σ ns]`; every row allows every component at least one choice.
    pub fn masked(logits: Tensor<2>, ns: &[usize], valid: Tensor<2, Bool>) -> Self {
        let logits = logits.split_with_sizes(ns.to_vec(), 1);
        let valid = valid.split_with_sizes(ns.to_vec(), 1);
        let each = logits.into_iter().zip(valid);
        Self {
            components: each.map(|(logits, valid)| Categorical::masked(logits, valid)).collect(),
        }
    }

    /// log π(a|s) = Σᵢ log πᵢ(aᵢ|s), row by row.
    ///
    /// # Shapes
    /// `action`: `[rows, components]`; result: `[rows]`.
    pub fn log_prob(&self, action: Tensor<2, Int>) -> Tensor<1> {
        self.sum(|i, d| d.log_prob(action.clone().narrow(1, i, 1).squeeze_dim(1)))
    }

    /// The same without autodiff.
    #[must_use]
    pub fn valid(&self) -> Self {
        Self { components: self.components.iter().map(Categorical::valid).collect() }
    }

    /// H = Σᵢ Hᵢ, in nats.
    ///
    /// # Shapes
    /// Result: `[rows]`.
    pub fn entropy(&self) -> Tensor<1> {
        self.sum(|_, d| d.entropy())
    }

    /// One index for every component, in order, a uniform number for each from the row's stream.
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
        let mut streams: Vec<&mut R> = streams.into_iter().collect();
        self.gather(|d| d.sample(streams.iter_mut().map(|stream| &mut **stream)))
    }

    /// The most probable index of every component; the first one where several are equal.
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`].
    pub fn mode(&self) -> Result<ActionBatch, PolicyError> {
        self.gather(Categorical::mode)
    }

    fn sum(&self, term: impl Fn(usize, &Categorical) -> Tensor<1>) -> Tensor<1> {
        let terms = self.components.iter().enumerate().map(|(i, d)| term(i, d));
        terms.reduce(|sum, term| sum + term).expect("at least one component")
    }

    /// Chooses for every row, one component after the other, and lines the choices up by row.
    fn gather(
        &self,
        choose: impl FnMut(&Categorical) -> Result<Vec<usize>, PolicyError>,
    ) -> Result<ActionBatch, PolicyError> {
        let chosen = self.components.iter().map(choose).collect::<Result<Vec<_>, _>>()?;
        let rows = chosen.first().map_or(0, Vec::len);
        let values = (0..rows).flat_map(|row| chosen.iter().map(move |each| each[row])).collect();
        Ok(ActionBatch::MultiDiscrete { values, dims: chosen.len() })
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

    const NS: [usize; 3] = [2, 3, 1];
    const LOGITS: [f64; 6] = [0.3, -0.5, 1.0, 0.0, -2.0, 4.0];

    /// All six actions, a row each.
    fn actions() -> Tensor<2, Int> {
        let all: Vec<i32> = (0..6).flat_map(|i| [i / 3, i % 3, 0]).collect();
        Tensor::from_data(TensorData::new(all, [6, 3]), &device())
    }

    fn in_every_row(x: Tensor<2>) -> MultiCategorical {
        MultiCategorical::new(x.expand([6, 6]), &NS)
    }

    fn bits(valid: [bool; 6]) -> Tensor<2, Bool> {
        Tensor::from_data(TensorData::new(valid.to_vec(), [1, 6]), &device())
    }

    #[test]
    fn probabilities_are_products_that_sum_to_one_and_the_entropy_is_their_sum() {
        let d = in_every_row(matrix(&LOGITS, [1, 6]));
        let log_p = host(d.log_prob(actions()));
        let total: f64 = log_p.iter().map(|l| l.exp()).sum();
        assert!((total - 1.0).abs() < 1e-12, "{total}");
        let p = |logits: &[f64], i: usize| {
            logits[i].exp() / logits.iter().map(|l| l.exp()).sum::<f64>()
        };
        for (i, log_p) in log_p.iter().enumerate() {
            let expected = p(&LOGITS[..2], i / 3) * p(&LOGITS[2..5], i % 3);
            assert!((log_p.exp() - expected).abs() < 1e-12, "action {i}");
        }
        let entropy: f64 = log_p.iter().map(|l| -l.exp() * l).sum();
        assert!((entropy - host(d.entropy())[0]).abs() < 1e-12, "{entropy}");
        let mode = MultiCategorical::new(matrix(&LOGITS, [1, 6]), &NS).mode().unwrap();
        assert_eq!(mode, ActionBatch::MultiDiscrete { values: vec![0, 0, 0], dims: 3 });
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        check_gradient("log p", &LOGITS, [1, 6], |x| in_every_row(x).log_prob(actions()));
        check_gradient("H", &LOGITS, [1, 6], |x| in_every_row(x).entropy());
    }

    #[test]
    fn samples_have_the_distribution_they_claim_and_rows_their_own_streams() {
        let rows = 10_000;
        let d = MultiCategorical::new(matrix(&LOGITS, [1, 6]).expand([rows, 6]), &NS);
        let mut streams: Vec<Pcg64> = (0..rows as u64).map(Pcg64::seed_from_u64).collect();
        let ActionBatch::MultiDiscrete { values, dims: 3 } = d.sample(&mut streams).unwrap() else {
            panic!("of the wrong kind");
        };
        let log_p = host(in_every_row(matrix(&LOGITS, [1, 6])).log_prob(actions()));
        for (i, log_p) in log_p.iter().enumerate() {
            let count = values.chunks_exact(3).filter(|a| **a == [i / 3, i % 3, 0]).count();
            check_frequency("a pair", count, rows, log_p.exp());
        }
        let alone = MultiCategorical::new(matrix(&LOGITS, [1, 6]), &NS);
        let again = alone.sample([&mut Pcg64::seed_from_u64(77)]).unwrap();
        let row = ActionBatch::MultiDiscrete { values: values[3 * 77..][..3].to_vec(), dims: 3 };
        assert_eq!(again, row, "a row depends on nothing but its own stream");
    }

    #[test]
    fn masked_choices_are_never_drawn_and_their_logits_get_no_gradient() {
        let valid = [true, true, false, true, true, true];
        let x = matrix(&LOGITS, [1, 6]).require_grad();
        let d = MultiCategorical::masked(x.clone(), &NS, bits(valid));
        let mut rng = Pcg64::seed_from_u64(4);
        let mut seen = [0; 3];
        for _ in 0..500 {
            let ActionBatch::MultiDiscrete { values, .. } = d.sample([&mut rng]).unwrap() else {
                panic!("of the wrong kind");
            };
            seen[values[1]] += 1;
        }
        assert!(seen[0] == 0 && seen[1] > 0 && seen[2] > 0, "{seen:?}");
        let mode = d.mode().unwrap();
        assert_eq!(mode, ActionBatch::MultiDiscrete { values: vec![0, 1, 0], dims: 3 });
        let action = Tensor::from_data(TensorData::new(vec![1i32, 2, 0], [1, 3]), &device());
        let gradients = (d.entropy() + d.log_prob(action)).sum().backward();
        let gradient = host(x.grad(&gradients).unwrap());
        assert_eq!((gradient[2], gradient[5]), (0.0, 0.0), "forbidden, and the only choice");
        assert!([0, 1, 3, 4].into_iter().all(|i| gradient[i].abs() > 0.01), "{gradient:?}");
    }

    #[test]
    fn extreme_logits_stay_finite() {
        let action = || Tensor::from_data(TensorData::new(vec![1i32, 2, 0], [1, 3]), &device());
        for logits in [[50.0, -50.0, 50.0, 0.0, -50.0, -50.0], [-50.0; 6]] {
            let of = |x| MultiCategorical::new(x, &NS);
            stays_finite("log p", &logits, [1, 6], |x| of(x).log_prob(action()));
            stays_finite("H", &logits, [1, 6], |x| of(x).entropy());
            let one = bits([true, false, false, false, true, true]);
            let of = |x| MultiCategorical::masked(x, &NS, one.clone());
            stays_finite("masked H", &logits, [1, 6], |x| of(x).entropy());
        }
    }
}
