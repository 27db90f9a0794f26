//! A run that was interrupted ends where it would have ended.

use std::{
    collections::HashMap,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use elegante_env::{AnyEnv, Discrete, Env, EnvError, Reset, Space, Step};
use elegante_policy::checksum;
use elegante_trainer::{Estimator, Stop, TrainConfig, Trainer, UpdateMetrics};
use safetensors::{Dtype, SafeTensors};

use crate::worlds::{cartpole, config, finish, train, world};

/// A run with evaluations and a schedule, so that there is much to remember.
fn long(estimator: Estimator) -> TrainConfig {
    config(|run, reinforce| {
        (run.steps, run.lanes, run.eval_every) = (2_000, 3, 450);
        reinforce.estimator = estimator;
    })
}

#[test]
fn resumed_at_any_update_a_run_is_the_same_to_the_last_bit() {
    for estimator in [Estimator::TotalReturn, Estimator::RewardToGo, Estimator::Baseline] {
        let config = long(estimator);
        let whole = train(&config, cartpole);
        assert!(whole.updates.len() >= 4 && whole.evaluations.len() >= 2);
        let mut interrupted = Trainer::new(config.clone(), cartpole).unwrap();
        for updates in 1..whole.updates.len() {
            // Stepping alone leaves out the evaluations; going until the next step does not.
            let next = interrupted.progress().steps + 1;
            interrupted.run_until(next, |_| ControlFlow::Continue(())).unwrap();
            let saved = interrupted.checkpoint().unwrap();

            let mut resumed = Trainer::new(config.clone(), cartpole).unwrap();
            // Where it is restored to does not depend on where it has been.
            if updates.is_multiple_of(2) {
                resumed.step().unwrap();
            }
            let restored = resumed.restore(&saved).unwrap();
            assert_eq!(restored.fresh_lanes, Vec::<usize>::new());
            assert_eq!(resumed.progress(), interrupted.progress());
            let rest = finish(&mut resumed);
            assert_eq!(rest.policy, whole.policy, "{estimator:?} after {updates} updates");
            assert_eq!(rest.updates, whole.updates[updates..]);
            assert!(whole.evaluations.ends_with(&rest.evaluations));
            let made = evaluations(&whole.updates[..updates]);
            assert_eq!(made + rest.evaluations.len(), whole.evaluations.len());
        }
    }
}

/// Evaluations that have been made by the end of these updates.
fn evaluations(updates: &[UpdateMetrics]) -> usize {
    let mut made: Vec<u64> = updates.iter().map(|update| update.steps / 450).collect();
    made.retain(|&n| n > 0);
    made.dedup();
    made.len()
}

#[test]
fn a_restored_run_goes_on_in_a_process_with_other_threads() {
    let mut config = long(Estimator::Baseline);
    let whole = train(&config, cartpole);
    let mut first = Trainer::new(config.clone(), cartpole).unwrap();
    first.step().unwrap();
    config.run.threads = 3;
    let mut second = Trainer::new(config, cartpole).unwrap();
    second.restore(&first.checkpoint().unwrap()).unwrap();
    assert_eq!(finish(&mut second).policy, whole.policy);
}

#[test]
fn lanes_that_cant_be_saved_are_told() {
    let forgetful = || {
        world(2, |at| {
            let over = at.rng.random_f64() < 0.1;
            Ok(if over { Step::terminated(1.0) } else { Step::going(1.0) })
        })
    };
    let config = long(Estimator::RewardToGo);
    let mut first = Trainer::new(config.clone(), forgetful).unwrap();
    first.step().unwrap();
    let saved = first.checkpoint().unwrap();
    let mut second = Trainer::new(config.clone(), forgetful).unwrap();
    assert_eq!(second.restore(&saved).unwrap().fresh_lanes, [0, 1, 2]);
    assert_eq!(second.policy().to_safetensors(), first.policy().to_safetensors());
    assert_eq!(second.progress(), first.progress());
    finish(&mut second);

    // Only those that can't: the middle one of three here.
    let made = Arc::new(AtomicUsize::new(0));
    let mixed = move || {
        let lane = made.fetch_add(1, Ordering::SeqCst) % 3;
        Ok(if lane == 1 { AnyEnv::new(Unsaved(cartpole())) } else { AnyEnv::new(cartpole()) })
    };
    let mut config = config;
    config.run.eval_every = 0;
    let mut first = Trainer::from_factory(config.clone(), mixed.clone()).unwrap();
    first.step().unwrap();
    let saved = first.checkpoint().unwrap();
    let mut second = Trainer::from_factory(config, mixed).unwrap();
    assert_eq!(second.restore(&saved).unwrap().fresh_lanes, [1]);
}

/// An environment that keeps its state to itself.
struct Unsaved<E>(E);

impl<E: Env<Action = usize>> Env for Unsaved<E> {
    type Action = usize;

    fn observation_space(&self) -> Space {
        self.0.observation_space()
    }

    fn action_space(&self) -> Discrete {
        self.0.action_space()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.0.reset(reset, obs)
    }

    fn step(&mut self, action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.0.step(action, obs)
    }
}

#[test]
fn checkpoints_of_another_run_say_what_does_not_fit() {
    let config = long(Estimator::Baseline);
    let mut first = Trainer::new(config.clone(), cartpole).unwrap();
    first.step().unwrap();
    let saved = first.checkpoint().unwrap();
    let refused = |change: fn(&mut TrainConfig)| {
        let mut other = config.clone();
        change(&mut other);
        Trainer::new(other, cartpole).unwrap().restore(&saved).unwrap_err().to_string()
    };
    let words = refused(|other| other.run.lanes = 4);
    assert_eq!(words, "checkpoint: has 3 lanes where this run has 4");
    let words = refused(|other| other.network.hidden = vec![9]);
    assert!(words.contains("`policy` has 58 numbers where this run needs 65"), "{words}");

    // A run without a baseline has saved none.
    let config = long(Estimator::RewardToGo);
    let mut plain = Trainer::new(config, cartpole).unwrap();
    plain.step().unwrap();
    let error = first.restore(&plain.checkpoint().unwrap()).unwrap_err().to_string();
    assert!(error.contains("`value` has 0 numbers where this run needs 49"), "{error}");
}

#[test]
fn a_damaged_checkpoint_is_refused_and_changes_nothing() {
    let config = long(Estimator::Baseline);
    let mut trainer = Trainer::new(config, cartpole).unwrap();
    trainer.step().unwrap();
    let good = trainer.checkpoint().unwrap();
    let progress = trainer.progress();
    let weights = trainer.policy().to_safetensors().unwrap();
    trainer.step().unwrap();
    let later = (trainer.policy().to_safetensors().unwrap(), trainer.checkpoint().unwrap());
    assert_ne!(weights, later.0);

    let mut bad = good.clone();
    for at in 0..good.len() {
        bad[at] ^= 1 << (at % 8);
        match trainer.restore(&bad) {
            Err(error) => assert!(error.to_string().starts_with("checkpoint: "), "{error}"),
            // The last digit of a number may be more than an f64 can tell apart.
            Ok(_) => {
                assert_eq!(trainer.policy().to_safetensors().unwrap(), weights, "byte {at}");
                trainer.restore(&later.1).unwrap();
            }
        }
        bad[at] = good[at];
    }
    for length in (0..good.len()).step_by(29) {
        assert!(trainer.restore(&good[..length]).is_err(), "{length} bytes");
    }
    let error = trainer.restore(&later.0).unwrap_err().to_string();
    assert!(error.contains("not an elegante checkpoint"), "{error}");
    assert_eq!(trainer.policy().to_safetensors().unwrap(), later.0, "a refused one was used");
    trainer.restore(&good).unwrap();
    assert_eq!(trainer.progress(), progress);
    assert_eq!(trainer.policy().to_safetensors().unwrap(), weights);
}

#[test]
fn equal_runs_have_equal_checkpoints_whenever_they_are_made() {
    let config = long(Estimator::Baseline);
    let after = |updates: usize| {
        let mut trainer = Trainer::new(config.clone(), cartpole).unwrap();
        (0..updates).for_each(|_| drop(trainer.step().unwrap()));
        trainer.checkpoint().unwrap()
    };
    assert_eq!(after(2), after(2));
    let mut resumed = Trainer::new(config.clone(), cartpole).unwrap();
    resumed.restore(&after(1)).unwrap();
    resumed.set_clock(Duration::from_secs(3600));
    let metrics = resumed.step().unwrap();
    assert_eq!(resumed.checkpoint().unwrap(), after(2), "a clock is in it");
    assert!(metrics.seconds >= 3600.0 && metrics.steps_per_second < 1.0, "{metrics:?}");
}

#[test]
fn a_run_that_reached_its_goal_has_reached_it_after_a_restore_too() {
    let mut config = long(Estimator::RewardToGo);
    (config.run.stop_at, config.run.steps) = (Some(1.0), 1_000_000);
    let go = |trainer: &mut Trainer| trainer.run(|_| ControlFlow::Continue(())).unwrap();
    let mut trainer = Trainer::new(config.clone(), cartpole).unwrap();
    assert_eq!(go(&mut trainer), Stop::Solved);
    let (progress, saved) = (trainer.progress(), trainer.checkpoint().unwrap());
    let mut restored = Trainer::new(config, cartpole).unwrap();
    restored.restore(&saved).unwrap();
    assert_eq!(go(&mut restored), Stop::Solved);
    assert_eq!(restored.progress(), progress, "it went on beyond its goal");
    restored.step().unwrap();
    assert!(restored.progress().steps > progress.steps, "who wants more steps gets them");
}

#[test]
fn checkpoints_of_the_first_format_are_read() {
    let config = long(Estimator::Baseline);
    let mut first = Trainer::new(config.clone(), cartpole).unwrap();
    first.step().unwrap();
    let bytes = first.checkpoint().unwrap();
    let old = in_the_first_format(&bytes);
    assert_ne!(old, bytes);
    let mut second = Trainer::new(config, cartpole).unwrap();
    second.restore(&old).unwrap();
    assert_eq!(second.checkpoint().unwrap(), bytes);
    assert!(second.step().unwrap().seconds > 90.0, "the seconds were in the checkpoint");

    let mut damaged = old;
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let error = second.restore(&damaged).unwrap_err().to_string();
    assert!(error.contains("checksum"), "{error}");
}

/// The same as elegante wrote it when a checkpoint had the seconds in its state.
fn in_the_first_format(bytes: &[u8]) -> Vec<u8> {
    let key = "elegante.checkpoint";
    let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
    let header = &metadata.metadata().as_ref().unwrap()[key];
    let (_, state) = header.split_once("\"state\":").unwrap();
    let state = state.rsplit_once(",\"checksum\":").unwrap().0;
    let state = state.replacen("\"parts\":", "\"seconds\":90.5,\"parts\":", 1);
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    let mut all: Vec<_> = tensors.iter().collect();
    all.sort_by_key(|(name, tensor)| (tensor.dtype() != Dtype::F32, (*name).to_owned()));
    let numbers =
        all.iter().flat_map(|(name, tensor)| name.bytes().chain(tensor.data().iter().copied()));
    let sum = checksum(state.bytes().chain(numbers));
    let header = format!("{{\"version\":1,\"state\":{state},\"checksum\":\"{sum}\"}}");
    safetensors::serialize(all, Some(HashMap::from([(key.to_owned(), header)]))).unwrap()
}
