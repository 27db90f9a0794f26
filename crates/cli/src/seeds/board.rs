//! What an experiment shows of itself while it goes on.

use std::{
    collections::{BTreeSet, HashMap},
    io::{self, IsTerminal},
    path::Path,
    time::{Duration, Instant},
};

use elegante::{
    experiment::{files, json_line},
    trainer::Evaluation,
};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::Value;

use crate::{
    output::{Output, Paint, Tone},
    progress::summary,
    text::{grouped, short, span},
};

/// In a pipe a long experiment gives signs of life this often.
const EVERY: Duration = Duration::from_secs(10);

/// All seeds on one terminal, in one pipe or as one stream of JSON.
pub(crate) struct Board {
    view: View,
    steps: u64,
    seeds: usize,
    began: Instant,
    /// Steps that each seed has trained so far.
    trained: HashMap<u64, u64>,
    /// Those among them that had been trained before.
    earlier: u64,
    /// The final evaluation of each seed that came to one.
    evaluations: HashMap<u64, Evaluation>,
    ended: usize,
    /// Seeds whose runs have been started and are not over.
    under_way: BTreeSet<u64>,
}

enum View {
    /// A line for each run under way and one for all, for a person at a terminal.
    Bars { bars: MultiProgress, all: ProgressBar, each: HashMap<u64, ProgressBar> },
    /// The whole terminal, for a person who watches.
    Screen(Box<crate::tui::View>),
    /// Plain lines on the standard error.
    Lines { last: Instant },
    /// The runs' own JSON lines on the standard output, each with its seed.
    Json,
    /// Nothing but failures.
    Quiet,
}

impl Board {
    pub(crate) fn new(json: bool, quiet: bool, steps: u64, seeds: usize) -> Self {
        let view = match (json, quiet) {
            (true, _) => View::Json,
            (_, true) => View::Quiet,
            _ if io::stderr().is_terminal() => bars(steps, seeds),
            _ => View::Lines { last: Instant::now() },
        };
        Self::with(view, steps, seeds)
    }

    /// On a terminal that has been taken over for it.
    pub(crate) fn on(view: crate::tui::View, steps: u64, seeds: usize) -> Self {
        Self::with(View::Screen(Box::new(view)), steps, seeds)
    }

    fn with(view: View, steps: u64, seeds: usize) -> Self {
        Self {
            view,
            steps,
            seeds,
            began: Instant::now(),
            trained: HashMap::new(),
            earlier: 0,
            evaluations: HashMap::new(),
            ended: 0,
            under_way: BTreeSet::new(),
        }
    }

    /// The run of `seed` has been started.
    pub(super) fn began(&mut self, seed: u64) {
        self.under_way.insert(seed);
        match &mut self.view {
            View::Bars { bars, all, each } => {
                let bar = ProgressBar::new(self.steps).with_style(style("  {msg}"));
                each.insert(seed, bars.insert_before(all, bar));
            }
            View::Screen(view) => view.began(seed),
            _ => {}
        }
    }

    /// Shows the experiment as if there had never been a view, once it has been closed.
    fn go_on_without_view(&mut self, output: &Output) {
        if let View::Screen(view) = &mut self.view
            && view.closed()
        {
            view.close(output);
            self.began += view.waited();
            self.view = bars(self.steps, self.seeds);
            for seed in self.under_way.clone() {
                self.began(seed);
            }
        }
    }

    /// A JSON line of its run.
    ///
    /// # Errors
    /// When the standard output can't be written.
    pub(crate) fn line(&mut self, seed: u64, line: &str, output: &mut Output) -> io::Result<()> {
        self.go_on_without_view(output);
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        let number = |key: &str| event[key].as_u64().unwrap_or(0).min(self.steps);
        if event["event"] == "resume" {
            self.trained.insert(seed, number("trained"));
            self.earlier += number("trained");
        }
        if event["event"] == "update" {
            self.trained.insert(seed, number("steps"));
        }
        if event["event"] == "end"
            && let Ok(evaluation) = serde_json::from_str(line)
        {
            self.evaluations.insert(seed, evaluation);
        }
        let all = self.status();
        match &mut self.view {
            View::Json => return output.line(&with_seed(line, &event, seed)),
            View::Bars { all: total, each, .. } if event["event"] == "update" => {
                if let Some(bar) = each.get(&seed) {
                    bar.set_message(status(seed, &event, self.steps));
                }
                total.set_position(self.trained.values().sum());
                total.set_message(all);
            }
            View::Screen(view) => show(view, seed, &event, all),
            View::Lines { last } if last.elapsed() >= EVERY => {
                *last = Instant::now();
                output.note(&all);
            }
            _ => {}
        }
        Ok(())
    }

    /// The run of `seed` is over; the error says why too early.
    ///
    /// # Errors
    /// When the standard output can't be written.
    pub(super) fn ended(
        &mut self,
        seed: u64,
        ended: Result<(), String>,
        output: &mut Output,
    ) -> io::Result<()> {
        self.go_on_without_view(output);
        self.ended += 1;
        self.under_way.remove(&seed);
        if let View::Json = self.view {
            return match &ended {
                Err(error) => output.line(&json_line("failed", &Failed { seed, error })),
                Ok(()) => Ok(()),
            };
        }
        let came_to = || self.evaluations.get(&seed).map_or("stopped".into(), summary);
        let ended = ended.map(|()| came_to());
        match &ended {
            Ok(came_to) => self.say(Tone::Note, &format!("seed {seed:<4} {came_to}"), output),
            Err(error) => self.say(Tone::Failure, &format!("seed {seed}: {error}"), output),
        }
        let all = self.status();
        match &mut self.view {
            View::Bars { bars, each, .. } => {
                if let Some(bar) = each.remove(&seed) {
                    bar.finish_and_clear();
                    bars.remove(&bar);
                }
            }
            View::Screen(view) => view.ended(seed, ended.map_err(drop), all),
            _ => {}
        }
        Ok(())
    }

    /// Something about the run of `seed` is not as it should be.
    pub(super) fn warning(&mut self, seed: u64, text: &str, output: &Output) {
        self.say(Tone::Warning, &format!("seed {seed}: {text}"), output);
    }

    /// Says something without disturbing what is shown.
    fn say(&self, tone: Tone, text: &str, output: &Output) {
        match &self.view {
            View::Bars { bars, .. } => bars.suspend(|| output.say(tone, text)),
            View::Screen(view) => view.say(tone, text),
            View::Quiet if tone == Tone::Note => {}
            _ => output.say(tone, text),
        }
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self, output: &Output) {
        match &mut self.view {
            // A terminal that can't be cleared keeps its last picture.
            View::Bars { bars, .. } => drop(bars.clear()),
            View::Screen(view) => view.close(output),
            _ => {}
        }
    }

    fn status(&self) -> String {
        let trained: u64 = self.trained.values().sum();
        let total = self.steps.saturating_mul(self.seeds as u64).max(1);
        let waited = match &self.view {
            View::Screen(view) => view.waited(),
            _ => Duration::ZERO,
        };
        let seconds = self.began.elapsed().saturating_sub(waited).as_secs_f64();
        let made = trained.saturating_sub(self.earlier) as f64;
        let left = seconds * total.saturating_sub(trained) as f64 / made;
        let speed = made / seconds;
        format!(
            "{} of {} seeds over · {:.0} % · {}/s · {} left",
            self.ended,
            self.seeds,
            100.0 * trained as f64 / total as f64,
            short(speed),
            span(left)
        )
    }
}

fn bars(steps: u64, seeds: usize) -> View {
    let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    let colour = if Paint::stderr().is_on() { ".cyan/dim" } else { "" };
    let all = ProgressBar::new(steps.saturating_mul(seeds as u64));
    let all = all.with_style(style(&format!("{{bar:20{colour}}} {{msg}}")));
    View::Bars { all: bars.add(all), bars, each: HashMap::new() }
}

fn style(template: &str) -> ProgressStyle {
    // The template is ours and well formed; the fallback only differs in looks.
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─")
}

/// Shows what a run has told.
fn show(view: &crate::tui::View, seed: u64, event: &Value, all: String) {
    use base64::prelude::{BASE64_STANDARD, Engine};

    let steps = event["steps"].as_u64().unwrap_or(0);
    match event["event"].as_str() {
        Some("update") => view.update_json(seed, event, all),
        // By now its log ends where it goes on.
        Some("resume") => {
            let run = Path::new(event["run"].as_str().unwrap_or_default());
            view.recall(seed, &run.join(files::METRICS));
        }
        Some("paused") => view.paused(seed),
        Some("checkpoint") => {
            view.mention(&format!(
                "seed {seed}: checkpoint written after {} steps",
                grouped(steps)
            ));
        }
        Some("policy") => {
            let coded = event["safetensors"].as_str().unwrap_or_default();
            if let Ok(bytes) = BASE64_STANDARD.decode(coded) {
                view.policy(seed, steps, bytes);
            }
        }
        _ => {}
    }
}

/// The state of one run in one line.
fn status(seed: u64, update: &Value, total: u64) -> String {
    let number = |key: &str| update[key].as_f64().unwrap_or(f64::NAN);
    format!(
        "seed {seed:<4} {:>5}/{} · {}/s · return {:.1}",
        short(number("steps").min(total as f64)),
        short(total as f64),
        short(number("steps_per_second")),
        number("mean_return_100")
    )
}

#[derive(Serialize)]
struct Failed<'a> {
    seed: u64,
    error: &'a str,
}

/// A run's line with the seed that it is of; some have it already.
fn with_seed(line: &str, event: &Value, seed: u64) -> String {
    match line.strip_suffix('}') {
        Some(open) if event.is_object() && event.get("seed").is_none() => {
            format!("{open},\"seed\":{seed}}}")
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_were_trained_before_say_nothing_of_the_speed() {
        let mut board = Board::new(false, true, 1_000, 2);
        let output = &mut Output::new();
        board.line(4, r#"{"event":"resume","run":"r","trained":900}"#, output).unwrap();
        board.began -= Duration::from_secs(10);
        board.line(4, r#"{"event":"update","steps":1000}"#, output).unwrap();
        board.line(5, r#"{"event":"update","steps":100}"#, output).unwrap();
        let told = board.status();
        assert!(told.contains("55 % · 20/s · 45 s left"), "{told}");
    }

    #[test]
    fn every_line_has_its_seed_once() {
        let tell = |line: &str| with_seed(line, &serde_json::from_str(line).unwrap(), 3);
        assert_eq!(
            tell(r#"{"event":"update","steps":5}"#),
            r#"{"event":"update","steps":5,"seed":3}"#
        );
        assert_eq!(tell(r#"{"event":"end","seed":3}"#), r#"{"event":"end","seed":3}"#);
    }
}
