//! The parts of training, each by itself, on CartPole with two hidden layers of 64: environment steps, actions,
//! advantages, updates. `elegante bench` measures the same, by the same functions.
//!
//! `cargo bench -p elegante-bench --bench parts`

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use elegante::{
    DeviceChoice, Registry,
    env::VecEnv,
    experiment::Driven,
    trainer::selfcheck::{Acting, Experience, Update},
};
use elegante_bench::{Advantages, cartpole};
use elegante_kernels::set_fused;

fn stepping(c: &mut Criterion) {
    let mut group = c.benchmark_group("environment");
    let entry = Registry::standard().get("CartPole-v1").expect("it is registered");
    let none = Default::default();
    for lanes in [1, 64, 1024] {
        group.throughput(Throughput::Elements(lanes as u64));
        let envs = (0..lanes).map(|_| entry.make(&none).expect("it needs no options")).collect();
        let single = Box::new(VecEnv::new(envs).expect("lanes that are alike"));
        let together = entry.make_vec(lanes, &none).expect("it needs no options");
        for (way, env) in [("one by one", single as Box<_>), ("together", together)] {
            let mut driven = Driven::new(env).expect("it resets");
            group.bench_function(format!("{lanes} lanes, {way}"), |b| {
                b.iter(|| driven.step().expect("drawn actions are valid"));
            });
        }
    }
    group.finish();
}

fn inference(c: &mut Criterion) {
    let mut group = c.benchmark_group("inference");
    for rows in [1, 64, 1024] {
        group.throughput(Throughput::Elements(rows as u64));
        let acting = Acting::new(DeviceChoice::Auto, &cartpole(rows)).expect("it fits");
        group.bench_function(format!("{rows} observations"), |b| {
            b.iter(|| acting.run().expect("weights are finite"));
        });
    }
    group.finish();
}

fn advantages(c: &mut Criterion) {
    let mut group = c.benchmark_group("advantages");
    for (lanes, steps) in [(8, 32), (2048, 32)] {
        let rollout = Advantages::new(lanes, steps);
        group.throughput(Throughput::Elements((lanes * steps) as u64));
        group.bench_function(format!("GAE of {lanes} lanes × {steps} steps"), |b| {
            b.iter(|| rollout.run());
        });
    }
    group.finish();
}

fn updates(c: &mut Criterion) {
    let mut group = c.benchmark_group("update");
    for rows in [64, 256, 2048] {
        group.throughput(Throughput::Elements(rows as u64));
        let mut update = Update::new(DeviceChoice::Auto, &cartpole(rows), 1).expect("it fits");
        for (way, fused) in [("fused", true), ("composed", false)] {
            set_fused(fused);
            group.bench_function(format!("minibatch of {rows}, {way}"), |b| {
                b.iter(|| update.run().expect("everything is finite"));
            });
        }
        set_fused(true);
    }
    group.finish();
}

fn replaying(c: &mut Criterion) {
    let mut group = c.benchmark_group("replay");
    for (name, transitions) in [("10,000", 10_000), ("1,000,000", 1_000_000)] {
        for (way, prioritized) in [("evenly", false), ("by priority", true)] {
            let mut experience = Experience::new(transitions, 256, prioritized);
            group.throughput(Throughput::Elements(1));
            group.bench_function(format!("a step into {name}, {way}"), |b| {
                b.iter(|| experience.keep());
            });
            group.throughput(Throughput::Elements(256));
            group.bench_function(format!("256 of {name}, {way}"), |b| {
                b.iter(|| experience.draw());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, stepping, inference, advantages, updates, replaying);
criterion_main!(benches);
