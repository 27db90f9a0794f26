//! What the keys do, and what is made of what is told.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    thread,
};

use elegante::{
    Registry,
    experiment::{ExperimentConfig, Request},
};
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use serde_json::json;

use super::{keys::Then, model::State, stage::Stage, *};
use crate::output::Output;

/// Notes what it is asked for.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Vec<String>>>);

impl Controls for Noted {
    fn pause(&self, paused: bool) {
        self.0.lock().unwrap().push(format!("pause {paused}"));
    }

    fn checkpoint(&self) {
        self.0.lock().unwrap().push("checkpoint".into());
    }

    fn policy(&self, seed: u64) -> Option<PathBuf> {
        self.0.lock().unwrap().push(format!("policy {seed}"));
        None
    }
}

/// A view of `seeds` without a terminal, and somebody who presses keys.
fn view(seeds: &[u64]) -> (View, Keys, Noted) {
    let registry = Registry::standard();
    let request = Request { env: Some("CartPole-v1".into()), ..Request::default() };
    let config = ExperimentConfig::resolve(&registry, &request).unwrap();
    let program = Program { began: Instant::now(), name: "elegante".into(), registry };
    let (interrupt, noted) = (Interrupt::unheard(), Noted::default());
    let controls = Box::new(noted.clone());
    let (experiment, place) = (seeds.len() > 1, Path::new("run"));
    let opening = Opening::new(&config, seeds, experiment, place, &program, &interrupt, controls);
    let Opening { model, make, seed, device, interrupt, controls } = opening.unwrap();
    let stage = Stage::open(make, device, seed).unwrap();
    let said = Mutex::default();
    let shared = Arc::new(Shared { model: Mutex::new(model), said, stage, over: false.into() });
    (View { shared, thread: None }, Keys { interrupt, controls }, noted)
}

fn press(view: &View, keys: &Keys, code: KeyCode) -> Then {
    keys.on_event(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)), &view.shared)
}

#[test]
fn each_key_does_what_the_footer_says() {
    let (view, keys, noted) = view(&[0]);
    let phase = || view.shared.model().phase;
    assert_eq!(press(&view, &keys, KeyCode::Char('p')), Then::Draw);
    assert_eq!(phase(), Phase::Pausing);
    view.paused(0);
    assert_eq!(phase(), Phase::Paused);
    press(&view, &keys, KeyCode::Char(' '));
    assert_eq!(phase(), Phase::Training);
    press(&view, &keys, KeyCode::Char('c'));
    assert_eq!(*noted.0.lock().unwrap(), ["pause true", "pause false", "checkpoint"]);
    press(&view, &keys, KeyCode::Char('?'));
    assert!(view.shared.model().help);
    press(&view, &keys, KeyCode::Esc);
    assert!(!view.shared.model().help);
    assert_eq!(press(&view, &keys, KeyCode::Char('x')), Then::Nothing);
    assert!(!keys.interrupt.asked());
    press(&view, &keys, KeyCode::Char('s'));
    press(&view, &keys, KeyCode::Char('s'));
    assert!(keys.interrupt.asked());
    assert_eq!(phase(), Phase::Stopping);
    // What is being stopped is not paused any more.
    press(&view, &keys, KeyCode::Char('p'));
    assert_eq!(phase(), Phase::Stopping);
    assert_eq!(press(&view, &keys, KeyCode::Char('q')), Then::Close);
}

#[test]
fn control_c_stops() {
    let (view, keys, noted) = view(&[0]);
    let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    keys.on_event(&Event::Key(key), &view.shared);
    assert!(keys.interrupt.asked());
    assert!(noted.0.lock().unwrap().is_empty(), "no checkpoint was asked for");
}

#[test]
fn the_policy_of_the_chosen_seed_is_asked_for_once_it_trains() {
    let (view, keys, noted) = view(&[4, 7]);
    keys.ask_for_policy(&view.shared);
    assert!(noted.0.lock().unwrap().is_empty(), "nobody trains yet");
    view.began(7);
    assert_eq!(press(&view, &keys, KeyCode::Down), Then::AnotherPolicy);
    assert_eq!(press(&view, &keys, KeyCode::Down), Then::Nothing, "there is no third");
    keys.ask_for_policy(&view.shared);
    assert_eq!(*noted.0.lock().unwrap(), ["policy 7"]);
    // One that comes for another seed is not played.
    assert!(view.shared.stage.hungry());
    view.policy(4, 1, Vec::new());
    assert!(view.shared.stage.hungry());
    view.policy(7, 1, Vec::new());
    assert!(!view.shared.stage.hungry());
}

#[test]
fn updates_told_in_json_show_all_that_they_measured() {
    let (view, _, _) = view(&[4, 7]);
    view.began(4);
    let update = json!({
        "event": "update", "update": 2, "steps": 512, "mean_return_100": 21.5, "loss": 0.5,
        "approx_kl": 0.01, "batch_return": null, "seconds": 0.5, "steps_per_second": 1024.0,
    });
    view.update_json(4, &update, "all is well".into());
    let model = view.shared.model();
    let run = &model.runs[0];
    assert_eq!((run.steps, run.curve.last(), run.steps_per_second), (512, 21.5, 1024.0));
    let names: Vec<&str> = run.values.iter().map(|(name, _)| name.as_ref()).collect();
    assert_eq!(names, ["approx_kl", "loss"]);
    assert_eq!(model.overall.as_deref(), Some("all is well"));
    assert_eq!((&run.state, &model.runs[1].state), (&State::Training, &State::Waiting));
}

#[test]
fn a_run_that_goes_on_shows_what_it_has_trained() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("metrics.jsonl");
    let (view, ..) = view(&[4]);
    view.recall(4, &log);
    assert_eq!(view.shared.model().runs[0].steps, 0);
    let lines = [
        json!({ "event": "update", "steps": 256, "mean_return_100": 20.0, "loss": 0.5 }),
        json!({ "event": "evaluation", "steps": 256, "mean_return": 500.0 }),
        json!({ "event": "update", "steps": 512, "mean_return_100": 30.0, "loss": 0.25 }),
    ];
    std::fs::write(&log, lines.map(|line| format!("{line}\n")).concat() + "{\"torn").unwrap();
    view.recall(4, &log);
    let model = view.shared.model();
    assert_eq!(model.runs[0].curve.points(10), [(256.0, 20.0), (512.0, 30.0)]);
    assert_eq!((model.runs[0].steps, model.runs[0].values[0].1.last()), (512, 0.25));
}

#[test]
fn all_that_train_must_wait_before_it_is_a_pause() {
    let (view, keys, _) = view(&[0, 1, 2]);
    view.began(0);
    view.began(1);
    press(&view, &keys, KeyCode::Char('p'));
    view.paused(0);
    assert_eq!(view.shared.model().phase, Phase::Pausing);
    assert_eq!(view.waited(), Duration::ZERO);
    view.paused(1);
    assert_eq!(view.shared.model().phase, Phase::Paused);
    let began = Instant::now();
    while view.waited() < Duration::from_millis(2) {
        assert!(began.elapsed() < Duration::from_secs(20), "its clock stands still");
    }
    press(&view, &keys, KeyCode::Char('p'));
    assert!(view.shared.model().runs.iter().all(|run| run.state != State::Paused));
    let waited = view.waited();
    assert!(waited >= Duration::from_millis(2));
    thread::yield_now();
    assert_eq!(view.waited(), waited);
}

#[test]
fn what_has_no_picture_says_why() {
    let (view, _, _) = view(&[0]);
    view.policy(0, 1, b"no policy at all".to_vec());
    let until = Instant::now() + Duration::from_secs(20);
    let trouble = loop {
        if let Some(trouble) = view.shared.stage.sight().trouble {
            break trouble;
        }
        assert!(Instant::now() < until, "the stage says nothing");
        thread::yield_now();
    };
    assert!(trouble.contains("safetensors"), "{trouble}");
}

#[test]
fn a_seed_that_goes_on_is_shown_from_its_beginning() {
    let run = tempfile::tempdir().unwrap();
    let told = |steps: u64| json!({ "event": "update", "steps": steps, "mean_return_100": 20.0 });
    let log = format!("{}\n{}\n", told(256), told(512));
    std::fs::write(run.path().join(files::METRICS), log).unwrap();
    let (mut view, ..) = view(&[3, 4]);
    let shared = Arc::clone(&view.shared);
    let open = Arc::clone(&shared);
    view.thread = Some(thread::spawn(move || {
        while !open.over.load(Ordering::SeqCst) {
            thread::yield_now();
        }
    }));
    let mut board = Board::on(view, 1_000, 2);
    let resumed = json!({ "event": "resume", "run": run.path(), "trained": 512 });
    for line in [resumed, told(768)] {
        board.line(4, &line.to_string(), &mut Output::new()).unwrap();
    }
    let curves = shared.model().runs.iter().map(|run| run.curve.points(99)).collect::<Vec<_>>();
    assert_eq!(curves, [vec![], vec![(256.0, 20.0), (512.0, 20.0), (768.0, 20.0)]]);
}
