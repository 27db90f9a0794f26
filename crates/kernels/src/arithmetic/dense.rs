//! A fully connected layer y = f(x W + b), and its derivatives.

use std::ops::Range;

use super::{
    functions::{relu_backward, tanh_backward, tanh_of},
    machine::{Lanes, Machine, Work, best},
    product::{Product, transpose},
};
use crate::Activation;

/// Weights of a layer from which on it is worth a look whether rows of its gradient are zeros: beside so many
/// products for each row, the look is one part in a hundred.
const WIDE: usize = if cfg!(test) { 64 } else { 1 << 14 };

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

    /// The same layer for the rows of a part.
    pub(crate) fn part(self, rows: &Range<usize>) -> Self {
        Self { rows: rows.len(), ..self }
    }
}

/// y = f(x W + b).
///
/// `x`: `[rows, inputs]`, `w`: `[inputs, outputs]`, `b`: `[outputs]`; result: `[rows, outputs]`.
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
            Activation::Identity => {}
            Activation::Tanh => y.iter_mut().for_each(|y| *y = tanh_of::<M>(*y)),
            Activation::Relu => y.iter_mut().for_each(|y| *y = relu(*y)),
        }
        y
    }
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
    best(WeightGradient { x, dz, shape, rows })
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

/// dx = dz Wᵀ. Rows of zeros in dz are passed over if there are enough of them: a minimum of two networks,
/// as in SAC's loss, sends all of a row's gradient to one of the two. What W has that is not finite does not
/// get into the zeros of such a row.
pub(crate) fn input_gradient(dz: &[f32], w: &[f32], shape: Shape) -> Vec<f32> {
    let Shape { rows, inputs, outputs } = shape;
    if inputs * outputs < WIDE {
        return best(InputGradient { dz, w, shape });
    }
    let counts = |row: &&[f32]| row.iter().any(|dz| *dz != 0.0);
    let live = dz.chunks_exact(outputs).filter(counts).count();
    if rows - live < rows.div_ceil(8) {
        return best(InputGradient { dz, w, shape });
    }
    let mut picked = Vec::with_capacity(live * outputs);
    dz.chunks_exact(outputs).filter(counts).for_each(|row| picked.extend_from_slice(row));
    let shape = Shape { rows: live, ..shape };
    let picked_dx = best(InputGradient { dz: &picked, w, shape });
    let mut dx = vec![0.0; rows * inputs];
    let places = dz.chunks_exact(outputs).zip(dx.chunks_exact_mut(inputs));
    let places = places.filter(|(dz, _)| counts(dz)).map(|(_, dx)| dx);
    places.zip(picked_dx.chunks_exact(inputs)).for_each(|(to, from)| to.copy_from_slice(from));
    dx
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

    #[test]
    fn a_row_has_the_same_bits_in_every_batch() {
        let (inputs, outputs) = (70, 81);
        let (w, b) = (numbers(inputs * outputs, 1), numbers(outputs, 2));
        let x = numbers(33 * inputs, 3);
        let run = |x: &[f32]| {
            let shape = Shape { rows: x.len() / inputs, inputs, outputs };
            let y = layer(x, &w, &b, shape, Activation::Tanh);
            let dx = input_gradient(&y, &w, shape);
            (y, dx)
        };
        let (whole, whole_dx) = run(&x);
        for size in [1, 2, 5, 20] {
            let parts: Vec<_> = x.chunks(size * inputs).map(run).collect();
            assert_eq!(parts.iter().flat_map(|part| part.0.clone()).collect::<Vec<_>>(), whole);
            assert_eq!(parts.iter().flat_map(|part| part.1.clone()).collect::<Vec<_>>(), whole_dx);
        }
    }

    #[test]
    fn rows_of_zeros_are_passed_over_and_the_bits_are_those_of_all_rows() {
        let (rows, inputs, outputs) = (19, 70, 81);
        let (w, b) = (numbers(inputs * outputs, 1), &[0.0; 70]);
        let shape = Shape { rows, inputs, outputs };
        for every in [1, 2, 3, 9, 40] {
            let mut dz = numbers(rows * outputs, 2);
            for (i, row) in dz.chunks_exact_mut(outputs).enumerate().step_by(every) {
                row.fill(if i % 2 == 0 { 0.0 } else { -0.0 });
            }
            // One number is enough for a row to count.
            dz[outputs * 5 - 1] = 0.25;
            let turned: Vec<f32> =
                (0..inputs * outputs).map(|i| w[i % inputs * outputs + i / inputs]).collect();
            let upright = Shape { rows, inputs: outputs, outputs: inputs };
            let whole = layer(&dz, &turned, b, upright, Activation::Identity);
            let bits = |all: &[f32]| all.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&input_gradient(&dz, &w, shape)), bits(&whole), "every {every}th");
        }
        let mut w = w;
        w[3] = f32::NAN;
        let dx = input_gradient(&vec![0.0; rows * outputs], &w, shape);
        assert_eq!(dx, vec![0.0; rows * inputs], "nothing was computed");
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
