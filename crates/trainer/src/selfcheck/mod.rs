//! Questions to ask of a machine and a build before trusting them: are the gradients right on this device,
//! and how fast is it with networks of the size in mind? `elegante doctor` asks them all, `elegante bench`
//! the last.

mod gradients;
mod replay;
mod speed;
mod timing;

pub use gradients::{Precision, fused_error, gradient_error};
pub use replay::Experience;
pub use speed::{Acting, Stages, Update, Work, actions_per_second, updates_per_second};
pub use timing::{Timing, time};

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Numbers that look random, in (−1, 1), the same on every machine.
fn numbers(n: usize, salt: u64) -> Vec<f64> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    // The first few still look like the salt.
    (0..n + 8).map(|_| next()).skip(8).collect()
}

/// One of `n` for each of `rows` rows.
fn choices(rows: usize, n: usize, device: &Device) -> Tensor<1, Int> {
    let indices = (0..rows).map(|row| (row * 7 % n) as i32).collect();
    Tensor::from_data(TensorData::new(indices, [rows]), device)
}

/// The numbers of a tensor, on the host.
fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// |a − b|/|b|; NaN where a number is not finite.
fn relative_error(a: &[f64], b: &[f64]) -> f64 {
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}
