//! Runs that stop for reasons of their own, and environments that can't be put back where they were.
#![allow(clippy::unwrap_used)] // a panic here is the report

use std::{
    fs,
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use elegante_env::{
    AnyEnv, CartPole, Discrete, Entry, Env, EnvError, Registry, Reset, Space, Step, TimeLimit,
};
use elegante_experiment::{
    ExperimentConfig, News, Recorder, Request, Resumed, RunDir, RunError, RunState, StopReason,
};
use elegante_trainer::{TrainError, Trainer};

/// What goes wrong with a [`Fickle`] CartPole.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// The world behind it is lost.
    Lost,
    /// It returns NaN.
    Nan,
}

/// A CartPole whose step number `left`, counted over all lanes of the process, goes wrong once.
struct Fickle {
    inner: TimeLimit<CartPole>,
    left: Arc<AtomicUsize>,
    fault: Fault,
    saves: bool,
}

impl Env for Fickle {
    type Action = usize;

    fn observation_space(&self) -> Space {
        self.inner.observation_space()
    }

    fn action_space(&self) -> Discrete {
        self.inner.action_space()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.inner.reset(reset, obs)
    }

    fn step(&mut self, action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        let left = self.left.load(Ordering::SeqCst);
        self.left.store(left.wrapping_sub(1), Ordering::SeqCst);
        match (left, self.fault) {
            (1, Fault::Lost) => Err(EnvError::custom("the simulator has gone away")),
            (1, Fault::Nan) => self.inner.step(action, obs).map(|_| Step::going(f64::NAN)),
            _ => self.inner.step(action, obs),
        }
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        if self.saves { self.inner.save_state() } else { None }
    }

    fn load_state(&mut self, state: &[u8]) -> Result<(), EnvError> {
        self.inner.load_state(state)
    }
}

/// A registry with `Fickle-v0`, whose step number `bad` goes wrong.
fn world(bad: usize, fault: Fault, saves: bool) -> Registry {
    let left = Arc::new(AtomicUsize::new(bad));
    let make = move |_: &toml::Table| {
        let inner = TimeLimit::new(CartPole::default(), 200)?;
        Ok(AnyEnv::new(Fickle { inner, left: Arc::clone(&left), fault, saves }))
    };
    let mut registry = Registry::standard();
    registry.register(Entry::new("Fickle-v0", "a CartPole with its moods", make)).unwrap();
    registry
}

fn config(registry: &Registry) -> ExperimentConfig {
    let sets = "steps=1000 lanes=2 threads=1 eval_every=200 eval_episodes=2 network.hidden=[8] \
                ppo.n_steps=50 ppo.batch_size=25 ppo.epochs=2 ppo.normalize_observations=true \
                checkpoints.every_steps=100 checkpoints.keep=2";
    let sets = sets.split_whitespace().map(str::to_owned).collect();
    let request = Request { env: Some("Fickle-v0".into()), sets, ..Request::default() };
    ExperimentConfig::resolve(registry, &request).unwrap()
}

fn trainer(registry: &Registry) -> Result<Trainer, TrainError> {
    let config = config(registry);
    let make = config.env_factory(registry)?;
    Trainer::from_factory(config.train, make)
}

fn begin(path: &Path, registry: &Registry) -> (Recorder, Trainer) {
    let dir = RunDir::create(path, false).unwrap();
    let recorder = Recorder::begin(dir, &config(registry), registry, Instant::now()).unwrap();
    (recorder, trainer(registry).unwrap())
}

fn resume(path: &Path, registry: &Registry) -> Resumed {
    let dir = RunDir::open(path).unwrap();
    let config = dir.config(registry).unwrap();
    Recorder::resume(dir, &config, registry, Instant::now(), || trainer(registry)).unwrap()
}

/// Trains to the end; with what was told beside events.
fn finish(
    recorder: &mut Recorder,
    trainer: &mut Trainer,
) -> (Result<StopReason, RunError>, Vec<String>) {
    let mut told = Vec::new();
    let stop = recorder.train(trainer, |news| {
        if let News::Warning(text) | News::Note(text) = news {
            told.push(text.to_owned());
        }
        ControlFlow::Continue(())
    });
    if let Ok(stop) = &stop {
        recorder.finish(trainer, *stop, Some(trainer.evaluate().unwrap())).unwrap();
    }
    (stop, told)
}

/// The files that two equal runs have in common, the metrics without their clocks.
fn results(run: &Path) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = ["policy.safetensors", "best.safetensors", "episodes.csv"]
        .iter()
        .map(|file| fs::read(run.join(file)).unwrap())
        .collect();
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let clockless = metrics.lines().map(|line| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().retain(|key, _| !key.contains("second"));
        line.to_string()
    });
    all.push(clockless.collect::<Vec<_>>().join("\n").into_bytes());
    all
}

fn checkpoints(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run.join("checkpoints")).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn after_an_update_that_failed_it_goes_on_from_the_last_one_that_did_not() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, failed) = (dir.path().join("whole"), dir.path().join("failed"));
    // The first evaluations make steps too, and no two of these faults meet the same one.
    for (number, (fault, words)) in
        [(Fault::Lost, "the simulator has gone away"), (Fault::Nan, "NaN as the reward")]
            .into_iter()
            .enumerate()
    {
        let (whole, failed) = (whole.join(number.to_string()), failed.join(number.to_string()));
        let sound = world(usize::MAX, fault, true);
        let (mut recorder, mut alone) = begin(&whole, &sound);
        finish(&mut recorder, &mut alone).0.unwrap();

        // In the middle of the fourth update, whose 25 steps in two lanes lie behind 300 of training.
        let registry = world(usize::MAX, fault, true);
        let (mut recorder, mut trainer) = begin(&failed, &registry);
        let mut updates = 0;
        let stop = recorder.train(&mut trainer, |news| {
            updates +=
                u64::from(matches!(news, News::Training(elegante_trainer::Event::Update(_))));
            if updates == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(stop.unwrap(), StopReason::Interrupted);
        drop(recorder);
        let good = checkpoints(&failed);
        assert_eq!(good, ["step-000000200.safetensors", "step-000000300.safetensors"]);

        let registry = world(25, fault, true);
        let Resumed { mut recorder, mut trainer, .. } = resume(&failed, &registry);
        let before = trainer.policy().to_safetensors().unwrap();
        let (stop, told) = finish(&mut recorder, &mut trainer);
        let error = stop.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(told.iter().any(|text| text.contains("the state before the error")), "{told:?}");
        assert_eq!(checkpoints(&failed), good, "one was made in the middle of an update");
        // The weights are those from before, whatever the normaliser has seen since.
        let saved = fs::read(failed.join("policy.safetensors")).unwrap();
        assert_eq!(saved.len(), before.len());
        drop(recorder);
        assert_eq!(RunState::of(&failed, 1000), RunState::Unfinished);

        // Whoever has mended the world goes on as if nothing had been wrong with it.
        let Resumed { mut recorder, mut trainer, from, warnings } = resume(&failed, &sound);
        assert_eq!(from.unwrap(), failed.join("checkpoints").join(&good[1]));
        assert_eq!(warnings, Vec::<String>::new());
        finish(&mut recorder, &mut trainer).0.unwrap();
        assert!(results(&whole) == results(&failed), "the runs differ");
        assert!(matches!(RunState::of(&failed, 1000), RunState::Finished(_)));
    }
}

#[test]
fn an_environment_that_cant_save_its_state_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let registry = world(usize::MAX, Fault::Lost, false);
    let (mut recorder, mut trainer) = begin(&run, &registry);
    finish(&mut recorder, &mut trainer).0.unwrap();
    drop(recorder);
    fs::remove_file(run.join("run.json")).unwrap();
    fs::remove_file(run.join("checkpoints/step-000001000.safetensors")).unwrap();
    let Resumed { mut recorder, mut trainer, warnings, .. } = resume(&run, &registry);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("lanes 0, 1 begin a new episode"), "{warnings:?}");
    finish(&mut recorder, &mut trainer).0.unwrap();
    assert_eq!(trainer.progress().steps, 1000);
}

#[test]
fn a_run_of_an_older_version_goes_on_from_its_only_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, old) = (dir.path().join("whole"), dir.path().join("old"));
    let registry = world(usize::MAX, Fault::Lost, true);
    let (mut recorder, mut trainer) = begin(&whole, &registry);
    finish(&mut recorder, &mut trainer).0.unwrap();
    drop(recorder);
    let (mut recorder, mut trainer) = begin(&old, &registry);
    let stop = recorder.train(&mut trainer, |news| match news {
        News::Training(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert_eq!(stop.unwrap(), StopReason::Interrupted);
    drop(recorder);
    // It had one place for it, and neither a list of processes nor a lock.
    let only = &checkpoints(&old)[0];
    fs::rename(old.join("checkpoints").join(only), old.join("checkpoint.safetensors")).unwrap();
    for file in ["sessions.jsonl", ".lock"] {
        fs::remove_file(old.join(file)).unwrap();
    }
    let Resumed { mut recorder, mut trainer, from, .. } = resume(&old, &registry);
    assert_eq!(from.unwrap(), old.join("checkpoint.safetensors"));
    finish(&mut recorder, &mut trainer).0.unwrap();
    assert!(results(&whole) == results(&old), "the runs differ");
}
