//! Arithmetic on the rows of a choice among n, and losses over rows. Sums over rows that only make one
//! number are taken in f64; exponentials and logarithms are libm's, the same on every machine.

use libm::{expf, logf};

/// x ← log softmax x for rows of n.
pub(crate) fn log_softmax(x: &mut [f32], n: usize) {
    for row in x.chunks_exact_mut(n) {
        let max = row.iter().fold(f32::NEG_INFINITY, |max, &x| if x > max { x } else { max });
        let sum: f32 = row.iter().map(|x| expf(x - max)).sum();
        let log_sum = logf(sum);
        row.iter_mut().for_each(|x| *x = (*x - max) - log_sum);
    }
}

/// dy ← dx = dyⱼ − pⱼ Σₖ dyₖ, where y is log p.
pub(crate) fn log_softmax_backward(y: &[f32], dy: &mut [f32], n: usize) {
    for (y, dy) in y.chunks_exact(n).zip(dy.chunks_exact_mut(n)) {
        let sum: f32 = dy.iter().sum();
        dy.iter_mut().zip(y).for_each(|(dy, y)| *dy -= expf(*y) * sum);
    }
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
    log_p.chunks_exact(n).map(|row| -row.iter().map(|x| expf(*x) * x).sum::<f32>()).collect()
}

/// −(log p + 1) p dy.
pub(crate) fn entropy_backward(log_p: &[f32], dy: &[f32], n: usize) -> Vec<f32> {
    let rows = log_p.chunks_exact(n).zip(dy);
    rows.flat_map(|(row, dy)| row.iter().map(move |x| -(x + 1.0) * expf(*x) * dy)).collect()
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
    let mut sum = 0.0;
    let rows = log_prob.iter().zip(old_log_prob).zip(advantage);
    let slope = rows.map(|((log_prob, old), advantage)| {
        let ratio = expf(log_prob - old);
        let (free, clipped) = (ratio * advantage, ratio.clamp(low, high) * advantage);
        // Where the clipped one is smaller, the loss does not move with ρ.
        if clipped < free {
            sum += f64::from(clipped);
            0.0
        } else {
            sum += f64::from(free);
            -free / n
        }
    });
    let slope = slope.collect();
    (-(sum / f64::from(n)) as f32, slope)
}

/// mean (x − target)², and its derivative with respect to x.
pub(crate) fn mean_squared_error(x: &[f32], target: &[f32]) -> (f32, Vec<f32>) {
    let n = x.len() as f32;
    let mut sum = 0.0;
    let slope = x.iter().zip(target).map(|(x, target)| {
        let error = x - target;
        sum += f64::from(error) * f64::from(error);
        2.0 * error / n
    });
    let slope = slope.collect();
    ((sum / f64::from(n)) as f32, slope)
}
