//! The best action most of the time, any action now and then.

use burn::tensor::{Bool, Int, Tensor, TensorData};
use rand::{Rng, RngExt};

use super::{FORBIDDEN, host_rows};
use crate::PolicyError;

/// ε-greedy over Q(s, ·): with probability ε any valid action, each with the same chance, otherwise the
/// one of the largest value (Watkins, 1989).
///
/// Its probabilities are steps, not slopes: no gradient flows from them to the values, which learn from
/// the Bellman equation instead.
#[derive(Clone, Debug)]
pub struct EpsilonGreedy {
    /// Q(s, a), `[rows, n]`; far below everything for actions that are not valid.
    values: Tensor<2>,
    epsilon: f64,
}

/// One row as it is on the host.
struct Row<'a> {
    values: &'a [f32],
    /// How many actions are valid.
    valid: usize,
    /// The best of them; the first one where several are equal.
    best: usize,
}

impl<'a> Row<'a> {
    fn new(values: &'a [f32]) -> Self {
        let better = |best, a| if values[a] > values[best] { a } else { best };
        let best = (1..values.len()).fold(0, better);
        let valid = values.iter().filter(|value| allowed(**value)).count();
        Self { values, valid, best }
    }

    /// The valid action that `u` ∈ [0, 1) names.
    fn any(&self, u: f64) -> usize {
        let chosen = (u * self.valid as f64) as usize;
        let mut valid = (0..self.values.len()).filter(|&a| allowed(self.values[a]));
        valid.nth(chosen.min(self.valid.saturating_sub(1))).unwrap_or(self.best)
    }

    fn probability(&self, action: usize, epsilon: f64) -> f64 {
        let explored = if allowed(self.values[action]) { epsilon / self.valid as f64 } else { 0.0 };
        let exploited = if action == self.best { 1.0 - epsilon } else { 0.0 };
        explored + exploited
    }
}

/// Whether a value belongs to a valid action.
fn allowed(value: f32) -> bool {
    value > FORBIDDEN / 2.0
}

impl EpsilonGreedy {
    /// Over all actions.
    ///
    /// # Shapes
    /// `values`: `[rows, n]`, the values Q(s, a).
    pub fn new(values: Tensor<2>, epsilon: f64) -> Self {
        Self { values, epsilon }
    }

    /// Over the actions that `valid` allows.
    ///
    /// # Shapes
    /// `values`, `valid`: `[rows, n]`; every row allows at least one action.
    pub fn masked(values: Tensor<2>, valid: Tensor<2, Bool>, epsilon: f64) -> Self {
        Self::new(values.mask_fill(valid.bool_not(), FORBIDDEN), epsilon)
    }

    /// The same preferences with another ε.
    #[must_use]
    pub fn with_epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// Q(s, a).
    ///
    /// # Shapes
    /// Result: `[rows, n]`.
    pub fn values(&self) -> Tensor<2> {
        self.values.clone()
    }

    /// log πθ(a|s), row by row; −∞ where the action is neither the best nor ever explored.
    ///
    /// # Shapes
    /// `action`: `[rows]`; result: `[rows]`.
    pub fn log_prob(&self, action: Tensor<1, Int>) -> Tensor<1> {
        let actions: Vec<usize> =
            action.into_data().iter::<i64>().map(|action| action as usize).collect();
        let mut actions = actions.into_iter();
        self.each_row(|row| {
            actions.next().map_or(0.0, |action| row.probability(action, self.epsilon)).ln()
        })
    }

    /// The same without autodiff.
    #[must_use]
    pub fn valid(&self) -> Self {
        Self { values: self.values.clone().inner(), ..*self }
    }

    /// H = −Σₐ πθ(a|s) log πθ(a|s), in nats.
    ///
    /// # Shapes
    /// Result: `[rows]`.
    pub fn entropy(&self) -> Tensor<1> {
        self.each_row(|row| {
            let terms = (0..row.values.len()).map(|action| row.probability(action, self.epsilon));
            -terms.filter(|p| *p > 0.0).map(|p| p * p.ln()).sum::<f64>()
        })
    }

    /// A number for every row.
    fn each_row(&self, number: impl FnMut(Row<'_>) -> f64) -> Tensor<1> {
        let [rows, n] = self.values.dims();
        let host = host_rows(self.values.clone());
        let numbers: Vec<f64> = host.chunks_exact(n).map(Row::new).map(number).collect();
        let to = (&self.values.device(), self.values.dtype());
        Tensor::from_data(TensorData::new(numbers, [rows]), to)
    }

    /// One action per row, from two uniform numbers of each stream in turn: whether to explore, and
    /// what to try then.
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`].
    ///
    /// # Panics
    /// When there are fewer streams than rows.
    pub fn sample<'r, R: Rng + 'r>(
        &self,
        streams: impl IntoIterator<Item = &'r mut R>,
    ) -> Result<Vec<usize>, PolicyError> {
        let mut streams = streams.into_iter();
        self.choose(|row| {
            let stream = streams.next().expect("a random stream for every row");
            let [explore, which] = [stream.random::<f64>(), stream.random()];
            if explore < self.epsilon { row.any(which) } else { row.best }
        })
    }

    /// argmaxₐ Q(s, a); the first one where several are equal.
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`].
    pub fn mode(&self) -> Result<Vec<usize>, PolicyError> {
        self.choose(|row| row.best)
    }

    fn choose(&self, mut action: impl FnMut(Row<'_>) -> usize) -> Result<Vec<usize>, PolicyError> {
        let [_, n] = self.values.dims();
        let host = host_rows(self.values.clone());
        super::check_finite(&host, n)?;
        Ok(host.chunks_exact(n).map(|values| action(Row::new(values))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceChoice;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    fn values(rows: &[[f32; 3]]) -> Tensor<2> {
        let device = DeviceChoice::Auto.open().unwrap();
        let flat = rows.iter().flatten().copied().collect::<Vec<_>>();
        Tensor::from_data(TensorData::new(flat, [rows.len(), 3]), &device)
    }

    fn numbers(tensor: Tensor<1>) -> Vec<f64> {
        tensor.into_data().iter::<f64>().collect()
    }

    fn mask(flags: [bool; 3]) -> Tensor<2, Bool> {
        Tensor::from_data(
            TensorData::new(flags.to_vec(), [1, 3]),
            &DeviceChoice::Auto.open().unwrap(),
        )
    }

    #[test]
    fn the_best_valid_action_is_taken_and_ties_go_to_the_first() {
        let q = values(&[[0.5, 2.0, 2.0], [3.0, -1.0, 0.0]]);
        assert_eq!(EpsilonGreedy::new(q, 0.5).mode().unwrap(), [1, 0]);
        let masked =
            EpsilonGreedy::masked(values(&[[9.0, 1.0, 2.0]]), mask([false, true, true]), 0.0);
        assert_eq!(masked.mode().unwrap(), [2]);
        assert_eq!(masked.sample([&mut Pcg64::seed_from_u64(0)]).unwrap(), [2]);
    }

    #[test]
    fn frequencies_are_the_probabilities_it_tells() {
        for valid in [[true, true, true], [true, false, true]] {
            let d = EpsilonGreedy::masked(values(&[[0.1, 0.7, 0.3]]), mask(valid), 0.4);
            let device = DeviceChoice::Auto.open().unwrap();
            let told: Vec<f64> = (0..3)
                .map(|a| numbers(d.log_prob(Tensor::from_data([a], &device)))[0].exp())
                .collect();
            assert!((told.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{told:?}");
            let entropy: f64 = told.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
            assert!((numbers(d.entropy())[0] - entropy).abs() < 1e-6);

            let mut stream = Pcg64::seed_from_u64(3);
            let mut counts = [0.0; 3];
            let draws = 20_000;
            for _ in 0..draws {
                counts[d.sample([&mut stream]).unwrap()[0]] += 1.0 / f64::from(draws);
            }
            for (count, told) in counts.iter().zip(&told) {
                assert!((count - told).abs() < 0.015, "{counts:?}, not {told:?}");
            }
        }
    }

    #[test]
    fn values_that_are_not_finite_are_refused_by_row() {
        let d = EpsilonGreedy::new(values(&[[0.0; 3], [0.0, f32::NAN, 0.0]]), 0.1);
        let error = d.mode().unwrap_err();
        assert!(matches!(error, PolicyError::OutputNotFinite { row: 1, .. }), "{error}");
    }
}
