//! C's `pow(x, 2)`, which Python's and NumPy's `x**2` calls: one time in a thousand its last bit is
//! not that of `x * x`, and an arm that swings freely makes a different episode of it.
//!
//! The library takes one number at a time, and longer than its sine does. But x² = p + e exactly,
//! where p is the product and e what its rounding left off; and where e is far enough from half a
//! unit in the last place, any good approximation of x² rounds to p. glibc's is good: since version
//! 2.28 it is off by at most 0.511 units, or 0.011 before the last rounding, and by 1.4·10⁻⁴ more for
//! every factor of e³ that x² is from 1; earlier versions round correctly. So the library need only
//! be asked about one number in twenty, and elsewhere about all.

use std::hint::black_box;

use super::trig::IS_GLIBC;

/// How much of e may be left, in units in the last place: half a unit less 0.03, of which glibc needs
/// 0.0175 for the numbers below.
const SURE: f64 = 0.47;
/// Squares for which the bound holds, with e far from the smallest numbers.
const SMALLEST: f64 = 1e-60;
const LARGEST: f64 = 1e60;

/// What the library returns. The compiler must not see the exponent, or it multiplies.
#[inline]
pub(super) fn square(x: f64) -> f64 {
    x.powf(black_box(2.0))
}

/// [`square`] of each number, bit for bit.
#[inline]
pub(super) fn squares<const W: usize>(x: &[f64; W]) -> [f64; W] {
    let (mut products, mut unsure) = ([0.0; W], [!IS_GLIBC; W]);
    if IS_GLIBC {
        for i in 0..W {
            (products[i], unsure[i]) = product(x[i]);
        }
    }
    for first in (0..W).step_by(8) {
        let few = first..W.min(first + 8);
        if unsure[few.clone()].iter().fold(false, |any, &unsure| any | unsure) {
            for i in few {
                if unsure[i] {
                    products[i] = square(x[i]);
                }
            }
        }
    }
    products
}

/// `x * x`, and whether the library may return something else.
#[inline(always)]
fn product(x: f64) -> (f64, bool) {
    let p = x * x;
    // The two halves of x have so few bits that their products are exact (Dekker, 1971).
    let scaled = x * ((1u64 << 27) + 1) as f64;
    let high = scaled - (scaled - x);
    let low = x - high;
    let e = ((high * high - p) + 2.0 * (high * low)) + low * low;
    // Below a power of two a unit is half as long as above it.
    let binade = f64::from_bits(p.to_bits() & f64::INFINITY.to_bits());
    let sure = (e.abs() <= SURE * f64::EPSILON * binade)
        & (p != binade)
        & (SMALLEST..=LARGEST).contains(&p);
    (p, !sure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EnvRng;

    fn numbers(count: usize) -> Vec<f64> {
        let mut rng = EnvRng::new(5);
        let one = |i: usize| {
            let u = rng.uniform(-1.0, 1.0);
            match i % 4 {
                0 => u * 30.0,
                1 => 2.0 + u,
                2 => u * 10f64.powf(rng.uniform(-40.0, 40.0)),
                // So near a power of two's root that its square may be rounded to it.
                _ => 2f64.powf((u * 20.0).round() / 2.0) * (1.0 + rng.uniform(-4e-16, 4e-16)),
            }
        };
        (0..count).map(one).collect()
    }

    fn assert_the_librarys_bits<const W: usize>(x: &[f64; W]) {
        for (x, ours) in x.iter().zip(squares(x)) {
            let library = square(*x);
            assert!(
                ours.to_bits() == library.to_bits() || ours.is_nan() && library.is_nan(),
                "{x:e}"
            );
        }
    }

    #[test]
    fn every_bit_is_the_librarys() {
        let numbers = numbers(2_000_000);
        numbers.as_chunks::<64>().0.iter().for_each(assert_the_librarys_bits);
        numbers[..9000].as_chunks::<9>().0.iter().for_each(assert_the_librarys_bits);
        let special = [0.0, -0.0, 5e-324, 1e-170, 1e-30, 1.0, -2.0, 1e150, 1e155, f64::MAX];
        assert_the_librarys_bits(&special);
        assert_the_librarys_bits(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        if IS_GLIBC {
            let differ = numbers.iter().filter(|&&x| square(x) != x * x).count();
            assert!(differ > 100, "a product would do: {differ} differ");
        }
    }

    #[test]
    fn where_rounding_is_a_toss_up_the_library_is_asked() {
        let mut rng = EnvRng::new(1);
        let unsure = (0..50_000).filter(|_| product(rng.uniform(-10.0, 10.0)).1).count();
        assert!((1000..6000).contains(&unsure), "about {unsure} in 50 000");
    }
}
