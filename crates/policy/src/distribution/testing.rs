//! What the distributions' tests measure with: F64 on a CPU, finite differences, plain sums.

use std::iter::zip;

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::ActionBatch;
use crate::DeviceChoice;

/// The first CPU compiled in: only there does burn compute in F64. With autodiff.
pub(crate) fn device() -> Device {
    let cpu = [DeviceChoice::Flex, DeviceChoice::NdArray];
    let choice = DeviceChoice::compiled_in().into_iter().find(|built| cpu.contains(built));
    choice.expect("compiled only with a CPU backend").open().expect("a CPU").autodiff()
}

/// Numbers as a `[rows, cols]` tensor of F64.
pub(crate) fn matrix(values: &[f64], shape: [usize; 2]) -> Tensor<2> {
    typed(values, shape, DType::F64)
}

/// Numbers as a `[n, 1]` tensor.
pub(crate) fn column(values: &[f64], dtype: DType) -> Tensor<2> {
    typed(values, [values.len(), 1], dtype)
}

pub(crate) fn typed(values: &[f64], shape: [usize; 2], dtype: DType) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (&device(), dtype))
}

pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// f′ at each point, for a function that acts on every entry by itself.
pub(crate) fn slope_of(
    points: &[f64],
    dtype: DType,
    f: impl Fn(Tensor<2>) -> Tensor<2>,
) -> Vec<f64> {
    let x = column(points, dtype).require_grad();
    let gradients = f(x.clone()).sum().backward();
    host(x.grad(&gradients).expect("f depends on x"))
}

/// Compares burn's gradient of `f` by all entries of `x` with central differences, in F64. The rows of
/// `f` are summed with unequal weights, so that none can stand in for another.
pub(crate) fn check_gradient(
    what: &str,
    x: &[f64],
    shape: [usize; 2],
    f: impl Fn(Tensor<2>) -> Tensor<1>,
) {
    let weigh = |rows: Tensor<1>| {
        let [n] = rows.dims();
        let weights: Vec<f64> = (0..n).map(|i| 1.0 + 0.25 * i as f64).collect();
        (rows * Tensor::from_data(TensorData::new(weights, [n]), (&device(), DType::F64))).sum()
    };
    let tensor = matrix(x, shape).require_grad();
    let gradients = weigh(f(tensor.clone())).backward();
    let gradient = host(tensor.grad(&gradients).expect("f depends on x"));
    let value = |x: &[f64]| host(weigh(f(matrix(x, shape))))[0];
    for (i, got) in gradient.into_iter().enumerate() {
        let h = 1e-5;
        let moved = |by: f64| {
            let mut x = x.to_vec();
            x[i] += by;
            value(&x)
        };
        let expected = (moved(h) - moved(-h)) / (2.0 * h);
        let off = (got - expected).abs() / expected.abs().max(1.0);
        assert!(off < 1e-7, "{what}: ∂/∂x{i} is {expected}, but burn says {got}");
    }
}

/// Whether value and gradient of `f` are free of NaN and infinities at `x`, in F32 as in training.
pub(crate) fn stays_finite(
    what: &str,
    x: &[f64],
    shape: [usize; 2],
    f: impl Fn(Tensor<2>) -> Tensor<1>,
) {
    let tensor = typed(x, shape, DType::F32).require_grad();
    let value = f(tensor.clone());
    let gradients = value.clone().sum().backward();
    let gradient = tensor.grad(&gradients).map(host).unwrap_or_default();
    let value = host(value);
    assert!(value.iter().all(|v| v.is_finite()), "{what} at {x:?}: {value:?}");
    assert!(gradient.iter().all(|g| g.is_finite()), "∇{what} at {x:?}: {gradient:?}");
}

/// ∫ p dx and −∫ p log p dx by the midpoint rule on `n` cells of t, where dx = `slope`(t) dt, given
/// log p at all their midpoints at once.
pub(crate) fn integrate(
    (low, high): (f64, f64),
    n: usize,
    slope: impl Fn(f64) -> f64,
    log_density: impl Fn(&[f64]) -> Vec<f64>,
) -> (f64, f64) {
    let width = (high - low) / n as f64;
    let points: Vec<f64> = (0..n).map(|i| low + width * (i as f64 + 0.5)).collect();
    let log_p = log_density(&points);
    let mass = |(t, log_p): (&f64, &f64)| log_p.exp() * slope(*t) * width;
    let masses: Vec<f64> = zip(&points, &log_p).map(mass).collect();
    (masses.iter().sum(), -dot(&masses, &log_p))
}

/// d tanh u/du = sech² u, to the last digit in its tails too.
pub(crate) fn tanh_slope(u: f64) -> f64 {
    u.cosh().powi(-2)
}

/// The numbers of a continuous batch.
pub(crate) fn numbers(batch: ActionBatch) -> Vec<f32> {
    let ActionBatch::Continuous { values, .. } = batch else { panic!("not continuous: {batch:?}") };
    values
}

/// Whether numbers drawn independently could have this mean and standard deviation: both lie within
/// five standard errors, the one of the deviation being exact for a normal distribution.
pub(crate) fn check_moments(what: &str, drawn: &[f64], mean: f64, std: f64) {
    let n = drawn.len() as f64;
    let m = drawn.iter().sum::<f64>() / n;
    let s = (drawn.iter().map(|x| (x - m).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    assert!((m - mean).abs() < 5.0 * std / n.sqrt(), "{what}: mean {m}, not {mean}");
    assert!((s / std - 1.0).abs() < 5.0 / (2.0 * n).sqrt(), "{what}: deviation {s}, not {std}");
}

/// Whether `count` of `n` draws could have had probability `p`: within five standard errors.
pub(crate) fn check_frequency(what: &str, count: usize, n: usize, p: f64) {
    let off = (count as f64 / n as f64 - p).abs();
    assert!(off <= 5.0 * (p * (1.0 - p) / n as f64).sqrt(), "{what}: {count} of {n}, not {p}");
}

/// Σ xᵢ yᵢ.
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    zip(x, y).map(|(x, y)| x * y).sum()
}
