//! Which settings went along with the return.

use super::{Dimension, StudyRecord, Trial, TrialState};
use crate::{figure::signed, statistics::mean};

/// Trials that say little about a setting all by themselves are not asked about it.
const ENOUGH: usize = 10;

/// How closely a setting went along with the order of the trials.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Association {
    /// The setting.
    pub(crate) key: String,
    /// Between 0 and 1.
    strength: f64,
    /// What it is, and its sign.
    pub(crate) text: String,
}

impl StudyRecord {
    /// Of each setting that there is enough to say about, the closest first.
    pub(crate) fn associations(&self) -> Vec<Association> {
        associations(self.space().dimensions(), self.trials())
    }

    /// How many trials that is by, and about what chance alone makes of so many.
    pub(crate) fn chance(&self) -> (usize, f64) {
        let counted = judged(self.trials()).len();
        (counted, 2.0 / (counted as f64).sqrt())
    }
}

/// The trials that say something, the best first.
fn judged(trials: &[Trial]) -> Vec<&Trial> {
    let ranked = Trial::ranked(trials).into_iter();
    ranked.filter(|trial| trial.state != TrialState::Failed).collect()
}

fn associations(dimensions: &[Dimension], trials: &[Trial]) -> Vec<Association> {
    let ranked = judged(trials);
    let found = dimensions.iter().filter_map(|dimension| Association::of(dimension, &ranked));
    let mut found: Vec<Association> = found.collect();
    found.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    found
}

impl Association {
    /// That of a setting with the order of the trials, the best of which is the first; `None` where there
    /// is too little to say.
    fn of(dimension: &Dimension, ranked: &[&Trial]) -> Option<Self> {
        let place =
            |trial: &&Trial| trial.params.get(&dimension.key).and_then(|v| dimension.place(v));
        // Higher is better.
        let known = ranked.iter().rev().filter_map(place);
        let places: Vec<f64> = known.collect();
        if places.len() < ENOUGH || places.iter().all(|place| *place == places[0]) {
            return None;
        }
        let goodness: Vec<f64> = (0..places.len()).map(|rank| rank as f64).collect();
        let (strength, text) = if dimension.is_ordered() {
            let rho = correlation(&ranks(&places), &goodness);
            (rho.abs(), format!("ρ = {}", signed((rho * 100.0).round() / 100.0)))
        } else {
            let eta = correlation_ratio(&places, &goodness);
            (eta, format!("η = {eta:.2}"))
        };
        Some(Self { key: dimension.key.clone(), strength, text })
    }
}

/// The rank of each number; equal ones share the mean of theirs.
fn ranks(numbers: &[f64]) -> Vec<f64> {
    let rank = |x: &f64| {
        let below = numbers.iter().filter(|y| *y < x).count() as f64;
        let equal = numbers.iter().filter(|y| *y == x).count() as f64;
        below + (equal - 1.0) / 2.0
    };
    numbers.iter().map(rank).collect()
}

/// Pearson's r.
fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let (mean_x, mean_y) = (mean(x), mean(y));
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| of(x - mean_x, y - mean_y)).sum()
    };
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

/// η: the square root of the share of y's variance that lies between the groups.
fn correlation_ratio(groups: &[f64], y: &[f64]) -> f64 {
    let all = mean(y);
    let of_group = |group: f64| -> Vec<f64> {
        groups.iter().zip(y).filter(|(g, _)| **g == group).map(|(_, y)| *y).collect()
    };
    let between: f64 = groups.iter().map(|group| (mean(&of_group(*group)) - all).powi(2)).sum();
    let total: f64 = y.iter().map(|y| (y - all).powi(2)).sum();
    (between / total).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::{
        Domain, Params, Scale,
        testing::{complete, failed},
    };
    use toml::Value;

    fn trials(of: impl Fn(u64) -> (f64, Value)) -> Vec<Trial> {
        let trial = |number| {
            let (value, x) = of(number);
            Trial { params: Params::from([("x".to_owned(), x)]), ..complete(number, value) }
        };
        (0..12).map(trial).collect()
    }

    fn told_of(domain: Domain, trials: &[Trial]) -> Option<String> {
        let dimension = Dimension { key: "x".into(), domain };
        Association::of(&dimension, &Trial::ranked(trials)).map(|it| it.text)
    }

    #[test]
    fn what_rises_with_the_return_is_told_from_what_does_not() {
        let line = || Domain::Range { low: 0.0, high: 20.0, scale: Scale::Linear, whole: false };
        let x = |number: u64| Value::Float(number as f64);
        let told = |of: &dyn Fn(u64) -> f64| told_of(line(), &trials(|n| (of(n), x(n))));
        assert_eq!(told(&|n| n as f64).unwrap(), "ρ = 1");
        assert_eq!(told(&|n| -(n as f64).powi(3)).unwrap(), "ρ = −1");
        assert!(told_of(line(), &trials(|n| (n as f64, x(3)))).is_none(), "it has not varied");
        assert!(told_of(line(), &trials(|n| (n as f64, x(n)))[..9]).is_none(), "nine are too few");
    }

    #[test]
    fn choices_are_told_by_how_far_they_lie_apart() {
        let names = ["a", "b", "c"].map(|it| Value::String(it.into()));
        let domain = || Domain::Choices(names.to_vec());
        let apart = trials(|n| (n as f64, names[n as usize / 4].clone()));
        // Between the thirds of twelve ranks lie 128 of the 143 of their squares' sum.
        assert_eq!(told_of(domain(), &apart).unwrap(), "η = 0.95");
        let mixed = trials(|n| (n as f64, names[n as usize % 3].clone()));
        assert_eq!(told_of(domain(), &mixed).unwrap(), "η = 0.24");
    }

    #[test]
    fn the_closest_comes_first_and_failures_count_for_nothing() {
        let line = |key: &str| Dimension {
            key: key.into(),
            domain: Domain::Range { low: 0.0, high: 20.0, scale: Scale::Linear, whole: false },
        };
        let trial = |number: u64| {
            let x = |x: u64| Value::Float(x as f64);
            let params = [("a", x(number * 7 % 12)), ("b", x(12 - number))];
            let params = params.map(|(key, x)| (key.to_owned(), x)).into();
            Trial { params, ..complete(number, number as f64) }
        };
        let mut trials: Vec<Trial> = (0..12).map(trial).collect();
        trials.push(Trial { params: trial(0).params, ..failed(12) });
        let order = |trials: &[Trial]| -> Vec<String> {
            let found = associations(&[line("a"), line("b")], trials);
            found.into_iter().map(|it| format!("{} {}", it.key, it.text)).collect()
        };
        assert_eq!(order(&trials), ["b ρ = −1", "a ρ = 0.24"]);
        assert_eq!(judged(&trials).len(), 12);
    }

    #[test]
    fn equal_numbers_share_their_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [2.5, 0.0, 2.5, 1.0]);
    }
}
