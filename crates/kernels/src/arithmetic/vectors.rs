//! Arithmetic on flat vectors of parameters. Nothing here is rounded differently from machine to machine.

use super::machine::{Machine, Work, best};

/// ‖x‖₂, summed in f64.
pub fn norm(x: &[f32]) -> f64 {
    best(Norm(x))
}

struct Norm<'a>(&'a [f32]);

impl Work for Norm<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, _: M) -> f64 {
        // Several sums at once, since one would wait for itself; as many on every machine.
        let mut sums = [0.0; 16];
        let chunks = self.0.chunks_exact(16);
        let rest = chunks.remainder();
        let square = |x: f32| f64::from(x) * f64::from(x);
        for chunk in chunks {
            sums.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += square(*x));
        }
        sums.iter_mut().zip(rest).for_each(|(sum, x)| *sum += square(*x));
        sums.iter().sum::<f64>().sqrt()
    }
}

/// Whether no entry is infinite or NaN.
pub fn all_finite(x: &[f32]) -> bool {
    // Without a branch, so that the compiler vectorises it.
    x.iter().fold(true, |all, x| all & x.is_finite())
}

/// One step of Adam (Kingma & Ba, 2015, algorithm 1).
#[derive(Clone, Copy, Debug)]
pub struct AdamStep {
    /// β₁ and β₂.
    pub betas: [f32; 2],
    /// Learning rate / (1 − β₁ᵗ).
    pub size: f32,
    /// 1/√(1 − β₂ᵗ).
    pub correction: f32,
    /// ε.
    pub epsilon: f32,
}

impl AdamStep {
    /// m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², θ ← θ − size · m/(√v · correction + ε), in one
    /// pass. Returns whether every θ and v is finite.
    pub fn apply(self, θ: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) -> bool {
        best(Adam { step: self, θ, g, m, v })
    }
}

const SIGN: u32 = 1 << 31;

struct Adam<'a> {
    step: AdamStep,
    θ: &'a mut [f32],
    g: &'a [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
}

impl Work for Adam<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, _: M) -> bool {
        // The largest magnitudes as bits, which are ordered as the numbers are, infinity and NaN last: a
        // maximum of whole numbers is what the compiler vectorises.
        let magnitude = |x: f32| x.to_bits() & !SIGN;
        let mut largest = 0;
        let AdamStep { betas: [β_1, β_2], size, correction, epsilon } = self.step;
        let moments = self.m.iter_mut().zip(self.v);
        for ((θ, g), (m, v)) in self.θ.iter_mut().zip(self.g).zip(moments) {
            *m = β_1 * *m + (1.0 - β_1) * g;
            *v = β_2 * *v + (1.0 - β_2) * g * g;
            *θ -= size * *m / (v.sqrt() * correction + epsilon);
            largest = largest.max(magnitude(*θ)).max(magnitude(*v));
        }
        largest < f32::INFINITY.to_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_norm_is_the_root_of_the_sum_of_squares() {
        let x: Vec<f32> = (0..83).map(|i| (i as f32 - 40.0) / 8.0).collect();
        let exact = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        assert!((norm(&x) - exact).abs() < 1e-12 * exact);
        assert_eq!(norm(&[3.0, 4.0]), 5.0);
        assert_eq!(norm(&[]), 0.0);
        assert!(norm(&[1.0, f32::NAN]).is_nan());
    }

    #[test]
    fn one_entry_is_enough_not_to_be_finite() {
        let mut x = vec![1.0; 50];
        assert!(all_finite(&x) && all_finite(&[]));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            x[37] = bad;
            assert!(!all_finite(&x));
        }
    }

    #[test]
    fn adam_has_the_same_bits_in_every_batch_of_parameters() {
        let n = 75;
        let numbers = |scale: f32| (0..n).map(|i| scale * (i as f32 - 30.5)).collect::<Vec<_>>();
        let step = AdamStep { betas: [0.9, 0.999], size: 0.01, correction: 1.5, epsilon: 1e-5 };
        let run = |size: usize| {
            let (mut θ, g) = (numbers(0.1), numbers(-0.3));
            let (mut m, mut v) = (numbers(0.02), vec![0.5; n]);
            for at in (0..n).step_by(size) {
                let part = at..n.min(at + size);
                assert!(step.apply(
                    &mut θ[part.clone()],
                    &g[part.clone()],
                    &mut m[part.clone()],
                    &mut v[part],
                ));
            }
            (θ, m, v)
        };
        let whole = run(n);
        assert!([1, 7, 64].into_iter().all(|size| run(size) == whole));
    }

    #[test]
    fn adam_says_what_is_not_finite() {
        let step = AdamStep { betas: [0.9, 0.999], size: 0.01, correction: 1.0, epsilon: 1e-5 };
        let fine = |at: usize, θ: f32, g: f32| {
            let mut all = [vec![1.0; 20], vec![-2.0; 20], vec![0.0; 20], vec![0.0; 20]];
            (all[0][at], all[1][at]) = (θ, g);
            let [θ, g, m, v] = &mut all;
            step.apply(θ, g, m, v)
        };
        for at in [0, 7, 19] {
            assert!(fine(at, -1.0, f32::MIN_POSITIVE) && fine(at, f32::MIN, 1e18));
            // 0.001·g² overflows, and m is still finite.
            assert!(!fine(at, 1.0, 1e21) && !fine(at, 1.0, -f32::INFINITY));
            assert!(!fine(at, f32::NAN, 1.0) && !fine(at, f32::NEG_INFINITY, 1.0));
        }
    }
}
