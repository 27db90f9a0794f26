//! A Gaussian pressed into a box by tanh.

use std::f64::consts::{LN_2, PI};

use burn::tensor::{Tensor, TensorData};
use rand::Rng;

use super::{ActionBatch, DiagGaussian, special::softplus};
use crate::{PolicyError, tanh};

/// log σ of a network's own making, as in the reference implementations of SAC: below, exploration is
/// over; above, every action is at a bound.
const LOG_STD: (f64, f64) = (-20.0, 2.0);
/// Points, and standard deviations to either side, of the sum that an entropy is.
const NODES: usize = 80;
const REACH: f64 = 6.0;

/// a = tanh u with u ~ 𝒩(μ, diag σ²): a distribution on (−1, 1)ᵈ (Haarnoja et al., 2018).
///
/// What is drawn, stored and handed to [`log_prob`](Self::log_prob) is u. The density is that of
/// a = tanh u nevertheless, and nobody has to invert tanh next to ±1, where f32 no longer tells u's
/// apart. The affine map from (−1, 1) to the bounds of an action space happens at the environment
/// ([`Policy::to_env`](crate::Policy::to_env)); it would shift the log-density by the constant
/// −Σⱼ log ½(highⱼ − lowⱼ), which no gradient and no ratio of probabilities feels, and is left out, so
/// that a target entropy of −d means the same in every action space.
#[derive(Clone, Debug)]
pub struct SquashedGaussian {
    /// u's distribution.
    normal: DiagGaussian,
}

impl SquashedGaussian {
    /// tanh of 𝒩(μ, diag exp(2 log σ)), log σ being moved to the nearest number in [−20, 2].
    ///
    /// # Shapes
    /// `mean`: `[rows, dims]`; `log_std`: `[rows, dims]` or `[1, dims]`.
    pub fn new(mean: Tensor<2>, log_std: Tensor<2>) -> Self {
        Self::of(DiagGaussian::new(mean, log_std.clamp(LOG_STD.0, LOG_STD.1)))
    }

    /// tanh of this Gaussian.
    pub(super) fn of(normal: DiagGaussian) -> Self {
        Self { normal }
    }

    /// log p(tanh u) = log 𝒩(u; μ, σ²) − Σⱼ log(1 − tanh² uⱼ).
    ///
    /// # Shapes
    /// `unsquashed`, that is u: `[rows, dims]`; result: `[rows]`.
    pub fn log_prob(&self, unsquashed: Tensor<2>) -> Tensor<1> {
        let log_det = log_slope(unsquashed.clone()).sum_dim(1).squeeze_dim(1);
        self.normal.log_prob(unsquashed) - log_det
    }

    /// The same without autodiff.
    #[must_use]
    pub fn valid(&self) -> Self {
        Self { normal: self.normal.valid() }
    }

    /// H = H(𝒩(μ, σ²)) + Σⱼ E[log(1 − tanh² uⱼ)], in nats.
    ///
    /// The expectations have no closed form. Each is an integral over one Gaussian number, and summed
    /// over 80 equidistant points within six σ (for smooth functions the trapezoid rule converges
    /// faster than any power of the step), which is right to 1e-4 where σ ≤ e² and to f32's rounding
    /// where σ ≤ 3. Gradients flow through it, and no noise is needed. An algorithm that has drawn an
    /// action anyway, as SAC has, estimates the entropy by −log p of that action instead.
    ///
    /// # Shapes
    /// Result: `[rows]`.
    pub fn entropy(&self) -> Tensor<1> {
        let (mean, log_std) = self.normal.parameters();
        let to = (&mean.device(), mean.dtype());
        let step = 2.0 * REACH / (NODES - 1) as f64;
        let nodes: Vec<f64> = (0..NODES).map(|i| step * i as f64 - REACH).collect();
        let weights =
            nodes.iter().map(|z| step * (-0.5 * z * z).exp() / (2.0 * PI).sqrt()).collect();
        let row = |values| Tensor::<3>::from_data(TensorData::new(values, [1, 1, NODES]), to);
        let spread = log_std.exp().unsqueeze_dim(2) * row(nodes);
        let expected = (log_slope(mean.unsqueeze_dim(2) + spread) * row(weights)).sum_dim(2);
        self.normal.entropy() + expected.squeeze_dim::<2>(2).sum_dim(1).squeeze_dim(1)
    }

    /// u = μ + σ·ε, a function of parameters and noise through which gradients flow;
    /// [`squash`](Self::squash) makes the action of it.
    ///
    /// # Shapes
    /// `noise`, result: `[rows, dims]`.
    pub fn rsample(&self, noise: Tensor<2>) -> Tensor<2> {
        self.normal.rsample(noise)
    }

    /// a = tanh u, within ±1, for a critic that is to judge it.
    ///
    /// # Shapes
    /// `unsquashed`, that is u, and result: `[rows, dims]`.
    pub fn squash(unsquashed: Tensor<2>) -> Tensor<2> {
        tanh(unsquashed)
    }

    /// u ~ 𝒩(μ, σ²), `dims` normal numbers from each row's stream.
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
        self.normal.sample(streams)
    }

    /// μ, where u's density is highest; tanh μ is the median of a, and what SAC acts with when it does
    /// not explore. (a's own density may peak elsewhere, even at both bounds.)
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`].
    pub fn mode(&self) -> Result<ActionBatch, PolicyError> {
        self.normal.mode()
    }
}

/// log(1 − tanh² u) = 2 (log 2 − u − softplus(−2u)), entry by entry, finite for every u.
fn log_slope<const D: usize>(u: Tensor<D>) -> Tensor<D> {
    (u.clone() + softplus(u * -2.0)) * -2.0 + 2.0 * LN_2
}

#[cfg(all(test, any(feature = "flex", feature = "ndarray")))]
mod tests {
    use burn::tensor::DType;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    use super::*;
    use crate::distribution::testing::{
        check_gradient, check_moments, host, integrate, matrix, numbers, stays_finite, tanh_slope,
        typed,
    };

    /// μ in the first row, log σ in the second, of one action.
    fn of(x: &Tensor<2>) -> SquashedGaussian {
        SquashedGaussian::new(x.clone().narrow(0, 0, 1), x.clone().narrow(0, 1, 1))
    }

    /// log p at tanh u for many u at once, of one dimension.
    fn log_density(mu: f64, log_std: f64, u: &[f64]) -> Vec<f64> {
        let mean = matrix(&vec![mu; u.len()], [u.len(), 1]);
        let d = SquashedGaussian::new(mean, matrix(&[log_std], [1, 1]));
        host(d.log_prob(matrix(u, [u.len(), 1])))
    }

    #[test]
    fn the_density_of_the_squashed_action_integrates_to_one_and_entropy_is_the_integral() {
        for (mu, log_std) in [(0.0, 0.0), (0.4, -1.0), (-1.5, 0.3), (0.8, -3.0), (3.0, -0.5)] {
            // Over a ∈ (−1, 1), but in even steps of u, so that the ends are seen.
            let (total, entropy) =
                integrate((-14.0, 14.0), 30_000, tanh_slope, |u| log_density(mu, log_std, u));
            assert!((total - 1.0).abs() < 1e-9, "∫p da = {total} at μ = {mu}, log σ = {log_std}");
            let got = host(of(&matrix(&[mu, log_std], [2, 1])).entropy())[0];
            assert!((got - entropy).abs() < 1e-7, "H = {entropy} but {got} at {mu}, {log_std}");
        }
    }

    #[test]
    fn the_density_is_that_of_the_action_itself() {
        // Directly in a, by the change of variables with atanh, where that still works.
        for (a, mu, log_std) in [(0.3f64, 0.1f64, -0.2f64), (-0.9, 0.5, 0.4), (0.99, 1.0, 0.0)] {
            let z = (a.atanh() - mu) / log_std.exp();
            let normal = -0.5 * (z * z + 2.0 * log_std + (2.0 * PI).ln());
            let expected = normal - (1.0 - a * a).ln();
            let got = log_density(mu, log_std, &[a.atanh()])[0];
            assert!((got - expected).abs() < 1e-10, "log p({a}) = {expected}: {got}");
        }
    }

    #[test]
    fn the_entropy_holds_where_the_sum_is_coarsest() {
        // σ = e²: by brute force over u, on a grid forty times as fine.
        let std = 2f64.exp();
        for mu in [0.0, 0.31, 1.0, 4.0] {
            let width = 1e-2;
            let brute: f64 = (-6_000..6_000)
                .map(|i| {
                    let u = mu + width * f64::from(i);
                    let p = (-0.5 * ((u - mu) / std).powi(2)).exp() / (std * (2.0 * PI).sqrt());
                    width * p * tanh_slope(u).ln()
                })
                .sum();
            let normal = 2.0 + 0.5 * (2.0 * PI * std::f64::consts::E).ln();
            let got = host(of(&matrix(&[mu, 2.0], [2, 1])).entropy())[0];
            assert!((got - normal - brute).abs() < 1e-4, "{got}, not {}", normal + brute);
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let x = [0.5, -1.0, 0.1, -0.3];
        let u = [1.0, -2.5];
        check_gradient("log p", &x, [2, 2], |x| of(&x).log_prob(matrix(&u, [1, 2])));
        check_gradient("H", &x, [2, 2], |x| of(&x).entropy());
        // As SAC differentiates: through the action that is drawn, and through its log-density.
        let noise = || matrix(&[0.7, -1.2], [1, 2]);
        check_gradient("log p(tanh(μ + σε))", &x, [2, 2], |x| {
            of(&x).log_prob(of(&x).rsample(noise()))
        });
        check_gradient("tanh(μ + σε)", &x, [2, 2], |x| {
            let action = SquashedGaussian::squash(of(&x).rsample(noise()));
            (action * matrix(&[1.0, 3.0], [1, 2])).sum_dim(1).squeeze_dim(1)
        });
    }

    #[test]
    fn what_is_drawn_is_u_and_minus_its_log_density_averages_to_the_entropy() {
        let x = matrix(&[0.5, 0.2], [2, 1]);
        let mut rng = Pcg64::seed_from_u64(8);
        let drawn: Vec<f64> = (0..20_000)
            .map(|_| f64::from(numbers(of(&x).sample([&mut rng]).unwrap())[0]))
            .collect();
        check_moments("u", &drawn, 0.5, 0.2f64.exp());
        let surprise: Vec<f64> = log_density(0.5, 0.2, &drawn).iter().map(|l| -l).collect();
        let n = surprise.len() as f64;
        let mean = surprise.iter().sum::<f64>() / n;
        let std = (surprise.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / n).sqrt();
        let entropy = host(of(&x).entropy())[0];
        assert!((mean - entropy).abs() < 5.0 * std / n.sqrt(), "{mean}, not {entropy}");
        assert_eq!(numbers(of(&x).mode().unwrap()), [0.5]);
    }

    #[test]
    fn extremes_stay_finite() {
        for (u, log_std) in [(50.0, 50.0), (-50.0, -50.0), (50.0, -50.0), (0.0, 50.0)] {
            let x = [0.0, u, log_std, log_std];
            let action = || typed(&[u, u], [1, 2], DType::F32);
            stays_finite("log p", &x, [2, 2], |x| of(&x).log_prob(action()));
            stays_finite("H", &x, [2, 2], |x| of(&x).entropy());
            stays_finite("log p at its own sample", &x, [2, 2], |x| {
                of(&x).log_prob(of(&x).rsample(typed(&[3.0, -3.0], [1, 2], DType::F32)))
            });
        }
    }
}
