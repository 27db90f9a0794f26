//! `--tui`: a training that is watched, and told what to do, on the whole terminal.
//!
//! The training tells a [`View`] what happens, which costs it a lock and a few numbers for each update; a
//! thread of its own draws ten times a second at most, and less often where that turns out to be dear, and
//! another plays the policy. Neither touches anything that a result depends on.

mod draw;
mod keys;
mod model;
mod pace;
mod series;
mod stage;
mod terminal;
mod theme;

use std::{
    borrow::Cow,
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use elegante::{
    DeviceChoice,
    experiment::{ExperimentConfig, ExperimentDir, Requests, files},
    trainer::UpdateMetrics,
};
use ratatui::crossterm::event;
use serde_json::Value;

use crate::{
    interrupt::Interrupt,
    output::Output,
    program::Program,
    progress::Progress,
    seeds::{Board, Leashes},
    train::words,
};
use keys::Keys;
use model::{Message, Model, Phase, RunView, State, Update};
use pace::Pace;
use stage::{Cast, Make, Stage};
use terminal::Screen;
use theme::Theme;

pub(crate) use terminal::{check, leave};

/// From one picture to the next, at least.
const PICTURE: Duration = Duration::from_millis(100);
/// The end of the training is noticed at the latest after this long.
const ATTENTION: Duration = Duration::from_millis(25);
/// A policy that does not come is asked for again.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the keys can do to a training.
trait Controls: Send {
    /// Has it wait between two updates, or go on.
    fn pause(&self, paused: bool);

    /// Asks for a checkpoint.
    fn checkpoint(&self);

    /// Asks for the policy of the run of `seed`, or says in which file it is.
    fn policy(&self, seed: u64) -> Option<PathBuf>;
}

impl Controls for Requests {
    fn pause(&self, paused: bool) {
        Requests::pause(self, paused);
    }

    fn checkpoint(&self) {
        Requests::checkpoint(self);
    }

    fn policy(&self, _seed: u64) -> Option<PathBuf> {
        Requests::policy(self);
        None
    }
}

/// The progress of a run.
///
/// # Errors
/// When the terminal can't be taken over.
pub(crate) fn of_run(
    config: &ExperimentConfig,
    path: &Path,
    requests: Requests,
    interrupt: &Interrupt,
    program: &Program,
) -> anyhow::Result<Progress> {
    let (seed, total) = (config.train.run.seed, config.train.run.steps);
    let seeds = (&[seed][..], false);
    let opening = Opening::new(config, seeds, path, program, interrupt, Box::new(requests))?;
    Ok(Progress::Screen { view: View::open(opening)?, seed, total })
}

/// The board of an experiment.
///
/// # Errors
/// When the terminal can't be taken over.
pub(crate) fn of_experiment(
    config: &ExperimentConfig,
    dir: &ExperimentDir,
    seeds: &[u64],
    leashes: &Leashes,
    interrupt: &Interrupt,
    program: &Program,
) -> anyhow::Result<Board> {
    let policies = seeds.iter().map(|seed| (*seed, dir.run(*seed).join(files::POLICY))).collect();
    let controls = Box::new(Remote { leashes: leashes.clone(), policies });
    let opening = Opening::new(config, (seeds, true), dir.path(), program, interrupt, controls)?;
    Ok(Board::on(View::open(opening)?, config.train.run.steps, seeds.len()))
}

/// Runs in processes of their own.
struct Remote {
    leashes: Leashes,
    /// Where each of them leaves its policy.
    policies: HashMap<u64, PathBuf>,
}

impl Controls for Remote {
    fn pause(&self, paused: bool) {
        self.leashes.pause(paused);
    }

    fn checkpoint(&self) {
        self.leashes.tell_all(words::CHECKPOINT);
    }

    fn policy(&self, seed: u64) -> Option<PathBuf> {
        let told = self.leashes.tell(seed, words::POLICY);
        if told { None } else { self.policies.get(&seed).cloned() }
    }
}

/// What a view is opened with.
struct Opening {
    model: Model,
    make: Make,
    /// The seed of the episodes that are played.
    seed: u64,
    device: DeviceChoice,
    interrupt: Interrupt,
    controls: Box<dyn Controls>,
}

impl Opening {
    /// A view of the runs of `seeds`, of an experiment or of a run alone; `place` is where the files are.
    fn new(
        config: &ExperimentConfig,
        (seeds, experiment): (&[u64], bool),
        place: &Path,
        program: &Program,
        interrupt: &Interrupt,
        controls: Box<dyn Controls>,
    ) -> anyhow::Result<Self> {
        let (train, registry, place) = (&config.train, &program.registry, place.display());
        // A GPU has enough to do; a small network plays on the CPU where there is a backend for it.
        let device = if train.device.on_host() { train.device } else { DeviceChoice::Auto };
        let made = train.device.resolve();
        let who = match seeds {
            [seed] if !experiment => format!("seed {seed}"),
            seeds => format!("{} seeds", seeds.len()),
        };
        Ok(Self {
            model: Model {
                title: format!("{} · {} · {who} · {made} · {place}", config.env, config.algo),
                steps: train.run.steps,
                threshold: registry.get(&config.env)?.threshold(),
                experiment,
                runs: seeds.iter().map(|seed| RunView::new(*seed)).collect(),
                selected: 0,
                overall: None,
                phase: Phase::Training,
                messages: Vec::new(),
                help: false,
                pane: 0,
            },
            make: Box::new(config.env_factory(registry)?),
            seed: seeds.first().copied().unwrap_or(train.run.seed),
            device,
            interrupt: interrupt.clone(),
            controls,
        })
    }
}

/// A view that is open, or has been closed by a key.
pub(crate) struct View {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the training and the view have in common.
struct Shared {
    model: Mutex<Model>,
    /// What is said again when the view is closed.
    said: Mutex<Vec<Message>>,
    stage: Stage,
    over: AtomicBool,
}

impl Shared {
    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn said(&self) -> MutexGuard<'_, Vec<Message>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

impl View {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When it can't be.
    fn open(opening: Opening) -> anyhow::Result<Self> {
        let Opening { model, make, seed, device, interrupt, controls } = opening;
        let screen = Screen::enter()?;
        interrupt.or_termination()?;
        let stage = Stage::open(make, device, seed);
        let shared = Arc::new(Shared {
            model: Mutex::new(model),
            said: Mutex::default(),
            stage,
            over: false.into(),
        });
        let seen = Arc::clone(&shared);
        let keys = Keys { interrupt, controls };
        let thread = thread::spawn(move || {
            attend(&seen, screen, &keys);
            // Nobody could say so any more.
            keys.controls.pause(false);
        });
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
        let mut model = self.shared.model();
        model.overall = Some(overall);
        if let Some(run) = model.run(seed) {
            run.update(Update {
                steps: metrics["steps"].as_u64().unwrap_or(0),
                steps_per_second: number("steps_per_second"),
                seconds: number("seconds"),
                mean_return: number("mean_return_100"),
                values: &mut values
                    .filter_map(|(name, value)| Some((name.clone().into(), value.as_f64()?))),
            });
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
            model.phase = Phase::Paused;
        }
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
    pub(crate) fn say(&self, warning: bool, text: &str) {
        self.shared.model().say(warning, text);
        self.shared.said().push(Message { warning, text: text.to_owned() });
    }

    /// Says something that is of interest at the moment only.
    pub(crate) fn mention(&self, text: &str) {
        self.shared.model().say(false, text);
    }

    /// Gives the terminal back, and says there what was said on the way.
    pub(crate) fn close(&mut self, output: &Output) {
        self.end();
        for Message { warning, text } in std::mem::take(&mut *self.shared.said()) {
            if warning { output.warning(&text) } else { output.note(&text) }
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

/// Draws and listens for as long as it is wanted.
fn attend(shared: &Shared, mut screen: Screen, keys: &Keys) {
    let theme = Theme::of_terminal();
    let mut pace = Pace::new(PICTURE);
    let mut asked: Option<Instant> = None;
    while !shared.over() {
        if pace.left().is_zero() {
            let began = Instant::now();
            if shared.stage.hungry() && asked.is_none_or(|at| at.elapsed() > PATIENCE) {
                asked = Some(began);
                keys.ask_for_policy(shared);
            } else if !shared.stage.hungry() {
                asked = None;
            }
            let (model, sight) = (shared.model().clone(), shared.stage.sight());
            let drawn = screen.draw(|frame| draw::draw(frame, &model, &sight, theme));
            if !drawn.unwrap_or(false) {
                return;
            }
            pace.took(began.elapsed());
        }
        match event::poll(pace.left().min(ATTENTION)) {
            Ok(false) => {}
            Ok(true) => match event::read().map(|event| keys.on_event(&event, shared)) {
                Ok(keys::Then::Nothing) => {}
                Ok(keys::Then::Draw) => pace.now(),
                Ok(keys::Then::AnotherPolicy) => {
                    shared.stage.hurry();
                    asked = None;
                    pace.now();
                }
                Ok(keys::Then::Close) | Err(_) => return,
            },
            // Nothing can be heard on this terminal any more.
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests;
