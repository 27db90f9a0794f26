//! What is asked of a training while it goes on.
#![allow(clippy::unwrap_used)] // a panic here is the report

use std::{
    fs,
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

use elegante_env::Registry;
use elegante_experiment::{
    ExperimentConfig, News, Recorder, Request, Requests, RunDir, RunInfo, StopReason,
};
use elegante_policy::{DeviceChoice, Policy};
use elegante_trainer::{Event, Trainer};

/// Trains in `dir`; `on_news` may ask for things.
fn train(
    dir: &Path,
    requests: &Requests,
    on_news: impl FnMut(News<'_>) -> ControlFlow<()>,
) -> (StopReason, RunInfo) {
    let registry = Registry::standard();
    let sets = ["steps=3000", "eval_episodes=2", "checkpoints.every_seconds=0"];
    let sets = sets.map(String::from).to_vec();
    let request = Request { env: Some("CartPole-v1".into()), sets, ..Request::default() };
    let config = ExperimentConfig::resolve(&registry, &request).unwrap();
    let make = config.env_factory(&registry).unwrap();
    let mut trainer = Trainer::from_factory(config.train.clone(), make).unwrap();
    let dir = RunDir::create(dir, false).unwrap();
    let mut recorder = Recorder::begin(dir, &config, &registry, Instant::now()).unwrap();
    recorder.heed(requests.clone());
    let stop = recorder.train(&mut trainer, on_news).unwrap();
    (stop, recorder.finish(&trainer, stop, None).unwrap())
}

fn go_on(_: News<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_asked_for_comes_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let [plain, asked] = ["plain", "asked"].map(|name| folder.path().join(name));
    train(&plain, &Requests::default(), go_on);

    let requests = Requests::default();
    let (mut policies, mut checkpoints, mut updates, mut waited) = (Vec::new(), Vec::new(), 0, 0);
    train(&asked, &requests, |news| {
        match news {
            News::Training(Event::Update(_)) => {
                updates += 1;
                match updates {
                    2 => requests.checkpoint(),
                    3 => requests.pause(true),
                    _ => {}
                }
                requests.policy();
            }
            News::Policy { steps, bytes } => policies.push((steps, bytes.to_vec())),
            News::Checkpoint(steps) => checkpoints.push(steps),
            News::Paused => {
                waited += 1;
                match waited {
                    // Asked for in a pause, it comes in the pause.
                    1 => requests.checkpoint(),
                    2 => assert_eq!(checkpoints.len(), 2),
                    _ => requests.pause(false),
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    assert_eq!(waited, 3);
    assert_eq!(policies.len(), updates);
    let device = DeviceChoice::Auto.open().unwrap();
    for (_, bytes) in &policies {
        Policy::from_safetensors(bytes, &device).unwrap();
    }
    let steps: Vec<u64> = policies.iter().map(|(steps, _)| *steps).collect();
    // The second update's, the third's in the pause, and the last of all.
    assert_eq!(checkpoints, [steps[1], steps[2]]);
    assert_eq!(names(&plain.join("checkpoints")).len(), 1);
    let kept = names(&asked.join("checkpoints"));
    assert_eq!(kept.len(), 3, "{kept:?}");

    for file in ["policy.safetensors", "episodes.csv"] {
        let [a, b] = [&plain, &asked].map(|run| fs::read(run.join(file)).unwrap());
        assert!(a == b, "{file} differs");
    }
    let last = |run: &Path| fs::read(run.join("checkpoints").join(&kept[2])).unwrap();
    assert!(last(&plain) == last(&asked), "the last checkpoint differs");
}

#[test]
fn the_clock_stands_still_in_a_pause() {
    let folder = tempfile::tempdir().unwrap();
    let requests = Requests::default();
    requests.pause(true);
    let (mut began, mut seconds) = (None, Vec::new());
    let pause = Duration::from_secs(1);
    let (_, info) = train(&folder.path().join("run"), &requests, |news| {
        match news {
            News::Paused if began.get_or_insert_with(Instant::now).elapsed() >= pause => {
                requests.pause(false);
            }
            News::Training(Event::Update(update)) => seconds.push(update.seconds),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    let whole = began.unwrap().elapsed().as_secs_f64();
    assert!(whole >= 1.0);
    // All that came after the pause, without it, and the one update from before.
    let trained = seconds[seconds.len() - 1] - seconds[0];
    assert!(trained <= whole - 0.5, "{trained} of {whole}");
    assert!(info.train_seconds - seconds[0] <= whole - 0.5, "{} of {whole}", info.train_seconds);
}

#[test]
fn a_training_that_waits_can_be_ended() {
    let folder = tempfile::tempdir().unwrap();
    let requests = Requests::default();
    requests.pause(true);
    let (stop, info) = train(&folder.path().join("run"), &requests, |news| match news {
        News::Paused => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert_eq!((stop, info.updates), (StopReason::Interrupted, 1));
    assert_eq!(names(&folder.path().join("run/checkpoints")).len(), 1);
}
