//! What a search came to, as a page for people.

use std::fmt::Write;

use toml::Value;

use super::{
    Params, Pruner, Sampler, StudyRecord, Trial, TrialState,
    association::Association,
    dimension::figure,
    study_files::{BEST, TRIALS},
};
use crate::{
    Seeds,
    figure::{grouped, signed},
};

impl StudyRecord {
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
        for trial in self.ranked() {
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
        let associations = self.associations();
        if associations.is_empty() {
            return String::new();
        }
        let (counted, chance) = self.chance();
        let mut table = format!(
            "## Which settings went along with the return\n\n\
             For settings on a scale Spearman's rank correlation with the order of the trials, failed ones left out: \
             near 1, larger values came with higher returns, near −1 with lower ones, and a best value in the middle \
             shows as 0. For choices the correlation ratio η of the ranks, between 0 and 1. Each setting is looked at \
             by itself, and the sampler tries good values more often than others, so take it as a hint. Of {counted} \
             trials, chance alone makes up to about ±{chance:.2}.\n\n| setting | association |\n|-|-|\n",
        );
        for Association { key, text, .. } in associations {
            let _ = writeln!(table, "| {key} | {text} |");
        }
        table
    }
}

/// With which seeds a trial is trained.
pub(crate) fn seeds(seeds: &[u64]) -> String {
    match seeds {
        [seed] => format!("seed {seed}"),
        seeds => format!("each of the seeds {}", Seeds::listed(seeds)),
    }
}

/// The value of a trial, or what it had come to.
pub(crate) fn reached(trial: &Trial) -> String {
    match (trial.value, trial.readings.last()) {
        (Some(value), _) => score(value),
        (None, Some(reading)) => score(reading.value),
        (None, None) => "–".into(),
    }
}

/// Why a trial has no value.
pub(crate) fn state(trial: &Trial) -> String {
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

/// A return as pages have it.
pub(crate) fn score(value: f64) -> String {
    signed((value * 10.0).round() / 10.0)
}

/// The value of a setting.
pub(crate) fn shown(params: &Params, key: &str) -> String {
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
