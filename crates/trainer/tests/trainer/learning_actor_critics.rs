//! A2C and PPO learn what there is to learn, to thresholds that a broken implementation misses
//! (`docs/testing.md` says which break is caught by which test).

use elegante_env::{
    AnyEnv, Bandit, BoxSpace, CartPole, Env, EnvError, Identity, IdentityContinuous, Memory,
    TimeLimit, wrappers::TransformObservation,
};
use elegante_policy::{Cell, DeviceChoice, Policy};
use elegante_trainer::{
    A2cConfig, Algorithm, Continuous, EvalConfig, PpoConfig, RunConfig, Schedule, TrainConfig,
    Trainer, evaluate,
};

use crate::worlds::{Gates, finish};

type Make = fn() -> Result<AnyEnv, EnvError>;

fn limited<E: Env + 'static>(env: E, steps: usize) -> Result<AnyEnv, EnvError> {
    Ok(AnyEnv::new(TimeLimit::new(env, steps)?))
}

fn run(algorithm: Algorithm, seed: u64, steps: u64) -> TrainConfig {
    let run = RunConfig { seed, steps, lanes: 8, threads: 1, ..RunConfig::default() };
    let mut config = TrainConfig { run, algorithm, ..TrainConfig::default() };
    config.network.hidden = vec![32];
    config
}

fn ppo(change: impl FnOnce(&mut PpoConfig)) -> Algorithm {
    let mut ppo = PpoConfig {
        n_steps: 32,
        epochs: 4,
        gamma: 0.9,
        learning_rate: 3e-3,
        ..PpoConfig::default()
    };
    change(&mut ppo);
    Algorithm::Ppo(ppo)
}

fn a2c(change: impl FnOnce(&mut A2cConfig)) -> Algorithm {
    let mut a2c = A2cConfig { n_steps: 8, gamma: 0.9, learning_rate: 3e-3, ..A2cConfig::default() };
    change(&mut a2c);
    Algorithm::A2c(a2c)
}

/// Mean return of 200 episodes after training, and the policy that reached it.
fn learnt(config: &TrainConfig, make: Make, deterministic: bool) -> (f64, Policy) {
    let mut trainer = Trainer::from_factory(config.clone(), make).unwrap();
    finish(&mut trainer);
    let policy = trainer.policy();
    let how = EvalConfig { episodes: 200, seed: config.run.seed, deterministic };
    (evaluate(&policy, make, &how).unwrap().mean_return, policy)
}

#[test]
fn what_is_shown_is_done() {
    for (name, algorithm, steps) in [("PPO", ppo(|_| {}), 8_000), ("A2C", a2c(|_| {}), 16_000)] {
        for seed in 0..3 {
            let make = || limited(Identity::default(), 100);
            // Actions are drawn, so that only a policy that is sure of them comes near 100.
            let (mean, _) = learnt(&run(algorithm.clone(), seed, steps), make, false);
            println!("{name}, seed {seed}: {mean}");
            assert!(mean > 90.0, "{name}, seed {seed}: {mean}");
        }
    }
}

#[test]
fn the_best_arm_is_found() {
    for (name, algorithm, steps) in [("PPO", ppo(|_| {}), 8_000), ("A2C", a2c(|_| {}), 16_000)] {
        for seed in 0..3 {
            let make = || Ok(AnyEnv::new(Bandit::default()));
            let (_, policy) = learnt(&run(algorithm.clone(), seed, steps), make, false);
            // The same arms, where only how often the best of them is drawn counts.
            let count = || Ok(AnyEnv::new(Bandit::new(BEST.to_vec(), 0.0)?));
            let how = EvalConfig { episodes: 1_000, seed, deterministic: false };
            let share = evaluate(&policy, count, &how).unwrap().mean_return;
            println!("{name}, seed {seed}: {share}");
            assert!(share > 0.9, "{name}, seed {seed}: {share}");
        }
    }
}

/// Pays 1 for the best arm of the usual bandit, and nothing else.
const BEST: [f64; 5] = [0.0, 0.0, 0.0, 0.0, 1.0];

#[test]
fn numbers_are_repeated_whatever_draws_them() {
    for kind in
        [Continuous::Gaussian, Continuous::SquashedGaussian, Continuous::Beta, Continuous::Gsde]
    {
        let ppo = ppo(|ppo| (ppo.distribution, ppo.initial_log_std) = (kind, -1.0));
        let a2c = a2c(|a2c| (a2c.distribution, a2c.initial_log_std) = (kind, -1.0));
        for (name, algorithm, steps) in [("PPO", ppo, 24_000), ("A2C", a2c, 80_000)] {
            let make = || limited(IdentityContinuous::default(), 100);
            let (mean, _) = learnt(&run(algorithm, 0, steps), make, true);
            println!("{name}, {kind:?}: {mean}");
            // Doing nothing gets −33.
            assert!(mean > -3.0, "{name}, {kind:?}: {mean}");
        }
    }
}

#[test]
fn only_what_is_allowed_is_done() {
    for (name, algorithm) in [("PPO", ppo(|_| {})), ("A2C", a2c(|_| {}))] {
        for cell in [Cell::None, Cell::Gru] {
            let mut config = run(algorithm.clone(), 0, 12_000);
            (config.network.recurrent, config.network.recurrent_size) = (cell, 16);
            let (mean, _) = learnt(&config, || Ok(AnyEnv::new(Gates::new())), true);
            println!("{name}, {cell:?}: {mean}");
            assert!(mean > 5.5, "{name}, {cell:?}: {mean}");
        }
    }
}

#[test]
fn the_cue_is_remembered_until_the_junction_and_without_a_memory_it_cant_be() {
    let make = || limited(Memory::new(4), 30);
    let mut config = run(ppo(|ppo| (ppo.batch_size, ppo.gamma) = (64, 0.99)), 0, 40_000);
    config.network.recurrent_size = 16;
    let without = learnt(&config, make, true).0;
    println!("without a memory: {without}");
    // Guesses: the standard deviation of a mean of 200 is 0.07.
    assert!(without < 0.25, "a policy without memory can't get {without}");
    for cell in [Cell::Gru, Cell::Lstm] {
        config.network.recurrent = cell;
        let with = learnt(&config, make, true).0;
        println!("{cell:?}: {with}");
        assert!(with > 0.9, "{cell:?}: {with}");
    }
}

/// What is shown lies between 900 and 1100.
fn far_away() -> Result<AnyEnv, EnvError> {
    let shift = |inside: &[f32], seen: &mut [f32]| seen[0] = 1_000.0 + 100.0 * inside[0];
    let env =
        TransformObservation::new(IdentityContinuous::default(), BoxSpace::unbounded(1), shift);
    limited(env, 100)
}

#[test]
fn a_normalised_policy_takes_its_normaliser_along() {
    let ppo = ppo(|ppo| {
        (ppo.normalize_observations, ppo.normalize_rewards) = (true, true);
        ppo.initial_log_std = -1.0;
    });
    let config = run(ppo, 0, 24_000);
    let (mean, policy) = learnt(&config, far_away, true);
    println!("as trained: {mean}");
    assert!(mean > -3.0, "{mean}");
    let bytes = policy.to_safetensors().unwrap();
    let loaded = Policy::from_safetensors(&bytes, &DeviceChoice::Auto.open().unwrap()).unwrap();
    let how = EvalConfig { episodes: 200, seed: 0, deterministic: true };
    assert_eq!(evaluate(&loaded, far_away, &how).unwrap().mean_return, mean);
}

#[test]
fn cartpole_is_learnt_in_a_few_seconds() {
    // PPO as in its preset, but for the length of the run; A2C with larger steps than in its own.
    let ppo = ppo(|ppo| {
        (ppo.batch_size, ppo.epochs) = (256, 20);
        (ppo.gamma, ppo.gae_lambda, ppo.learning_rate) = (0.98, 0.8, 1e-3);
        (ppo.schedule, ppo.clip_schedule) = (Schedule::Linear, Schedule::Linear);
    });
    let a2c = a2c(|a2c| a2c.gamma = 0.99);
    for (name, algorithm, steps) in [("PPO", ppo, 80_000), ("A2C", a2c, 100_000)] {
        let mut config = run(algorithm, 0, steps);
        config.network.hidden = vec![64, 64];
        let make = || limited(CartPole::default(), 500);
        let (mean, _) = learnt(&config, make, true);
        println!("{name}: {mean}");
        assert!(mean > 300.0, "{name}: {mean}");
    }
}
