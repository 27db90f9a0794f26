//! Environment steps a second of whole runs of REINFORCE and PPO, with fused operations and without. Their
//! parts are in `parts`.
//!
//! `cargo bench -p elegante-bench --bench training`. The PyTorch program that this is compared with has one
//! hidden layer of 32 and learns from 5000 steps at a time, so there is a run of that size too.

use std::{ops::ControlFlow, time::Duration};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use elegante::{
    env::{CartPole, TimeLimit},
    policy::MlpConfig,
    trainer::{
        Algorithm, Estimator, PpoConfig, ReinforceConfig, RunConfig, Schedule, TrainConfig, Trainer,
    },
};
use elegante_kernels::set_fused;

fn trainer(estimator: Estimator, hidden: usize, batch_steps: usize, steps: u64) -> Trainer {
    let config = TrainConfig {
        run: RunConfig { steps, threads: 1, ..RunConfig::default() },
        network: MlpConfig { hidden: vec![hidden], ..MlpConfig::default() },
        algorithm: Algorithm::Reinforce(ReinforceConfig {
            estimator,
            batch_steps,
            ..ReinforceConfig::default()
        }),
        ..TrainConfig::default()
    };
    let env = || TimeLimit::new(CartPole::default(), 500).expect("500 steps");
    Trainer::new(config, env).expect("a sound configuration")
}

fn training(c: &mut Criterion) {
    let mut group = c.benchmark_group("reinforce");
    let runs = [
        ("total return, 32 hidden, 5000 a batch", Estimator::TotalReturn, 32, 5_000, 50_000),
        ("baseline, 64 hidden, 2000 a batch", Estimator::Baseline, 64, 2_000, 50_000),
    ];
    group.sample_size(10).measurement_time(Duration::from_secs(8));
    for (name, estimator, hidden, batch_steps, steps) in runs {
        group.throughput(Throughput::Elements(steps));
        group.bench_function(name, |b| {
            let fresh = || trainer(estimator, hidden, batch_steps, steps);
            let run = |mut trainer: Trainer| {
                trainer.run(|_| ControlFlow::Continue(())).expect("it trains");
                trainer
            };
            b.iter_batched(fresh, run, BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// rl-baselines3-zoo's preset for CartPole-v1, a tenth of its steps.
fn zoo() -> Trainer {
    let config = TrainConfig {
        run: RunConfig { steps: 10_000, lanes: 8, threads: 1, ..RunConfig::default() },
        network: MlpConfig { hidden: vec![64, 64], ..MlpConfig::default() },
        algorithm: Algorithm::Ppo(PpoConfig {
            n_steps: 32,
            batch_size: 256,
            epochs: 20,
            gamma: 0.98,
            gae_lambda: 0.8,
            learning_rate: 1e-3,
            schedule: Schedule::Linear,
            clip_schedule: Schedule::Linear,
            ..PpoConfig::default()
        }),
        ..TrainConfig::default()
    };
    let env = || TimeLimit::new(CartPole::default(), 500).expect("500 steps");
    Trainer::new(config, env).expect("a sound configuration")
}

fn ppo(c: &mut Criterion) {
    let mut group = c.benchmark_group("ppo, 20 epochs on 8 × 32 steps");
    group.sample_size(10).measurement_time(Duration::from_secs(8));
    group.throughput(Throughput::Elements(10_000));
    for (way, fused) in [("fused", true), ("composed", false)] {
        set_fused(fused);
        group.bench_function(way, |b| {
            let run = |mut trainer: Trainer| {
                trainer.run(|_| ControlFlow::Continue(())).expect("it trains");
                trainer
            };
            b.iter_batched(zoo, run, BatchSize::PerIteration);
        });
    }
    set_fused(true);
    group.finish();
}

criterion_group!(benches, training, ppo);
criterion_main!(benches);
