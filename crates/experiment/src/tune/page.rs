//! What a search came to, as a page for people.

use std::fmt::Write;

use toml::Value;

use super::{Dimension, Params, Pruner, Sampler, Study, Trial, TrialState, dimension::figure};
use crate::{
    Seeds,
    figure::{grouped, signed},
    statistics::mean,
    tune::study_files::{BEST, TRIALS},
};

/// Trials that say little about a setting all by themselves are not asked about it.
const ENOUGH: usize = 10;

impl Study {
    /// The results as a page of Markdown: the best trial and what its score is worth, every trial, and
    /// which settings went along with the return.
    pub fn to_markdown(&self) -> String {
        let info = self.info();
        let commit = info.commit.get(..10).unwrap_or(&info.commit);
        let mut page = format!(
            "# {}, {}: a search of {} trials\n\nsampler {}, pruner {}, {} environment steps for {}; elegante {}, commit {commit}.\n\n",
            info.env,
            info.algo,
            grouped(info.trials),
            info.sampler,
            info.pruner,
            grouped(info.steps),
            seeds(&info.seeds),
            info.version,
        );
        page += &self.best_words();
        page += &self.trial_table();
        page += &self.association_table();
        page
    }

    fn best_words(&self) -> String {
        let Some(Trial { trial, value: Some(value), .. }) = self.best() else {
            return "No trial is complete yet.\n\n".into();
        };
        let began = self.trials().iter().find(|it| it.trial == 0).and_then(|it| it.value);
        let began = began.map_or(String::new(), |began| {
            format!(" Trial 0, the configuration that the search began with, has {}.", score(began))
        });
        let info = self.info();
        format!(
            "The best is **trial {trial}** with a mean return of **{}**; `{BEST}` has its configuration.{began}\n\n\
             That number is optimistic: it is the largest of several, each with luck in it, and it was reached with \
             the seeds that it was chosen by. What the configuration is worth shows on seeds that the search has \
             never seen:\n\n    elegante train {} --config {BEST} --seeds {}\n\n",
            score(*value),
            info.env,
            info.fresh_seeds(),
        )
    }

    fn trial_table(&self) -> String {
        let keys: Vec<&str> = self.space().dimensions().iter().map(|it| it.key.as_str()).collect();
        let mut table = format!(
            "## Trials\n\nThe best first. A trial that was pruned shows what it had come to by then; `{TRIALS}` has everything.\n\n\
             | trial | mean return | | {} |\n|-|-|-|{}\n",
            keys.join(" | "),
            "-|".repeat(keys.len())
        );
        for trial in Trial::ranked(self.trials()) {
            // Writing to a string can't fail.
            let _ = write!(table, "| {} | {} | {} |", trial.trial, reached(trial), state(trial));
            for key in &keys {
                let _ = write!(table, " {} |", shown(&trial.params, key));
            }
            table.push('\n');
        }
        table + "\n"
    }

    fn association_table(&self) -> String {
        let ranked: Vec<&Trial> = Trial::ranked(self.trials())
            .into_iter()
            .filter(|trial| trial.state != TrialState::Failed)
            .collect();
        let mut rows: Vec<(f64, String)> = self
            .space()
            .dimensions()
            .iter()
            .filter_map(|dimension| association(dimension, &ranked))
            .collect();
        if rows.is_empty() {
            return String::new();
        }
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        let chance = 2.0 / (ranked.len() as f64).sqrt();
        let mut table = format!(
            "## Which settings went along with the return\n\n\
             For settings on a scale Spearman's rank correlation with the order of the trials, failed ones left out: \
             near 1, larger values came with higher returns, near −1 with lower ones, and a best value in the middle \
             shows as 0. For choices the correlation ratio η of the ranks, between 0 and 1. Each setting is looked at \
             by itself, and the sampler tries good values more often than others, so take it as a hint. Of {} trials, \
             chance alone makes up to about ±{chance:.2}.\n\n| setting | association |\n|-|-|\n",
            ranked.len()
        );
        rows.into_iter().for_each(|(_, row)| table += &row);
        table
    }
}

/// How closely a setting goes along with the order of the trials, the best of which is the first, with
/// its row; `None` where there is too little to say.
fn association(dimension: &Dimension, ranked: &[&Trial]) -> Option<(f64, String)> {
    let place = |trial: &&Trial| trial.params.get(&dimension.key).and_then(|v| dimension.place(v));
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
    Some((strength, format!("| {} | {text} |\n", dimension.key)))
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

fn seeds(seeds: &[u64]) -> String {
    match seeds {
        [seed] => format!("seed {seed}"),
        seeds => format!("each of the seeds {}", Seeds::listed(seeds)),
    }
}

fn reached(trial: &Trial) -> String {
    match (trial.value, trial.readings.last()) {
        (Some(value), _) => score(value),
        (None, Some(reading)) => score(reading.value),
        (None, None) => "–".into(),
    }
}

fn state(trial: &Trial) -> String {
    match (trial.state, trial.readings.last(), &trial.error) {
        (TrialState::Complete, ..) => String::new(),
        (TrialState::Pruned, Some(reading), _) => {
            format!("pruned after {} steps of seed {}", grouped(reading.steps), reading.seed)
        }
        (TrialState::Pruned, None, _) => "pruned".into(),
        (TrialState::Failed, _, error) => {
            let error = error.as_deref().unwrap_or_default();
            format!("failed: {}", error.replace(['|', '\n'], " "))
        }
    }
}

fn score(value: f64) -> String {
    signed((value * 10.0).round() / 10.0)
}

fn shown(params: &Params, key: &str) -> String {
    match params.get(key) {
        None => "–".into(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Float(x)) => figure(*x),
        Some(value) => value.to_string(),
    }
}

impl std::fmt::Display for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Random => "random",
            Self::Tpe => "tpe",
        })
    }
}

impl std::fmt::Display for Pruner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Median => "median",
            Self::Halving => "halving",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::{Domain, Scale, testing::complete};

    fn trials(of: impl Fn(u64) -> (f64, Value)) -> Vec<Trial> {
        let trial = |number| {
            let (value, x) = of(number);
            Trial { params: Params::from([("x".to_owned(), x)]), ..complete(number, value) }
        };
        (0..12).map(trial).collect()
    }

    fn row(domain: Domain, trials: &[Trial]) -> Option<String> {
        let dimension = Dimension { key: "x".into(), domain };
        association(&dimension, &Trial::ranked(trials)).map(|(_, row)| row)
    }

    #[test]
    fn what_rises_with_the_return_is_told_from_what_does_not() {
        let line = || Domain::Range { low: 0.0, high: 20.0, scale: Scale::Linear, whole: false };
        let x = |number: u64| Value::Float(number as f64);
        let told = |of: &dyn Fn(u64) -> f64| row(line(), &trials(|n| (of(n), x(n))));
        assert_eq!(told(&|n| n as f64).unwrap(), "| x | ρ = 1 |\n");
        assert_eq!(told(&|n| -(n as f64).powi(3)).unwrap(), "| x | ρ = −1 |\n");
        assert!(row(line(), &trials(|n| (n as f64, x(3)))).is_none(), "it has not varied");
        assert!(row(line(), &trials(|n| (n as f64, x(n)))[..9]).is_none(), "nine are too few");
    }

    #[test]
    fn choices_are_told_by_how_far_they_lie_apart() {
        let names = ["a", "b", "c"].map(|it| Value::String(it.into()));
        let domain = || Domain::Choices(names.to_vec());
        let apart = trials(|n| (n as f64, names[n as usize / 4].clone()));
        // Between the thirds of twelve ranks lie 128 of the 143 of their squares' sum.
        assert_eq!(row(domain(), &apart).unwrap(), "| x | η = 0.95 |\n");
        let mixed = trials(|n| (n as f64, names[n as usize % 3].clone()));
        assert_eq!(row(domain(), &mixed).unwrap(), "| x | η = 0.24 |\n");
    }

    #[test]
    fn equal_numbers_share_their_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [2.5, 0.0, 2.5, 1.0]);
    }
}
