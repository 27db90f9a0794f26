//! Honest statistics over a handful of seeds: the interquartile mean with a stratified bootstrap
//! interval (Agarwal et al., 2021, "Deep reinforcement learning at the edge of the statistical
//! precipice"; their package is rliable).

use elegante_env::EnvRng;
use rand::RngExt;

/// Resamples for an interval, as in rliable.
pub const BOOTSTRAP_SAMPLES: usize = 50_000;

/// The mean of the middle half: a quarter of the scores, rounded down, is cut off at each end.
///
/// Less at the mercy of one odd seed than the mean, and wasting fewer seeds than the median. NaN
/// for no scores.
pub fn iqm(scores: &[f64]) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let cut = sorted.len() / 4;
    let middle = &sorted[cut..sorted.len() - cut];
    middle.iter().sum::<f64>() / middle.len() as f64
}

/// The interval that holds `level` (0.95, say) of a statistic's values over resampled runs.
///
/// Stratified: each task's runs are drawn with replacement among themselves, and the statistic is
/// taken over all tasks' runs together. The ends are percentiles, between the two nearest values.
///
/// # Shapes
/// `tasks`: the final scores of each task's runs, at least one run in each.
pub fn bootstrap_interval(
    tasks: &[Vec<f64>],
    statistic: impl Fn(&[f64]) -> f64,
    samples: usize,
    level: f64,
    rng: &mut EnvRng,
) -> (f64, f64) {
    let mut drawn = Vec::with_capacity(tasks.iter().map(Vec::len).sum());
    let mut values: Vec<f64> = (0..samples.max(1))
        .map(|_| {
            drawn.clear();
            for runs in tasks {
                drawn.extend(runs.iter().map(|_| runs[rng.random_range(0..runs.len())]));
            }
            statistic(&drawn)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    (percentile(&values, tail), percentile(&values, 1.0 - tail))
}

/// The value below which the share `p` of the `sorted` ones lies, on the line between neighbours
/// (NumPy's default).
fn percentile(sorted: &[f64], p: f64) -> f64 {
    let place = p.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interquartile_mean_is_that_of_the_middle_half() {
        assert_eq!(iqm(&[5.0, 1.0, 2.0, 100.0, 3.0]), 10.0 / 3.0, "one of five goes at each end");
        assert_eq!(iqm(&[1.0, 2.0, 3.0]), 2.0, "of three, none does");
        assert_eq!(iqm(&[9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 0.0]), 4.5);
        assert_eq!(iqm(&[7.0]), 7.0);
        assert!(iqm(&[]).is_nan());
    }

    #[test]
    fn percentiles_are_numpys() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(percentile(&sorted, 0.5), 3.0);
        assert_eq!(percentile(&sorted, 0.1), 1.3);
        assert_eq!((percentile(&sorted, 0.0), percentile(&sorted, 1.0)), (1.0, 8.0));
    }

    #[test]
    fn the_interval_of_a_mean_is_the_normal_one_when_there_are_many_runs() {
        let mut rng = EnvRng::new(3);
        let runs: Vec<f64> = (0..400).map(|_| rng.random_f64()).collect();
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let center = mean(&runs);
        let spread = (runs.iter().map(|x| (x - center).powi(2)).sum::<f64>() / 400.0).sqrt();
        let (low, high) = bootstrap_interval(&[runs], mean, 20_000, 0.95, &mut EnvRng::new(4));
        let expected = 1.96 * spread / 20.0;
        assert!(((center - low) / expected - 1.0).abs() < 0.05, "{low} below {center}");
        assert!(((high - center) / expected - 1.0).abs() < 0.05, "{high} above {center}");
    }

    #[test]
    fn runs_are_drawn_within_their_own_task() {
        // Every resample has two runs of each task, so the mean can't move.
        let tasks = [vec![0.0, 0.0], vec![10.0, 10.0]];
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let interval = bootstrap_interval(&tasks, mean, 100, 0.95, &mut EnvRng::new(0));
        assert_eq!(interval, (5.0, 5.0));
        let (low, high) =
            bootstrap_interval(&[vec![0.0, 1.0]], mean, 1000, 0.95, &mut EnvRng::new(0));
        assert_eq!((low, high), (0.0, 1.0));
    }
}
