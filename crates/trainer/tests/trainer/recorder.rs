//! The flight recorder: what an update failed on is written down, and fails in the same way again.

use elegante_env::{AnyEnv, BoxSpace, Discrete, Env, EnvError, Reset, Space, Step, state};
use elegante_policy::{Cell, Settings, params};
use elegante_trainer::{
    Algorithm, Continuous, Failure, FailureReport, GuardConfig, Phase, TrainConfig, TrainError,
    Trainer,
};

use crate::worlds::{Range, a2c, cartpole, config, judged, ppo, replaying, variants, world};

type Make = fn() -> Result<AnyEnv, EnvError>;

/// Trains until something fails; returns the error and the record, which has been to a file and back.
fn fail(config: &TrainConfig, make: Make) -> (TrainError, Failure) {
    let mut trainer = Trainer::from_factory(config.clone(), make).unwrap();
    let weights = |trainer: &Trainer| params::flatten(&trainer.policy());
    let mut before = weights(&trainer);
    for _ in 0..1_000 {
        assert!(trainer.failure().is_none());
        let Err(error) = trainer.step() else {
            before = weights(&trainer);
            continue;
        };
        assert_eq!(weights(&trainer), before, "{error}: a network has learnt");
        let failure = trainer.failure().expect("a record of it");
        let bytes = failure.to_safetensors("notes").unwrap();
        let (read, notes) = Failure::from_safetensors(&bytes).unwrap();
        assert_eq!((read.report(), notes.as_str()), (failure.report(), "notes"));
        assert!(read.to_safetensors("notes").unwrap() == bytes);
        return (error, read);
    }
    panic!("nothing fails");
}

fn replay(config: &TrainConfig, make: Make, failure: &Failure) -> Option<FailureReport> {
    let mut trainer = Trainer::from_factory(config.clone(), make).unwrap();
    trainer.replay(failure).unwrap().report
}

/// Fails, and fails again from the record alone; returns what the record says.
fn fails_twice(config: &TrainConfig, make: Make) -> FailureReport {
    let (error, failure) = fail(config, make);
    let report = failure.report().clone();
    assert_eq!(report.error, error.to_string());
    assert_eq!(replay(config, make, &failure).as_ref(), Some(&report), "{error}");
    report
}

/// Shows 1 and the steps of its life, until one of them is its last: then NaN. It can be saved.
struct Fuse(u32);

const LIFE: u32 = 300;

impl Env for Fuse {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(2).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(2)
    }

    fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        obs.copy_from_slice(&[1.0, 0.0]);
        Ok(())
    }

    fn step(&mut self, &action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.0 += 1;
        obs.copy_from_slice(&[1.0, (self.0 % 10) as f32 / 10.0]);
        if self.0 >= LIFE {
            obs[1] = f32::NAN;
        }
        let reward = action as f64;
        Ok(if self.0.is_multiple_of(10) { Step::terminated(reward) } else { Step::going(reward) })
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        state::save(&self.0)
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        self.0 = state::load(bytes)?;
        Ok(())
    }
}

fn algorithms() -> [TrainConfig; 3] {
    let mut all = [ppo(|_| {}), a2c(|_| {}), config(|_, _| {})];
    all.iter_mut().for_each(|config| config.run.steps = 100_000);
    all
}

#[test]
fn an_environment_that_loses_its_numbers_is_named_and_does_so_again() {
    for config in algorithms() {
        let report = fails_twice(&config, || Ok(AnyEnv::new(Fuse(0))));
        let first = "entry 1 of the observation of lane 0, from the environment";
        assert_eq!((report.first.as_str(), report.value.as_str()), (first, "NaN"));
        assert_eq!(report.phase, Phase::Collecting);
        assert!(report.update > 1 && report.fresh_lanes.is_empty(), "{report:?}");
    }
}

#[test]
fn what_cant_be_saved_is_said_to_go_another_way() {
    let make: Make = || {
        Ok(AnyEnv::new(world(2, |at| match (at.time, at.action) {
            (40, _) => Ok(Step::going(f64::NAN)),
            _ => Ok(Step::going(1.0)),
        })))
    };
    let config = ppo(|_| {});
    let (_, failure) = fail(&config, make);
    assert_eq!(failure.report().first, "the reward of lane 0, from the environment");
    assert_eq!(failure.report().fresh_lanes, [0, 1]);
    let mut trainer = Trainer::from_factory(config, make).unwrap();
    assert_eq!(trainer.replay(&failure).unwrap().fresh_lanes, [0, 1]);
}

#[test]
fn a_state_from_long_before_leads_to_the_same_failure() {
    // Further from the beginning than the trainer keeps one state.
    let mut config = ppo(|_| {});
    (config.run.steps, config.run.lanes) = (1_000_000, 32);
    let report = fails_twice(&config, || Ok(AnyEnv::new(Fuse(0))));
    assert!(report.steps > 8_000 && report.update > 3, "{report:?}");
}

#[test]
fn steps_that_are_too_large_are_found_in_every_kind_of_run() {
    for mut variant in variants() {
        match &mut variant.config.algorithm {
            Algorithm::Ppo(ppo) => ppo.learning_rate = 1e300,
            Algorithm::A2c(a2c) => a2c.learning_rate = 1e300,
            _ => {}
        }
        let report = fails_twice(&variant.config, variant.make);
        let name = &variant.name;
        assert!(report.first.starts_with("new weight "), "{name}: {}", report.first);
        assert_eq!((report.phase, report.minibatch), (Phase::Learning, Some(1)), "{name}");
        let stages: Vec<_> = report.stages.iter().map(|stage| stage.name.as_str()).collect();
        for stage in ["observation", "action", "advantage", "ratio", "value_loss", "loss"] {
            assert!(stages.contains(&stage), "{name}: no {stage} in {stages:?}");
        }
        assert_eq!(stages.contains(&"valid action"), name.contains("masks"), "{name}");
        let remembers = ["GRU", "LSTM"].iter().any(|cell| name.contains(cell));
        assert_eq!(stages.contains(&"initial memory"), remembers, "{name}");
    }
}

#[test]
fn replayed_experience_is_on_record_when_learning_from_it_fails() {
    for mut variant in replaying() {
        if let Algorithm::Dqn(dqn) = &mut variant.config.algorithm {
            dqn.learning_rate = 1e300;
        }
        let report = fails_twice(&variant.config, variant.make);
        let name = &variant.name;
        assert!(report.first.starts_with("new weight net."), "{name}: {}", report.first);
        assert_eq!((report.phase, report.minibatch), (Phase::Learning, Some(1)), "{name}");
        let stages: Vec<_> = report.stages.iter().map(|stage| stage.name.as_str()).collect();
        for stage in ["observation", "action", "reward", "next observation", "target", "value"] {
            assert!(stages.contains(&stage), "{name}: no {stage} in {stages:?}");
        }
    }
}

#[test]
fn what_actors_and_their_critics_fail_on_is_on_record() {
    for mut variant in judged() {
        match &mut variant.config.algorithm {
            Algorithm::Sac(sac) => sac.learning_rate = 1e300,
            Algorithm::Td3(td3) => td3.learning_rate = 1e300,
            Algorithm::Ddpg(ddpg) => ddpg.learning_rate = 1e300,
            other => panic!("{other:?}"),
        }
        let report = fails_twice(&variant.config, variant.make);
        let name = &variant.name;
        // α is the first to learn, where it does.
        let learnt = matches!(&variant.config.algorithm,
            Algorithm::Sac(sac) if sac.entropy_coef.is_none());
        let first = if learnt { "new weight temperature.log_alpha" } else { "new weight critics." };
        assert!(report.first.starts_with(first), "{name}: {}", report.first);
        assert_eq!((report.phase, report.minibatch), (Phase::Learning, Some(1)), "{name}");
        let stages: Vec<_> = report.stages.iter().map(|stage| stage.name.as_str()).collect();
        for stage in ["observation", "action", "reward", "next observation"] {
            assert!(stages.contains(&stage), "{name}: no {stage} in {stages:?}");
        }
        for stage in ["target", "value"] {
            assert_eq!(stages.contains(&stage), !learnt, "{name}: {stage} in {stages:?}");
        }
        assert_eq!(stages.contains(&"valid action"), name.contains("masks"), "{name}");
    }
}

#[test]
fn a_failure_of_learning_needs_no_environment_to_happen_again() {
    // These can't be saved; the batch is on record.
    let reinforce = config(|_, reinforce| reinforce.learning_rate = 1e300);
    for config in [ppo(|ppo| ppo.learning_rate = 1e300), reinforce] {
        let report = fails_twice(&config, || Ok(AnyEnv::new(Range::new())));
        assert!(report.first.starts_with("new weight policy."), "{}", report.first);
    }
    let value = config(|_, reinforce| {
        (reinforce.value_learning_rate, reinforce.value_epochs) = (1e300, 2);
    });
    let report = fails_twice(&value, || Ok(AnyEnv::new(Range::new())));
    assert!(report.first.starts_with("new weight value."), "{}", report.first);
}

#[test]
fn a_policy_without_noise_has_gone_too_far_after_one_step() {
    let mut config = ppo(|ppo| {
        (ppo.initial_log_std, ppo.distribution) = (-20.0, Continuous::Gaussian);
    });
    config.guard.max_kl = Some(1e3);
    let report = fails_twice(&config, || Ok(AnyEnv::new(Range::new())));
    assert_eq!((report.first.as_str(), report.update), ("approx_kl", 1));
    let noise = report.stages.iter().find(|stage| stage.name == "weight policy.log_std").unwrap();
    assert!(noise.range.unwrap()[1] < -19.0, "{noise:?}");
}

#[test]
fn rewards_that_are_too_large_show_where_they_come_in() {
    let make: Make = || {
        Ok(AnyEnv::new(world(2, |at| {
            let reward = 1e300 * (1 + at.action) as f64;
            Ok(if at.time == 9 { Step::terminated(reward) } else { Step::going(reward) })
        })))
    };
    let report = fails_twice(&a2c(|_| {}), make);
    assert_eq!((report.phase, report.minibatch), (Phase::Learning, Some(1)));
    assert_eq!(report.first, "policy_loss", "as f32 the advantages are infinite");
}

#[test]
fn limits_end_a_run_and_are_on_record() {
    let names: Vec<_> = GuardConfig::SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(names, ["max_kl", "min_entropy"]);
    let make: Make = || Ok(AnyEnv::new(cartpole()));
    for base in algorithms() {
        let guarded = |guard| TrainConfig { guard, ..base.clone() };
        let kl = guarded(GuardConfig { max_kl: Some(1e-12), ..GuardConfig::default() });
        let entropy = guarded(GuardConfig { min_entropy: Some(0.7), ..GuardConfig::default() });
        for (config, first) in [(kl, "approx_kl"), (entropy, "entropy")] {
            let report = fails_twice(&config, make);
            assert_eq!(report.first, first, "{}", report.error);
            assert!(report.error.contains("beyond guard."), "{}", report.error);
        }
        // Limits that are not passed change nothing.
        let train = |guard| {
            let mut config = guarded(guard);
            config.run.steps = 600;
            let mut trainer = Trainer::from_factory(config, make).unwrap();
            trainer.run(|_| std::ops::ControlFlow::Continue(())).unwrap();
            trainer.policy().to_safetensors().unwrap()
        };
        let wide = GuardConfig { max_kl: Some(1e9), min_entropy: Some(-1e9) };
        assert!(train(wide) == train(GuardConfig::default()));
    }
    for guard in [
        GuardConfig { max_kl: Some(0.0), ..GuardConfig::default() },
        GuardConfig { min_entropy: Some(f64::NAN), ..GuardConfig::default() },
    ] {
        let error = TrainConfig { guard, ..ppo(|_| {}) }.validate().unwrap_err().to_string();
        assert!(error.starts_with("guard."), "{error}");
    }
}

#[test]
fn a_record_of_another_run_is_refused() {
    let make: Make = || Ok(AnyEnv::new(cartpole()));
    let (_, failure) = fail(&ppo(|ppo| ppo.learning_rate = 1e300), make);
    let mut wider = ppo(|_| {});
    wider.network.hidden = vec![9];
    let mut remembering = ppo(|ppo| ppo.batch_size = 64);
    remembering.network.recurrent = Cell::Gru;
    let mut lanes = ppo(|_| {});
    lanes.run.lanes = 3;
    for other in [wider, remembering, lanes, a2c(|_| {}), config(|_, _| {})] {
        let mut trainer = Trainer::from_factory(other, make).unwrap();
        let error = trainer.replay(&failure).unwrap_err().to_string();
        assert!(error.contains("belongs to another configuration"), "{error}");
    }
}
