//! What each key does.

use std::fs;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{
    Controls, Shared,
    model::{Model, Phase, State},
    stage::Cast,
    terminal::leave,
};
use crate::{interrupt::Interrupt, output::Tone};

/// Those who do what a key says.
pub(super) struct Keys {
    pub(super) interrupt: Interrupt,
    pub(super) controls: Box<dyn Controls>,
}

/// What comes after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing to be seen.
    Nothing,
    /// There is something new to be seen.
    Draw,
    /// Somebody else's policy is to be seen.
    AnotherPolicy,
    /// The view is not wanted any more.
    Close,
}

impl Keys {
    pub(super) fn on_event(&self, event: &Event, shared: &Shared) -> Then {
        match event {
            Event::Resize(..) => Then::Draw,
            Event::Key(key) if key.kind != KeyEventKind::Release => self.press(*key, shared),
            _ => Then::Nothing,
        }
    }

    fn press(&self, key: KeyEvent, shared: &Shared) -> Then {
        let mut model = shared.model();
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                stopping(&mut model);
                drop(model);
                self.interrupt.press(leave);
            }
            KeyCode::Char('p' | ' ') => self.pause(&mut model),
            KeyCode::Char('c') => {
                self.controls.checkpoint();
                model.say(Tone::Note, "a checkpoint will be written after this update");
            }
            KeyCode::Char('s') => {
                stopping(&mut model);
                self.interrupt.ask();
            }
            KeyCode::Char('q') => return Then::Close,
            KeyCode::Char('?' | 'h') => model.help = !model.help,
            KeyCode::Esc if model.help => model.help = false,
            KeyCode::Tab => model.pane = model.pane.wrapping_add(1),
            KeyCode::Down | KeyCode::Char('j') => return select(&mut model, 1),
            KeyCode::Up | KeyCode::Char('k') => return select(&mut model, -1),
            _ => return Then::Nothing,
        }
        Then::Draw
    }

    fn pause(&self, model: &mut Model) {
        match model.phase {
            Phase::Training => {
                model.phase = Phase::Pausing;
                self.controls.pause(true);
            }
            Phase::Pausing | Phase::Paused => {
                model.go_on();
                self.controls.pause(false);
            }
            Phase::Stopping | Phase::Evaluating => {}
        }
    }

    /// Has the policy of the run that is shown come, if there can be one yet.
    pub(super) fn ask_for_policy(&self, shared: &Shared) {
        let model = shared.model();
        let Some(run) = model.shown().filter(|run| run.state != State::Waiting) else { return };
        let (seed, steps) = (run.seed, run.steps);
        drop(model);
        let Some(path) = self.controls.policy(seed) else { return };
        // One that is not there now may be later.
        if let Ok(bytes) = fs::read(path) {
            shared.stage.cast(Cast { seed, steps, bytes });
        }
    }
}

fn stopping(model: &mut Model) {
    if model.phase != Phase::Evaluating {
        model.phase = Phase::Stopping;
    }
}

/// The next run, or the one before.
fn select(model: &mut Model, by: isize) -> Then {
    let last = model.runs.len().saturating_sub(1);
    let next = model.selected.saturating_add_signed(by).min(last);
    if next == model.selected {
        return Then::Nothing;
    }
    model.selected = next;
    Then::AnotherPolicy
}
