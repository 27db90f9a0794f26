//! DQN in its forms learns what there is to learn, to thresholds that a broken implementation misses.

use std::ops::ControlFlow;

use elegante_env::{
    AnyEnv, BoxSpace, Discrete, Env, EnvError, Identity, Reset, Space, Step, TimeLimit,
};
use elegante_policy::{Activation, DeviceChoice, Init, Policy};
use elegante_trainer::{
    Algorithm, DqnConfig, EvalConfig, RunConfig, TrainConfig, Trainer, evaluate,
};

use crate::worlds::Gates;

/// Changes a configuration.
type Form = fn(&mut DqnConfig);

/// Every switch by itself, and all together. The runs are short, so that noise begins small: with the usual 0.5 they
/// take four times the minibatches.
const FORMS: [(&str, Form); 8] = [
    ("plain", |_| {}),
    ("double", |dqn| dqn.double = true),
    ("dueling", |dqn| dqn.dueling = true),
    ("over three steps", |dqn| dqn.n_steps = 3),
    ("prioritised", |dqn| dqn.prioritized = true),
    ("quantiles", |dqn| dqn.quantiles = 11),
    ("noisy", |dqn| (dqn.noisy, dqn.noisy_std) = (true, 0.1)),
    ("all of it", |dqn| {
        (dqn.double, dqn.dueling, dqn.prioritized, dqn.noisy) = (true, true, true, true);
        (dqn.n_steps, dqn.quantiles, dqn.noisy_std) = (3, 11, 0.1);
    }),
];

fn config(steps: u64, gamma: f64, form: Form) -> TrainConfig {
    let run = RunConfig { steps, lanes: 2, threads: 1, ..RunConfig::default() };
    let mut dqn = DqnConfig {
        gamma,
        learning_rate: 3e-3,
        learning_starts: 200,
        target_update_interval: 100,
        exploration_fraction: 0.5,
        ..DqnConfig::default()
    };
    form(&mut dqn);
    let mut config = TrainConfig { run, algorithm: Algorithm::Dqn(dqn), ..TrainConfig::default() };
    config.network.hidden = vec![32];
    (config.network.activation, config.network.init) = (Activation::Relu, Init::BurnDefault);
    config
}

fn learnt<E: Env + 'static>(config: &TrainConfig, make: fn() -> E) -> Policy {
    let mut trainer = Trainer::new(config.clone(), make).unwrap();
    trainer.run(|_| ControlFlow::Continue(())).unwrap();
    trainer.policy()
}

fn mean_return<E: Env + 'static>(policy: &Policy, make: fn() -> E) -> f64 {
    let how = EvalConfig { episodes: 100, seed: 0, deterministic: true };
    evaluate(policy, || Ok(AnyEnv::new(make())), &how).unwrap().mean_return
}

/// Q(s, a) of this observation.
fn values(policy: &Policy, observation: &[f32]) -> Vec<f64> {
    let device = policy.device();
    let data = burn::tensor::TensorData::new(observation.to_vec(), [1, observation.len()]);
    let said = policy.forward(burn::tensor::Tensor::from_data(data, &device), None);
    let elegante_policy::Distribution::EpsilonGreedy(greedy) = said else { panic!("{said:?}") };
    greedy.values().into_data().iter::<f64>().collect()
}

#[test]
fn what_is_shown_is_done_in_every_form() {
    for (name, form) in FORMS {
        let make = || TimeLimit::new(Identity::default(), 50).unwrap();
        let policy = learnt(&config(3_000, 0.5, form), make);
        let mean = mean_return(&policy, make);
        println!("{name}: {mean}");
        assert!(mean > 49.0, "{name}: {mean}");
    }
}

#[test]
fn only_what_is_allowed_is_done_in_every_form() {
    for (name, form) in FORMS {
        // An action that is not allowed ends the training with an error.
        let policy = learnt(&config(4_000, 0.9, form), Gates::new);
        let mean = mean_return(&policy, Gates::new);
        println!("{name}: {mean}");
        assert!(mean > 5.5, "{name}: {mean}");
    }
}

/// Every step pays 1. What it shows is whether the first has been made; after the second it is over, if it
/// `terminates` at all.
struct Steps {
    time: u8,
    terminates: bool,
}

impl Env for Steps {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(2).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(2)
    }

    fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.time = 0;
        obs.copy_from_slice(&[1.0, 0.0]);
        Ok(())
    }

    fn step(&mut self, _: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.time += 1;
        obs.copy_from_slice(&[0.0, 1.0]);
        Ok(if self.time == 2 && self.terminates { Step::terminated(1.0) } else { Step::going(1.0) })
    }
}

#[test]
fn values_look_through_a_time_limit_and_not_through_a_termination() {
    let terminating = || Steps { time: 0, terminates: true };
    // What is cut off looks as it would have looked from then on: 1 a step for ever.
    let endless = || TimeLimit::new(Steps { time: 0, terminates: false }, 3).unwrap();
    for (name, form) in FORMS {
        let γ = 0.5;
        let over = learnt(&config(4_000, γ, form), terminating);
        let first = values(&over, &[1.0, 0.0]);
        println!("{name}, terminates: {first:?}");
        assert!(first.iter().all(|q| (q - 1.5).abs() < 0.1), "{name}: {first:?}, not 1 + γ");

        let on = learnt(&config(4_000, γ, form), endless);
        for observation in [[1.0, 0.0], [0.0, 1.0]] {
            let q = values(&on, &observation);
            println!("{name}, goes on: {q:?}");
            assert!(q.iter().all(|q| (q - 2.0).abs() < 0.1), "{name}: {q:?}, not 1/(1 − γ)");
        }
    }
}

#[test]
fn quantiles_are_those_of_the_return() {
    /// One step that pays 0 or 1, each half of the time.
    struct Coin(elegante_env::EnvRng);
    impl Env for Coin {
        type Action = usize;
        fn observation_space(&self) -> Space {
            BoxSpace::unbounded(1).into()
        }
        fn action_space(&self) -> Discrete {
            Discrete::new(2)
        }
        fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
            if let Some(seed) = reset.seed {
                self.0 = elegante_env::EnvRng::new(seed);
            }
            obs.fill(1.0);
            Ok(())
        }
        fn step(&mut self, _: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
            obs.fill(1.0);
            Ok(Step::terminated(if self.0.uniform(0.0, 1.0) < 0.5 { 0.0 } else { 1.0 }))
        }
    }
    let config = config(12_000, 0.9, |dqn| {
        (dqn.quantiles, dqn.gradient_steps, dqn.batch_size) = (4, 2, 64);
    });
    let policy = learnt(&config, || Coin(elegante_env::EnvRng::new(0)));
    let device = DeviceChoice::Auto.open().unwrap();
    let out = policy.outputs(burn::tensor::Tensor::from_data([[1.0f32]], &device));
    let out: Vec<f64> = out.into_data().iter::<f64>().collect();
    println!("{out:?}");
    // Below Huber's corner the loss is an expectile's: at level τ̂ it is τ̂ itself for a fair coin.
    for action in out.chunks_exact(4) {
        for (q, level) in action.iter().zip([0.125, 0.375, 0.625, 0.875]) {
            assert!((q - level).abs() < 0.06, "{out:?}");
        }
    }
}
