//! What a training shows of itself while it goes on.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use elegante::{
    Event,
    experiment::json_line,
    trainer::{Evaluation, UpdateMetrics},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::{
    output::{Output, Paint},
    text::{grouped, rate, reward, short, span},
};

/// Lines in a pipe come this often, in parts of the run …
const EVERY_PART: u64 = 20;
/// … and at least this often, so that a long run gives signs of life.
const EVERY: Duration = Duration::from_secs(10);

/// A way of showing progress.
pub(crate) enum Progress {
    /// One line that changes, for a person at a terminal.
    Bar(ProgressBar),
    /// Plain lines on the standard error, for a pipe or a log.
    Lines(Lines),
    /// JSON objects on the standard output, for machines.
    Json {
        /// Steps at the last update, for evaluations to tell.
        steps: u64,
    },
    /// Nothing.
    Quiet,
}

/// When the next plain line is due.
pub(crate) struct Lines {
    total: u64,
    next: u64,
    last: Instant,
}

impl Progress {
    pub(crate) fn new(json: bool, quiet: bool, total: u64) -> Self {
        match (json, quiet) {
            (true, _) => Self::Json { steps: 0 },
            (_, true) => Self::Quiet,
            _ if io::stderr().is_terminal() => Self::Bar(bar(total)),
            _ => Self::Lines(Lines { total, next: 0, last: Instant::now() }),
        }
    }

    /// Shows an event.
    ///
    /// # Errors
    /// When the standard output can't be written.
    pub(crate) fn on_event(&mut self, event: Event<'_>, output: &mut Output) -> io::Result<()> {
        match (self, event) {
            (Self::Bar(bar), Event::Update(update)) => {
                let total = bar.length().unwrap_or(0);
                bar.set_position(update.steps.min(total));
                bar.set_message(status(update, total));
            }
            (Self::Bar(bar), Event::Evaluation(evaluation)) => {
                bar.suspend(|| output.note(&told(evaluation)));
            }
            (Self::Lines(lines), Event::Update(update)) => lines.tell(update, output),
            (Self::Lines(_), Event::Evaluation(evaluation)) => output.note(&told(evaluation)),
            (Self::Json { steps }, Event::Update(update)) => {
                *steps = update.steps;
                output.line(&json_line("update", update))?;
            }
            (Self::Json { steps }, Event::Evaluation(evaluation)) => {
                output.line(&json_line("evaluation", &At { steps: *steps, evaluation }))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Says something else without disturbing what is shown.
    pub(crate) fn aside(&self, say: impl FnOnce()) {
        match self {
            Self::Bar(bar) => bar.suspend(say),
            _ => say(),
        }
    }

    /// Training is over; what comes next is not progress.
    pub(crate) fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

#[derive(Serialize)]
struct At<'a> {
    steps: u64,
    #[serde(flatten)]
    evaluation: &'a Evaluation,
}

fn bar(total: u64) -> ProgressBar {
    let columns = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| width.0);
    // The message takes up to 76 columns; the bar takes what is left, within reason.
    let width = columns.saturating_sub(78).clamp(4, 30);
    let colour = if Paint::stderr().is_on() { ".cyan/dim" } else { "" };
    let style = ProgressStyle::with_template(&format!("{{bar:{width}{colour}}} {{msg}}"));
    // The template is ours and well formed; the fallback only differs in looks.
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─");
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(15));
    bar.set_style(style);
    bar.set_message(format!("0/{} steps", short(total as f64)));
    bar.tick();
    bar
}

/// The state of a run in one line.
fn status(update: &UpdateMetrics, total: u64) -> String {
    let [steps, all, speed] =
        [update.steps as f64, total as f64, update.steps_per_second].map(short);
    format!(
        "{steps}/{all} · {speed}/s · return {:.1} · loss {:.3} · entropy {:.3} · {} left",
        update.mean_return_100,
        update.loss,
        update.entropy,
        span(left(update, total)),
    )
}

/// Seconds left at the speed so far.
fn left(update: &UpdateMetrics, total: u64) -> f64 {
    total.saturating_sub(update.steps) as f64 / update.steps_per_second
}

fn told(evaluation: &Evaluation) -> String {
    format!("evaluation: {}", summary(evaluation))
}

/// Mean, spread and range of an evaluation.
pub(crate) fn summary(evaluation: &Evaluation) -> String {
    let Evaluation { mean_return, std_return, min_return, max_return, .. } = evaluation;
    let range = format!("[{}, {}]", reward(*min_return), reward(*max_return));
    format!("{mean_return:.1} ± {std_return:.1} {range}")
}

impl Lines {
    fn tell(&mut self, update: &UpdateMetrics, output: &mut Output) {
        if self.due(update.steps) {
            output.note(&self.line(update));
        }
    }

    fn due(&mut self, steps: u64) -> bool {
        let due = steps >= self.next || self.last.elapsed() >= EVERY || steps >= self.total;
        if due {
            let part = (self.total / EVERY_PART).max(1);
            self.next = (steps / part + 1) * part;
            self.last = Instant::now();
        }
        due
    }

    fn line(&self, update: &UpdateMetrics) -> String {
        format!(
            "{:>11} steps {:>3} %  return {:>7.1}  loss {:>8.3}  entropy {:>6.3}  {:>9} steps/s  {} left",
            grouped(update.steps),
            (100 * update.steps.min(self.total)) / self.total.max(1),
            update.mean_return_100,
            update.loss,
            update.entropy,
            rate(update.steps_per_second),
            span(left(update, self.total)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_many_updates_prints_few_lines() {
        let mut lines = Lines { total: 300_000, next: 0, last: Instant::now() };
        let printed = (1..=1500).filter(|update| lines.due(update * 200)).count();
        assert!((20..=22).contains(&printed), "{printed}");
        let mut short = Lines { total: 10, next: 0, last: Instant::now() };
        assert!(short.due(2000), "a run of one update prints its line");
    }
}
