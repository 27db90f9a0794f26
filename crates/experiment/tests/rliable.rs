//! The statistics against rliable's own output (`scripts/goldens_rliable.py`).
#![allow(clippy::unwrap_used)] // a panic here is the report

use std::collections::BTreeMap;

use elegante_env::EnvRng;
use elegante_experiment::statistics::{
    BOOTSTRAP_SAMPLES, Estimate, LEVEL, bootstrap_interval, iqm, mean, median, performance_profile,
    probability_of_improvement, share_above,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Goldens {
    one_method: Vec<OneMethod>,
    two_methods: Vec<TwoMethods>,
}

#[derive(Deserialize)]
struct OneMethod {
    name: String,
    tasks: Vec<Vec<f64>>,
    estimates: BTreeMap<String, Estimate>,
    profile: Vec<(f64, Estimate)>,
}

#[derive(Deserialize)]
struct TwoMethods {
    name: String,
    x: Vec<f64>,
    y: Vec<f64>,
    estimates: BTreeMap<String, Estimate>,
}

type Statistic = fn(&[f64]) -> f64;
type OfTwo = fn(&[f64], &[f64]) -> f64;

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("goldens/rliable.json")).unwrap()
}

/// Values agree to rounding. An end of rliable's 95 % interval lies between those of our 94 % and our 96 %
/// interval: with its 20,000 resamples and our 50,000 the tails' shares have a standard error of 0.13 %, and
/// where they stand on the axis of scores is a question of how many scores there are nearby.
fn agree(
    name: &str,
    tasks: &[Vec<f64>],
    statistic: impl Fn(&[f64]) -> f64 + Copy,
    ours: Estimate,
    theirs: Estimate,
) {
    let rounding = 1e-12 * theirs.value.abs().max(1.0);
    assert!((ours.value - theirs.value).abs() <= rounding, "{name}: {ours:?}, rliable {theirs:?}");
    let interval =
        |level| bootstrap_interval(tasks, statistic, BOOTSTRAP_SAMPLES, level, &mut EnvRng::new(0));
    assert_eq!((ours.low, ours.high), interval(LEVEL), "{name}");
    let (narrow, wide) = (interval(LEVEL - 0.01), interval(LEVEL + 0.01));
    let within = |low: f64, x: f64, high: f64| low - rounding <= x && x <= high + rounding;
    assert!(within(wide.0, theirs.low, narrow.0), "{name}: {ours:?}, rliable {theirs:?}");
    assert!(within(narrow.1, theirs.high, wide.1), "{name}: {ours:?}, rliable {theirs:?}");
}

#[test]
fn estimates_of_one_method_are_rliables() {
    for OneMethod { name, tasks, estimates, profile } in goldens().one_method {
        let statistics: [(&str, Statistic); 3] = [("iqm", iqm), ("mean", mean), ("median", median)];
        let all = tasks.concat();
        for (key, statistic) in statistics {
            let mut ours = Estimate::of(&all, statistic);
            if tasks.len() > 1 {
                let mut rng = EnvRng::new(0);
                (ours.low, ours.high) =
                    bootstrap_interval(&tasks, statistic, BOOTSTRAP_SAMPLES, LEVEL, &mut rng);
            }
            agree(&format!("{name}, {key}"), &tasks, statistic, ours, estimates[key]);
        }
        let ours =
            performance_profile(&all, &profile.iter().map(|(at, _)| *at).collect::<Vec<_>>());
        for ((at, theirs), (_, mut ours)) in profile.into_iter().zip(ours) {
            let share = |scores: &[f64]| share_above(scores, at);
            if tasks.len() > 1 {
                let mut rng = EnvRng::new(0);
                (ours.low, ours.high) =
                    bootstrap_interval(&tasks, share, BOOTSTRAP_SAMPLES, LEVEL, &mut rng);
            }
            agree(&format!("{name}, above {at}"), &tasks, share, ours, theirs);
        }
    }
}

#[test]
fn comparisons_of_two_methods_are_rliables() {
    for TwoMethods { name, x, y, estimates } in goldens().two_methods {
        let statistics: [(&str, OfTwo); 2] = [
            ("probability_of_improvement", probability_of_improvement),
            ("difference_of_iqms", |x, y| iqm(x) - iqm(y)),
        ];
        for (key, statistic) in statistics {
            let of_both = |drawn: &[f64]| statistic(&drawn[..x.len()], &drawn[x.len()..]);
            let ours = Estimate::of_two(&x, &y, statistic);
            let tasks = [x.clone(), y.clone()];
            agree(&format!("{name}, {key}"), &tasks, of_both, ours, estimates[key]);
        }
    }
}
