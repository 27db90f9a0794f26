//! Worlds that misbehave, and numbers that blow up.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use elegante_env::{AnyEnv, BoxSpace, Discrete, Env, EnvError, Reset, Space, Step};
use elegante_policy::PolicyError;
use elegante_trainer::{
    Algorithm, Estimator, EvalConfig, ReinforceConfig, TrainConfig, TrainError, Trainer, evaluate,
};

use crate::worlds::{At, cartpole, config, finish, train, world};

/// A run of eight lanes, of which lane 5 does `bad` where the others take four steps.
fn with_one_bad_lane(
    threads: usize,
    bad: fn(At<'_>) -> Result<Step, EnvError>,
) -> Result<Trainer, TrainError> {
    let config = config(|run, _| (run.lanes, run.threads) = (8, threads));
    let made = AtomicUsize::new(0);
    let make = move || {
        let lane = made.fetch_add(1, Ordering::SeqCst);
        Ok(AnyEnv::new(world(2, move |at| match (lane, at.time) {
            (5, _) => bad(at),
            (_, 3) => Ok(Step::terminated(1.0)),
            _ => Ok(Step::going(1.0)),
        })))
    };
    Trainer::from_factory(config, make)
}

#[test]
fn a_number_that_is_not_finite_names_its_lane_and_what_it_was() {
    for threads in [1, 2] {
        let said = |bad| {
            let mut trainer = with_one_bad_lane(threads, bad).unwrap();
            let before = trainer.policy().to_safetensors();
            let error = trainer.step().unwrap_err();
            assert!(
                matches!(error, TrainError::Env(EnvError::NonFinite { lane: 5, .. })),
                "{error}"
            );
            assert_eq!(trainer.policy().to_safetensors(), before);
            assert_eq!(trainer.progress().steps, 0);
            error.to_string()
        };
        assert!(said(|_| Ok(Step::going(f64::NAN))).contains("NaN as the reward"));
        assert!(said(|_| Ok(Step::terminated(f64::NEG_INFINITY))).contains("-inf as the reward"));
        let error = said(|at| {
            at.obs[1] = f32::INFINITY;
            Ok(Step::going(0.0))
        });
        assert!(
            error.contains("lane 5: the environment returned inf as entry 1 of the obs"),
            "{error}"
        );
    }
}

/// Returns NaN as its first observation.
struct Blind;

impl Env for Blind {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(1).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(2)
    }

    fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        obs[0] = f32::NAN;
        Ok(())
    }

    fn step(&mut self, _: &usize, _: &mut [f32]) -> Result<Step, EnvError> {
        Ok(Step::terminated(0.0))
    }
}

#[test]
fn a_first_observation_counts_too() {
    let Err(error) = Trainer::new(config(|_, _| {}), || Blind) else { panic!("NaN was taken") };
    assert!(matches!(error, TrainError::Env(EnvError::NonFinite { lane: 0, .. })), "{error}");
}

#[test]
fn an_environments_own_error_ends_the_update_in_its_own_words() {
    for threads in [1, 2] {
        let bad = |at: At<'_>| match at.time {
            7 => Err(EnvError::custom("the robot fell over")),
            _ => Ok(Step::going(0.0)),
        };
        let error = with_one_bad_lane(threads, bad).unwrap().step().unwrap_err();
        assert_eq!(error.to_string(), "the robot fell over");
    }
}

#[test]
fn an_environments_panic_reaches_the_caller_and_nobody_waits_for_ever() {
    for threads in [1, 2, 3] {
        let mut trainer = with_one_bad_lane(threads, |_| panic!("index 7 of 3")).unwrap();
        let panic = catch_unwind(AssertUnwindSafe(|| trainer.step())).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"index 7 of 3"), "on {threads} threads");
    }
}

#[test]
fn episodes_of_one_step_are_episodes() {
    let told = train(&config(|_, _| {}), || world(2, |at| Ok(Step::terminated(at.action as f64))));
    for update in &told.updates {
        assert_eq!((update.batch_steps, update.batch_episodes), (300, 300));
        assert_eq!(update.mean_length_100, 1.0);
    }
    assert!(told.updates.last().unwrap().mean_return_100 > told.updates[0].mean_return_100);
}

#[test]
fn an_evaluation_that_never_ends_is_given_up() {
    let mut config = config(|run, _| run.eval_episodes = 1);
    config.network.hidden = vec![];
    let trainer = Trainer::new(config, || world(2, |_| Ok(Step::going(0.0)))).unwrap();
    let error = trainer.evaluate().unwrap_err().to_string();
    assert!(error.contains("has gone on for 1000000 steps"), "{error}");
    assert!(error.contains("wrap the environment in `TimeLimit`"), "{error}");
}

/// A run whose every step is worth `reward` times one plus its action.
fn paid(reward: f64, change: impl FnOnce(&mut TrainConfig)) -> Trainer {
    let mut config = config(|_, _| {});
    change(&mut config);
    let env = move || {
        world(2, move |at| {
            let reward = reward * (1 + at.action) as f64;
            Ok(if at.time == 9 { Step::terminated(reward) } else { Step::going(reward) })
        })
    };
    Trainer::new(config, env).unwrap()
}

#[test]
fn numbers_that_overflow_stop_the_run_before_the_weights() {
    let with = |change: fn(&mut ReinforceConfig)| {
        move |config: &mut TrainConfig| {
            if let Algorithm::Reinforce(reinforce) = &mut config.algorithm {
                change(reinforce);
            }
        }
    };
    let raw = |reinforce: &mut ReinforceConfig| {
        (reinforce.normalize, reinforce.estimator) = (false, Estimator::RewardToGo);
    };
    let absurd = |reinforce: &mut ReinforceConfig| {
        reinforce.learning_rate = 1e300;
    };
    let absurd_value = |reinforce: &mut ReinforceConfig| {
        (reinforce.value_learning_rate, reinforce.value_epochs) = (1e300, 2);
    };
    for (mut trainer, what) in [
        // Larger than an f32; with a square larger than an f32; with a square, and then with a sum,
        // larger than an f64.
        (paid(1e40, with(raw)), "loss"),
        (paid(1e25, with(raw)), "second moment"),
        (paid(1e200, with(|_| {})), "spread of the returns"),
        (paid(5e307, with(|_| {})), "spread of the returns"),
        (paid(1.0, with(absurd)), "new weight"),
        (paid(1.0, with(absurd_value)), "new weight"),
    ] {
        let before = networks(&trainer);
        let error = trainer.step().unwrap_err();
        let TrainError::NotFinite { update: 1, what: found, value } = error else {
            panic!("{what}: {error}")
        };
        assert!(found == what && !value.is_finite(), "{found} is {value}, not {what}");
        assert_eq!(networks(&trainer), before, "{what}: one of the networks has learnt");
    }
}

/// All weights and moments.
fn networks(trainer: &Trainer) -> Vec<(String, Vec<u8>)> {
    let bytes = trainer.checkpoint().unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let all = tensors.iter().filter(|(name, _)| *name != "observations");
    let mut all: Vec<_> =
        all.map(|(name, tensor)| (name.to_owned(), tensor.data().to_vec())).collect();
    all.sort();
    all
}

/// Five steps with whatever mask it is given.
struct Masked(Vec<bool>, usize);

impl Env for Masked {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(1).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(2)
    }

    fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.1 = 0;
        obs.fill(0.0);
        Ok(())
    }

    fn step(&mut self, _: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.1 += 1;
        obs.fill(0.0);
        Ok(if self.1 == 5 { Step::terminated(1.0) } else { Step::going(1.0) })
    }

    fn action_mask(&self) -> Option<&[bool]> {
        Some(&self.0)
    }
}

#[test]
fn masks_that_make_no_sense_are_errors_of_the_environment() {
    let errors = |mask: Vec<bool>| {
        let env = move || Masked(mask.clone(), 0);
        let mut trainer = Trainer::new(config(|_, _| {}), env).unwrap();
        [trainer.evaluate().unwrap_err(), trainer.step().unwrap_err()]
    };
    for error in errors(vec![true; 3]).iter().chain(&errors(vec![true])) {
        assert!(error.to_string().starts_with("action_mask has "), "{error}");
        assert!(error.to_string().ends_with(" entries where 2 belong"), "{error}");
    }
    for error in errors(vec![false; 2]) {
        assert!(matches!(error, TrainError::Policy(PolicyError::NothingValid { .. })), "{error}");
    }
}

#[test]
fn worlds_that_differ_or_fail_to_appear_are_found_before_training() {
    let made = Arc::new(AtomicUsize::new(0));
    let widening = move || {
        let n = made.fetch_add(1, Ordering::SeqCst);
        Ok(AnyEnv::new(world(2 + n, |_| Ok(Step::terminated(0.0)))))
    };
    let Err(error) = Trainer::from_factory(config(|_, _| {}), widening) else { panic!() };
    assert!(error.to_string().contains("all lanes must be alike"), "{error}");

    let broken = || Err(EnvError::custom("no licence for this simulator"));
    let Err(error) = Trainer::from_factory(config(|_, _| {}), broken) else { panic!() };
    assert_eq!(error.to_string(), "no licence for this simulator");
}

#[test]
fn a_policy_is_not_evaluated_in_a_world_it_does_not_fit() {
    let trainer = Trainer::new(config(|_, _| {}), cartpole).unwrap();
    let other = || Ok(AnyEnv::new(world(3, |_| Ok(Step::terminated(0.0)))));
    let config = EvalConfig::default();
    let error = evaluate(&trainer.policy(), other, &config).unwrap_err();
    assert!(error.to_string().contains("it was trained on another environment"), "{error}");
    for episodes in [0, 1_000_001, usize::MAX] {
        let config = EvalConfig { episodes, ..config.clone() };
        let make = || Ok(AnyEnv::new(cartpole()));
        let error = evaluate(&trainer.policy(), make, &config).unwrap_err();
        assert!(matches!(error, TrainError::Setting { name: "episodes", .. }), "{error}");
    }
}

#[test]
fn a_run_that_is_over_stays_over() {
    let mut trainer = Trainer::new(config(|_, _| {}), cartpole).unwrap();
    let told = finish(&mut trainer);
    assert!(finish(&mut trainer).updates.is_empty());
    assert_eq!(trainer.policy().to_safetensors().unwrap(), told.policy);
    // A step beyond the end is allowed; the linear schedule has nothing left to go.
    assert_eq!(trainer.step().unwrap().learning_rate, 0.0);
}
