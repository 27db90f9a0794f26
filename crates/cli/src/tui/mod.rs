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
mod view;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use elegante::{
    DeviceChoice,
    experiment::{ExperimentConfig, ExperimentDir, Requests, files},
};
use ratatui::crossterm::event;

use crate::{
    interrupt::Interrupt,
    program::Program,
    progress::Progress,
    seeds::{Board, Leashes},
    train::words,
};
use keys::Keys;
use model::{Model, Phase, RunView};
use pace::Pace;
use stage::Make;
use terminal::Screen;
use theme::Theme;
use view::Shared;

pub(crate) use terminal::{check, leave};
pub(crate) use view::View;

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
    let controls = Box::new(requests);
    let opening = Opening::new(config, &[seed], false, path, program, interrupt, controls)?;
    let view = View::open(opening)?;
    view.recall(seed, &path.join(files::METRICS));
    Ok(Progress::Screen { view, seed, total })
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
    let opening = Opening::new(config, seeds, true, dir.path(), program, interrupt, controls)?;
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
        seeds: &[u64],
        experiment: bool,
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
                pauses: (Duration::ZERO, None),
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
        if !terminal::wait(pace.left().min(ATTENTION)) {
            return;
        }
        match event::poll(Duration::ZERO) {
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
