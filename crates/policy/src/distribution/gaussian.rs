//! A real vector with independent normal entries.

use std::f64::consts::{E, PI};

use burn::tensor::Tensor;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::{ActionBatch, check_finite, host_rows};
use crate::PolicyError;

/// log σ is kept within ±20, so that neither σ² nor 1/σ² leaves f32. No policy has a use for what lies
/// beyond; a log σ that got there stays, and gets gradient 0.
const LOG_STD_LIMIT: f64 = 20.0;

/// The diagonal Gaussian 𝒩(μ, diag σ²).
///
/// Actions are drawn unbounded and stored as drawn; who hands one to an environment clips it there,
/// so that log πθ(a|s) is the density of what was really drawn.
#[derive(Clone, Debug)]
pub struct DiagGaussian {
    /// `[rows, dims]`.
    mean: Tensor<2>,
    /// `[rows, dims]` or `[1, dims]`.
    log_std: Tensor<2>,
}

impl DiagGaussian {
    /// 𝒩(μ, diag exp(2 log σ)), log σ being moved to the nearest number in [−20, 20].
    ///
    /// # Shapes
    /// `mean`: `[rows, dims]`; `log_std`: `[rows, dims]`, or `[1, dims]` when σ is the same in every
    /// state.
    pub fn new(mean: Tensor<2>, log_std: Tensor<2>) -> Self {
        Self { mean, log_std: log_std.clamp(-LOG_STD_LIMIT, LOG_STD_LIMIT) }
    }

    /// log p(a) = −½ Σⱼ [((aⱼ − μⱼ)/σⱼ)² + 2 log σⱼ + log 2π].
    ///
    /// # Shapes
    /// `action`: `[rows, dims]`; result: `[rows]`.
    pub fn log_prob(&self, action: Tensor<2>) -> Tensor<1> {
        let z = (action - self.mean.clone()) * (-self.log_std.clone()).exp();
        let per_dim = z.square() + self.log_std.clone() * 2.0 + (2.0 * PI).ln();
        (per_dim.sum_dim(1) * -0.5).squeeze_dim(1)
    }

    /// The same without autodiff.
    #[must_use]
    pub fn valid(&self) -> Self {
        Self { mean: self.mean.clone().inner(), log_std: self.log_std.clone().inner() }
    }

    /// H = Σⱼ [log σⱼ + ½ log 2πe], in nats.
    ///
    /// # Shapes
    /// Result: `[rows]`.
    pub fn entropy(&self) -> Tensor<1> {
        let [rows, _] = self.mean.dims();
        let per_dim = self.log_std.clone() + 0.5 * (2.0 * PI * E).ln();
        per_dim.sum_dim(1).squeeze_dim::<1>(1).expand([rows])
    }

    /// μ + σ·ε: an action as a function of parameters and noise, through which gradients flow. With
    /// ε ~ 𝒩(0, I) it has this distribution (Kingma and Welling, 2014).
    ///
    /// # Shapes
    /// `noise`, result: `[rows, dims]`.
    pub fn rsample(&self, noise: Tensor<2>) -> Tensor<2> {
        self.mean.clone() + self.log_std.clone().exp() * noise
    }

    /// μ + σ·ε with ε ~ 𝒩(0, I), `dims` normal numbers from each row's stream.
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
        let [_, dims] = self.mean.dims();
        let std = host_rows(self.log_std.clone().exp());
        let mut values = self.mean_on_host()?;
        let mut streams = streams.into_iter();
        for (row, std) in values.chunks_exact_mut(dims).zip(std.chunks_exact(dims).cycle()) {
            let stream = streams.next().expect("a random stream for every row");
            for (value, std) in row.iter_mut().zip(std) {
                *value += std * stream.sample::<f32, _>(StandardNormal);
            }
        }
        check_finite(&values, dims)?;
        Ok(ActionBatch::Continuous { values, dims })
    }

    /// μ.
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`].
    pub fn mode(&self) -> Result<ActionBatch, PolicyError> {
        let [_, dims] = self.mean.dims();
        Ok(ActionBatch::Continuous { values: self.mean_on_host()?, dims })
    }

    /// μ on the host, row by row, checked to be finite.
    pub(super) fn mean_on_host(&self) -> Result<Vec<f32>, PolicyError> {
        let [_, dims] = self.mean.dims();
        let values = host_rows(self.mean.clone());
        check_finite(&values, dims)?;
        Ok(values)
    }

    /// μ and log σ.
    ///
    /// # Shapes
    /// `[rows, dims]`, and `[rows, dims]` or `[1, dims]`.
    pub(super) fn parameters(&self) -> (Tensor<2>, Tensor<2>) {
        (self.mean.clone(), self.log_std.clone())
    }
}

#[cfg(all(test, any(feature = "flex", feature = "ndarray")))]
mod tests {
    use burn::tensor::DType;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    use super::*;
    use crate::distribution::testing::{
        check_gradient, check_moments, host, integrate, matrix, numbers, stays_finite, typed,
    };

    /// μ in the first row, log σ in the second, of one action with `dims` entries.
    fn of(x: &Tensor<2>) -> DiagGaussian {
        DiagGaussian::new(x.clone().narrow(0, 0, 1), x.clone().narrow(0, 1, 1))
    }

    #[test]
    fn the_density_integrates_to_one_and_its_entropy_is_the_integral() {
        let (mu, log_std) = (0.3, -0.4);
        let (total, entropy) = integrate(
            (-8.0, 8.0),
            4000,
            |_| 1.0,
            |xs| {
                let mean = matrix(&vec![mu; xs.len()], [xs.len(), 1]);
                let d = DiagGaussian::new(mean, matrix(&[log_std], [1, 1]));
                host(d.log_prob(matrix(xs, [xs.len(), 1])))
            },
        );
        assert!((total - 1.0).abs() < 1e-10, "{total}");
        let d = of(&matrix(&[mu, log_std], [2, 1]));
        assert!((entropy - host(d.entropy())[0]).abs() < 1e-9, "{entropy}");
    }

    #[test]
    fn dimensions_add_up_and_gradients_reach_mean_and_log_std() {
        let action = [1.0, -0.5];
        let x = matrix(&[0.5, -1.0, 0.1, -0.3], [2, 2]).require_grad();
        let grads = of(&x).log_prob(matrix(&action, [1, 2])).sum().backward();
        let got = host(x.grad(&grads).unwrap());
        for (j, (mu, ls)) in [(0.5f64, 0.1f64), (-1.0, -0.3)].into_iter().enumerate() {
            let z = (action[j] - mu) / ls.exp();
            assert!((got[j] - z / ls.exp()).abs() < 1e-12); // ∂/∂μ = (a − μ)/σ²
            assert!((got[2 + j] - (z * z - 1.0)).abs() < 1e-12); // ∂/∂log σ = z² − 1
        }
    }

    #[test]
    fn a_deviation_of_its_own_for_every_row_is_used_in_that_row() {
        let mean = matrix(&[0.0, 1.0, 2.0, 3.0], [2, 2]);
        let log_std = [0.5, -1.0, -2.0, 1.0];
        let d = DiagGaussian::new(mean, matrix(&log_std, [2, 2]));
        let entropy = host(d.entropy());
        assert!((entropy[0] - entropy[1] - (0.5 - 1.0 + 2.0 - 1.0)).abs() < 1e-12, "{entropy:?}");
        let at_mean = host(d.log_prob(matrix(&[0.0, 1.0, 2.0, 3.0], [2, 2])));
        let peak = |a: f64, b: f64| -(a + b) - (2.0 * PI).ln();
        assert!((at_mean[0] - peak(0.5, -1.0)).abs() < 1e-12, "{at_mean:?}");
        assert!((at_mean[1] - peak(-2.0, 1.0)).abs() < 1e-12, "{at_mean:?}");
        let seeds = || [Pcg64::seed_from_u64(1), Pcg64::seed_from_u64(1)];
        let drawn = numbers(d.sample(&mut seeds()).unwrap());
        // Equal streams give equal noise: what differs between the rows is σ.
        let noise = |i: usize| (f64::from(drawn[i]) - i as f64) / log_std[i].exp();
        assert!((noise(0) - noise(2)).abs() < 1e-6 && (noise(1) - noise(3)).abs() < 1e-6);
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let x = [0.5, -1.0, 0.1, -0.3];
        let a = [1.0, -0.5];
        check_gradient("log p", &x, [2, 2], |x| of(&x).log_prob(matrix(&a, [1, 2])));
        check_gradient("H", &x, [2, 2], |x| of(&x).entropy());
        let noise = || matrix(&[0.7, -1.2], [1, 2]);
        check_gradient("μ + σε", &x, [2, 2], |x| {
            (of(&x).rsample(noise()) * matrix(&[1.0, 3.0], [1, 2])).sum_dim(1).squeeze_dim(1)
        });
    }

    #[test]
    fn samples_have_the_mean_and_spread_they_claim() {
        let d = of(&matrix(&[2.0, -1.0, 0.0, 1.0], [2, 2]));
        let mut rng = Pcg64::seed_from_u64(5);
        let drawn: Vec<f32> =
            (0..20_000).flat_map(|_| numbers(d.sample([&mut rng]).unwrap())).collect();
        for (j, (mean, std)) in [(2.0, 1.0), (-1.0, E)].into_iter().enumerate() {
            let entry: Vec<f64> = drawn.iter().skip(j).step_by(2).map(|&x| x.into()).collect();
            check_moments("a Gaussian", &entry, mean, std);
        }
        let mode = d.mode().unwrap();
        assert_eq!(mode, ActionBatch::Continuous { values: vec![2.0, -1.0], dims: 2 });
    }

    #[test]
    fn a_sample_is_its_reparameterisation_at_the_streams_own_noise() {
        let d = of(&matrix(&[2.0, -1.0, 0.3, 1.0], [2, 2]));
        let drawn = numbers(d.sample([&mut Pcg64::seed_from_u64(6)]).unwrap());
        let mut rng = Pcg64::seed_from_u64(6);
        let noise = [(); 2].map(|()| f64::from(rng.sample::<f32, _>(StandardNormal)));
        let same = host(d.rsample(matrix(&noise, [1, 2])));
        for (drawn, same) in drawn.into_iter().zip(same) {
            assert!((f64::from(drawn) - same).abs() < 1e-6, "{drawn} {same}");
        }
    }

    #[test]
    fn extreme_deviations_stay_finite_and_stop_learning() {
        for log_std in [-50.0, 50.0] {
            let x = [0.0, 1.5, log_std, log_std];
            let action = || typed(&[3.0, -2.0], [1, 2], DType::F32);
            stays_finite("log p", &x, [2, 2], |x| of(&x).log_prob(action()));
            stays_finite("H", &x, [2, 2], |x| of(&x).entropy());
            let x = matrix(&x, [2, 2]).require_grad();
            let gradients = of(&x).entropy().sum().backward();
            assert_eq!(host(x.grad(&gradients).unwrap()), [0.0; 4], "beyond the limit");
        }
    }
}
