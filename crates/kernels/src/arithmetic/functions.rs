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
    struct Backward<'a>(&'a [f32], &'a mut [f32]);
    impl Work for Backward<'_> {
        type Output = ();
        #[inline(always)]
        fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, _: M) {
            for (dy, y) in self.1.iter_mut().zip(self.0) {
                *dy *= 1.0 - y * y;
            }
        }
    }
    best(Backward(y, dy));
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
