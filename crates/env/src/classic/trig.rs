//! Sines and cosines of many small angles at once, with the bits of the platform's own.
//!
//! A simulation that multiplies an error by e⁴ a second needs sin and cos to the last bit, and the
//! library's functions take one number at a time. What is here takes many: it computes each value
//! with an error bound, adds the bound and takes it away, and where both round to the same number
//! that is what the library returns as well. Where they don't, a few lanes in a hundred, the library
//! is asked. (This is Ziv's rounding test, with the library's error in place of exactness.)
//!
//! The proof needs a bound on the library's error. glibc 2.28 and later return, on every CPU, the
//! rounding of `y + t` (|y| < 0.126), of `sin xᵢ + c` or of `cos xᵢ + c`, where xᵢ is the nearest
//! multiple of 1/128 and the small terms are computed in double precision, with FMA or without; with
//! u = 2⁻⁵³ and |y| ≤ 0.22, t is off by at most 4.3u·|t|, sine's c by 3.2·2⁻⁶² and cosine's by
//! 3.3·2⁻⁶⁴. Earlier versions round correctly. Elsewhere nothing is known, and every angle goes to
//! the library.

/// Whether the library is glibc, whose error is known.
pub(super) const IS_GLIBC: bool = cfg!(all(
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
));

/// Largest angle for which the bounds hold, 12.6°.
const LARGEST: f64 = 0.22;
/// Half a unit in the last place of 1.
const U: f64 = f64::EPSILON / 2.0;
/// From here on glibc takes sines from its table.
const TABLE: f64 = 0.126;
/// Sine, relative to t: glibc's 4.3u, as much of our own, and u for the sum with the bound.
const SIN_RELATIVE: f64 = 10.0 * U;
/// Sine by glibc's table: 3.2·2⁻⁶².
const SIN_TABLE: f64 = 0.8 / (1u64 << 60) as f64;
/// Cosine: glibc's 3.3·2⁻⁶⁴, our own 1.5·2⁻⁶⁴ and the sum with the bound, in all under 1.4·2⁻⁶².
const COS: f64 = 1.5 / (1u64 << 62) as f64;
/// Adding and subtracting it rounds to a multiple of 2⁻²⁶.
const TO_26_BITS: f64 = 1.5 * (1u64 << 26) as f64;

/// (−1)ᵏ/(2k + 3)!
const SIN: [f64; 6] = [
    -1.0 / 6.0,
    1.0 / 120.0,
    -1.0 / 5_040.0,
    1.0 / 362_880.0,
    -1.0 / 39_916_800.0,
    1.0 / 6_227_020_800.0,
];
/// (−1)ᵏ/(2k + 4)!
const COSINE: [f64; 5] =
    [1.0 / 24.0, -1.0 / 720.0, 1.0 / 40_320.0, -1.0 / 3_628_800.0, 1.0 / 479_001_600.0];

/// What `f64::sin_cos` returns for each angle, bit for bit.
#[inline]
pub(super) fn sin_cos<const N: usize>(angles: &[f64; N]) -> ([f64; N], [f64; N]) {
    let (mut sin, mut cos, mut gaps) = ([0.0; N], [0.0; N], [f64::INFINITY; N]);
    if IS_GLIBC {
        round_sines(angles, &mut sin, &mut gaps);
        round_cosines(angles, &mut cos, &mut gaps);
    }
    for first in (0..N).step_by(8) {
        let few = first..N.min(first + 8);
        // NaN is not 0 either.
        if gaps[few.clone()].iter().fold(false, |unsure, &gap| unsure | (gap != 0.0)) {
            for i in few {
                if gaps[i] != 0.0 {
                    (sin[i], cos[i]) = angles[i].sin_cos();
                }
            }
        }
    }
    (sin, cos)
}

// Several short loops are faster than one long loop: a processor sees only so many operations ahead,
// and here those of several lanes are among them.

/// Sines, and the distances between the two values each may have.
#[inline(always)]
fn round_sines<const N: usize>(angles: &[f64; N], sin: &mut [f64; N], gaps: &mut [f64; N]) {
    let mut polynomial = [0.0; N];
    for (p, &y) in polynomial.iter_mut().zip(angles) {
        *p = horner(SIN, y * y);
    }
    for i in 0..N {
        // sin y = y + t
        let y = angles[i];
        let t = y * (y * y) * polynomial[i];
        let bound = SIN_RELATIVE * t.abs() + if y.abs() >= TABLE { SIN_TABLE } else { 0.0 };
        let (low, high) = (y + (t - bound), y + (t + bound));
        gaps[i] = if y.abs() <= LARGEST { high - low } else { f64::INFINITY };
        // The sine of −0 is −0.
        sin[i] = low.copysign(y);
    }
}

/// Cosines, and the distances between the two values each may have added to the gaps.
#[inline(always)]
fn round_cosines<const N: usize>(angles: &[f64; N], cos: &mut [f64; N], gaps: &mut [f64; N]) {
    let mut polynomial = [0.0; N];
    for (p, &y) in polynomial.iter_mut().zip(angles) {
        *p = horner(COSINE, y * y);
    }
    for i in 0..N {
        // cos y = (1 − yₕ²/2) + c, where the bracket is exact, because yₕ has so few bits.
        let y = angles[i];
        let yy = y * y;
        let head = (y + TO_26_BITS) - TO_26_BITS;
        let c = yy * yy * polynomial[i] - 0.5 * ((y - head) * (y + head));
        let exact = 1.0 - 0.5 * (head * head);
        let (low, high) = (exact + (c - COS), exact + (c + COS));
        gaps[i] += high - low;
        cos[i] = low;
    }
}

/// c₀ + c₁x + c₂x² + …
#[inline(always)]
fn horner<const N: usize>(coefficients: [f64; N], x: f64) -> f64 {
    let (last, rest) = (coefficients[N - 1], &coefficients[..N - 1]);
    rest.iter().rev().fold(last, |sum, c| sum * x + c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EnvRng;

    /// Angles of every size, and around the places where glibc changes its ways.
    fn angles(count: usize) -> impl Iterator<Item = f64> {
        let mut rng = EnvRng::new(7);
        (0..count).map(move |i| {
            let u = rng.uniform(-1.0, 1.0);
            let tiny = 0.5f64.powi((rng.random_f64() * 60.0) as i32);
            match i % 5 {
                0 => u * 0.2095,
                1 => u * 0.25,
                2 => u * 0.25 * tiny,
                3 => (rng.random_f64() * 40.0).floor() / 256.0 + u * tiny,
                _ => TABLE.copysign(u) + u * 1e-3 * tiny,
            }
        })
    }

    fn assert_the_librarys_bits<const N: usize>(angles: &[f64; N]) {
        let (sin, cos) = sin_cos(angles);
        for i in 0..N {
            let bits = (sin[i].to_bits(), cos[i].to_bits());
            let library = (angles[i].sin().to_bits(), angles[i].cos().to_bits());
            assert_eq!(bits, library, "at {:e}", angles[i]);
        }
    }

    #[test]
    fn every_bit_is_the_librarys() {
        let angles: Vec<f64> = angles(400_000).collect();
        angles.as_chunks::<64>().0.iter().for_each(assert_the_librarys_bits);
        angles[..9000].as_chunks::<9>().0.iter().for_each(assert_the_librarys_bits);
        let special =
            [0.0, -0.0, f64::MIN_POSITIVE, -5e-324, 1e-300, LARGEST, -TABLE, 3.0, -1e9, 1e300];
        assert_the_librarys_bits(&special);
        special.iter().for_each(|&x| assert_the_librarys_bits(&[x]));
        let (sin, cos) = sin_cos(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        assert!(sin.iter().chain(&cos).all(|x| x.is_nan()));
    }

    #[test]
    fn where_rounding_is_a_toss_up_the_library_is_asked() {
        let mut unsure = 0;
        let all: Vec<f64> = angles(64_000).filter(|x| x.abs() < 0.2095).collect();
        for angles in all.as_chunks::<64>().0 {
            let mut gaps = [0.0; 64];
            round_sines(angles, &mut [0.0; 64], &mut gaps);
            round_cosines(angles, &mut [0.0; 64], &mut gaps);
            unsure += gaps.iter().filter(|&&gap| gap > 0.0).count();
        }
        let share = unsure as f64 / all.len() as f64;
        assert!((0.005..0.06).contains(&share), "{share} of the angles");
    }
}
