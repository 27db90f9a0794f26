//! Arithmetic on the rows of a choice among n, and losses over rows. Sums over rows that only make one
//! number are taken in f64; exponentials and logarithms have libm's bits, the same on every machine.

use super::functions::{exp, log};

/// `f::<N>` for rows of N entries where those are few, so that the compiler knows the length of its loops;
/// else `f::<0>`, which looks at the length it is given.
macro_rules! by_width {
    ($f:ident($n:expr $(, $rest:expr)*)) => {
        match $n {
            2 => $f::<2>(2 $(, $rest)*),
            3 => $f::<3>(3 $(, $rest)*),
            4 => $f::<4>(4 $(, $rest)*),
            n => $f::<0>(n $(, $rest)*),
        }
    };
}

/// What the compiler knows of a row's length, or what there is to know.
const fn width<const N: usize>(n: usize) -> usize {
    if N > 0 { N } else { n }
}

/// x ← log softmax x for rows of n.
pub(crate) fn log_softmax(x: &mut [f32], n: usize) {
    fn subtract_largest<const N: usize>(n: usize, x: &mut [f32]) {
        for row in x.chunks_exact_mut(width::<N>(n)) {
            let max = row.iter().fold(f32::NEG_INFINITY, |max, &x| if x > max { x } else { max });
            row.iter_mut().for_each(|x| *x -= max);
        }
    }
    fn sums<const N: usize>(n: usize, x: &[f32]) -> Vec<f32> {
        x.chunks_exact(width::<N>(n)).map(|row| row.iter().sum()).collect()
    }
    fn subtract<const N: usize>(n: usize, x: &mut [f32], from_rows: &[f32]) {
        for (row, y) in x.chunks_exact_mut(width::<N>(n)).zip(from_rows) {
            row.iter_mut().for_each(|x| *x -= y);
        }
    }
    by_width!(subtract_largest(n, x));
    let mut log_sums = by_width!(sums(n, &exponentials(x)));
    log(&mut log_sums);
    by_width!(subtract(n, x, &log_sums));
}

/// dy ← dx = dyⱼ − pⱼ Σₖ dyₖ, where y is log p.
pub(crate) fn log_softmax_backward(y: &[f32], dy: &mut [f32], n: usize) {
    fn back<const N: usize>(n: usize, probs: &[f32], dy: &mut [f32]) {
        let n = width::<N>(n);
        for (probs, dy) in probs.chunks_exact(n).zip(dy.chunks_exact_mut(n)) {
            let sum: f32 = dy.iter().sum();
            dy.iter_mut().zip(probs).for_each(|(dy, prob)| *dy -= prob * sum);
        }
    }
    by_width!(back(n, &exponentials(y), dy));
}

/// exp xᵢ.
fn exponentials(x: &[f32]) -> Vec<f32> {
    let mut exponentials = x.to_vec();
    exp(&mut exponentials);
    exponentials
}

/// The entry of each row of n that the index names.
pub(crate) fn pick(x: &[f32], n: usize, index: &[usize]) -> Vec<f32> {
    x.chunks_exact(n).zip(index).map(|(row, &i)| row[i]).collect()
}

/// dy where it was picked from, 0 elsewhere.
pub(crate) fn pick_backward(index: &[usize], dy: &[f32], n: usize) -> Vec<f32> {
    let mut dx = vec![0.0; dy.len() * n];
    for ((dx, &i), &dy) in dx.chunks_exact_mut(n).zip(index).zip(dy) {
        dx[i] = dy;
    }
    dx
}

/// −Σ p log p of rows of n.
pub(crate) fn entropy(log_p: &[f32], n: usize) -> Vec<f32> {
    fn sums<const N: usize>(n: usize, probs: &[f32], log_p: &[f32]) -> Vec<f32> {
        let n = width::<N>(n);
        let rows = probs.chunks_exact(n).zip(log_p.chunks_exact(n));
        rows.map(|(probs, log_p)| -probs.iter().zip(log_p).map(|(prob, x)| prob * x).sum::<f32>())
            .collect()
    }
    by_width!(sums(n, &exponentials(log_p), log_p))
}

/// −(log p + 1) p dy.
pub(crate) fn entropy_backward(log_p: &[f32], dy: &[f32], n: usize) -> Vec<f32> {
    fn back<const N: usize>(n: usize, slope: &mut [f32], log_p: &[f32], dy: &[f32]) {
        let n = width::<N>(n);
        for ((slope, log_p), dy) in slope.chunks_exact_mut(n).zip(log_p.chunks_exact(n)).zip(dy) {
            slope.iter_mut().zip(log_p).for_each(|(slope, x)| *slope *= -(x + 1.0));
            slope.iter_mut().for_each(|slope| *slope *= dy);
        }
    }
    let mut slope = exponentials(log_p);
    by_width!(back(n, &mut slope, log_p, dy));
    slope
}

/// The clipped surrogate, and its derivative with respect to log π.
pub(crate) fn clipped_surrogate(
    log_prob: &[f32],
    old_log_prob: &[f32],
    advantage: &[f32],
    epsilon: f64,
) -> (f32, Vec<f32>) {
    let (low, high) = ((1.0 - epsilon) as f32, (1.0 + epsilon) as f32);
    let n = log_prob.len() as f32;
    let mut slope: Vec<f32> = log_prob.iter().zip(old_log_prob).map(|(x, old)| x - old).collect();
    exp(&mut slope);
    // The terms and the slopes in a loop that the compiler vectorises, which a sum in f64 would not let it.
    let mut terms = vec![0.0; slope.len()];
    for ((slope, term), advantage) in slope.iter_mut().zip(&mut terms).zip(advantage) {
        let ratio = *slope;
        let (free, clipped) = (ratio * advantage, ratio.clamp(low, high) * advantage);
        // Where the clipped one is smaller, the loss does not move with ρ.
        let still = clipped < free;
        *term = if still { clipped } else { free };
        *slope = if still { 0.0 } else { -free / n };
    }
    let sum: f64 = terms.iter().map(|term| f64::from(*term)).sum();
    (-(sum / f64::from(n)) as f32, slope)
}

/// mean (x − target)², and its derivative with respect to x.
pub(crate) fn mean_squared_error(x: &[f32], target: &[f32]) -> (f32, Vec<f32>) {
    let n = x.len() as f32;
    let errors: Vec<f32> = x.iter().zip(target).map(|(x, target)| x - target).collect();
    let sum: f64 = errors.iter().map(|error| f64::from(*error) * f64::from(*error)).sum();
    let slope = errors.iter().map(|error| 2.0 * error / n).collect();
    ((sum / f64::from(n)) as f32, slope)
}

/// L − c · mean H.
pub(crate) fn with_bonus(loss: f32, entropy: &[f32], coefficient: f64) -> f32 {
    let sum: f64 = entropy.iter().map(|h| f64::from(*h)).sum();
    loss - (sum / entropy.len() as f64) as f32 * coefficient as f32
}

/// Its derivative with respect to each of so many H.
pub(crate) fn bonus_slope(rows: usize, coefficient: f64) -> f32 {
    -((rows as f64).recip() as f32 * coefficient as f32)
}
