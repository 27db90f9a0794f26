//! State-dependent exploration: noise that is a function of the state.

use burn::tensor::Tensor;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::{ActionBatch, DiagGaussian, SquashedGaussian, check_finite, host_rows};
use crate::PolicyError;

/// Added to the variance, as the reference implementation does: the density stays finite in a state
/// whose features are all 0.
const LEAST_VARIANCE: f64 = 1e-6;
/// As for every Gaussian here, so that σ² stays a number of f32.
const LOG_STD_LIMIT: f64 = 20.0;

/// Generalised state-dependent exploration (Raffin et al., 2021): a = μ(s) + (σ ∘ E)ᵀ φ(s), where φ are
/// the features that the last hidden layer computes, σ a learnt `[features × dims]` matrix and E a
/// matrix of standard normal numbers that is drawn anew only every few steps. In between, equal states
/// get equal actions, and a path through them is smooth.
///
/// Whoever explores keeps one E for each environment ([`Exploration`]) and draws with
/// [`explore`](Self::explore). Over all E, and that is what is learnt from, the action is Gaussian with
/// variances Σₗ φₗ(s)² σₗⱼ².
#[derive(Clone, Debug)]
pub struct Gsde {
    /// The action's distribution when E is forgotten; of u, if it is squashed.
    marginal: DiagGaussian,
    /// `[rows, features]`.
    features: Tensor<2>,
    /// `[features, dims]`.
    std: Tensor<2>,
    squashed: bool,
}

impl Gsde {
    /// log σ is moved to the nearest number in [−20, 20]. With `features` detached, as is usual, the
    /// exploration does not shape them.
    ///
    /// # Shapes
    /// `mean`: `[rows, dims]`; `features`: `[rows, features]`; `log_std`: `[features, dims]`.
    pub fn new(mean: Tensor<2>, features: Tensor<2>, log_std: Tensor<2>) -> Self {
        let std = log_std.clamp(-LOG_STD_LIMIT, LOG_STD_LIMIT).exp();
        let variance = features.clone().square().matmul(std.clone().square());
        let log_std = (variance + LEAST_VARIANCE).log() * 0.5;
        Self { marginal: DiagGaussian::new(mean, log_std), features, std, squashed: false }
    }

    /// The same followed by tanh, as in [`SquashedGaussian`]: what is drawn and stored is then u.
    #[must_use]
    pub fn squashed(self) -> Self {
        Self { squashed: true, ..self }
    }

    /// log p(a), or log p(tanh a) if it is squashed, over all exploration matrices.
    ///
    /// # Shapes
    /// `action`: `[rows, dims]`; result: `[rows]`.
    pub fn log_prob(&self, action: Tensor<2>) -> Tensor<1> {
        match self.as_squashed() {
            Some(squashed) => squashed.log_prob(action),
            None => self.marginal.log_prob(action),
        }
    }

    /// The same without autodiff.
    #[must_use]
    pub fn valid(&self) -> Self {
        let [features, std] = [&self.features, &self.std].map(|x| x.clone().inner());
        Self { marginal: self.marginal.valid(), features, std, ..*self }
    }

    /// H over all exploration matrices, in nats.
    ///
    /// # Shapes
    /// Result: `[rows]`.
    pub fn entropy(&self) -> Tensor<1> {
        self.as_squashed().map_or_else(|| self.marginal.entropy(), |squashed| squashed.entropy())
    }

    /// μ + (σ ∘ E)ᵀ φ: an action as a function of parameters and noise, through which gradients flow.
    ///
    /// # Shapes
    /// `noise`, E for every row: `[rows, features, dims]`; result: `[rows, dims]`.
    pub fn rsample(&self, noise: Tensor<3>) -> Tensor<2> {
        let matrix = self.std.clone().unsqueeze_dim::<3>(0) * noise;
        let (mean, _) = self.marginal.parameters();
        mean + (self.features.clone().unsqueeze_dim::<3>(2) * matrix).sum_dim(1).squeeze_dim(1)
    }

    /// μ + (σ ∘ E)ᵀ φ, each row with the matrix of its own environment: no random number is drawn.
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`].
    ///
    /// # Panics
    /// When there are fewer matrices than rows, or one is not of this policy's size.
    pub fn explore<'e>(
        &self,
        explorations: impl IntoIterator<Item = &'e Exploration>,
    ) -> Result<ActionBatch, PolicyError> {
        let [latent, dims] = self.std.dims();
        let (features, std) = (host_rows(self.features.clone()), host_rows(self.std.clone()));
        let mut values = self.marginal.mean_on_host()?;
        let mut explorations = explorations.into_iter();
        // On the host and always in this order, whatever else is in the batch.
        for (row, action) in values.chunks_exact_mut(dims).enumerate() {
            let noise = &explorations.next().expect("an exploration for every row").noise;
            assert_eq!(noise.len(), latent * dims, "the exploration belongs to another policy");
            for (l, phi) in features[row * latent..][..latent].iter().enumerate() {
                for (j, value) in action.iter_mut().enumerate() {
                    *value += phi * std[l * dims + j] * noise[l * dims + j];
                }
            }
        }
        check_finite(&values, dims)?;
        Ok(ActionBatch::Continuous { values, dims })
    }

    /// One action per row with an E of its own, used this once: the distribution is the same as with one
    /// that is kept, but not the path. Draws `features × dims` normal numbers from each row's stream.
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
        let [rows, _] = self.features.dims();
        let [latent, dims] = self.std.dims();
        let draw = |stream| Exploration::draw(latent * dims, stream);
        let once: Vec<Exploration> = streams.into_iter().take(rows).map(draw).collect();
        self.explore(&once)
    }

    /// μ.
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`].
    pub fn mode(&self) -> Result<ActionBatch, PolicyError> {
        self.marginal.mode()
    }

    fn as_squashed(&self) -> Option<SquashedGaussian> {
        self.squashed.then(|| SquashedGaussian::of(self.marginal.clone()))
    }
}

/// What an environment's exploration holds on to from one step to the next: E of [`Gsde`], and nothing
/// for every other head. It is part of a run's state, as the random streams are.
///
/// E has no unit: it is multiplied with the σ of the moment, so that an action is always drawn from the
/// distribution that is learnt from, however long E is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Exploration {
    /// `[features × dims]` standard normal numbers, row by row.
    noise: Vec<f32>,
}

impl Exploration {
    /// `len` standard normal numbers from `stream`.
    pub(crate) fn draw(len: usize, stream: &mut impl Rng) -> Self {
        let mut exploration = Self { noise: vec![0.0; len] };
        exploration.redraw(stream);
        exploration
    }

    /// One that was noted earlier, as [`noise`](Self::noise) showed it.
    pub fn from_noise(noise: Vec<f32>) -> Self {
        Self { noise }
    }

    /// Draws all numbers anew.
    pub fn redraw(&mut self, stream: &mut impl Rng) {
        self.noise.fill_with(|| stream.sample(StandardNormal));
    }

    /// E, row by row: `[features × dims]`; empty when there is nothing to hold on to.
    pub fn noise(&self) -> &[f32] {
        &self.noise
    }
}

#[cfg(all(test, any(feature = "flex", feature = "ndarray")))]
mod tests {
    use burn::tensor::{DType, TensorData};
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    use super::*;
    use crate::distribution::testing::{
        check_gradient, check_moments, device, dot, host, integrate, matrix, numbers, stays_finite,
        tanh_slope, typed,
    };

    const MEAN: [f64; 2] = [0.5, -1.0];
    const FEATURES: [f64; 3] = [0.9, -0.4, 0.1];
    const LOG_STD: [f64; 6] = [0.0, -1.0, 0.3, -0.2, 1.0, -2.0];

    /// σ at log σ = `log_std` (`[3, 2]`) in the one state above.
    fn of(log_std: Tensor<2>) -> Gsde {
        let dtype = log_std.dtype();
        let (mean, features) = (typed(&MEAN, [1, 2], dtype), typed(&FEATURES, [1, 3], dtype));
        Gsde::new(mean, features, log_std)
    }

    /// The deviation of entry j in that state.
    fn deviation(j: usize) -> f64 {
        let terms = (0..3).map(|l| (FEATURES[l] * LOG_STD[2 * l + j].exp()).powi(2));
        (terms.sum::<f64>() + LEAST_VARIANCE).sqrt()
    }

    #[test]
    fn the_marginal_is_the_gaussian_of_the_paper() {
        let d = of(matrix(&LOG_STD, [3, 2]));
        let action = [1.1, -0.2];
        let expected: f64 = (0..2)
            .map(|j| {
                let z = (action[j] - MEAN[j]) / deviation(j);
                -0.5 * (z * z + (2.0 * std::f64::consts::PI).ln()) - deviation(j).ln()
            })
            .sum();
        let got = host(d.log_prob(matrix(&action, [1, 2])))[0];
        assert!((got - expected).abs() < 1e-12, "{got}, not {expected}");
        let constant = 0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E).ln();
        let entropy = deviation(0).ln() + deviation(1).ln() + 2.0 * constant;
        assert!((host(d.entropy())[0] - entropy).abs() < 1e-12);
        assert_eq!(numbers(d.mode().unwrap()), [0.5, -1.0]);
    }

    #[test]
    fn the_density_integrates_to_one_squashed_or_not() {
        let (features, log_std) = ([0.5, -0.8], [-0.5, 0.2]);
        for squashed in [false, true] {
            let of = |rows: usize| {
                let mean = matrix(&vec![0.3; rows], [rows, 1]);
                let features = matrix(&features.repeat(rows), [rows, 2]);
                let d = Gsde::new(mean, features, matrix(&log_std, [2, 1]));
                if squashed { d.squashed() } else { d }
            };
            // In a where it is squashed.
            let slope = |u: f64| if squashed { tanh_slope(u) } else { 1.0 };
            let (total, entropy) = integrate((-8.0, 8.0), 8_000, slope, |us| {
                host(of(us.len()).log_prob(matrix(us, [us.len(), 1])))
            });
            assert!((total - 1.0).abs() < 1e-9, "{total}");
            let got = host(of(1).entropy())[0];
            assert!((got - entropy).abs() < 1e-7, "{got}, not {entropy}");
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let action = || matrix(&[1.1, -0.2], [1, 2]);
        for squash in [|d: Gsde| d, Gsde::squashed] {
            let of = |x| squash(of(x));
            check_gradient("log p", &LOG_STD, [3, 2], |x| of(x).log_prob(action()));
            check_gradient("H", &LOG_STD, [3, 2], |x| of(x).entropy());
            check_gradient("log p by the features", &FEATURES, [1, 3], |x| {
                squash(Gsde::new(matrix(&MEAN, [1, 2]), x, matrix(&LOG_STD, [3, 2])))
                    .log_prob(action())
            });
        }
        check_gradient("a by σ", &LOG_STD, [3, 2], |x| {
            let noise = TensorData::new(vec![0.5, -1.0, 2.0, 0.1, 0.7, -0.3], [1, 3, 2]);
            let noise = Tensor::from_data(noise, (&device(), DType::F64));
            (of(x).rsample(noise) * matrix(&[1.0, 3.0], [1, 2])).sum_dim(1).squeeze_dim(1)
        });
    }

    #[test]
    fn over_many_matrices_actions_have_the_marginals_moments() {
        let d = of(matrix(&LOG_STD, [3, 2]));
        let mut rng = Pcg64::seed_from_u64(9);
        let drawn: Vec<f32> =
            (0..20_000).flat_map(|_| numbers(d.sample([&mut rng]).unwrap())).collect();
        for (j, mean) in MEAN.into_iter().enumerate() {
            let entry: Vec<f64> = drawn.iter().skip(j).step_by(2).map(|&x| x.into()).collect();
            check_moments("gSDE", &entry, mean, deviation(j));
        }
    }

    #[test]
    fn while_a_matrix_is_kept_equal_states_get_equal_actions_and_rows_their_own() {
        let mut rng = Pcg64::seed_from_u64(10);
        let mut lanes = [Exploration::draw(6, &mut rng), Exploration::draw(6, &mut rng)];
        let mean = matrix(&MEAN.repeat(3), [3, 2]);
        let features = matrix(&[FEATURES, FEATURES, [0.0; 3]].concat(), [3, 3]);
        let d = Gsde::new(mean, features, matrix(&LOG_STD, [3, 2]));
        let act = |lanes: &[Exploration; 2]| {
            numbers(d.explore([&lanes[0], &lanes[1], &lanes[1]]).unwrap())
        };
        let first = act(&lanes);
        assert_eq!(first, act(&lanes), "nothing is drawn");
        assert_ne!(first[..2], first[2..4], "each row has its own matrix");
        assert_eq!(first[4..], [0.5, -1.0], "without features there is no noise");
        for (row, lane) in [(0, &lanes[0]), (1, &lanes[1])] {
            let noise: Vec<f64> = lane.noise().iter().map(|&e| e.into()).collect();
            for j in 0..2 {
                let sigma_e = |l: usize| LOG_STD[2 * l + j].exp() * noise[2 * l + j];
                let expected = MEAN[j] + dot(&FEATURES, &[sigma_e(0), sigma_e(1), sigma_e(2)]);
                let got = f64::from(first[2 * row + j]);
                assert!((got - expected).abs() < 1e-6, "{got}, not {expected}");
            }
            let noise = TensorData::new(noise, [1, 3, 2]);
            let noise = Tensor::from_data(noise, (&device(), DType::F64));
            let same = host(of(matrix(&LOG_STD, [3, 2])).rsample(noise));
            assert!((0..2).all(|j| (same[j] - f64::from(first[2 * row + j])).abs() < 1e-6));
        }
        let noted = Exploration::from_noise(lanes[1].noise().to_vec());
        assert_eq!(noted, lanes[1]);
        lanes[1].redraw(&mut rng);
        assert_ne!(first[2..4], act(&lanes)[2..4], "a new matrix, a new action");
    }

    #[test]
    fn extremes_stay_finite() {
        let action = || typed(&[3.0, -2.0], [1, 2], DType::F32);
        for log_std in [-50.0, 50.0] {
            for squash in [|d: Gsde| d, Gsde::squashed] {
                let of = |x| squash(of(x));
                stays_finite("log p", &[log_std; 6], [3, 2], |x| of(x).log_prob(action()));
                stays_finite("H", &[log_std; 6], [3, 2], |x| of(x).entropy());
            }
        }
        let without = |x: Tensor<2>| {
            Gsde::new(typed(&MEAN, [1, 2], DType::F32), x, typed(&LOG_STD, [3, 2], DType::F32))
        };
        stays_finite("log p", &[0.0; 3], [1, 3], |x| without(x).log_prob(action()));
    }
}
