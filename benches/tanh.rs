//! tanh forward and backward: burn's own, and the one that elegante's networks use.
//!
//! `cargo bench -p elegante-bench --bench tanh`

use criterion::{Criterion, criterion_group, criterion_main};
use elegante::policy::{DeviceChoice, tanh};

use burn::tensor::{Distribution, Tensor, activation};

type Function = fn(Tensor<2>) -> Tensor<2>;

fn forward_and_backward(c: &mut Criterion) {
    let device = DeviceChoice::Auto.open().expect("this build has a device").autodiff();
    let x = Tensor::<2>::random([2_000, 64], Distribution::Normal(0.0, 1.0), &device);
    let mut group = c.benchmark_group("tanh of 2000 × 64, forward and backward");
    for (name, f) in [("burn", activation::tanh::<2> as Function), ("elegante", tanh)] {
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

criterion_group!(benches, forward_and_backward);
criterion_main!(benches);
