//! A choice among n actions.

use burn::tensor::{Bool, Int, Tensor};
use elegante_kernels::{entries, entropy, log_softmax, pick};
use rand::{Rng, RngExt};

use super::FORBIDDEN;
use crate::{PolicyError, in_memory};

/// The categorical distribution with log-probabilities log softmax(logits).
#[derive(Clone, Debug)]
pub struct Categorical {
    /// `[rows, n]`, normalised.
    log_probs: Tensor<2>,
}

impl Categorical {
    /// πθ(a|s) = softmax(logits)ₐ.
    ///
    /// # Shapes
    /// `logits`: `[rows, n]`.
    pub fn new(logits: Tensor<2>) -> Self {
        Self { log_probs: log_softmax(logits) }
    }

    /// The same, renormalised over the actions that `valid` allows; the others have probability 0.
    ///
    /// # Shapes
    /// `logits`, `valid`: `[rows, n]`; every row allows at least one action.
    pub fn masked(logits: Tensor<2>, valid: Tensor<2, Bool>) -> Self {
        Self::new(logits.mask_fill(valid.bool_not(), FORBIDDEN))
    }

    /// log πθ(·|s), every action's; far below everything for those that are not valid.
    ///
    /// # Shapes
    /// Result: `[rows, n]`.
    pub fn log_probs(&self) -> Tensor<2> {
        self.log_probs.clone()
    }

    /// log πθ(a|s), row by row.
    ///
    /// # Shapes
    /// `action`: `[rows]`; result: `[rows]`.
    pub fn log_prob(&self, action: Tensor<1, Int>) -> Tensor<1> {
        pick(self.log_probs.clone(), action)
    }

    /// The same of actions that are on the host; `None` where the distribution is not.
    pub(super) fn log_prob_in_memory(&self, actions: &[usize]) -> Option<Vec<f32>> {
        let [_, n] = self.log_probs.dims();
        in_memory(&self.log_probs.device()).then(|| {
            entries(self.log_probs.clone(), |all| {
                all.chunks_exact(n).zip(actions).map(|(row, &action)| row[action]).collect()
            })
        })
    }

    /// The same without autodiff.
    #[must_use]
    pub fn valid(&self) -> Self {
        Self { log_probs: self.log_probs.clone().inner() }
    }

    /// H = −Σₐ πθ(a|s) log πθ(a|s), in nats.
    ///
    /// # Shapes
    /// Result: `[rows]`.
    pub fn entropy(&self) -> Tensor<1> {
        entropy(self.log_probs.clone())
    }

    /// One action per row by inverting the distribution function, one uniform number from each
    /// stream in turn.
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
        self.rows_to_host(|log_probs| {
            let stream = streams.next().expect("a random stream for every row");
            invert(log_probs, stream.random::<f64>())
        })
    }

    /// argmaxₐ πθ(a|s); the first one where several are equal.
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`].
    pub fn mode(&self) -> Result<Vec<usize>, PolicyError> {
        self.rows_to_host(|log_probs| {
            (1..log_probs.len())
                .fold(0, |best, a| if log_probs[a] > log_probs[best] { a } else { best })
        })
    }

    /// Brings the log-probabilities to the host, checks them, and chooses an action for every row.
    fn rows_to_host(
        &self,
        mut choose: impl FnMut(&[f32]) -> usize,
    ) -> Result<Vec<usize>, PolicyError> {
        let [_, n] = self.log_probs.dims();
        entries(self.log_probs.clone(), |all| {
            let rows = all.chunks_exact(n).enumerate().map(|(row, log_probs)| {
                match log_probs.iter().find(|p| !p.is_finite()) {
                    Some(&value) => Err(PolicyError::OutputNotFinite { row, value }),
                    None => Ok(choose(log_probs)),
                }
            });
            rows.collect()
        })
    }
}

/// The first action at which the running sum of probabilities passes `u` ∈ [0, 1).
///
/// The sum is taken in f64 and scaled by its own total, so that rounding can neither leave a gap at
/// the end nor give an action of probability 0.
fn invert(log_probs: &[f32], u: f64) -> usize {
    let prob = |&log_p: &f32| f64::from(log_p).exp();
    let total: f64 = log_probs.iter().map(prob).sum();
    let threshold = u * total;
    let mut sum = 0.0;
    let mut last_possible = 0;
    for (action, log_p) in log_probs.iter().enumerate() {
        let p = prob(log_p);
        sum += p;
        if p > 0.0 {
            last_possible = action;
            if threshold < sum {
                return action;
            }
        }
    }
    last_possible
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceChoice;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    fn host(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    #[test]
    fn log_probabilities_and_entropy_match_the_formula() {
        let device = DeviceChoice::Auto.open().unwrap();
        let d = Categorical::new(Tensor::from_data([[1.0f32, 2.0, 0.5], [0.0, 0.0, 0.0]], &device));
        let z = 1f64.exp() + 2f64.exp() + 0.5f64.exp();
        let p = [1f64.exp() / z, 2f64.exp() / z, 0.5f64.exp() / z];
        let log_prob = host(d.log_prob(Tensor::from_data([1, 2], &device)));
        assert!((f64::from(log_prob[0]) - p[1].ln()).abs() < 1e-6);
        assert!((f64::from(log_prob[1]) - (1f64 / 3.0).ln()).abs() < 1e-6);
        let entropy = host(d.entropy());
        let expected: f64 = -p.iter().map(|p| p * p.ln()).sum::<f64>();
        assert!((f64::from(entropy[0]) - expected).abs() < 1e-6);
        assert!((f64::from(entropy[1]) - 3f64.ln()).abs() < 1e-6);
        assert_eq!(d.mode().unwrap(), [1, 0]);
    }

    #[test]
    fn samples_have_the_distribution_they_claim() {
        let device = DeviceChoice::Auto.open().unwrap();
        let rows = 20_000;
        let logits = [0.2f32, -1.0, 1.0];
        let d = Categorical::new(Tensor::<2>::from_data([logits], &device).expand([rows, 3]));
        let mut streams = [Pcg64::seed_from_u64(3)];
        // One stream for all rows, each row continuing it.
        let mut counts = [0f64; 3];
        let host: Vec<f32> = d.log_probs.into_data().iter::<f32>().collect();
        for row in host.chunks_exact(3) {
            counts[invert(row, streams[0].random())] += 1.0;
        }
        let z: f64 = logits.iter().map(|&l| f64::from(l).exp()).sum();
        for (count, logit) in counts.iter().zip(logits) {
            let p = f64::from(logit).exp() / z;
            let four_sigma = 4.0 * (p * (1.0 - p) / rows as f64).sqrt();
            assert!((count / rows as f64 - p).abs() < four_sigma, "{counts:?}");
        }
    }

    #[test]
    fn a_masked_action_is_never_drawn_and_leaves_no_nan() {
        let device = DeviceChoice::Auto.open().unwrap().autodiff();
        let logits = Tensor::from_data([[5.0f32, 0.0, 0.0]], &device).require_grad();
        let d =
            Categorical::masked(logits.clone(), Tensor::from_data([[false, true, true]], &device));
        assert_eq!(d.mode().unwrap(), [1]);
        let mut rng = Pcg64::seed_from_u64(4);
        for _ in 0..200 {
            assert_ne!(d.sample([&mut rng]).unwrap(), [0]);
        }
        let entropy = d.entropy();
        assert!((host(entropy.clone())[0] - std::f32::consts::LN_2).abs() < 1e-6);
        let grads = (entropy + d.log_prob(Tensor::from_data([1], &device))).sum().backward();
        let gradient = logits.grad(&grads).unwrap().into_data();
        let gradient: Vec<f32> = gradient.iter::<f32>().collect();
        assert_eq!(gradient[0], 0.0, "a forbidden action's logit must not learn");
        assert!(
            (gradient[1] - 0.5).abs() < 1e-6 && (gradient[2] + 0.5).abs() < 1e-6,
            "{gradient:?}"
        );
    }

    #[cfg(any(feature = "flex", feature = "ndarray"))]
    #[test]
    fn gradients_agree_with_finite_differences_and_extremes_stay_finite() {
        use crate::distribution::testing::{check_gradient, stays_finite};
        let device = crate::distribution::testing::device();
        let action = || Tensor::from_data([1, 2], &device);
        let logits = [1.0, 2.0, 0.5, 0.0, -1.0, 0.0];
        check_gradient("log p", &logits, [2, 3], |x| Categorical::new(x).log_prob(action()));
        check_gradient("H", &logits, [2, 3], |x| Categorical::new(x).entropy());
        let logits = [50.0, -50.0, 0.0, -50.0, -50.0, 50.0];
        stays_finite("log p", &logits, [2, 3], |x| Categorical::new(x).log_prob(action()));
        stays_finite("H", &logits, [2, 3], |x| Categorical::new(x).entropy());
    }

    #[test]
    fn the_ends_of_the_unit_interval_stay_in_range() {
        let uniform = [(0.5f32).ln(); 2];
        assert_eq!(invert(&uniform, 0.0), 0);
        assert_eq!(invert(&uniform, 1.0 - f64::EPSILON / 2.0), 1);
        assert_eq!(invert(&[0.0, FORBIDDEN], 1.0 - f64::EPSILON / 2.0), 0);
        assert_eq!(invert(&[FORBIDDEN, 0.0], 0.0), 1);
    }

    #[test]
    fn nan_is_an_error_that_names_the_row() {
        let device = DeviceChoice::Auto.open().unwrap();
        let d = Categorical::new(Tensor::from_data([[0.0f32, 0.0], [f32::NAN, 0.0]], &device));
        let error = d.mode().unwrap_err();
        assert!(matches!(error, PolicyError::OutputNotFinite { row: 1, .. }), "{error}");
    }
}
