//! What there is to see: the state of the runs, as far as it has been told.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use super::series::Series;
use crate::output::Tone;

/// Everything that the view shows but the policy at play.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// Environment, algorithm, device and where the run is.
    pub(super) title: String,
    /// Environment steps that each run is to make.
    pub(super) steps: u64,
    /// Mean return that counts as solved, where the environment has one.
    pub(super) threshold: Option<f64>,
    /// Whether these are the seeds of an experiment, even if it has only one.
    pub(super) experiment: bool,
    pub(super) runs: Vec<RunView>,
    /// The run whose numbers and policy are shown.
    pub(super) selected: usize,
    /// How all of them together are getting on, where somebody else says so.
    pub(super) overall: Option<String>,
    pub(super) phase: Phase,
    /// How long the pauses took that are over, and since when there is one.
    pub(super) pauses: (Duration, Option<Instant>),
    /// What was said lately, the last at the end.
    pub(super) messages: Vec<Message>,
    pub(super) help: bool,
    /// The pane that a terminal shows which has room for one.
    pub(super) pane: usize,
}

/// What the training as a whole is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Training,
    /// Asked to pause; the update under way is finished first.
    Pausing,
    Paused,
    /// Asked to stop; likewise.
    Stopping,
    Evaluating,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    pub(super) tone: Tone,
    pub(super) text: String,
}

/// Messages that are shown at a time.
pub(super) const MESSAGES: usize = 3;

/// One run as it stands.
#[derive(Clone, Debug)]
pub(super) struct RunView {
    pub(super) seed: u64,
    pub(super) state: State,
    pub(super) steps: u64,
    pub(super) steps_per_second: f64,
    /// Seconds trained at the last update, and when that was.
    seconds: f64,
    told: Instant,
    /// Mean return of the last 100 episodes.
    pub(super) curve: Series,
    /// What the updates measured, in the order in which it was first told.
    pub(super) values: Vec<(Cow<'static, str>, Series)>,
}

/// Where one run is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    Waiting,
    Training,
    Paused,
    /// It came to this.
    Over(String),
    Failed,
}

/// What is told of an update.
pub(crate) struct Update<'a> {
    pub(crate) steps: u64,
    pub(crate) steps_per_second: f64,
    pub(crate) seconds: f64,
    pub(crate) mean_return: f64,
    /// Further measurements by name.
    pub(crate) values: &'a mut dyn Iterator<Item = (Cow<'static, str>, f64)>,
}

impl Model {
    /// The run of a seed.
    pub(super) fn run(&mut self, seed: u64) -> Option<&mut RunView> {
        self.runs.iter_mut().find(|run| run.seed == seed)
    }

    pub(super) fn shown(&self) -> Option<&RunView> {
        self.runs.get(self.selected)
    }

    pub(super) fn say(&mut self, tone: Tone, text: &str) {
        if self.messages.len() == MESSAGES {
            self.messages.remove(0);
        }
        self.messages.push(Message { tone, text: text.to_owned() });
    }

    /// Nothing is trained from now on.
    pub(super) fn wait(&mut self) {
        self.phase = Phase::Paused;
        self.pauses.1 = Some(Instant::now());
    }

    /// Everything is trained again.
    pub(super) fn go_on(&mut self) {
        self.phase = Phase::Training;
        self.pauses = (self.waited(), None);
        for run in self.runs.iter_mut().filter(|run| run.state == State::Paused) {
            (run.state, run.told) = (State::Training, Instant::now());
        }
    }

    /// How long nothing was trained.
    pub(super) fn waited(&self) -> Duration {
        let (over, since) = self.pauses;
        over + since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Part of all the steps that has been made, from 0 to 1.
    pub(super) fn part(&self) -> f64 {
        let all = self.steps as f64 * self.runs.len() as f64;
        let made: u64 = self.runs.iter().map(|run| run.steps.min(self.steps)).sum();
        if all > 0.0 { made as f64 / all } else { 0.0 }
    }
}

impl RunView {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            state: State::Waiting,
            steps: 0,
            steps_per_second: 0.0,
            seconds: 0.0,
            told: Instant::now(),
            curve: Series::default(),
            values: Vec::new(),
        }
    }

    pub(super) fn update(&mut self, update: Update<'_>) {
        let x = update.steps as f64;
        self.state = State::Training;
        (self.steps, self.steps_per_second) = (update.steps, update.steps_per_second);
        (self.seconds, self.told) = (update.seconds, Instant::now());
        self.curve.push(x, update.mean_return);
        // They come in the same order each time, so the next is nearly always the one after the last.
        let mut next = 0;
        for (name, value) in update.values {
            if self.values.get(next).is_none_or(|(known, _)| *known != name) {
                next = match self.values.iter().position(|(known, _)| *known == name) {
                    Some(place) => place,
                    None => {
                        self.values.push((name, Series::default()));
                        self.values.len() - 1
                    }
                };
            }
            self.values[next].1.push(x, value);
            next += 1;
        }
    }

    /// How long it has trained by now. In a pause its clock stands still.
    pub(super) fn elapsed(&self, paused: bool) -> f64 {
        let since = if paused { Duration::ZERO } else { self.told.elapsed() };
        self.seconds + since.as_secs_f64()
    }
}
