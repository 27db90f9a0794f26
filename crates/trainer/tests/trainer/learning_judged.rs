//! Actors with critics of their own learn what there is to learn, to thresholds that a broken implementation
//! misses.

use std::ops::ControlFlow;

use elegante_env::{AnyEnv, Env, Identity, IdentityContinuous, TimeLimit};
use elegante_policy::{Activation, Init, Policy};
use elegante_trainer::{
    Algorithm, DdpgConfig, EvalConfig, Noise, RunConfig, SacConfig, Td3Config, TrainConfig,
    Trainer, evaluate,
};

use crate::worlds::Gates;

fn config(steps: u64, algorithm: Algorithm) -> TrainConfig {
    let run = RunConfig { steps, lanes: 2, threads: 1, ..RunConfig::default() };
    let mut config = TrainConfig { run, algorithm, ..TrainConfig::default() };
    config.network.hidden = vec![32];
    (config.network.activation, config.network.init) = (Activation::Relu, Init::BurnDefault);
    config
}

fn sac(change: impl FnOnce(&mut SacConfig)) -> Algorithm {
    let mut sac = SacConfig {
        gamma: 0.5,
        learning_rate: 3e-3,
        learning_starts: 200,
        batch_size: 64,
        tau: 0.02,
        ..SacConfig::default()
    };
    change(&mut sac);
    Algorithm::Sac(sac)
}

fn td3(noise: Noise) -> Algorithm {
    let (gamma, learning_rate, learning_starts) = (0.5, 3e-3, 200);
    let (batch_size, tau) = (64, 0.02);
    let rest = Td3Config::default();
    Algorithm::Td3(Td3Config {
        gamma,
        learning_rate,
        learning_starts,
        batch_size,
        tau,
        noise,
        ..rest
    })
}

fn ddpg() -> Algorithm {
    let (gamma, learning_rate, learning_starts) = (0.5, 3e-3, 200);
    let (batch_size, tau) = (64, 0.02);
    let rest = DdpgConfig::default();
    Algorithm::Ddpg(DdpgConfig { gamma, learning_rate, learning_starts, batch_size, tau, ..rest })
}

/// The policy, and the means of what the last quarter of all updates measured.
fn learnt<E: Env + 'static>(config: &TrainConfig, make: fn() -> E) -> (Policy, Vec<[f64; 2]>) {
    let mut trainer = Trainer::new(config.clone(), make).unwrap();
    let mut told = Vec::new();
    trainer
        .run(|event| {
            if let elegante_trainer::Event::Update(update) = event {
                let alpha = update.values.get("ent_coef").copied().unwrap_or(f64::NAN);
                told.push([update.entropy, alpha]);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let from = told.len() - told.len() / 4;
    (trainer.policy(), told.split_off(from))
}

fn mean_return<E: Env + 'static>(policy: &Policy, make: fn() -> E) -> f64 {
    let how = EvalConfig { episodes: 50, seed: 0, deterministic: true };
    evaluate(policy, || Ok(AnyEnv::new(make())), &how).unwrap().mean_return
}

#[test]
fn numbers_that_are_shown_are_repeated() {
    let make = || TimeLimit::new(IdentityContinuous::default(), 20).unwrap();
    for (name, algorithm) in [
        ("SAC", sac(|_| {})),
        ("SAC, α fixed", sac(|sac| sac.entropy_coef = Some(0.01))),
        ("SAC, gSDE", sac(|sac| (sac.sde, sac.entropy_coef) = (true, Some(0.01)))),
        ("TD3", td3(Noise::Normal)),
        ("TD3, Ornstein–Uhlenbeck", td3(Noise::OrnsteinUhlenbeck)),
        ("DDPG", ddpg()),
    ] {
        let (policy, _) = learnt(&config(2_500, algorithm), make);
        let mean = mean_return(&policy, make);
        println!("{name}: {mean}");
        // Doing nothing gets −6.7, the wrong sign four times that.
        assert!(mean > -0.4, "{name}: {mean}");
    }
}

#[test]
fn choices_that_are_shown_are_made_and_forbidden_ones_never() {
    let shown = || TimeLimit::new(Identity::default(), 50).unwrap();
    let sharp = || sac(|sac| sac.entropy_coef = Some(0.02));
    let (policy, _) = learnt(&config(3_000, sharp()), shown);
    let mean = mean_return(&policy, shown);
    assert!(mean > 49.0, "{mean}");
    // An action that is not allowed ends the training with an error.
    let (policy, _) = learnt(&config(3_000, sharp()), Gates::new);
    let mean = mean_return(&policy, Gates::new);
    assert!(mean > 5.5, "{mean}");
}

#[test]
fn the_temperature_brings_the_entropy_to_where_it_should_be() {
    let make = || TimeLimit::new(IdentityContinuous::default(), 20).unwrap();
    for target in [-1.0, 0.0] {
        let aimed = sac(|sac| {
            (sac.target_entropy, sac.initial_entropy_coef) = (Some(target), 0.1);
            sac.learning_rate = 1e-2;
        });
        let (_, told) = learnt(&config(4_000, aimed), make);
        let entropy = told.iter().map(|[entropy, _]| entropy / told.len() as f64).sum::<f64>();
        println!("{target}: {entropy}, α {:?}", told.last());
        assert!((entropy - target).abs() < 0.3, "{entropy}, not {target}");
    }
}
