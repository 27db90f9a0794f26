//! Initial weights, drawn on the host from the caller's own stream.
//!
//! burn initialises parameters lazily from a generator that belongs to the process; drawing them
//! here makes a network a pure function of its configuration and its seed, on every backend.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

/// How the weights of a network begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// Orthogonal weights times a gain, zero biases (Saxe et al., 2013): gain √2 in hidden layers.
    #[default]
    Orthogonal,
    /// burn's default, which is PyTorch's too: weights and biases from U(−1/√fan_in, 1/√fan_in).
    BurnDefault,
}

impl Init {
    /// Weight (`[inputs × outputs]`, row by row) and bias (`[outputs]`) of one linear layer, with an
    /// output for each of `gains`.
    pub(crate) fn draw(
        self,
        inputs: usize,
        gains: &[f64],
        rng: &mut impl Rng,
    ) -> (Vec<f32>, Vec<f32>) {
        let outputs = gains.len();
        match self {
            Self::Orthogonal => (orthogonal(inputs, gains, rng), vec![0.0; outputs]),
            Self::BurnDefault => {
                let bound = 1.0 / (inputs as f64).sqrt();
                let mut uniform = |n| -> Vec<f32> {
                    (0..n).map(|_| (bound * (2.0 * rng.random::<f64>() - 1.0)) as f32).collect()
                };
                (uniform(inputs * outputs), uniform(outputs))
            }
        }
    }
}

/// A `[rows × gains]` matrix whose shorter side is orthonormal but for the gain of each column,
/// uniformly distributed
/// (the Q of a Gaussian matrix, signs fixed by a positive diagonal of R: Mezzadri, 2007).
fn orthogonal(rows: usize, gains: &[f64], rng: &mut impl Rng) -> Vec<f32> {
    let cols = gains.len();
    let (count, length) = (rows.min(cols), rows.max(cols));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    while basis.len() < count {
        let mut vector: Vec<f64> = (0..length).map(|_| rng.sample(StandardNormal)).collect();
        let drawn = norm(&vector);
        // Gram–Schmidt, twice: the second pass removes what rounding left of the first.
        for _ in 0..2 {
            for unit in &basis {
                let along = dot(unit, &vector);
                vector.iter_mut().zip(unit).for_each(|(v, u)| *v -= along * u);
            }
        }
        let left = norm(&vector);
        // A vector that lay in the span of the others would give noise: draw it again.
        if left > 1e-6 * drawn {
            vector.iter_mut().for_each(|v| *v /= left);
            basis.push(vector);
        }
    }
    let entry =
        |row: usize, col: usize| if rows <= cols { basis[row][col] } else { basis[col][row] };
    (0..rows * cols).map(|i| (gains[i % cols] * entry(i / cols, i % cols)) as f32).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    #[test]
    fn the_shorter_side_of_an_orthogonal_matrix_is_orthogonal() {
        for (rows, cols) in [(4, 64), (64, 4), (8, 8), (1, 5), (5, 1)] {
            let gain = 1.7;
            let m = orthogonal(rows, &vec![gain; cols], &mut Pcg64::seed_from_u64(1));
            let vector = |i: usize| -> Vec<f64> {
                if rows <= cols {
                    m[i * cols..(i + 1) * cols].iter().map(|&x| f64::from(x)).collect()
                } else {
                    (0..rows).map(|r| f64::from(m[r * cols + i])).collect()
                }
            };
            for i in 0..rows.min(cols) {
                for j in 0..rows.min(cols) {
                    let expected = if i == j { gain * gain } else { 0.0 };
                    assert!((dot(&vector(i), &vector(j)) - expected).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn burn_default_stays_within_its_bound_and_fills_it() {
        let (w, b) = Init::BurnDefault.draw(16, &[1.0; 200], &mut Pcg64::seed_from_u64(2));
        let largest = w.iter().chain(&b).fold(0f32, |m, x| m.max(x.abs()));
        assert!(largest <= 0.25 && largest > 0.249, "{largest}");
        let mean: f32 = w.iter().sum::<f32>() / w.len() as f32;
        assert!(mean.abs() < 0.01, "{mean}");
    }
}
