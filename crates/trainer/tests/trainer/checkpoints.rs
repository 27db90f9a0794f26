//! A run that was interrupted ends where it would have ended.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use elegante_env::{AnyEnv, Discrete, Env, EnvError, Reset, Space, Step};
use elegante_trainer::{Estimator, TrainConfig, Trainer, UpdateMetrics};

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
