//! The view as the training sees it: it is told what happens.

use std::{
    borrow::Cow,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context;
use elegante::trainer::UpdateMetrics;
use serde_json::Value;

use super::{
    Opening, attend,
    keys::Keys,
    model::{Message, Model, Phase, RunView, State, Update},
    stage::{Cast, Stage},
    terminal::Screen,
};
use crate::output::{Output, Tone};

const NO_THREAD: &str = "there is no thread for --tui";

/// A view that is open, or has been closed by a key.
pub(crate) struct View {
    pub(super) shared: Arc<Shared>,
    pub(super) thread: Option<JoinHandle<()>>,
}

/// What the training and the view have in common.
pub(super) struct Shared {
    pub(super) model: Mutex<Model>,
    /// What is said again when the view is closed.
    pub(super) said: Mutex<Vec<Message>>,
    pub(super) stage: Stage,
    pub(super) over: AtomicBool,
}

impl Shared {
    pub(super) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn said(&self) -> MutexGuard<'_, Vec<Message>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

impl View {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When it can't be.
    pub(super) fn open(opening: Opening) -> anyhow::Result<Self> {
        let Opening { model, make, seed, device, interrupt, controls } = opening;
        let screen = Screen::enter()?;
        interrupt.or_termination()?;
        let stage = Stage::open(make, device, seed).context(NO_THREAD)?;
        let shared = Arc::new(Shared {
            model: Mutex::new(model),
            said: Mutex::default(),
            stage,
            over: false.into(),
        });
        let seen = Arc::clone(&shared);
        let keys = Keys { interrupt, controls };
        let thread = thread::Builder::new().name("view".into()).spawn(move || {
            attend(&seen, screen, &keys);
            // Nobody could say so any more.
            keys.controls.pause(false);
        });
        let thread = thread.context(NO_THREAD)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Whether it has been closed by a key, or by trouble with the terminal; training goes on.
    pub(crate) fn closed(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// The run of `seed` has been started.
    pub(crate) fn began(&self, seed: u64) {
        if let Some(run) = self.shared.model().run(seed) {
            *run = RunView::new(seed);
            run.state = State::Training;
        }
    }

    /// Shows an update of a run in this process.
    pub(crate) fn update(&self, metrics: &UpdateMetrics) {
        let own = [
            ("loss", metrics.loss),
            ("entropy", metrics.entropy),
            ("grad_norm", metrics.grad_norm),
            ("learning_rate", metrics.learning_rate),
            ("mean_length_100", metrics.mean_length_100),
        ];
        let further = metrics.values.iter().map(|(name, value)| (*name, *value));
        let mut model = self.shared.model();
        if let [run] = &mut model.runs[..] {
            run.update(Update {
                steps: metrics.steps,
                steps_per_second: metrics.steps_per_second,
                seconds: metrics.seconds,
                mean_return: metrics.mean_return_100,
                values: &mut own.into_iter().chain(further).map(|(n, v)| (Cow::Borrowed(n), v)),
            });
        }
    }

    /// Shows an update of the run of `seed`, from the JSON that it was told in; `overall` is how all of
    /// them are getting on.
    pub(crate) fn update_json(&self, seed: u64, metrics: &Value, overall: String) {
        let mut model = self.shared.model();
        model.overall = Some(overall);
        if let Some(run) = model.run(seed) {
            update(run, metrics);
        }
    }

    /// Shows what the run of `seed` has written into its log so far; where there is none that can be read,
    /// the view begins with what comes.
    pub(crate) fn recall(&self, seed: u64, log: &Path) {
        let (mut model, Ok(log)) = (self.shared.model(), File::open(log)) else { return };
        let Some(run) = model.run(seed) else { return };
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["event"] == "update" {
                update(run, &event);
            }
        }
    }

    /// The run of `seed` is over: what it came to, or why too early.
    pub(crate) fn ended(&self, seed: u64, ended: Result<String, ()>, overall: String) {
        let mut model = self.shared.model();
        model.overall = Some(overall);
        if let Some(run) = model.run(seed) {
            run.state = ended.map_or(State::Failed, State::Over);
        }
    }

    /// The run of `seed` waits.
    pub(crate) fn paused(&self, seed: u64) {
        let mut model = self.shared.model();
        if let Some(run) = model.run(seed) {
            run.state = State::Paused;
        }
        let training = model.runs.iter().any(|run| run.state == State::Training);
        if model.phase == Phase::Pausing && !training {
            model.wait();
        }
    }

    /// How long nothing was trained because of a key.
    pub(crate) fn waited(&self) -> Duration {
        self.shared.model().waited()
    }

    /// Nothing more is trained; what has been is evaluated.
    pub(crate) fn evaluating(&self) {
        self.shared.model().phase = Phase::Evaluating;
    }

    /// A policy has come that was asked for.
    pub(crate) fn policy(&self, seed: u64, steps: u64, bytes: Vec<u8>) {
        let wanted = self.shared.model().shown().is_some_and(|run| run.seed == seed);
        if wanted {
            self.shared.stage.cast(Cast { seed, steps, bytes });
        }
    }

    /// Says something without disturbing the picture; it is said again when the view is closed.
    pub(crate) fn say(&self, tone: Tone, text: &str) {
        self.shared.model().say(tone, text);
        self.shared.said().push(Message { tone, text: text.to_owned() });
    }

    /// Says something that is of interest at the moment only.
    pub(crate) fn mention(&self, text: &str) {
        self.shared.model().say(Tone::Note, text);
    }

    /// Gives the terminal back, and says there what was said on the way.
    pub(crate) fn close(&mut self, output: &Output) {
        self.end();
        for Message { tone, text } in std::mem::take(&mut *self.shared.said()) {
            output.say(tone, &text);
        }
    }

    fn end(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // Its panic, if there was one, has been told on a terminal in good order.
            let _ = thread.join();
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.end();
    }
}

/// Takes over an update from the JSON that it was told in.
fn update(run: &mut RunView, metrics: &Value) {
    /// Told elsewhere in the picture, or of no interest there.
    const APART: [&str; 9] = [
        "update",
        "steps",
        "episodes",
        "mean_return_100",
        "batch_steps",
        "batch_episodes",
        "batch_return",
        "seconds",
        "steps_per_second",
    ];
    let number = |key: &str| metrics[key].as_f64().unwrap_or(f64::NAN);
    let fields = metrics.as_object().into_iter().flatten();
    let values = fields.filter(|(name, _)| !APART.contains(&name.as_str()));
    run.update(Update {
        steps: metrics["steps"].as_u64().unwrap_or(0),
        steps_per_second: number("steps_per_second"),
        seconds: number("seconds"),
        mean_return: number("mean_return_100"),
        values: &mut values
            .filter_map(|(name, value)| Some((name.clone().into(), value.as_f64()?))),
    });
}
