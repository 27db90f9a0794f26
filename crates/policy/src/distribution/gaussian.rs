//! A real vector with independent normal entries.

use std::f64::consts::{E, PI};

use burn::tensor::Tensor;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::{ActionBatch, host_rows};
use crate::PolicyError;

/// The diagonal Gaussian 𝒩(μ, diag σ²) with a standard deviation that does not depend on the state.
///
/// Actions are drawn unbounded and stored as drawn; who hands one to an environment clips it there,
/// so that log πθ(a|s) is the density of what was really drawn.
#[derive(Clone, Debug)]
pub struct DiagGaussian {
    /// `[rows, dims]`.
    mean: Tensor<2>,
    /// `[1, dims]`.
    log_std: Tensor<2>,
}

impl DiagGaussian {
    /// 𝒩(μ, diag exp(2 log σ)).
    ///
    /// # Shapes
    /// `mean`: `[rows, dims]`; `log_std`: `[dims]`.
    pub fn new(mean: Tensor<2>, log_std: Tensor<1>) -> Self {
        Self { mean, log_std: log_std.unsqueeze() }
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

    /// H = Σⱼ [log σⱼ + ½ log 2πe], in nats.
    ///
    /// # Shapes
    /// Result: `[rows]`.
    pub fn entropy(&self) -> Tensor<1> {
        let [rows, _] = self.mean.dims();
        let per_dim = self.log_std.clone() + 0.5 * (2.0 * PI * E).ln();
        per_dim.sum_dim(1).squeeze_dim::<1>(1).expand([rows])
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
        let std = host_rows(self.log_std.clone().exp());
        let (mut values, dims) = self.mean_on_host()?;
        let mut streams = streams.into_iter();
        for row in values.chunks_exact_mut(dims) {
            let stream = streams.next().expect("a random stream for every row");
            for (value, std) in row.iter_mut().zip(&std) {
                *value += std * stream.sample::<f32, _>(StandardNormal);
            }
        }
        finite(&values, dims)?;
        Ok(ActionBatch::Continuous { values, dims })
    }

    /// μ.
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`].
    pub fn mode(&self) -> Result<ActionBatch, PolicyError> {
        let (values, dims) = self.mean_on_host()?;
        Ok(ActionBatch::Continuous { values, dims })
    }

    fn mean_on_host(&self) -> Result<(Vec<f32>, usize), PolicyError> {
        let [_, dims] = self.mean.dims();
        let values = host_rows(self.mean.clone());
        finite(&values, dims)?;
        Ok((values, dims))
    }
}

fn finite(values: &[f32], dims: usize) -> Result<(), PolicyError> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(i) => Err(PolicyError::OutputNotFinite { row: i / dims, value: values[i] }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceChoice;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    fn host(tensor: Tensor<1>) -> Vec<f64> {
        tensor.into_data().iter::<f64>().collect()
    }

    #[test]
    fn the_density_integrates_to_one_and_its_entropy_is_the_integral() {
        let device = DeviceChoice::Auto.open().unwrap();
        let (mu, log_std) = (0.3f32, -0.4f32);
        let (low, high, n) = (-8.0, 8.0, 4001);
        let width = (high - low) / f64::from(n - 1);
        let xs: Vec<f32> = (0..n).map(|i| (low + width * f64::from(i)) as f32).collect();
        let rows = xs.len();
        let actions = Tensor::<1>::from_data(xs.as_slice(), &device).reshape([rows, 1]);
        let d = DiagGaussian::new(
            Tensor::full([rows, 1], mu, &device),
            Tensor::from_data([log_std], &device),
        );
        let log_p = host(d.log_prob(actions));
        let total: f64 = log_p.iter().map(|l| l.exp() * width).sum();
        let entropy: f64 = log_p.iter().map(|l| -l.exp() * l * width).sum();
        assert!((total - 1.0).abs() < 1e-5, "{total}");
        assert!((entropy - host(d.entropy())[0]).abs() < 1e-4, "{entropy}");
    }

    #[test]
    fn dimensions_add_up_and_gradients_reach_mean_and_log_std() {
        let device = DeviceChoice::Auto.open().unwrap().autodiff();
        let mean = Tensor::<2>::from_data([[0.5f32, -1.0]], &device).require_grad();
        let log_std = Tensor::<1>::from_data([0.1f32, -0.3], &device).require_grad();
        let action = [1.0f64, -0.5];
        let d = DiagGaussian::new(mean.clone(), log_std.clone());
        let grads = d.log_prob(Tensor::from_data([[1.0f32, -0.5]], &device)).sum().backward();
        let got_mean: Vec<f64> = mean.grad(&grads).unwrap().into_data().iter().collect();
        let got_std: Vec<f64> = log_std.grad(&grads).unwrap().into_data().iter().collect();
        for (j, (mu, ls)) in [(0.5f64, 0.1f64), (-1.0, -0.3)].into_iter().enumerate() {
            let z = (action[j] - mu) / ls.exp();
            assert!((got_mean[j] - z / ls.exp()).abs() < 1e-5); // ∂/∂μ = (a − μ)/σ²
            assert!((got_std[j] - (z * z - 1.0)).abs() < 1e-5); // ∂/∂log σ = z² − 1
        }
    }

    #[test]
    fn samples_have_the_mean_and_spread_they_claim() {
        let device = DeviceChoice::Auto.open().unwrap();
        let d = DiagGaussian::new(
            Tensor::from_data([[2.0f32, -1.0]], &device),
            Tensor::from_data([0.0f32, 1.0], &device),
        );
        let mut rng = Pcg64::seed_from_u64(5);
        let n = 20_000;
        let mut sums = [[0f64; 2]; 2];
        for _ in 0..n {
            let ActionBatch::Continuous { values, .. } = d.sample([&mut rng]).unwrap() else {
                unreachable!("a Gaussian is continuous")
            };
            for j in 0..2 {
                sums[0][j] += f64::from(values[j]);
                sums[1][j] += f64::from(values[j]).powi(2);
            }
        }
        for (j, (mu, sigma)) in [(2.0f64, 1.0f64), (-1.0, E)].into_iter().enumerate() {
            let mean = sums[0][j] / f64::from(n);
            let std = (sums[1][j] / f64::from(n) - mean * mean).sqrt();
            assert!((mean - mu).abs() < 4.0 * sigma / f64::from(n).sqrt(), "{mean}");
            assert!((std / sigma - 1.0).abs() < 0.03, "{std}");
        }
        let mode = d.mode().unwrap();
        assert_eq!(mode, ActionBatch::Continuous { values: vec![2.0, -1.0], dims: 2 });
    }
}
