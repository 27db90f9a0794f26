//! A fully connected layer y = f(x W + b), and its derivatives.

use std::ops::Range;

use super::{
    functions::{relu_backward, tanh_backward, tanh_of},
    live::Live,
    machine::{Lanes, Machine, Work, best},
    product::{NEAR, Product, transpose},
};
use crate::Activation;

/// What goes in and what comes out of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

impl Shape {
    /// Multiplications in each of its three matrix products.
    pub(crate) fn products(self) -> usize {
        self.rows.saturating_mul(self.inputs).saturating_mul(self.outputs)
    }

    /// Whether it has so many products for each row that to look for zeros takes little beside them.
    fn wide(self) -> bool {
        self.inputs * self.outputs > NEAR
    }

    /// The same layer for the rows of a part.
    pub(crate) fn part(self, rows: &Range<usize>) -> Self {
        Self { rows: rows.len(), ..self }
    }
}

/// y = f(x W + b).
///
/// `x`: `[rows, inputs]`, `w`: `[inputs, outputs]`, `b`: `[outputs]`; result: `[rows, outputs]`.
///
/// Products with zeros are left out of wide layers and their derivatives where there are enough of them: units
/// that are rectified are off for many rows, some of them for all, and pass no gradient on there. What W has
/// that is not finite does not get into such products.
pub(crate) fn layer(x: &[f32], w: &[f32], b: &[f32], shape: Shape, f: Activation) -> Vec<f32> {
    best(Layer { x, w, b, shape, f })
}

#[derive(Clone)]
struct Layer<'a> {
    x: &'a [f32],
    w: &'a [f32],
    b: &'a [f32],
    shape: Shape,
    f: Activation,
}

impl Work for Layer<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, machine: M) -> Vec<f32> {
        let Shape { rows, inputs, outputs } = self.shape;
        let (a, b, bias) = (self.x, self.w, self.b);
        let (inner, columns, flipped) = (inputs, outputs, false);
        let product =
            Product { rows, before: 0, height: rows, inner, columns, a, b, flipped, bias };
        let mut y = product.compute::<M, HIGH, ACROSS, false>(machine);
        match self.f {
            Activation::Identity => unsigned(&mut y),
            Activation::Tanh => y.iter_mut().for_each(|y| *y = tanh_of::<M>(*y + 0.0)),
            Activation::Relu => y.iter_mut().for_each(|y| *y = relu(*y + 0.0)),
        }
        y
    }
}

/// Makes 0 of −0: with products of zeros and without them, a sum may differ in its sign if it is 0.
#[inline(always)]
fn unsigned(sums: &mut [f32]) {
    sums.iter_mut().for_each(|sum| *sum += 0.0);
}

/// max(x, 0), and NaN where x is that.
#[inline(always)]
fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// dz = f′ dy in the place of dy, y being f(z).
pub(crate) fn through_activation(y: &[f32], dy: &mut [f32], f: Activation) {
    match f {
        Activation::Identity => {}
        Activation::Tanh => tanh_backward(y, dy),
        Activation::Relu => relu_backward(y, dy),
    }
}

/// Some rows of dW = xᵀ dz, which has as many as the layer has inputs.
pub(crate) fn weight_gradient(x: &[f32], dz: &[f32], shape: Shape, rows: Range<usize>) -> Vec<f32> {
    if !shape.wide() {
        return best(WeightGradient { x, dz, shape, rows });
    }
    let Shape { inputs, outputs, .. } = shape;
    let (of_rows, of_outputs) = (Live::rows(dz, outputs), Live::columns(dz, outputs));
    let every = Live::all(inputs);
    let (x, dz) = (of_rows.of(x, &every), of_rows.of(dz, &of_outputs));
    let shape = Shape { rows: of_rows.count(), inputs, outputs: of_outputs.count() };
    let height = rows.len();
    let mut dw = best(WeightGradient { x: &x, dz: &dz, shape, rows });
    unsigned(&mut dw);
    Live::all(height).among_zeros(dw, &of_outputs)
}

#[derive(Clone)]
struct WeightGradient<'a> {
    x: &'a [f32],
    dz: &'a [f32],
    shape: Shape,
    rows: Range<usize>,
}

impl Work for WeightGradient<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, machine: M) -> Vec<f32> {
        let Shape { rows: inner, inputs, outputs } = self.shape;
        // dW or its transpose, whichever has the wider rows: the same sums in the same order.
        let whole = self.rows.len() == inputs;
        let upright = !whole || outputs >= inputs.min(ACROSS * M::Wide::COUNT);
        let (rows, before, height, columns, a, b) = if upright {
            (self.rows.len(), self.rows.start, inputs, outputs, self.x, self.dz)
        } else {
            (outputs, 0, outputs, inputs, self.dz, self.x)
        };
        let (flipped, bias) = (false, &[][..]);
        let product = Product { rows, before, height, inner, columns, a, b, flipped, bias };
        let dw = product.compute::<M, HIGH, ACROSS, true>(machine);
        if upright { dw } else { transpose(machine, &dw, inputs) }
    }
}

/// db = Σ dz over the rows.
pub(crate) fn bias_gradient(dz: &[f32], shape: Shape) -> Vec<f32> {
    best(BiasGradient { dz, shape })
}

#[derive(Clone)]
struct BiasGradient<'a> {
    dz: &'a [f32],
    shape: Shape,
}

impl Work for BiasGradient<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, _: M) -> Vec<f32> {
        column_sums(self.dz, self.shape.outputs)
    }
}

/// The sums of the columns of `[rows, columns]`, from the first row to the last.
#[inline(always)]
fn column_sums(m: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = Vec::with_capacity(columns);
    while columns - sums.len() >= 64 {
        sums.extend(sums_from::<64>(m, columns, sums.len()));
    }
    while columns - sums.len() >= 16 {
        sums.extend(sums_from::<16>(m, columns, sums.len()));
    }
    while columns - sums.len() >= 8 {
        sums.extend(sums_from::<8>(m, columns, sums.len()));
    }
    while columns - sums.len() >= 2 {
        sums.extend(sums_from::<2>(m, columns, sums.len()));
    }
    if columns > sums.len() {
        sums.extend(sums_from::<1>(m, columns, sums.len()));
    }
    sums
}

/// Of N columns, which is few enough for their sums to stay in registers.
#[inline(always)]
fn sums_from<const N: usize>(m: &[f32], columns: usize, from: usize) -> [f32; N] {
    let mut sums = [0.0; N];
    for row in m.chunks_exact(columns) {
        let row = row[from..].first_chunk::<N>().expect("as many columns");
        for (sum, entry) in sums.iter_mut().zip(row) {
            *sum += entry;
        }
    }
    sums
}

/// dx = dz Wᵀ.
pub(crate) fn input_gradient(dz: &[f32], w: &[f32], shape: Shape) -> Vec<f32> {
    if !shape.wide() {
        return best(InputGradient { dz, w, shape });
    }
    let Shape { inputs, outputs, .. } = shape;
    // A minimum of two networks, as in SAC's loss, sends all of a row's gradient to one of the two.
    let (of_rows, of_outputs) = (Live::rows(dz, outputs), Live::columns(dz, outputs));
    let every = Live::all(inputs);
    let (dz, w) = (of_rows.of(dz, &of_outputs), every.of(w, &of_outputs));
    let shape = Shape { rows: of_rows.count(), inputs, outputs: of_outputs.count() };
    let mut dx = best(InputGradient { dz: &dz, w: &w, shape });
    unsigned(&mut dx);
    of_rows.among_zeros(dx, &every)
}

#[derive(Clone)]
struct InputGradient<'a> {
    dz: &'a [f32],
    w: &'a [f32],
    shape: Shape,
}

impl Work for InputGradient<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, machine: M) -> Vec<f32> {
        let Shape { rows, inputs, outputs } = self.shape;
        let (inner, columns, a, b) = (outputs, inputs, self.dz, self.w);
        let (flipped, bias) = (true, &[][..]);
        let product =
            Product { rows, before: 0, height: rows, inner, columns, a, b, flipped, bias };
        product.compute::<M, HIGH, ACROSS, false>(machine)
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::{Plain, every_way, multiply_add};
    use super::*;

    /// Numbers that look random, in (−1, 1).
    fn numbers(n: usize, salt: u32) -> Vec<f32> {
        let mut state = salt.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    /// Sizes around those of tiles, bands, panels, packed panels, blocks and turns.
    fn shapes() -> Vec<Shape> {
        let mut shapes = Vec::new();
        for rows in [1, 2, 3, 4, 5, 6, 8, 17, 31] {
            for (inputs, outputs) in
                [(1, 1), (4, 64), (64, 2), (7, 9), (5, 24), (9, 32), (3, 100), (65, 81)]
            {
                shapes.push(Shape { rows, inputs, outputs });
            }
        }
        shapes.push(Shape { rows: 40, inputs: 70, outputs: 130 });
        shapes.push(Shape { rows: 150, inputs: 9, outputs: 40 });
        shapes.push(Shape { rows: 30, inputs: 140, outputs: 150 });
        shapes.push(Shape { rows: 480, inputs: 150, outputs: 140 });
        shapes
    }

    /// Σ of f(k) over k < n, in f64, and the sum of magnitudes.
    fn sum(n: usize, f: impl Fn(usize) -> f64) -> (f64, f64) {
        (0..n).map(f).fold((0.0, 0.0), |(s, m), x| (s + x, m + x.abs()))
    }

    fn close(what: &str, got: f32, (exact, magnitude): (f64, f64)) {
        let error = (f64::from(got) - exact).abs();
        assert!(error <= 1e-6 * (magnitude + 1.0), "{what}: {got}, not {exact}");
    }

    #[test]
    fn products_are_sums_of_products_in_every_way_and_fused_ways_agree_to_the_bit() {
        for shape in shapes() {
            let Shape { rows, inputs, outputs } = shape;
            let (x, w) = (&numbers(rows * inputs, 1), &numbers(inputs * outputs, 2));
            let (b, dz) = (&numbers(outputs, 3), &numbers(rows * outputs, 4));
            let at = |m: &[f32], width: usize, i: usize, j: usize| f64::from(m[i * width + j]);
            let layers = every_way(&Layer { x, w, b, shape, f: Activation::Identity });
            let gradients = every_way(&WeightGradient { x, dz, shape, rows: 0..inputs });
            let sums = every_way(&BiasGradient { dz, shape });
            let inputs_gradients = every_way(&InputGradient { dz, w, shape });
            for (way, y) in &layers {
                for (i, y) in y.iter().enumerate() {
                    let (r, c) = (i / outputs, i % outputs);
                    let (s, m) = sum(inputs, |k| at(x, inputs, r, k) * at(w, outputs, k, c));
                    close(way, *y, (s + f64::from(b[c]), m));
                }
            }
            for (way, dw) in &gradients {
                for (i, dw) in dw.iter().enumerate() {
                    let (r, c) = (i / outputs, i % outputs);
                    close(way, *dw, sum(rows, |k| at(x, inputs, k, r) * at(dz, outputs, k, c)));
                }
            }
            for (way, db) in &sums {
                for (c, db) in db.iter().enumerate() {
                    close(way, *db, sum(rows, |k| at(dz, outputs, k, c)));
                }
            }
            for cut in [inputs / 3, inputs - inputs / 4] {
                let part = |rows| every_way(&WeightGradient { x, dz, shape, rows });
                let parts = part(0..cut).into_iter().zip(part(cut..inputs));
                for (((_, above), (_, below)), (way, whole)) in parts.zip(&gradients) {
                    assert_eq!([above, below].concat(), *whole, "{way}, {shape:?} cut at {cut}");
                }
            }
            for (way, dx) in &inputs_gradients {
                for (i, dx) in dx.iter().enumerate() {
                    let (r, c) = (i / inputs, i % inputs);
                    close(way, *dx, sum(outputs, |k| at(dz, outputs, r, k) * at(w, outputs, c, k)));
                }
            }
            // The first two round products and sums by themselves, the others once.
            for (one, other) in [(0, 1), (2, 3)] {
                if other < layers.len() {
                    assert_eq!(layers[one].1, layers[other].1, "{shape:?}");
                    assert_eq!(gradients[one].1, gradients[other].1, "{shape:?}");
                    assert_eq!(inputs_gradients[one].1, inputs_gradients[other].1, "{shape:?}");
                }
            }
        }
    }

    #[test]
    fn a_sum_of_nothing_is_nothing() {
        for outputs in [1, 2, 9, 81] {
            let b = &numbers(outputs, 1);
            let no_inputs = Shape { rows: 5, inputs: 0, outputs };
            let f = Activation::Identity;
            for (way, y) in every_way(&Layer { x: &[], w: &[], b, shape: no_inputs, f }) {
                assert_eq!(y, b.repeat(5), "{way}");
            }
            let no_rows = Shape { rows: 0, inputs: 3, outputs };
            let of_weights = WeightGradient { x: &[], dz: &[], shape: no_rows, rows: 0..3 };
            for (way, dw) in every_way(&of_weights) {
                assert_eq!(dw, vec![0.0; 3 * outputs], "{way}");
            }
            for (way, db) in every_way(&BiasGradient { dz: &[], shape: no_rows }) {
                assert_eq!(db, vec![0.0; outputs], "{way}");
            }
            let w = &numbers(3 * outputs, 2);
            assert!(layer(&[], w, b, no_rows, f).is_empty());
            assert!(input_gradient(&[], w, no_rows).is_empty());
        }
        let no_outputs = Shape { rows: 2, inputs: 3, outputs: 0 };
        assert_eq!(input_gradient(&[], &[], no_outputs), [0.0; 6]);
    }

    fn bits(all: &[f32]) -> Vec<u32> {
        all.iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn a_row_has_the_same_bits_in_every_batch() {
        let (inputs, outputs) = (70, 140);
        let (w, b) = (numbers(inputs * outputs, 1), numbers(outputs, 2));
        for x in [numbers(65 * inputs, 3), rectified(65, inputs, 3)] {
            let run = |x: &[f32]| {
                let shape = Shape { rows: x.len() / inputs, inputs, outputs };
                let y = layer(x, &w, &b, shape, Activation::Relu);
                let dx = input_gradient(&y, &w, shape);
                (bits(&y), bits(&dx))
            };
            let (whole, whole_dx) = run(&x);
            for size in [1, 2, 5, 30] {
                let parts: Vec<_> = x.chunks(size * inputs).map(run).collect();
                assert!(parts.iter().flat_map(|part| part.0.clone()).eq(whole.clone()));
                assert!(parts.iter().flat_map(|part| part.1.clone()).eq(whole_dx.clone()));
            }
        }
    }

    /// Numbers of which half are not above 0, some columns and rows nowhere, and of the zeros half are −0.
    fn rectified(rows: usize, width: usize, salt: u32) -> Vec<f32> {
        let mut m = numbers(rows * width, salt);
        for (i, x) in m.iter_mut().enumerate() {
            let (row, column) = (i / width, i % width);
            if *x <= 0.0 || row % 5 == 4 || column % 3 == 1 {
                *x = if *x < -0.5 { -0.0 } else { 0.0 };
            }
        }
        m
    }

    /// start + Σ aₖ bₖ from the first product to the last, without anything left out.
    fn in_order(fma: bool, start: f32, products: impl Iterator<Item = (f32, f32)>) -> f32 {
        let add = |sum: f32, (a, b): (f32, f32)| if fma { a.mul_add(b, sum) } else { a * b + sum };
        products.fold(start, add) + 0.0
    }

    #[test]
    fn zeros_are_left_out_and_the_bits_are_those_of_all_products() {
        let (rows, inputs, outputs) = (41, 300, 142);
        let shape = Shape { rows, inputs, outputs };
        let (mut w, mut b) = (numbers(inputs * outputs, 1), numbers(outputs, 2));
        let (mut x, mut dz) = (rectified(rows, inputs, 3), rectified(rows, outputs, 4));
        // A product that is too small for anything but −0, with nothing but zeros after it, in whole strips of x
        // and of dz; and in dW before rows of zeros.
        for row in 0..12 {
            x[row * inputs..][..inputs].fill(0.0);
            dz[row * outputs..][..outputs].fill(0.0);
            (x[row * inputs + 2], dz[row * outputs + 2]) = (1e-30, 1e-30);
        }
        b[..20].fill(-0.0);
        w[2 * outputs..][..outputs].fill(-1e-30);
        w.iter_mut().skip(2).step_by(outputs).for_each(|w| *w = -1e-30);
        (x[38 * inputs + 4], dz[38 * outputs + 3]) = (1e-30, -1e-30);
        dz[39 * outputs..].fill(0.0);
        // One number is enough for a row or a column to count.
        x[14 * inputs + 1] = 0.25;
        dz[14 * outputs + 1] = 0.25;
        let of_layer = |fma| -> Vec<f32> {
            let entry = |i| {
                let (row, column): (usize, usize) = (i / outputs, i % outputs);
                let products = (0..inputs).map(|k| (x[row * inputs + k], w[k * outputs + column]));
                in_order(fma, b[column], products)
            };
            (0..rows * outputs).map(entry).collect()
        };
        let f = Activation::Identity;
        let ways = every_way(&Layer { x: &x, w: &w, b: &b, shape, f });
        for (way, y) in ways {
            assert_eq!(bits(&y), bits(&of_layer(way.starts_with("AVX"))), "{way}");
        }
        let fma = best(IsFused);
        assert_eq!(bits(&layer(&x, &w, &b, shape, f)), bits(&of_layer(fma)));
        let of_x = |i: usize| {
            let (row, input) = (i / inputs, i % inputs);
            let products = (0..outputs).map(|k| (dz[row * outputs + k], w[input * outputs + k]));
            in_order(fma, 0.0, products)
        };
        let dx: Vec<_> = (0..rows * inputs).map(of_x).collect();
        assert_eq!(bits(&input_gradient(&dz, &w, shape)), bits(&dx));
        let of_w = |i: usize| {
            let (input, output) = (i / outputs, i % outputs);
            let products = (0..rows).map(|k| (x[k * inputs + input], dz[k * outputs + output]));
            in_order(fma, 0.0, products)
        };
        let dw: Vec<_> = (0..inputs * outputs).map(of_w).collect();
        for cut in [0, 100] {
            let parts = [0..cut, cut..inputs].map(|part| weight_gradient(&x, &dz, shape, part));
            assert_eq!(bits(&parts.concat()), bits(&dw));
        }
    }

    /// Whether products and sums are rounded together here.
    struct IsFused;

    impl Work for IsFused {
        type Output = bool;

        fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, _: M) -> bool {
            M::FMA
        }
    }

    #[test]
    fn nothing_is_computed_of_rows_and_columns_of_zeros() {
        let shape = Shape { rows: 48, inputs: 100, outputs: 150 };
        let (mut w, b) = (numbers(100 * 150, 1), numbers(150, 2));
        let half = |width: usize| -> Vec<f32> {
            (0..48 * width).map(|i| if i % width < width / 2 { 0.0 } else { 0.5 }).collect()
        };
        // NaN is what would give it away.
        let (mut x, mut dz) = (half(100), half(150));
        w[7 * 150 + 80] = f32::NAN;
        assert!(layer(&x, &w, &b, shape, Activation::Tanh).iter().all(|y| y.is_finite()));
        w[7 * 150 + 80] = 0.0;
        w[80 * 150 + 7] = f32::NAN;
        assert!(input_gradient(&dz, &w, shape).iter().all(|dx| dx.is_finite()));
        assert_eq!(input_gradient(&[0.0; 48 * 150], &w, shape), [0.0; 48 * 100]);
        x[3 * 100 + 70] = f32::NAN;
        dz[..24 * 150].fill(0.0);
        assert!(weight_gradient(&x, &dz, shape, 0..100).iter().all(|dw| dw.is_finite()));
        assert_eq!(weight_gradient(&x, &[0.0; 48 * 150], shape, 0..100), [0.0; 100 * 150]);
    }

    #[test]
    fn activations_and_their_derivatives() {
        let shape = Shape { rows: 1, inputs: 1, outputs: 3 };
        let z = [-0.5, 0.0, 2.0];
        let y = |f| layer(&[1.0], &z, &[0.0; 3], shape, f);
        assert_eq!(y(Activation::Identity), z);
        assert_eq!(y(Activation::Relu), [0.0, 0.0, 2.0]);
        for (y, z) in y(Activation::Tanh).iter().zip(z) {
            assert!((y - z.tanh()).abs() < 4e-7);
        }
        let back = |f| {
            let mut dy = [1.0, 2.0, 3.0];
            through_activation(&y(f), &mut dy, f);
            dy
        };
        assert_eq!(back(Activation::Identity), [1.0, 2.0, 3.0]);
        assert_eq!(back(Activation::Relu), [0.0, 0.0, 3.0]);
        for ((got, z), dy) in back(Activation::Tanh).into_iter().zip(z).zip([1.0, 2.0, 3.0]) {
            assert!((got - dy * (1.0 - z.tanh().powi(2))).abs() < 1e-6);
        }
        let nan = layer(&[f32::NAN], &z, &[0.0; 3], shape, Activation::Relu);
        assert!(nan.iter().all(|y| y.is_nan()), "{nan:?}");
    }

    #[test]
    fn multiply_add_rounds_once_only_where_it_says_so() {
        let (a, b, c) = (1.0 + f32::EPSILON, 1.0 - f32::EPSILON, -1.0);
        assert_eq!(multiply_add::<Plain<false>>(a, b, c), 0.0);
        assert!(multiply_add::<Plain<true>>(a, b, c) < 0.0);
    }
}
