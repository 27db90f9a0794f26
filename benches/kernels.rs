//! The operations that training spends its time in, forward and backward, fused and as burn composes them.
//!
//! `cargo bench -p elegante-bench --bench kernels`

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use elegante::policy::DeviceChoice;
use elegante_kernels::{Activation, clipped_surrogate, dense, log_softmax, pick, set_fused, tanh};

use burn::tensor::{Device, Distribution, Int, Tensor, activation};

fn device() -> Device {
    DeviceChoice::Auto.open().expect("this build has a device").autodiff()
}

fn normal<const D: usize>(shape: [usize; D], scale: f64) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, scale), &device())
}

/// Benchmarks `run` with fused operations and without.
fn both_ways(c: &mut Criterion, name: &str, work: u64, run: impl Fn()) {
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(work));
    for (way, fused) in [("fused", true), ("composed", false)] {
        set_fused(fused);
        group.bench_function(way, |b| b.iter(&run));
    }
    set_fused(true);
    group.finish();
}

/// A layer of 64 tanh units; the elements of the throughput are floating-point operations.
fn layers(c: &mut Criterion) {
    for rows in [8, 64, 256, 2048] {
        let (w, b) = (normal([64, 64], 0.2).require_grad(), normal([64], 0.2).require_grad());
        let x = normal([rows, 64], 1.0);
        let product = 2 * (rows * 64 * 64) as u64;
        let (plain, pw, pb) = (x.clone().inner(), w.clone().inner(), b.clone().inner());
        both_ways(c, &format!("layer of {rows} × 64 → 64, forward"), product, || {
            dense(plain.clone(), pw.clone(), pb.clone(), Activation::Tanh);
        });
        both_ways(c, &format!("layer of {rows} × 64 → 64, and backward"), 3 * product, || {
            let x = x.clone().require_grad();
            let gradients = dense(x, w.clone(), b.clone(), Activation::Tanh).sum().backward();
            drop(gradients);
        });
    }
}

/// log π(a|s) of a choice among two and the clipped surrogate.
fn losses(c: &mut Criterion) {
    let rows = 256;
    let logits = normal([rows, 2], 1.0);
    let action = Tensor::<1, Int>::from_data(vec![1i64; rows].as_slice(), &device());
    let (old, advantage) = (normal([rows], 0.1) - 0.7, normal([rows], 1.0));
    both_ways(c, "clipped surrogate of 256 choices, and backward", rows as u64, || {
        let logits = logits.clone().require_grad();
        let log_prob = pick(log_softmax(logits), action.clone());
        let loss = clipped_surrogate(log_prob, old.clone(), advantage.clone(), 0.2);
        drop(loss.backward());
    });
}

type Function = fn(Tensor<2>) -> Tensor<2>;

/// tanh as burn has it, and as elegante's networks use it.
fn tanhs(c: &mut Criterion) {
    for rows in [64, 2_000] {
        let x = normal([rows, 64], 1.0);
        let mut group = c.benchmark_group(format!("tanh of {rows} × 64, and backward"));
        let functions: [(&str, Function); 2] = [("burn", activation::tanh), ("elegante", tanh)];
        for (name, f) in functions {
            group.bench_function(name, |b| {
                b.iter(|| {
                    let x = x.clone().require_grad();
                    let gradients = f(x.clone()).sum().backward();
                    x.grad(&gradients).expect("x needs a gradient").into_data()
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, layers, losses, tanhs);
criterion_main!(benches);
