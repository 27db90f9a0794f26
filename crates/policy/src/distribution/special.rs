//! Functions of tensors that the distributions need and burn does not have.

use std::f64::consts::PI;

use burn::tensor::{Tensor, activation::log_sigmoid};

/// log(1 + eˣ), which overflows nowhere; its derivative is σ(x).
pub(super) fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    -log_sigmoid(-x)
}

/// Where Lanczos's approximation puts its square root and its powers: at z + 5 − ½.
const SHIFT: f64 = 4.5;
/// Its constant term and the residues of its poles at 0, −1, …, −5 (g = 5; C. Lanczos, 1964). With
/// them Γ is right to 2e-10, relative, and nothing cancels: f32 loses less than its last digit.
const CONSTANT: f64 = 1.000_000_000_190_015;
const RESIDUES: [f64; 6] = [
    76.180_091_729_471_46,
    -86.505_320_329_416_77,
    24.014_098_240_830_91,
    -1.231_739_572_450_155,
    0.120_865_097_386_617_9e-2,
    -0.539_523_938_495_3e-5,
];

/// log B(a, b) = log Γ(a) + log Γ(b) − log Γ(a + b) for a, b ≥ 1; its derivative by a is
/// ψ(a) − ψ(a + b).
///
/// With Γ(z) = √2π (z + 4½)^(z − ½) e^(−z − 4½) L(z) the large terms of the three logarithms cancel on
/// paper, before they can cancel in floating point.
///
/// # Shapes
/// `a`, `b`, result: `[rows, dims]`.
pub(super) fn log_beta(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let less = a.clone().lower(b.clone());
    let small = b.clone().mask_where(less.clone(), a.clone());
    let large = a.mask_where(less, b);
    let sum = small.clone() + large.clone();
    let lanczos = |z: Tensor<2>| Lanczos::at(z).sum;
    let ratio = lanczos(small.clone()) * lanczos(large.clone()) / lanczos(sum.clone());
    let whole = sum + SHIFT;
    // (large + 4½)/whole may be next to 1, where only log1p sees what is missing.
    let log_small = ((small.clone() + SHIFT) / whole.clone()).log();
    let log_large = (-small.clone() / whole.clone()).log1p();
    ratio.log() + (small - 0.5) * log_small + (large - 0.5) * log_large - whole.log() * 0.5
        + (0.5 * (2.0 * PI).ln() - SHIFT)
}

/// ψ(z) = d log Γ(z)/dz for z ≥ 1.
///
/// # Shapes
/// `z`, result: `[rows, dims]`.
pub(super) fn digamma(z: Tensor<2>) -> Tensor<2> {
    let Lanczos { sum, slope } = Lanczos::at(z.clone());
    let whole = z + SHIFT;
    slope / sum + whole.clone().log() - whole.recip() * (SHIFT + 0.5)
}

/// L(z) = c₀ + Σₖ cₖ/(z − 1 + k), and its derivative.
struct Lanczos {
    sum: Tensor<2>,
    slope: Tensor<2>,
}

impl Lanczos {
    fn at(z: Tensor<2>) -> Self {
        let to = (&z.device(), z.dtype());
        let residues = Tensor::<3>::from_data([[RESIDUES]], to);
        let poles = Tensor::<3>::from_data([[[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]], to);
        let inverse = (z.unsqueeze_dim::<3>(2) + poles).recip();
        let terms = inverse.clone() * residues;
        Self {
            sum: terms.clone().sum_dim(2).squeeze_dim(2) + CONSTANT,
            slope: -(terms * inverse).sum_dim(2).squeeze_dim(2),
        }
    }
}

#[cfg(all(test, any(feature = "flex", feature = "ndarray")))]
mod tests {
    use burn::tensor::DType;

    use super::*;
    use crate::distribution::testing::{column, host, slope_of};

    /// From 1, where Γ bends most, to where a Gaussian would do.
    const POINTS: [f64; 12] =
        [1.0, 1.0625, 1.25, 1.461_632, 2.0, 2.5, 3.75, 7.0, 20.5, 51.0, 333.0, 4096.0];

    /// log Γ and ψ by Stirling's series, far out where it is exact, and the recurrence back from there.
    fn stirling(z: f64) -> (f64, f64) {
        let (mut far, mut log, mut harmonic) = (z, 0.0, 0.0);
        while far < 40.0 {
            (log, harmonic, far) = (log + far.ln(), harmonic + 1.0 / far, far + 1.0);
        }
        let r = 1.0 / (far * far);
        let series = (1.0 / 12.0 - r * (1.0 / 360.0 - r / 1260.0)) / far;
        let slope = r * (1.0 / 12.0 - r * (1.0 / 120.0 - r / 252.0));
        let log_gamma = (far - 0.5) * far.ln() - far + 0.5 * (2.0 * PI).ln() + series;
        (log_gamma - log, far.ln() - 0.5 / far - slope - harmonic)
    }

    #[test]
    fn the_reference_knows_the_values_in_the_tables() {
        let (log_gamma, psi) = stirling(1.0);
        assert!(log_gamma.abs() < 1e-13 && (psi + 0.577_215_664_901_532_9).abs() < 1e-13);
        assert!((stirling(10.0).0 - 362_880f64.ln()).abs() < 1e-13);
        assert!((stirling(0.5).0 - PI.sqrt().ln()).abs() < 1e-13);
    }

    #[test]
    fn log_beta_and_its_gradient_are_right_to_1e_9_and_in_f32_to_1e_5() {
        // Absolute, and relative to a value that may be large.
        for (dtype, tolerance, relative) in [(DType::F64, 1e-9, 0.0), (DType::F32, 1e-5, 2e-7)] {
            for b in POINTS {
                let fixed = column(&vec![b; POINTS.len()], dtype);
                let got = host(log_beta(column(&POINTS, dtype), fixed.clone()));
                let slope = slope_of(&POINTS, dtype, |a| log_beta(a, fixed.clone()));
                for (i, a) in POINTS.into_iter().enumerate() {
                    let [at_a, at_b, at_sum] = [a, b, a + b].map(stirling);
                    let exact = at_a.0 + at_b.0 - at_sum.0;
                    let off = (got[i] - exact).abs();
                    assert!(off < tolerance + relative * exact.abs(), "log B({a}, {b}): off {off}");
                    let off = (slope[i] - at_a.1 + at_sum.1).abs();
                    assert!(off < tolerance, "∂/∂a log B({a}, {b}): off {off}");
                }
            }
        }
    }

    #[test]
    fn digamma_and_its_gradient_are_those_of_the_function() {
        for (dtype, tolerance) in [(DType::F64, 1e-9), (DType::F32, 2e-6)] {
            let got = host(digamma(column(&POINTS, dtype)));
            let slope = slope_of(&POINTS, dtype, digamma);
            for (i, z) in POINTS.into_iter().enumerate() {
                let exact = stirling(z).1;
                assert!((got[i] - exact).abs() < tolerance, "ψ({z}) = {exact}: {}", got[i]);
                let trigamma = (stirling(z + 1e-4).1 - stirling(z - 1e-4).1) / 2e-4;
                let off = (slope[i] - trigamma).abs();
                assert!(off < tolerance.max(1e-7), "ψ′({z}) = {trigamma}: {}", slope[i]);
            }
        }
    }

    #[test]
    fn softplus_is_exact_in_its_tails_and_half_as_steep_at_zero() {
        let points = [-1e4, -50.0, -20.0, -1.0, 0.0, 1.0, 20.0, 50.0, 1e4];
        let got = host(softplus(column(&points, DType::F32)));
        let slope = slope_of(&points, DType::F32, softplus);
        for (i, x) in points.into_iter().enumerate() {
            let exact = x.max(0.0) + (-x.abs()).exp().ln_1p();
            assert!((got[i] - exact).abs() <= 2e-7 * exact + 1e-30, "softplus({x}): {}", got[i]);
            let sigmoid = 1.0 / (1.0 + (-x).exp());
            assert!((slope[i] - sigmoid).abs() < 2e-7, "softplus′({x}): {}", slope[i]);
        }
    }
}
