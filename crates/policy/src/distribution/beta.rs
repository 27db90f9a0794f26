//! A bounded real vector with independent Beta entries.

use burn::tensor::Tensor;
use rand::Rng;
use rand_distr::Distribution as _;

use super::{
    ActionBatch, check_finite, host_rows,
    special::{digamma, log_beta, softplus},
};
use crate::PolicyError;

/// Actions stay this far from 0 and 1, half of f32's step below 1: there log x and log(1 − x) are
/// finite.
const EDGE: f32 = f32::EPSILON / 2.0;

/// Independent Beta distributions on (0, 1)ᵈ with α, β ≥ 1, so that each density has one peak and is
/// finite (Chou et al., 2017). Unlike a clipped Gaussian it puts no mass on the bounds.
///
/// Actions are drawn and stored in (0, 1). The affine map to the bounds of an action space happens at
/// the environment ([`Policy::to_env`](crate::Policy::to_env)); it would shift the log-density by the
/// constant −Σⱼ log(highⱼ − lowⱼ), which no gradient and no ratio of probabilities feels, and is left
/// out.
#[derive(Clone, Debug)]
pub struct Beta {
    /// `[rows, dims]`, at least 1.
    alpha: Tensor<2>,
    /// `[rows, dims]`, at least 1.
    beta: Tensor<2>,
}

impl Beta {
    /// α = 1 + softplus(`alpha`), β = 1 + softplus(`beta`).
    ///
    /// # Shapes
    /// `alpha`, `beta`: `[rows, dims]`, any real numbers.
    pub fn new(alpha: Tensor<2>, beta: Tensor<2>) -> Self {
        Self { alpha: softplus(alpha) + 1.0, beta: softplus(beta) + 1.0 }
    }

    /// log p(x) = Σⱼ [(αⱼ − 1) log xⱼ + (βⱼ − 1) log(1 − xⱼ) − log B(αⱼ, βⱼ)].
    ///
    /// # Shapes
    /// `action`, in (0, 1): `[rows, dims]`; result: `[rows]`.
    pub fn log_prob(&self, action: Tensor<2>) -> Tensor<1> {
        let x = action.clamp(EDGE, 1.0 - EDGE);
        let (alpha, beta) = (self.alpha.clone(), self.beta.clone());
        let per_dim = (alpha.clone() - 1.0) * x.clone().log() + (beta.clone() - 1.0) * (-x).log1p()
            - log_beta(alpha, beta);
        per_dim.sum_dim(1).squeeze_dim(1)
    }

    /// The same without autodiff.
    #[must_use]
    pub fn valid(&self) -> Self {
        Self { alpha: self.alpha.clone().inner(), beta: self.beta.clone().inner() }
    }

    /// H = Σⱼ [log B(αⱼ, βⱼ) − (αⱼ − 1)(ψ(αⱼ) − ψ(αⱼ + βⱼ)) − (βⱼ − 1)(ψ(βⱼ) − ψ(αⱼ + βⱼ))], in nats.
    ///
    /// # Shapes
    /// Result: `[rows]`.
    pub fn entropy(&self) -> Tensor<1> {
        let (alpha, beta) = (self.alpha.clone(), self.beta.clone());
        let of_sum = digamma(alpha.clone() + beta.clone());
        let term = |z: Tensor<2>| (z.clone() - 1.0) * (digamma(z) - of_sum.clone());
        let per_dim = log_beta(alpha.clone(), beta.clone()) - term(alpha) - term(beta);
        per_dim.sum_dim(1).squeeze_dim(1)
    }

    /// `dims` numbers in (0, 1) from each row's stream, by rejection (Cheng, 1978): how many random
    /// numbers that takes depends on them.
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
        let [_, dims] = self.alpha.dims();
        let (alpha, beta) = self.on_host()?;
        let mut streams = streams.into_iter();
        let mut values = Vec::with_capacity(alpha.len());
        for (row, (alpha, beta)) in
            alpha.chunks_exact(dims).zip(beta.chunks_exact(dims)).enumerate()
        {
            let stream = streams.next().expect("a random stream for every row");
            for (&a, &b) in alpha.iter().zip(beta) {
                let beta = rand_distr::Beta::new(f64::from(a), f64::from(b))
                    .map_err(|_| PolicyError::OutputNotFinite { row, value: a })?;
                values.push((beta.sample(stream) as f32).clamp(EDGE, 1.0 - EDGE));
            }
        }
        Ok(ActionBatch::Continuous { values, dims })
    }

    /// Where the density is highest, (α − 1)/(α + β − 2) in every dimension; ½ where it is flat.
    ///
    /// # Errors
    /// [`PolicyError::OutputNotFinite`].
    pub fn mode(&self) -> Result<ActionBatch, PolicyError> {
        let [_, dims] = self.alpha.dims();
        let (alpha, beta) = self.on_host()?;
        let peak = |(&a, &b): (&f32, &f32)| {
            let (a, b) = (f64::from(a) - 1.0, f64::from(b) - 1.0);
            let peak = if a + b > 0.0 { a / (a + b) } else { 0.5 };
            (peak as f32).clamp(EDGE, 1.0 - EDGE)
        };
        let values = alpha.iter().zip(&beta).map(peak).collect();
        Ok(ActionBatch::Continuous { values, dims })
    }

    fn on_host(&self) -> Result<(Vec<f32>, Vec<f32>), PolicyError> {
        let [_, dims] = self.alpha.dims();
        let (alpha, beta) = (host_rows(self.alpha.clone()), host_rows(self.beta.clone()));
        check_finite(&alpha, dims)?;
        check_finite(&beta, dims)?;
        Ok((alpha, beta))
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

    /// The first row for α, the second for β, of one action.
    fn of(x: &Tensor<2>) -> Beta {
        Beta::new(x.clone().narrow(0, 0, 1), x.clone().narrow(0, 1, 1))
    }

    /// What the network must say for α or β to be `z`.
    fn raw(z: f64) -> f64 {
        (z - 1.0).exp_m1().ln()
    }

    #[test]
    fn the_density_integrates_to_one_and_its_entropy_is_the_integral() {
        for (a, b) in [(1.7, 1.7), (1.05, 3.0), (8.0, 2.5), (40.0, 60.0), (1.0 + 1e-9, 1.5)] {
            let (total, entropy) = integrate(
                (0.0, 1.0),
                200_000,
                |_| 1.0,
                |xs| {
                    let rows = xs.len();
                    let fill = |z: f64| matrix(&vec![raw(z); rows], [rows, 1]);
                    host(Beta::new(fill(a), fill(b)).log_prob(matrix(xs, [rows, 1])))
                },
            );
            assert!((total - 1.0).abs() < 1e-6, "∫p = {total} at ({a}, {b})");
            let got = host(of(&matrix(&[raw(a), raw(b)], [2, 1])).entropy())[0];
            assert!((got - entropy).abs() < 5e-6, "H({a}, {b}) = {entropy}: {got}");
        }
    }

    #[test]
    fn a_polynomial_density_is_exact() {
        // Beta(2, 3): p = 12 x (1 − x)².
        let d = of(&matrix(&[raw(2.0), raw(3.0)], [2, 1]));
        for x in [0.1f64, 0.5, 0.9] {
            let got = host(d.log_prob(matrix(&[x], [1, 1])))[0];
            assert!((got - (12.0 * x * (1.0 - x).powi(2)).ln()).abs() < 1e-9, "{got}");
        }
        assert!((numbers(d.mode().unwrap())[0] - 1.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let x = [0.5, -1.0, 0.0, 4.0];
        check_gradient("log p", &x, [2, 2], |x| of(&x).log_prob(matrix(&[0.2, 0.9], [1, 2])));
        check_gradient("H", &x, [2, 2], |x| of(&x).entropy());
    }

    #[test]
    fn samples_have_the_mean_they_claim_and_the_spread() {
        let (alpha, beta) = ([1.2, 30.0], [4.0, 30.0]);
        let raws: Vec<f64> = alpha.iter().chain(&beta).map(|&z| raw(z)).collect();
        let d = of(&matrix(&raws, [2, 2]));
        let mut rng = Pcg64::seed_from_u64(5);
        let drawn: Vec<f32> =
            (0..20_000).flat_map(|_| numbers(d.sample([&mut rng]).unwrap())).collect();
        assert!(drawn.iter().all(|x| *x > 0.0 && *x < 1.0));
        for (j, (a, b)) in alpha.into_iter().zip(beta).enumerate() {
            let entry: Vec<f64> = drawn.iter().skip(j).step_by(2).map(|&x| x.into()).collect();
            let (sum, mean): (f64, f64) = (a + b, a / (a + b));
            let variance = mean * (1.0 - mean) / (sum + 1.0);
            check_moments("a Beta", &entry, mean, variance.sqrt());
        }
    }

    #[test]
    fn extremes_stay_finite_even_at_the_bounds() {
        for x in [[50.0, -50.0, -50.0, 50.0], [-50.0; 4], [50.0; 4], [1e4, -1e4, 1e4, -1e4]] {
            for action in [[0.0, 1.0], [0.5, 0.5]] {
                let action = || typed(&action, [1, 2], DType::F32);
                stays_finite("log p", &x, [2, 2], |x| of(&x).log_prob(action()));
            }
            stays_finite("H", &x, [2, 2], |x| of(&x).entropy());
            let d = of(&matrix(&x, [2, 2]));
            let drawn = numbers(d.sample([&mut Pcg64::seed_from_u64(1)]).unwrap());
            let mode = numbers(d.mode().unwrap());
            assert!(drawn.iter().chain(&mode).all(|x| *x > 0.0 && *x < 1.0), "{drawn:?} {mode:?}");
        }
        let flat = of(&matrix(&[-1e4, -1e4], [2, 1]));
        assert_eq!(numbers(flat.mode().unwrap()), [0.5]);
        assert!(host(flat.entropy())[0].abs() < 1e-9, "the uniform distribution on (0, 1)");
    }

    #[test]
    fn nan_is_an_error_that_names_the_row() {
        let d = Beta::new(matrix(&[0.0, 0.0], [2, 1]), matrix(&[0.0, f64::NAN], [2, 1]));
        let error = d.sample(&mut [Pcg64::seed_from_u64(0), Pcg64::seed_from_u64(1)]).unwrap_err();
        assert!(matches!(error, PolicyError::OutputNotFinite { row: 1, .. }), "{error}");
    }
}
