//! Functions of one number, without branches, so that the compiler vectorises them.

use super::machine::{Machine, Work, best, multiply_add};

/// From here on tanh is 1 to within 2.3e-7, and [`tanh_of`] stands still.
const SATURATED: f32 = 8.001_334;

/// P and Q of tanh x ≈ x (1 + t P(t)) / (1 + t Q(t)) with t = x², lowest power first.
///
/// A minimax fit of the relative error on [0, 9], 2.2e-8 in exact arithmetic, whose coefficients were then
/// moved by a few units in the last place to where rounding does the least harm. All are positive, so
/// nothing cancels.
const P: [f32; 4] = [0.133_826_12, 3.497_372_4e-3, 2.063_441_8e-5, 1.338_247_6e-8];
const Q: [f32; 4] = [0.467_159_24, 2.588_403_8e-2, 3.288_376_6e-4, 7.789_472_5e-7];

/// tanh x within 4e-7 for every x, odd, never beyond ±1; NaN stays NaN.
#[inline(always)]
pub(crate) fn tanh_of<M: Machine>(x: f32) -> f32 {
    let x = x.clamp(-SATURATED, SATURATED);
    let t = x * x;
    let poly = |[a, b, c, d]: [f32; 4]| {
        let high = multiply_add::<M>(d, t, c);
        multiply_add::<M>(multiply_add::<M>(high, t, b), t, a) * t
    };
    let over = multiply_add::<M>(x, poly(P), x);
    (over / (1.0 + poly(Q))).clamp(-1.0, 1.0)
}

/// xᵢ ← tanh xᵢ.
pub(crate) fn tanh(x: &mut [f32]) {
    struct Tanh<'a>(&'a mut [f32]);
    impl Work for Tanh<'_> {
        type Output = ();
        #[inline(always)]
        fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, _: M) {
            self.0.iter_mut().for_each(|x| *x = tanh_of::<M>(*x));
        }
    }
    best(Tanh(x));
}

/// dyᵢ ← (1 − yᵢ²) dyᵢ.
pub(crate) fn tanh_backward(y: &[f32], dy: &mut [f32]) {
    each_of_two(y, dy, |y, dy| (1.0 - y * y) * dy);
}

/// dyᵢ where yᵢ is positive, 0 elsewhere.
pub(crate) fn relu_backward(y: &[f32], dy: &mut [f32]) {
    // With `dy` as it is, the compiler would leave it where it is, and store zeros behind a mask, which some
    // CPUs are slow at. What is added makes 0 of −0.
    each_of_two(y, dy, |y, dy| if y > 0.0 { dy + 0.0 } else { 0.0 });
}

/// xᵢ ← h(xᵢ), Huber's: ½ x² for |x| ≤ 1, |x| − ½ beyond.
pub(crate) fn huber(x: &mut [f32]) {
    x.iter_mut().for_each(|x| {
        let size = x.abs();
        // Not `min`, which hides a NaN.
        let near = if size > 1.0 { 1.0 } else { size };
        *x = near * (size - near * 0.5);
    });
}

/// dyᵢ clip(xᵢ, −1, 1).
pub(crate) fn huber_backward(x: &[f32], dy: &mut [f32]) {
    each_of_two(x, dy, |x, dy| x.clamp(-1.0, 1.0) * dy);
}

/// dyᵢ ← f(yᵢ, dyᵢ).
fn each_of_two(y: &[f32], dy: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    struct Each<'a, F>(&'a [f32], &'a mut [f32], F);
    impl<F: Fn(f32, f32) -> f32> Work for Each<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, _: M) {
            let Self(y, dy, f) = self;
            dy.iter_mut().zip(y).for_each(|(dy, y)| *dy = f(*y, *dy));
        }
    }
    best(Each(y, dy, f));
}

/// ln 2 in two parts, the product of the first with a small whole number being exact, and c(t) of
/// eʳ = 1 + 2r/(2 − c) + …: the method of Sun's fdlibm (1993), which libm's `expf` follows too.
const LN_2: [f32; 2] = [0.693_145_75, 1.428_606_8e-6];
const C: [f32; 2] = [0.166_666_25, -2.766_733_3e-3];
/// ½ ln 2, 3/2 ln 2 and 2⁻¹³, where `expf` changes its way.
const BENDS: [f32; 3] = [0.346_573_6, 1.039_720_8, 1.220_703_1e-4];
/// From here to there eˣ is a normal number, and below the last 0.
const NORMAL: [f32; 2] = [-87.0, 88.0];
const VANISHED: f32 = -104.0;
/// From 2²³ on there are whole numbers only: what is added to this and taken away again is rounded to one
/// (in the middle of that range, for both signs), and what is added to that stands in the last bits.
const WHOLE: f32 = 12_582_912.0;
const EXPONENT: f32 = 8_388_608.0;

/// eˣ for numbers that are [`NORMAL`] or below [`VANISHED`], to the bits of libm's `expf`, without its
/// branches: every product and every sum is rounded by itself, on every machine.
#[inline(always)]
fn exp_of(x: f32) -> f32 {
    let vanished = x < VANISHED;
    let x = if vanished { 0.0 } else { x };
    let (size, one) = (x.abs(), 1f32.copysign(x));
    // The whole number between 0 and the quotient that is nearest to it, without a conversion, which the
    // compiler does not vectorise.
    let quotient = std::f32::consts::LOG2_E * x + 0.5 * one;
    let whole = (quotient + WHOLE) - WHOLE;
    let whole = if whole.abs() > quotient.abs() { whole - one } else { whole };
    let near = if size > BENDS[0] { one } else { 0.0 };
    let k = if size > BENDS[1] { whole } else { near };
    let (high, low) = (x - k * LN_2[0], k * LN_2[1]);
    let r = high - low;
    let t = r * r;
    let c = r - t * (C[0] + t * C[1]);
    let y = 1.0 + (r * c / (2.0 - c) - low + high);
    let y = if size > BENDS[2] { y } else { 1.0 + x };
    // 2ᵏ, by its exponent.
    let y = y * f32::from_bits((k + (f32::MAX_EXP - 1) as f32 + EXPONENT).to_bits() << 23);
    if vanished { 0.0 } else { y }
}

/// xᵢ ← exp xᵢ, to the bits of libm's `expf`.
pub(crate) fn exp(x: &mut [f32]) {
    struct Exp<'a>(&'a mut [f32]);
    impl Work for Exp<'_> {
        type Output = ();
        #[inline(always)]
        fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, _: M) {
            let [least, most] = NORMAL;
            let usual = |x: f32| ((x >= least) & (x <= most)) | (x < VANISHED);
            // All of them, and not as far as the first, for the compiler to vectorise.
            if self.0.iter().fold(true, |all, x| all & usual(*x)) {
                self.0.iter_mut().for_each(|x| *x = exp_of(*x));
            } else {
                self.0.iter_mut().for_each(|x| *x = libm::expf(*x));
            }
        }
    }
    best(Exp(x));
}

/// ln 2 in two parts, and the coefficients of R in ln(1 + f) = f − ½f² + s (½f² + R(s²)) with s = f/(2 + f): the
/// method of Sun's fdlibm (1993), which libm's `logf` follows too.
const LOG_2: [f32; 2] = [0.693_138_1, 9.058_001e-6];
const R: [f32; 4] = [0.666_666_6, 0.400_009_72, 0.284_987_87, 0.242_790_79];
/// Bits of √½ and of 1.
const ROOT_OF_HALF: u32 = 0x3f35_04f3;
const ONE: u32 = 0x3f80_0000;

/// ln x for normal numbers above 0, to the bits of libm's `logf`, without its branches.
#[inline(always)]
fn log_of(x: f32) -> f32 {
    // x = 2ᵏ (1 + f) with 1 + f in [√½, √2].
    let bits = x.to_bits() + (ONE - ROOT_OF_HALF);
    let k = ((bits >> 23) as i32 - (f32::MAX_EXP - 1)) as f32;
    let f = f32::from_bits((bits & 0x007f_ffff) + ROOT_OF_HALF) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let r = z * (R[0] + w * R[2]) + w * (R[1] + w * R[3]);
    let half = 0.5 * f * f;
    s * (half + r) + k * LOG_2[1] - half + f + k * LOG_2[0]
}

/// xᵢ ← ln xᵢ, to the bits of libm's `logf`.
pub(crate) fn log(x: &mut [f32]) {
    struct Log<'a>(&'a mut [f32]);
    impl Work for Log<'_> {
        type Output = ();
        #[inline(always)]
        fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, _: M) {
            let [least, most] = [f32::MIN_POSITIVE, f32::MAX];
            let usual = |x: f32| (x >= least) & (x <= most);
            if self.0.iter().fold(true, |all, x| all & usual(*x)) {
                self.0.iter_mut().for_each(|x| *x = log_of(*x));
            } else {
                self.0.iter_mut().for_each(|x| *x = libm::logf(*x));
            }
        }
    }
    best(Log(x));
}

#[cfg(test)]
mod tests {
    use super::super::machine::every_way;
    use super::*;

    #[derive(Clone)]
    struct Each(Vec<f32>);
    impl Work for Each {
        type Output = Vec<f32>;
        #[inline(always)]
        fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, _: M) -> Vec<f32> {
            self.0.into_iter().map(tanh_of::<M>).collect()
        }
    }

    #[test]
    fn tanh_is_within_4e7_of_the_function_and_odd_in_every_way() {
        // Every 4099th f32 of either sign, and every 13th where the error is largest.
        let all = (0..f32::INFINITY.to_bits()).step_by(4099);
        let bend = (2f32.to_bits()..9f32.to_bits()).step_by(13);
        let x: Vec<f32> = all.chain(bend).map(f32::from_bits).collect();
        let negative = every_way(&Each(x.iter().map(|x| -x).collect()));
        for ((way, y), (_, negative)) in every_way(&Each(x.clone())).into_iter().zip(negative) {
            for ((&x, y), negative) in x.iter().zip(y).zip(negative) {
                let exact = f64::from(x).tanh();
                let error = (f64::from(y) - exact).abs();
                assert!(error <= 4e-7 * exact, "{way}: tanh {x:e} = {y}, not {exact}");
                assert_eq!(negative.to_bits(), (-y).to_bits(), "{way}: tanh −{x:e}");
                assert!(y.abs() <= 1.0);
            }
        }
    }

    #[test]
    fn tanh_has_the_special_values() {
        let of = |x: f32| {
            let mut x = [x];
            tanh(&mut x);
            x[0]
        };
        assert_eq!(of(0.0).to_bits(), 0f32.to_bits());
        assert_eq!(of(-0.0).to_bits(), (-0f32).to_bits());
        for x in [SATURATED, 9.1, 1e4, f32::MAX, f32::INFINITY] {
            assert!((1.0 - 2e-7..=1.0).contains(&of(x)) && of(-x) == -of(x), "tanh ±{x}");
        }
        assert!(of(f32::NAN).is_nan() && of(-f32::NAN).is_nan());
        for x in [f32::from_bits(1), f32::MIN_POSITIVE, 1e-20, 1e-5] {
            assert_eq!(of(x), x);
        }
    }

    /// Asserts that a function has the bits of libm's for every number of `x`.
    fn assert_bits(x: &[f32], ours: impl Fn(f32) -> f32 + Copy, libms: fn(f32) -> f32) {
        #[derive(Clone)]
        struct Each<'a, F>(&'a [f32], F);
        impl<F: Fn(f32) -> f32> Work for Each<'_, F> {
            type Output = Vec<f32>;
            #[inline(always)]
            fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, _: M) -> Vec<f32> {
                self.0.iter().map(|x| (self.1)(*x)).collect()
            }
        }
        for (way, y) in every_way(&Each(x, ours)) {
            for (x, y) in x.iter().zip(y) {
                assert_eq!(y.to_bits(), libms(*x).to_bits(), "{way}: f of {x:e}");
            }
        }
    }

    #[test]
    fn exp_has_the_bits_of_libm() {
        let [least, most] = NORMAL;
        let magnitudes = |largest: f32| (0..=largest.to_bits()).step_by(1021).map(f32::from_bits);
        let negative = magnitudes(-least).map(|x| -x);
        let far = (104.5f32.to_bits()..f32::INFINITY.to_bits()).step_by(65_521);
        let far = far.map(|bits| -f32::from_bits(bits));
        let special = [0.0, -0.0, least, most, f32::NEG_INFINITY, -1e9];
        // About every place where it changes its way, from either side.
        let bends = BENDS.iter().flat_map(|bend| {
            let near = bend.to_bits() - 300..bend.to_bits() + 300;
            near.flat_map(|bits| [f32::from_bits(bits), -f32::from_bits(bits)])
        });
        // Where k changes, ln 2 times a half more than a whole number.
        let halves = (-125..127).flat_map(|k| {
            let x = (k as f32 + 0.5) * std::f32::consts::LN_2;
            (x.to_bits() - 50..x.to_bits() + 50).map(f32::from_bits)
        });
        let halves = halves.filter(|x| (least..=most).contains(x));
        let all: Vec<f32> = magnitudes(most).chain(negative).chain(far).chain(special).collect();
        let all: Vec<f32> = all.into_iter().chain(bends).chain(halves).collect();
        assert_bits(&all, exp_of, libm::expf);
    }

    #[test]
    fn exp_of_anything_has_the_bits_of_libm() {
        let unusual = [f32::NAN, f32::INFINITY, 88.5, 200.0, -87.5, -100.0, -104.0, 1.0, -1e9];
        for unusual in unusual {
            let x = [0.5, unusual, -3.0];
            let mut y = x;
            exp(&mut y);
            assert_eq!(y.map(f32::to_bits), x.map(|x| libm::expf(x).to_bits()), "{unusual}");
        }
    }

    #[test]
    fn log_has_the_bits_of_libm() {
        let normal = f32::MIN_POSITIVE.to_bits()..f32::INFINITY.to_bits();
        // All sorts, what the sum of a few exponentials is, and where k changes.
        let few = ONE..10f32.to_bits();
        let bends = (1..254_u32).flat_map(|k| {
            let bend = (k << 23) + (ROOT_OF_HALF & 0x007f_ffff);
            bend - 200..bend + 200
        });
        let all = normal.step_by(1021).chain(few.step_by(7)).chain(bends);
        let all: Vec<f32> = all.map(f32::from_bits).collect();
        assert_bits(&all, log_of, libm::logf);
    }

    #[test]
    fn log_of_anything_has_the_bits_of_libm() {
        let unusual = [f32::NAN, f32::INFINITY, 0.0, -0.0, 1e-40, -1.0, f32::NEG_INFINITY, 1.0];
        for unusual in unusual {
            let x = [0.5, unusual, 3.0];
            let mut y = x;
            log(&mut y);
            assert_eq!(y.map(f32::to_bits), x.map(|x| libm::logf(x).to_bits()), "{unusual}");
        }
    }

    #[test]
    fn an_entry_has_the_same_bits_wherever_it_stands() {
        let x: Vec<f32> = (0..67).map(|i| (i as f32 - 33.0) / 7.0).collect();
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let dy: Vec<f32> = x.iter().rev().copied().collect();
        let run = |x: &[f32], dy: &[f32]| {
            let (mut y, mut dx) = (x.to_vec(), dy.to_vec());
            tanh(&mut y);
            tanh_backward(&y, &mut dx);
            (bits(&y), bits(&dx))
        };
        let (whole, whole_dx) = run(&x, &dy);
        for size in 1..x.len() {
            let parts: Vec<_> =
                x.chunks(size).zip(dy.chunks(size)).map(|(x, d)| run(x, d)).collect();
            assert_eq!(parts.iter().flat_map(|part| part.0.clone()).collect::<Vec<_>>(), whole);
            assert_eq!(parts.iter().flat_map(|part| part.1.clone()).collect::<Vec<_>>(), whole_dx);
        }
    }
}
