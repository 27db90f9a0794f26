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
        let mut sums = Squares::default();
        let (chunks, rest) = self.0.as_chunks::<SUMS>();
        for chunk in chunks {
            sums.add(chunk);
        }
        sums.add(rest);
        sums.root()
    }
}

/// x ← y; returns how far that is, ‖y − x‖₂.
///
/// # Panics
/// When they are not of one length: that is a mistake in the caller.
pub fn move_to(x: &mut [f32], y: &[f32]) -> f64 {
    assert_eq!(x.len(), y.len(), "vectors of one length");
    best(MoveTo(x, y))
}

struct MoveTo<'a>(&'a mut [f32], &'a [f32]);

impl Work for MoveTo<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, _: M) -> f64 {
        let mut sums = Squares::default();
        let (x, x_rest) = self.0.as_chunks_mut::<SUMS>();
        let (y, y_rest) = self.1.as_chunks::<SUMS>();
        for (x, y) in x.iter_mut().zip(y) {
            sums.add(&moved(x, y));
        }
        sums.add(&moved(x_rest, y_rest)[..y_rest.len()]);
        sums.root()
    }
}

/// x ← y; returns y − x of the old x.
#[inline(always)]
fn moved(x: &mut [f32], y: &[f32]) -> [f32; SUMS] {
    let mut differences = [0.0; SUMS];
    for ((difference, x), y) in differences.iter_mut().zip(x).zip(y) {
        *difference = y - *x;
        *x = *y;
    }
    differences
}

/// Sums at once, since one would wait for itself; as many on every machine.
const SUMS: usize = 16;

/// Sums of squares, in f64.
#[derive(Default)]
struct Squares([f64; SUMS]);

impl Squares {
    #[inline(always)]
    fn add(&mut self, x: &[f32]) {
        let square = |x: f32| f64::from(x) * f64::from(x);
        self.0.iter_mut().zip(x).for_each(|(sum, x)| *sum += square(*x));
    }

    /// The root of all of them together.
    #[inline(always)]
    fn root(&self) -> f64 {
        self.0.iter().sum::<f64>().sqrt()
    }
}

/// xᵢ ← exp xᵢ − 1, to a relative error of 1e-15.
pub fn exp_m1(x: &mut [f64]) {
    best(ExpM1(x));
}

struct ExpM1<'a>(&'a mut [f64]);

impl Work for ExpM1<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, _: M) {
        // All of them, and not as far as the first, for the compiler to vectorise.
        if self.0.iter().fold(true, |all, x| all & (x.abs() <= SMALL)) {
            self.0.iter_mut().for_each(|x| *x = exp_m1_of_small(*x));
        } else {
            for x in &mut *self.0 {
                *x = if x.abs() <= SMALL { exp_m1_of_small(*x) } else { libm::expm1(*x) };
            }
        }
    }
}

/// Up to here, 14 terms of a series are enough: the next is 5e-17 of the first.
const SMALL: f64 = 0.5;

/// Σ xᵏ/k! from k = 1.
#[inline(always)]
fn exp_m1_of_small(x: f64) -> f64 {
    const TERMS: [f64; 14] = {
        let (mut terms, mut k) = ([1.0; 14], 1);
        while k < 14 {
            terms[k] = terms[k - 1] / (k + 1) as f64;
            k += 1;
        }
        terms
    };
    let mut sum = 0.0;
    for term in TERMS.iter().rev() {
        sum = sum * x + term;
    }
    sum * x
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
    fn what_is_replaced_was_as_far_away_as_their_difference_is_long() {
        for n in [0, 5, 16, 83] {
            let numbers = |salt: f32| (0..n).map(|i| (i as f32 * salt).sin()).collect::<Vec<_>>();
            let (mut x, y) = (numbers(0.7), numbers(0.3));
            let difference: Vec<f32> = y.iter().zip(&x).map(|(y, x)| y - x).collect();
            assert_eq!(move_to(&mut x, &y), norm(&difference));
            assert_eq!(x, y);
        }
    }

    #[test]
    fn exp_less_one_is_exact_where_it_is_small_and_an_entry_depends_on_itself_alone() {
        let x: Vec<f64> = (-4000..4000).map(|i| f64::from(i).powi(3) / 1e10).collect();
        let (mut all, mut few) = (x.clone(), x.clone());
        exp_m1(&mut all);
        few.chunks_mut(7).for_each(exp_m1);
        assert_eq!(all, few);
        for (x, y) in x.iter().zip(all) {
            let exact = libm::expm1(*x);
            assert!((y - exact).abs() <= 1e-15 * exact.abs(), "{x}: {y}, not {exact}");
        }
        let mut unusual = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-300, 800.0, 0.0];
        exp_m1(&mut unusual);
        assert!(unusual[0].is_nan());
        assert_eq!(unusual[1..], [f64::INFINITY, -1.0, 1e-300, f64::INFINITY, 0.0]);
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
