//! Which settings are tried next.

use elegante_env::EnvRng;
use serde::{Deserialize, Serialize};
use toml::Value;
use tpe::{TpeOptimizerBuilder, histogram_estimator, parzen_estimator, range};

use super::{Dimension, Domain, Params, SearchSpace, Trial};

/// Trials that are drawn at random before TPE has anything to go by, as in Optuna.
const STARTUP: usize = 10;
/// The share of trials that count as good, and the most that do, as in Optuna.
const GOOD: f64 = 0.1;
const MOST_GOOD: f64 = 25.0;
/// Draws from the good ones' density, of which the one is taken that the others' density has least of.
const CANDIDATES: usize = 24;

/// How the settings of the next trial are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampler {
    /// Each from its values at random.
    Random,
    /// By tree-structured Parzen estimators (Bergstra et al., 2011: Algorithms for hyper-parameter
    /// optimization): of each setting by itself, a value that is probable among the best tenth of the
    /// trials and improbable among the others. The first ten trials are random.
    #[default]
    Tpe,
}

impl Sampler {
    /// The settings to try after `trials`.
    pub(super) fn propose(self, space: &SearchSpace, trials: &[Trial], rng: &mut EnvRng) -> Params {
        if self == Self::Random || trials.len() < STARTUP {
            return space.draw(rng);
        }
        let ranked = Trial::ranked(trials);
        let dimensions = space.dimensions().iter();
        dimensions.map(|it| (it.key.clone(), likely(it, &ranked, rng))).collect()
    }
}

/// A value that is more probable among the first of the trials than among the rest.
fn likely(dimension: &Dimension, ranked: &[&Trial], rng: &mut EnvRng) -> Value {
    estimated(dimension, ranked, rng)
        // The library refuses places outside of the line only, and there are none.
        .map_or_else(|| dimension.draw(rng), |place| dimension.value(place))
}

fn estimated(dimension: &Dimension, ranked: &[&Trial], rng: &mut EnvRng) -> Option<f64> {
    let (start, end) = dimension.ends();
    let estimator = match dimension.domain {
        Domain::Choices(_) => histogram_estimator(),
        Domain::Range { .. } => parzen_estimator(),
    };
    let mut optimizer = TpeOptimizerBuilder::new()
        .gamma(GOOD.min(MOST_GOOD / ranked.len() as f64))
        .candidates(CANDIDATES)
        .build(estimator, range(start, end).ok()?)
        .ok()?;
    for (rank, trial) in ranked.iter().enumerate() {
        // A value from outside of the space, as the first trial may have, tells nothing of this setting.
        let place = trial.params.get(&dimension.key).and_then(|value| dimension.place(value));
        optimizer.tell(place.unwrap_or(f64::NAN), rank as f64).ok()?;
    }
    optimizer.ask(rng).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        statistics::median,
        tune::{Scale, testing::complete},
    };
    use elegante_trainer::{Purpose, stream};

    fn dimension(key: &str, domain: Domain) -> Dimension {
        Dimension { key: key.into(), domain }
    }

    fn range(key: &str, low: f64, high: f64, scale: Scale, whole: bool) -> Dimension {
        dimension(key, Domain::Range { low, high, scale, whole })
    }

    /// The best of so many trials.
    fn search(
        sampler: Sampler,
        space: &SearchSpace,
        seed: u64,
        count: u64,
        objective: impl Fn(&Params) -> f64,
    ) -> f64 {
        let mut trials: Vec<Trial> = Vec::new();
        for number in 0..count {
            let mut rng = stream(seed, Purpose::Search, number);
            let params = sampler.propose(space, &trials, &mut rng);
            let value = objective(&params);
            trials.push(Trial { params, ..complete(number, value) });
        }
        trials.iter().filter_map(|trial| trial.value).fold(f64::NEG_INFINITY, f64::max)
    }

    /// The median over 20 seeds of what is missing to the optimum: of random search and of TPE.
    fn missing(space: &SearchSpace, best: f64, objective: impl Fn(&Params) -> f64) -> (f64, f64) {
        let of = |sampler| {
            let found = (0..20).map(|seed| best - search(sampler, space, seed, 60, &objective));
            median(&found.collect::<Vec<_>>())
        };
        (of(Sampler::Random), of(Sampler::Tpe))
    }

    fn float(params: &Params, key: &str) -> f64 {
        params[key].as_float().unwrap()
    }

    #[test]
    fn tpe_finds_the_minimum_of_branin_nearer_than_random_search() {
        let space = SearchSpace::over(vec![
            range("x", -5.0, 10.0, Scale::Linear, false),
            range("y", 0.0, 15.0, Scale::Linear, false),
        ]);
        // Branin's function; its three minima are 0.397887.
        let branin = |params: &Params| {
            use std::f64::consts::PI;
            let (x, y) = (float(params, "x"), float(params, "y"));
            let bend = y - 5.1 * x * x / (4.0 * PI * PI) + 5.0 * x / PI - 6.0;
            -(bend * bend + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x.cos() + 10.0)
        };
        let (random, tpe) = missing(&space, -0.397_887, branin);
        assert!(tpe < 0.6 * random, "random {random}, TPE {tpe}");
    }

    #[test]
    fn tpe_finds_settings_of_every_kind_better_than_random_search() {
        let choices = ["a", "b", "c", "d"].map(|it| Value::String(it.into())).to_vec();
        let space = SearchSpace::over(vec![
            range("rate", 1e-6, 1.0, Scale::Log, false),
            range("gamma", 0.9, 0.9999, Scale::OneMinusLog, false),
            range("steps", 1.0, 1000.0, Scale::Log, true),
            dimension("kind", Domain::Choices(choices)),
        ]);
        let distance = |params: &Params| {
            let rate = (float(params, "rate") / 3e-4).log10();
            let gamma = ((1.0 - float(params, "gamma")) / 0.004).log10();
            let steps = (params["steps"].as_integer().unwrap() as f64 / 50.0).log10();
            let kind = if params["kind"].as_str() == Some("c") { 0.0 } else { 1.0 };
            -(rate * rate + gamma * gamma + steps * steps + kind)
        };
        let (random, tpe) = missing(&space, 0.0, distance);
        assert!(tpe < 0.5 * random, "random {random}, TPE {tpe}");
    }

    #[test]
    fn a_proposal_depends_on_the_stream_and_the_trials_alone() {
        let space = SearchSpace::over(vec![range("x", 0.0, 1.0, Scale::Linear, false)]);
        let trials = |sign: f64| -> Vec<Trial> {
            let of = |number: u64| {
                let x = number as f64 / 20.0;
                let params = Params::from([("x".to_owned(), Value::Float(x))]);
                Trial { params, ..complete(number, sign * x) }
            };
            (0..20).map(of).collect()
        };
        let propose = |trials: &[Trial], number| {
            let mut rng = stream(3, Purpose::Search, number);
            float(&Sampler::Tpe.propose(&space, trials, &mut rng), "x")
        };
        let up = trials(1.0);
        assert_eq!(propose(&up, 20), propose(&up, 20));
        assert_ne!(propose(&up, 20), propose(&up, 21));
        let mean = |trials: &[Trial]| (0..50).map(|n| propose(trials, n)).sum::<f64>() / 50.0;
        let (high, low) = (mean(&up), mean(&trials(-1.0)));
        assert!(high > 0.7 && low < 0.3, "{high} where much is good, {low} where little is");
    }

    #[test]
    fn a_value_from_outside_of_the_space_tells_nothing_and_does_no_harm() {
        let space = SearchSpace::over(vec![range("x", 0.0, 1.0, Scale::Linear, false)]);
        let odd = |number| {
            let mut trial = complete(number, 1.0);
            if number % 2 == 0 {
                trial.params.insert("x".into(), Value::Float(7.0));
            }
            trial
        };
        let trials: Vec<Trial> = (0..12).map(odd).collect();
        let mut rng = stream(0, Purpose::Search, 12);
        let x = float(&Sampler::Tpe.propose(&space, &trials, &mut rng), "x");
        assert!((0.0..=1.0).contains(&x));
    }
}
