//! What a training shows of itself while it goes on.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use base64::prelude::{BASE64_STANDARD, Engine};
use elegante::{
    Event,
    experiment::{News, json_line},
    trainer::{Evaluation, UpdateMetrics},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::tui::View;
use crate::{
    output::{Output, Paint, Tone},
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
    /// The whole terminal, for a person who watches.
    Screen {
        /// What draws there.
        view: View,
        /// The run's own seed.
        seed: u64,
        /// Steps of the whole run.
        total: u64,
    },
    /// Plain lines on the standard error, for a pipe or a log.
    Lines(Lines),
    /// JSON objects on the standard output, for machines.
    Json {
        /// Steps at the last update, for evaluations to tell.
        steps: u64,
        /// Whether it has told that the training waits.
        waits: bool,
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
            (true, _) => Self::Json { steps: 0, waits: false },
            (_, true) => Self::Quiet,
            _ if io::stderr().is_terminal() => Self::Bar(bar(total)),
            _ => Self::Lines(Lines { total, next: 0, last: Instant::now() }),
        }
    }

    /// Shows what is told.
    ///
    /// # Errors
    /// When the standard output can't be written.
    pub(crate) fn on_news(&mut self, news: News<'_>, output: &mut Output) -> io::Result<()> {
        self.go_on_without_view(output);
        match news {
            News::Training(event) => self.on_event(event, output)?,
            News::Warning(text) => self.remark(Tone::Warning, text, output),
            News::Note(text) => self.remark(Tone::Note, text, output),
            asked => self.on_answer(asked, output)?,
        }
        Ok(())
    }

    /// Shows an answer to what a view has asked for, in this process or in the one that started it.
    fn on_answer(&mut self, news: News<'_>, output: &mut Output) -> io::Result<()> {
        match (self, news) {
            (Self::Json { waits, .. }, News::Paused) if !*waits => {
                *waits = true;
                output.line(r#"{"event":"paused"}"#)?;
            }
            (Self::Json { .. }, News::Checkpoint(steps)) => {
                output.line(&json_line("checkpoint", &Written { steps }))?;
            }
            (Self::Json { .. }, News::Policy { steps, bytes }) => {
                let safetensors = BASE64_STANDARD.encode(bytes);
                output.line(&json_line("policy", &Told { steps, safetensors }))?;
            }
            (Self::Screen { view, seed, .. }, News::Paused) => view.paused(*seed),
            (Self::Screen { view, .. }, News::Checkpoint(steps)) => {
                view.mention(&format!("checkpoint written after {} steps", grouped(steps)));
            }
            (Self::Screen { view, seed, .. }, News::Policy { steps, bytes }) => {
                view.policy(*seed, steps, bytes.to_vec());
            }
            _ => {}
        }
        Ok(())
    }

    /// Shows progress as if there had never been a view, once it has been closed.
    fn go_on_without_view(&mut self, output: &Output) {
        if let Self::Screen { view, total, .. } = self
            && view.closed()
        {
            view.close(output);
            *self = Self::new(false, false, *total);
        }
    }

    fn on_event(&mut self, event: Event<'_>, output: &mut Output) -> io::Result<()> {
        match (self, event) {
            (Self::Bar(bar), Event::Update(update)) => {
                let total = bar.length().unwrap_or(0);
                bar.set_position(update.steps.min(total));
                bar.set_message(status(update, total));
            }
            (Self::Bar(bar), Event::Evaluation(evaluation)) => {
                bar.suspend(|| output.note(&told(evaluation)));
            }
            (Self::Screen { view, .. }, Event::Update(update)) => view.update(update),
            (Self::Screen { view, .. }, Event::Evaluation(evaluation)) => {
                view.say(Tone::Note, &told(evaluation));
            }
            (Self::Lines(lines), Event::Update(update)) => lines.tell(update, output),
            (Self::Lines(_), Event::Evaluation(evaluation)) => output.note(&told(evaluation)),
            (Self::Json { steps, waits }, Event::Update(update)) => {
                (*steps, *waits) = (update.steps, false);
                output.line(&json_line("update", update))?;
            }
            (Self::Json { steps, .. }, Event::Evaluation(evaluation)) => {
                output.line(&json_line("evaluation", &At { steps: *steps, evaluation }))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Says something else without disturbing what is shown.
    fn remark(&self, tone: Tone, text: &str, output: &Output) {
        match self {
            Self::Bar(bar) => bar.suspend(|| output.say(tone, text)),
            Self::Screen { view, .. } => view.say(tone, text),
            _ => output.say(tone, text),
        }
    }

    /// Training is over, and what came out is evaluated.
    pub(crate) fn evaluating(&self) {
        match self {
            Self::Bar(bar) => bar.finish_and_clear(),
            Self::Screen { view, .. } => view.evaluating(),
            _ => {}
        }
    }

    /// Everything is over; what comes next is not progress.
    pub(crate) fn finish(&mut self, output: &Output) {
        match self {
            Self::Bar(bar) => bar.finish_and_clear(),
            Self::Screen { view, .. } => view.close(output),
            _ => {}
        }
    }
}

#[derive(Serialize)]
struct At<'a> {
    steps: u64,
    #[serde(flatten)]
    evaluation: &'a Evaluation,
}

#[derive(Serialize)]
struct Written {
    steps: u64,
}

#[derive(Serialize)]
struct Told {
    steps: u64,
    safetensors: String,
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
        "{steps}/{all} · {speed}/s · return {} · loss {} · entropy {} · {} left",
        told_of(update.mean_return_100, 1),
        told_of(update.loss, 3),
        told_of(update.entropy, 3),
        span(left(update.steps, update.steps_per_second, total)),
    )
}

/// A measure with so many decimals; a dash where there is none: before the first episode is over, before
/// learning starts, or since the algorithm has no such thing. A run that diverges ends with an error.
fn told_of(measure: f64, decimals: usize) -> String {
    if measure.is_nan() { "–".to_owned() } else { format!("{measure:.decimals$}") }
}

/// Seconds left at the speed so far.
pub(crate) fn left(steps: u64, steps_per_second: f64, total: u64) -> f64 {
    total.saturating_sub(steps) as f64 / steps_per_second
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
            "{:>11} steps {:>3} %  return {:>7}  loss {:>8}  entropy {:>6}  {:>9} steps/s  {} left",
            grouped(update.steps),
            (100 * update.steps.min(self.total)) / self.total.max(1),
            told_of(update.mean_return_100, 1),
            told_of(update.loss, 3),
            told_of(update.entropy, 3),
            rate(update.steps_per_second),
            span(left(update.steps, update.steps_per_second, self.total)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_a_dash() {
        assert_eq!(told_of(f64::NAN, 3), "–");
        assert_eq!(told_of(-0.12345, 3), "-0.123");
        assert_eq!(told_of(f64::INFINITY, 1), "inf");
    }

    #[test]
    fn a_run_of_many_updates_prints_few_lines() {
        let mut lines = Lines { total: 300_000, next: 0, last: Instant::now() };
        let printed = (1..=1500).filter(|update| lines.due(update * 200)).count();
        assert!((20..=22).contains(&printed), "{printed}");
        let mut short = Lines { total: 10, next: 0, last: Instant::now() };
        assert!(short.due(2000), "a run of one update prints its line");
    }
}
