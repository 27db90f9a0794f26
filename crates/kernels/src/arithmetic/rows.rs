//! Arithmetic on the rows of a choice among n, and losses over rows. Sums over rows that only make one
//! number are taken in f64; exponentials and logarithms have libm's bits, the same on every machine.

use libm::logf;

use super::functions::exp;

/// x ← log softmax x for rows of n.
pub(crate) fn log_softmax(x: &mut [f32], n: usize) {
    for row in x.chunks_exact_mut(n) {
        let max = row.iter().fold(f32::NEG_INFINITY, |max, &x| if x > max { x } else { max });
        row.iter_mut().for_each(|x| *x -= max);
    }
    let powers = exponentials(x);
    for (row, powers) in x.chunks_exact_mut(n).zip(powers.chunks_exact(n)) {
        let log_sum = logf(powers.iter().sum());
        row.iter_mut().for_each(|x| *x -= log_sum);
    }
}

/// dy ← dx = dyⱼ − pⱼ Σₖ dyₖ, where y is log p.
pub(crate) fn log_softmax_backward(y: &[f32], dy: &mut [f32], n: usize) {
    for (probs, dy) in exponentials(y).chunks_exact(n).zip(dy.chunks_exact_mut(n)) {
        let sum: f32 = dy.iter().sum();
        dy.iter_mut().zip(probs).for_each(|(dy, prob)| *dy -= prob * sum);
    }
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
    let probs = exponentials(log_p);
    let rows = probs.chunks_exact(n).zip(log_p.chunks_exact(n));
    rows.map(|(probs, log_p)| -probs.iter().zip(log_p).map(|(prob, x)| prob * x).sum::<f32>())
        .collect()
}

/// −(log p + 1) p dy.
pub(crate) fn entropy_backward(log_p: &[f32], dy: &[f32], n: usize) -> Vec<f32> {
    let mut slope = exponentials(log_p);
    let rows = slope.chunks_exact_mut(n).zip(log_p.chunks_exact(n));
    for ((slope, log_p), dy) in rows.zip(dy) {
        slope.iter_mut().zip(log_p).for_each(|(slope, x)| *slope *= -(x + 1.0));
        slope.iter_mut().for_each(|slope| *slope *= dy);
    }
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
    let mut sum = 0.0;
    let mut slope: Vec<f32> = log_prob.iter().zip(old_log_prob).map(|(x, old)| x - old).collect();
    exp(&mut slope);
    for (slope, advantage) in slope.iter_mut().zip(advantage) {
        let ratio = *slope;
        let (free, clipped) = (ratio * advantage, ratio.clamp(low, high) * advantage);
        // Where the clipped one is smaller, the loss does not move with ρ.
        (sum, *slope) = match clipped < free {
            true => (sum + f64::from(clipped), 0.0),
            false => (sum + f64::from(free), -free / n),
        };
    }
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

/// L − c · mean H.
pub(crate) fn with_bonus(loss: f32, entropy: &[f32], coefficient: f64) -> f32 {
    let sum: f64 = entropy.iter().map(|h| f64::from(*h)).sum();
    loss - (sum / entropy.len() as f64) as f32 * coefficient as f32
}

/// Its derivative with respect to each of so many H.
pub(crate) fn bonus_slope(rows: usize, coefficient: f64) -> f32 {
    -((rows as f64).recip() as f32 * coefficient as f32)
}
