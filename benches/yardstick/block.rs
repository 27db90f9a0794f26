//! Sixty-four rows through a network and back, and the losses of their outputs.
#![allow(clippy::needless_range_loop, reason = "tiles are read best by their indices")]

use super::{ACTIONS, BLOCK, Batch, HIDDEN, INPUTS, Settings, machine::multiply_add};

/// A row for each row of the block, or for each unit.
type Square = [[f32; HIDDEN]; BLOCK];
/// Observations of a block.
pub(super) type Rows = [f32; BLOCK * INPUTS];

/// Rows of a tile of a product, whose sums stay in registers.
const TALL: usize = 4;
/// Columns that a pass over the rows keeps sums of.
const PANEL: usize = 16;

/// What a block leaves in a network on the way forward, and where the slopes go on the way back.
#[derive(Clone, Debug)]
pub(super) struct Activations<const OUT: usize> {
    h1: Square,
    h2: Square,
    /// Slopes with respect to the sums of the second layer, and of the first.
    d2: Square,
    d1: Square,
    /// Logits or values, `[OUT][BLOCK]`; after the loss their slopes.
    pub(super) outputs: [[f32; BLOCK]; OUT],
    /// W₂ᵀ and W₃ᵀ.
    w2t: Square,
    w3t: [[f32; HIDDEN]; OUT],
    /// dW₃ᵀ of a block.
    dw3t: [[f32; HIDDEN]; OUT],
}

impl<const OUT: usize> Default for Activations<OUT> {
    fn default() -> Self {
        let square = [[0.0; HIDDEN]; BLOCK];
        let out = [[0.0; HIDDEN]; OUT];
        Self {
            h1: square,
            h2: square,
            d2: square,
            d1: square,
            outputs: [[0.0; BLOCK]; OUT],
            w2t: square,
            w3t: out,
            dw3t: out,
        }
    }
}

/// The tensors of a network in its flat vector.
struct Layers<'a> {
    w1: &'a [[f32; HIDDEN]; INPUTS],
    b1: &'a [f32; HIDDEN],
    w2: &'a Square,
    b2: &'a [f32; HIDDEN],
    /// `[HIDDEN × OUT]`, then the biases.
    last: &'a [f32],
}

const W2: usize = (INPUTS + 1) * HIDDEN;
const LAST: usize = W2 + (HIDDEN + 1) * HIDDEN;

impl<'a> Layers<'a> {
    #[inline(always)]
    fn of(flat: &'a [f32]) -> Self {
        let (w1, b1) = flat[..W2].split_at(INPUTS * HIDDEN);
        let (w2, b2) = flat[W2..LAST].split_at(HIDDEN * HIDDEN);
        let last = &flat[LAST..];
        Self { w1: rows(w1), b1: &rows::<1>(b1)[0], w2: rows(w2), b2: &rows::<1>(b2)[0], last }
    }
}

#[inline(always)]
fn rows<const N: usize>(flat: &[f32]) -> &[[f32; HIDDEN]; N] {
    let (rows, _) = flat.as_chunks::<HIDDEN>();
    rows.first_chunk().expect("cut to size")
}

#[inline(always)]
fn rows_mut<const N: usize>(flat: &mut [f32]) -> &mut [[f32; HIDDEN]; N] {
    let (rows, _) = flat.as_chunks_mut::<HIDDEN>();
    rows.first_chunk_mut().expect("cut to size")
}

/// Some columns of a row.
#[inline(always)]
fn part<const N: usize>(row: &[f32; HIDDEN], from: usize) -> [f32; N] {
    *row[from..].first_chunk().expect("panels divide a row")
}

/// C = end(start + A·B), tile by tile; A(i, k) and B's rows are what the closures say.
#[inline(always)]
fn product<const K: usize, const WIDE: usize, const FMA: bool>(
    a: impl Fn(usize, usize) -> f32,
    b: &[[f32; HIDDEN]; K],
    c: &mut Square,
    start: impl Fn(&Square, usize, usize) -> [f32; WIDE],
    end: impl Fn(usize, usize, f32) -> f32,
) {
    // Plain ranges, from which the compiler sees that no index needs to be looked at.
    for panel in 0..HIDDEN / WIDE {
        let column = panel * WIDE;
        for tile in 0..BLOCK / TALL {
            let row = tile * TALL;
            let mut sums = [[0.0; WIDE]; TALL];
            for i in 0..TALL {
                sums[i] = start(c, row + i, column);
            }
            for k in 0..K {
                let b: [f32; WIDE] = part(&b[k], column);
                for i in 0..TALL {
                    let a = a(row + i, k);
                    for j in 0..WIDE {
                        sums[i][j] = multiply_add::<FMA>(a, b[j], sums[i][j]);
                    }
                }
            }
            for i in 0..TALL {
                for j in 0..WIDE {
                    c[row + i][column + j] = end(row + i, column + j, sums[i][j]);
                }
            }
        }
    }
}

impl<const OUT: usize> Activations<OUT> {
    /// Turns the weights round for the way back, once for an update.
    #[inline(always)]
    pub(super) fn prepare(&mut self, parameters: &[f32]) {
        let Layers { w2, last, .. } = Layers::of(parameters);
        for (i, row) in w2.iter().enumerate() {
            self.w2t.iter_mut().zip(row).for_each(|(to, w)| to[i] = *w);
        }
        for (i, row) in last.chunks_exact(OUT).take(HIDDEN).enumerate() {
            self.w3t.iter_mut().zip(row).for_each(|(to, w)| to[i] = *w);
        }
    }

    /// The outputs of a block.
    #[inline(always)]
    pub(super) fn forward<const WIDE: usize, const FMA: bool>(
        &mut self,
        parameters: &[f32],
        x: &Rows,
    ) {
        let Layers { w1, b1, w2, b2, last } = Layers::of(parameters);
        let f = |_, _, z| tanh::<FMA>(z);
        let input = |i: usize, k: usize| x[i * INPUTS + k];
        product::<INPUTS, WIDE, FMA>(input, w1, &mut self.h1, |_, _, at| part(b1, at), f);
        let h1 = &self.h1;
        product::<HIDDEN, WIDE, FMA>(|i, k| h1[i][k], w2, &mut self.h2, |_, _, at| part(b2, at), f);
        for (out, w) in self.w3t.iter().enumerate() {
            let bias = last[HIDDEN * OUT + out];
            for (h, y) in self.h2.iter().zip(&mut self.outputs[out]) {
                *y = bias + dot::<FMA>(h, w);
            }
        }
    }

    /// Adds the gradient of a block whose outputs have been replaced by slopes.
    #[inline(always)]
    pub(super) fn backward<const WIDE: usize, const FMA: bool>(
        &mut self,
        x: &Rows,
        gradient: &mut [f32],
    ) {
        let (first, rest) = gradient.split_at_mut(W2);
        let (second, last) = rest.split_at_mut((HIDDEN + 1) * HIDDEN);
        let (dw1, db1) = first.split_at_mut(INPUTS * HIDDEN);
        let (dw2, db2) = second.split_at_mut(HIDDEN * HIDDEN);
        self.last_backward::<FMA>(last, &mut rows_mut::<1>(db2)[0]);

        let (h1, d2) = (&self.h1, &self.d2);
        let dw2 = rows_mut::<HIDDEN>(dw2);
        product::<BLOCK, WIDE, FMA>(
            |i, k| h1[k][i],
            d2,
            dw2,
            |sum, i, at| part(&sum[i], at),
            |_, _, sum| sum,
        );
        product::<HIDDEN, WIDE, FMA>(
            |i, k| d2[i][k],
            &self.w2t,
            &mut self.d1,
            |_, _, _| [0.0; WIDE],
            |i, j, dh| dh * (1.0 - h1[i][j] * h1[i][j]),
        );
        self.first_backward::<FMA>(x, rows_mut(dw1), &mut rows_mut::<1>(db1)[0]);
    }

    /// Through the last layer, and the second's tanh.
    #[inline(always)]
    fn last_backward<const FMA: bool>(&mut self, last: &mut [f32], db2: &mut [f32; HIDDEN]) {
        for panel in 0..HIDDEN / PANEL {
            let at = panel * PANEL;
            let mut w = [[0.0; PANEL]; OUT];
            for out in 0..OUT {
                w[out] = part(&self.w3t[out], at);
            }
            let mut dw = [[0.0; PANEL]; OUT];
            let mut db: [f32; PANEL] = part(db2, at);
            for row in 0..BLOCK {
                let h: [f32; PANEL] = part(&self.h2[row], at);
                let mut d = [0.0; PANEL];
                for out in 0..OUT {
                    let slope = self.outputs[out][row];
                    for j in 0..PANEL {
                        d[j] = multiply_add::<FMA>(slope, w[out][j], d[j]);
                        dw[out][j] = multiply_add::<FMA>(slope, h[j], dw[out][j]);
                    }
                }
                for j in 0..PANEL {
                    d[j] *= 1.0 - h[j] * h[j];
                    db[j] += d[j];
                }
                self.d2[row][at..at + PANEL].copy_from_slice(&d);
            }
            db2[at..at + PANEL].copy_from_slice(&db);
            for (to, dw) in self.dw3t.iter_mut().zip(dw) {
                to[at..at + PANEL].copy_from_slice(&dw);
            }
        }
        let (dw3, db3) = last.split_at_mut(HIDDEN * OUT);
        for (i, row) in dw3.chunks_exact_mut(OUT).enumerate() {
            row.iter_mut().zip(&self.dw3t).for_each(|(to, dw)| *to += dw[i]);
        }
        for (to, slopes) in db3.iter_mut().zip(&self.outputs) {
            *to += tree(*slopes);
        }
    }

    /// The gradient of the first layer.
    #[inline(always)]
    fn first_backward<const FMA: bool>(
        &self,
        x: &Rows,
        dw1: &mut [[f32; HIDDEN]; INPUTS],
        db1: &mut [f32; HIDDEN],
    ) {
        for panel in 0..HIDDEN / PANEL {
            let at = panel * PANEL;
            let mut dw = [[0.0; PANEL]; INPUTS];
            for k in 0..INPUTS {
                dw[k] = part(&dw1[k], at);
            }
            let mut db: [f32; PANEL] = part(db1, at);
            for (d, x) in self.d1.iter().zip(x.chunks_exact(INPUTS)) {
                let d: [f32; PANEL] = part(d, at);
                for k in 0..INPUTS {
                    for j in 0..PANEL {
                        dw[k][j] = multiply_add::<FMA>(x[k], d[j], dw[k][j]);
                    }
                }
                for j in 0..PANEL {
                    db[j] += d[j];
                }
            }
            db1[at..at + PANEL].copy_from_slice(&db);
            for (to, dw) in dw1.iter_mut().zip(dw) {
                to[at..at + PANEL].copy_from_slice(&dw);
            }
        }
    }
}

/// a · b.
#[inline(always)]
fn dot<const FMA: bool>(a: &[f32; HIDDEN], b: &[f32; HIDDEN]) -> f32 {
    let mut sums = [0.0f32; 32];
    for half in 0..HIDDEN / 32 {
        for j in 0..32 {
            let at = half * 32 + j;
            sums[j] = multiply_add::<FMA>(a[at], b[at], sums[j]);
        }
    }
    tree(sums)
}

/// The sum, half and half.
#[inline(always)]
fn tree<const N: usize>(mut sums: [f32; N]) -> f32 {
    let mut half = N / 2;
    while half > 0 {
        let (low, high) = sums.split_at_mut(half);
        low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
        half /= 2;
    }
    sums[0]
}

/// tanh, by the rational function of elegante's kernels.
#[inline(always)]
fn tanh<const FMA: bool>(x: f32) -> f32 {
    const P: [f32; 4] = [0.133_826_12, 3.497_372_4e-3, 2.063_441_8e-5, 1.338_247_6e-8];
    const Q: [f32; 4] = [0.467_159_24, 2.588_403_8e-2, 3.288_376_6e-4, 7.789_472_5e-7];
    let x = x.clamp(-8.001_334, 8.001_334);
    let t = x * x;
    let poly = |[a, b, c, d]: [f32; 4]| {
        let high = multiply_add::<FMA>(d, t, c);
        multiply_add::<FMA>(multiply_add::<FMA>(high, t, b), t, a) * t
    };
    multiply_add::<FMA>(x, poly(P), x) / (1.0 + poly(Q))
}

/// eˣ for x of moderate size, to a few units in the last place.
#[inline(always)]
fn exp<const FMA: bool>(x: f32) -> f32 {
    /// Adding it rounds to a whole number, which is then in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let rounded = multiply_add::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    // ln 2 in two parts, the first with zeros at its end.
    let r = multiply_add::<FMA>(n, -0.693_359_4, x);
    let r = multiply_add::<FMA>(n, 2.121_944_4e-4, r);
    let mut y = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        y = multiply_add::<FMA>(y, r, c);
    }
    y * f32::from_bits((rounded.to_bits() << 23).wrapping_add(0x3f80_0000))
}

/// ln (1 + x) for x from 0 to 1: 2 artanh (x/(2 + x)).
#[inline(always)]
fn ln_1p<const FMA: bool>(x: f32) -> f32 {
    let z = x / (2.0 + x);
    let t = z * z;
    let mut y = 1.0 / 11.0;
    for c in [1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0] {
        y = multiply_add::<FMA>(y, t, c);
    }
    2.0 * z * y
}

/// The loss so far.
pub(super) struct Losses {
    settings: Settings,
    /// 1/rows.
    share: f32,
    pub(super) sum: f32,
}

impl Losses {
    pub(super) fn new(settings: Settings, rows: usize) -> Self {
        Self { settings, share: 1.0 / rows as f32, sum: 0.0 }
    }

    /// Adds the loss of a block, and puts slopes in the place of its logits and values.
    #[inline(always)]
    pub(super) fn take<const FMA: bool>(
        &mut self,
        batch: &Batch,
        from: usize,
        logits: &mut [[f32; BLOCK]; ACTIONS],
        values: &mut [f32; BLOCK],
    ) {
        let Settings { clip_range, entropy_coef, value_coef, .. } = self.settings;
        let block = |all: &[f32]| -> [f32; BLOCK] {
            *all[from..].first_chunk().expect("a number for each row")
        };
        let actions: [u32; BLOCK] = *batch.actions[from..].first_chunk().expect("whole blocks");
        let (old, advantages) = (block(&batch.old_log_probs), block(&batch.advantages));
        let returns = block(&batch.returns);
        let (low, high) = (1.0 - clip_range, 1.0 + clip_range);
        let mut losses = [0.0f32; BLOCK];
        for i in 0..BLOCK {
            let zero = actions[i] == 0;
            // How much larger the logit of the other action is.
            let gap = logits[1][i] - logits[0][i];
            let gap = if zero { gap } else { -gap };
            let e = exp::<FMA>(-gap.abs().min(80.0));
            let larger = 1.0 / (1.0 + e);
            let (p, q) = if gap > 0.0 { (e * larger, larger) } else { (larger, e * larger) };
            let log_p = -(gap.max(0.0) + ln_1p::<FMA>(e));
            let log_q = log_p + gap;
            let entropy = -(p * log_p + q * log_q);

            let ratio = exp::<FMA>((log_p - old[i]).clamp(-80.0, 80.0));
            let free = ratio * advantages[i];
            let clipped = ratio.clamp(low, high) * advantages[i];
            let slope = if clipped < free { 0.0 } else { -free };
            let toward = slope * q + entropy_coef * p * (log_p + entropy);
            let away = -slope * q + entropy_coef * q * (log_q + entropy);
            let (first, second) = if zero { (toward, away) } else { (away, toward) };
            logits[0][i] = self.share * first;
            logits[1][i] = self.share * second;

            let error = values[i] - returns[i];
            values[i] = self.share * 2.0 * value_coef * error;
            let surrogate = if clipped < free { clipped } else { free };
            losses[i] = value_coef * error * error - surrogate - entropy_coef * entropy;
        }
        self.sum += self.share * tree(losses);
    }
}
