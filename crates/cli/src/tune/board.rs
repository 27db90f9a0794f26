//! What a search shows of itself while it goes on.

use std::{
    io::{self, IsTerminal},
    time::Instant,
};

use elegante::experiment::{
    json_line,
    tune::{Study, Trial, TrialState},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    output::{Output, Paint},
    text::{grouped, reward, span},
};

/// The trials on a terminal, in a pipe or as JSON.
pub(super) struct Board {
    view: View,
    began: Instant,
    left: usize,
    over: usize,
    /// The best trial and its value.
    best: Option<(u64, f64)>,
}

enum View {
    /// A line for each trial that is over, and a bar below them.
    Bar(ProgressBar),
    /// A line for each trial that is over.
    Lines,
    /// The same as JSON.
    Json,
    /// Nothing.
    Quiet,
}

impl Board {
    /// For `left` further trials of `study`.
    pub(super) fn new(json: bool, quiet: bool, left: usize, study: &Study) -> Self {
        let view = match (json, quiet) {
            (true, _) => View::Json,
            (_, true) => View::Quiet,
            _ if io::stderr().is_terminal() => View::Bar(bar(left)),
            _ => View::Lines,
        };
        let best = study.best().and_then(|best| Some((best.trial, best.value?)));
        Self { view, began: Instant::now(), left, over: 0, best }
    }

    /// A trial is over.
    ///
    /// # Errors
    /// When the standard output can't be written.
    pub(super) fn over(&mut self, trial: &Trial, output: &mut Output) -> io::Result<()> {
        self.over += 1;
        if let Some(value) = trial.value
            && self.best.is_none_or(|(_, best)| value > best)
        {
            self.best = Some((trial.trial, value));
        }
        match &self.view {
            View::Json => output.line(&json_line("trial", trial))?,
            View::Lines => output.note(&self.told(trial)),
            View::Bar(bar) => {
                bar.suspend(|| output.note(&self.told(trial)));
                bar.set_position(self.over as u64);
                bar.set_message(self.status());
            }
            View::Quiet => {}
        }
        Ok(())
    }

    /// Says something else without disturbing what is shown.
    pub(super) fn aside(&self, say: impl FnOnce()) {
        match &self.view {
            View::Bar(bar) => bar.suspend(say),
            _ => say(),
        }
    }

    /// Nothing more comes.
    pub(super) fn finish(&self) {
        if let View::Bar(bar) = &self.view {
            bar.finish_and_clear();
        }
    }

    fn told(&self, trial: &Trial) -> String {
        let number = trial.trial;
        let came_to = match (trial.state, trial.value, trial.readings.last()) {
            (TrialState::Complete, Some(value), _) => format!("{:>9}", reward(value)),
            (TrialState::Failed, ..) => {
                let error = trial.error.as_deref().unwrap_or_default();
                return format!("trial {number:<5} {} {error}", Paint::stderr().red("failed:"));
            }
            (_, _, Some(reading)) => {
                let at = grouped(reading.steps);
                return format!(
                    "trial {number:<5} {:>9}  pruned after {at} steps of seed {}",
                    reward(reading.value),
                    reading.seed
                );
            }
            _ => "pruned".into(),
        };
        match self.best {
            Some((best, _)) if best == number => {
                format!("trial {number:<5} {came_to}  the best so far")
            }
            Some((best, value)) => {
                format!("trial {number:<5} {came_to}  the best is {}, trial {best}", reward(value))
            }
            None => format!("trial {number:<5} {came_to}"),
        }
    }

    fn status(&self) -> String {
        let each = self.began.elapsed().as_secs_f64() / self.over as f64;
        let left = each * self.left.saturating_sub(self.over) as f64;
        format!("{} of {} trials over · {} left", self.over, self.left, span(left))
    }
}

fn bar(left: usize) -> ProgressBar {
    let colour = if Paint::stderr().is_on() { ".cyan/dim" } else { "" };
    let style = ProgressStyle::with_template(&format!("{{bar:20{colour}}} {{msg}}"));
    // The template is ours and well formed; the fallback only differs in looks.
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─");
    let target = ProgressDrawTarget::stderr_with_hz(10);
    let bar = ProgressBar::with_draw_target(Some(left as u64), target).with_style(style);
    bar.set_message(format!("0 of {left} trials over"));
    bar.tick();
    bar
}
