//! tanh forward and backward: burn's own, the one composed of its sigmoid, and the one that elegante's
//! networks use.
//!
//! `cargo bench -p elegante-bench --bench tanh`

use criterion::{Criterion, criterion_group, criterion_main};
use elegante::policy::{DeviceChoice, tanh};

use burn::tensor::{Distribution, Tensor, activation};

type Function = fn(Tensor<2>) -> Tensor<2>;

/// tanh x = 2σ(2x) − 1.
fn by_sigmoid(x: Tensor<2>) -> Tensor<2> {
    activation::sigmoid(x * 2.0) * 2.0 - 1.0
}

fn forward_and_backward(c: &mut Criterion) {
    let device = DeviceChoice::Auto.open().expect("this build has a device").autodiff();
    let functions: [(&str, Function); 3] =
        [("burn", activation::tanh), ("2σ(2x) − 1", by_sigmoid), ("elegante", tanh)];
    for rows in [64, 2_000] {
        let x = Tensor::<2>::random([rows, 64], Distribution::Normal(0.0, 1.0), &device);
        let mut group = c.benchmark_group(format!("tanh of {rows} × 64, forward and backward"));
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

criterion_group!(benches, forward_and_backward);
criterion_main!(benches);
