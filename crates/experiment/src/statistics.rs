//! Honest statistics over a handful of seeds: the interquartile mean with a stratified bootstrap
//! interval (Agarwal et al., 2021, "Deep reinforcement learning at the edge of the statistical
//! precipice"; their package is rliable).

use elegante_env::EnvRng;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Resamples for an interval, as in rliable.
pub const BOOTSTRAP_SAMPLES: usize = 50_000;

/// The share of resamples that an interval of ours holds.
pub const LEVEL: f64 = 0.95;

/// A statistic of some runs, and how far it may be from that of infinitely many.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Its value over the runs that there are; infinite where most of them never get there.
    #[serde(with = "unbounded")]
    pub value: f64,
    /// The lower end of its 95 % bootstrap interval.
    #[serde(with = "unbounded")]
    pub low: f64,
    /// The upper end.
    #[serde(with = "unbounded")]
    pub high: f64,
}

impl Estimate {
    /// `statistic` of the runs of one task, with the interval of [`BOOTSTRAP_SAMPLES`] resamples. The
    /// resamples are always the same ones, so that the same runs have the same interval.
    pub fn of(runs: &[f64], statistic: impl Fn(&[f64]) -> f64) -> Self {
        let (value, tasks) = (statistic(runs), [runs.to_vec()]);
        let mut rng = EnvRng::new(0);
        let (low, high) = bootstrap_interval(&tasks, statistic, BOOTSTRAP_SAMPLES, LEVEL, &mut rng);
        Self { value, low, high }
    }

    /// `statistic` of the runs of two methods on one task, which are drawn independently.
    pub fn of_two(x: &[f64], y: &[f64], statistic: impl Fn(&[f64], &[f64]) -> f64) -> Self {
        let of_both = |drawn: &[f64]| statistic(&drawn[..x.len()], &drawn[x.len()..]);
        let tasks = [x.to_vec(), y.to_vec()];
        let mut rng = EnvRng::new(0);
        let (low, high) = bootstrap_interval(&tasks, of_both, BOOTSTRAP_SAMPLES, LEVEL, &mut rng);
        Self { value: statistic(x, y), low, high }
    }
}

/// The mean; NaN for no scores.
pub fn mean(scores: &[f64]) -> f64 {
    scores.iter().sum::<f64>() / scores.len() as f64
}

/// The middle one, or the mean of the middle two; NaN for no scores.
///
/// Over the runs of one task. (rliable's `aggregate_median` is taken over the means of several tasks.)
pub fn median(scores: &[f64]) -> f64 {
    if scores.is_empty() {
        return f64::NAN;
    }
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    percentile(&sorted, 0.5)
}

/// P(X > Y) + ½ P(X = Y) for a run X of one method and a run Y of the other: the probability of
/// improvement, Mann and Whitney's U over all pairs. NaN for no pairs.
pub fn probability_of_improvement(x: &[f64], y: &[f64]) -> f64 {
    let win = |(x, y): (&f64, &f64)| f64::from(u8::from(x > y)) + 0.5 * f64::from(u8::from(x == y));
    let pairs = x.iter().flat_map(|x| y.iter().map(move |y| (x, y)));
    pairs.map(win).sum::<f64>() / (x.len() * y.len()) as f64
}

/// The share of the scores above `threshold`: a performance profile, point by point (rliable's
/// run-score distribution). NaN for no scores.
pub fn share_above(scores: &[f64], threshold: f64) -> f64 {
    scores.iter().filter(|score| **score > threshold).count() as f64 / scores.len() as f64
}

/// The performance profile of the runs of one task: for each threshold, the lowest first, the
/// [share of the runs above it](share_above), with pointwise intervals. Each is what [`Estimate::of`]
/// makes of that share; the resamples are drawn once for all thresholds. Empty for no runs.
pub fn performance_profile(scores: &[f64], thresholds: &[f64]) -> Vec<(f64, Estimate)> {
    let (n, mut thresholds) = (scores.len(), thresholds.to_vec());
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup();
    if n == 0 {
        return Vec::new();
    }
    // A run is above as many thresholds as its rank says.
    let ranks: Vec<usize> =
        scores.iter().map(|score| thresholds.partition_point(|at| at < score)).collect();
    // For each threshold, in how many resamples 0, 1, …, n runs are above it.
    let mut counts = vec![vec![0usize; n + 1]; thresholds.len()];
    let mut drawn = vec![0usize; thresholds.len() + 1];
    let mut rng = EnvRng::new(0);
    for _ in 0..BOOTSTRAP_SAMPLES {
        drawn.fill(0);
        (0..n).for_each(|_| drawn[ranks[rng.random_range(0..n)]] += 1);
        let mut above = 0;
        for (count, drawn) in counts.iter_mut().zip(&drawn[1..]).rev() {
            above += drawn;
            count[above] += 1;
        }
    }
    let tail = (1.0 - LEVEL) / 2.0;
    let estimate = |(at, counts): (f64, Vec<usize>)| {
        let [low, high] = [tail, 1.0 - tail].map(|p| percentile_of_shares(&counts, p));
        (at, Estimate { value: share_above(scores, at), low, high })
    };
    thresholds.into_iter().zip(counts).map(estimate).collect()
}

/// The [`percentile`] of shares 0/n, 1/n, …, n/n of which there are so many each.
fn percentile_of_shares(counts: &[usize], p: f64) -> f64 {
    let all: usize = counts.iter().sum();
    let place = p.clamp(0.0, 1.0) * (all - 1) as f64;
    let share = |place: usize| {
        let mut passed = 0;
        let above = counts.iter().position(|count| {
            passed += count;
            passed > place
        });
        above.unwrap_or(counts.len() - 1) as f64 / (counts.len() - 1) as f64
    };
    let (below, above) = (share(place.floor() as usize), share(place.ceil() as usize));
    if below == above { below } else { below + (above - below) * place.fract() }
}

/// JSON has no infinity: `null` stands for +∞, which is where runs are that never reach something.
mod unbounded {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(x: &f64, to: S) -> Result<S::Ok, S::Error> {
        x.is_finite().then_some(*x).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or(f64::INFINITY))
    }
}

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
pub(crate) fn percentile(sorted: &[f64], p: f64) -> f64 {
    let place = p.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    // Between two infinities there is no line.
    if below == above { below } else { below + (above - below) * place.fract() }
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
    fn medians_stand_runs_that_never_arrive() {
        let never = f64::INFINITY;
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[never, 5.0, never, 1.0, 2.0]), 5.0);
        assert_eq!(median(&[never, never, 1.0]), never);
        assert_eq!(median(&[never, 1.0]), never);
        assert!(median(&[]).is_nan());
        let Estimate { value, low, high } = Estimate::of(&[never, 5.0, 4.0, 1.0, 2.0], median);
        assert_eq!((value, low, high), (4.0, 1.0, never));
        let json = serde_json::to_string(&Estimate { value, low, high }).unwrap();
        assert_eq!(json, r#"{"value":4.0,"low":1.0,"high":null}"#);
        assert_eq!(serde_json::from_str::<Estimate>(&json).unwrap(), Estimate { value, low, high });
    }

    #[test]
    fn an_improvement_is_a_pair_won_or_half_a_draw() {
        assert_eq!(probability_of_improvement(&[2.0, 3.0], &[1.0, 2.0]), 3.5 / 4.0);
        assert_eq!(probability_of_improvement(&[1.0; 3], &[1.0; 5]), 0.5);
        assert_eq!(probability_of_improvement(&[0.0], &[1.0, 2.0]), 0.0);
        assert_eq!(share_above(&[1.0, 2.0, 2.0, 3.0], 2.0), 0.25, "strictly above");
    }

    #[test]
    fn of_two_methods_each_is_drawn_among_its_own() {
        let difference = |x: &[f64], y: &[f64]| mean(x) - mean(y);
        let apart = Estimate::of_two(&[10.0, 10.0, 10.0], &[1.0, 1.0], difference);
        assert_eq!((apart.value, apart.low, apart.high), (9.0, 9.0, 9.0));
        let one_varies = Estimate::of_two(&[10.0], &[0.0, 1.0], difference);
        assert_eq!((one_varies.low, one_varies.high), (9.0, 10.0));
    }

    #[test]
    fn a_profile_is_a_share_with_its_interval_at_each_threshold() {
        let scores = [3.0, 1.0, 2.0, 2.0, 9.5, -1.0, 2.0];
        let profile = performance_profile(&scores, &[2.0, -1.0, 5.0, 9.5, -7.0, 2.0]);
        let thresholds: Vec<f64> = profile.iter().map(|(at, _)| *at).collect();
        assert_eq!(thresholds, [-7.0, -1.0, 2.0, 5.0, 9.5]);
        for (at, estimate) in &profile {
            assert_eq!(*estimate, Estimate::of(&scores, |drawn| share_above(drawn, *at)), "{at}");
        }
        assert_eq!(profile[2].1.value, 2.0 / 7.0, "strictly above");
        assert!(performance_profile(&[], &[1.0]).is_empty());
        assert_eq!(performance_profile(&[1.0], &[0.0])[0].1.low, 1.0);
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
