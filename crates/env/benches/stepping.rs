//! Steps a second of vector environments under drawn actions, beside a bare loop over f64:
//! `cargo bench -p elegante-env`. The table that the documentation quotes is
//! `examples/throughput.rs`.

mod bare;

use bare::{Bare, BareLoop, CartPole, Driven, Pendulum};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use elegante_env::Registry;

fn bare_loop<B: Bare>(criterion: &mut Criterion, id: &str, lanes: usize) {
    let mut group = criterion.benchmark_group(id);
    group.throughput(Throughput::Elements(lanes as u64));
    let mut lane = BareLoop::<B>::new(lanes);
    group.bench_function(BenchmarkId::new("bare f64 loop", lanes), |b| b.iter(|| lane.step()));
}

fn vector(criterion: &mut Criterion) {
    bare_loop::<CartPole>(criterion, "CartPole-v1", 1024);
    bare_loop::<Pendulum>(criterion, "Pendulum-v1", 1024);
    let (registry, none) = (Registry::standard(), toml::Table::new());
    for id in
        ["CartPole-v1", "Pendulum-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Acrobot-v1"]
    {
        let mut group = criterion.benchmark_group(id);
        for lanes in [8, 1024] {
            group.throughput(Throughput::Elements(lanes as u64));
            let env = registry.make_vec(id, lanes, &none).expect("it is registered");
            let mut driven = Driven::new(env).expect("it resets");
            group.bench_function(BenchmarkId::new("vector", lanes), |b| {
                b.iter(|| driven.step().expect("drawn actions are valid"));
            });
            group.bench_function(BenchmarkId::new("replayed actions", lanes), |b| {
                b.iter(|| driven.replay().expect("drawn actions are valid"));
            });
        }
    }
}

criterion_group!(benches, vector);
criterion_main!(benches);
