//! The operations as burn's own compose them: what the fused ones are tested against, and what every
//! backend without kernels of ours uses.

use burn::tensor::{DType, Int, Tensor, TensorData, activation};

use crate::Activation;

pub(crate) fn dense(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>, f: Activation) -> Tensor<2> {
    let z = x.matmul(w) + b.unsqueeze();
    match f {
        Activation::Identity => z,
        Activation::Tanh => tanh(z),
        Activation::Relu => activation::relu(z),
    }
}

/// tanh x = 2σ(2x) − 1, to 1.2e-7; some GPU drivers' own tanh overflows.
pub(crate) fn tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::sigmoid(x * 2.0) * 2.0 - 1.0
}

pub(crate) fn huber<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let size = x.abs();
    let near = size.clone().clamp_max(1.0);
    near.clone() * (size - near * 0.5)
}

pub(crate) fn log_softmax(x: Tensor<2>) -> Tensor<2> {
    activation::log_softmax(x, 1)
}

pub(crate) fn pick(x: Tensor<2>, index: Tensor<1, Int>) -> Tensor<1> {
    x.gather(1, index.unsqueeze_dim(1)).squeeze_dim(1)
}

pub(crate) fn entropy(log_p: Tensor<2>) -> Tensor<1> {
    -(log_p.clone().exp() * log_p).sum_dim(1).squeeze_dim(1)
}

pub(crate) fn clipped_surrogate(
    log_prob: Tensor<1>,
    old_log_prob: Tensor<1>,
    advantage: Tensor<1>,
    epsilon: f64,
) -> Tensor<1> {
    let advantage = advantage.detach();
    let ρ = (log_prob - old_log_prob.detach()).exp();
    let clipped = ρ.clone().clamp(1.0 - epsilon, 1.0 + epsilon);
    -(ρ * advantage.clone()).min_pair(clipped * advantage).mean()
}

pub(crate) fn mean_squared_error<const D: usize>(x: Tensor<D>, target: Tensor<1>) -> Tensor<1> {
    let n = x.shape().num_elements();
    (x.reshape([n]) - target.detach()).square().mean()
}

pub(crate) fn with_bonus(loss: Tensor<1>, entropy: Tensor<1>, coefficient: f64) -> Tensor<1> {
    loss - entropy.mean() * coefficient
}

pub(crate) fn written<const D: usize>(x: Tensor<D>, values: &[f32]) -> Tensor<D> {
    let values = TensorData::new(values.to_vec(), x.shape());
    let new = Tensor::from_data(values, (&x.device(), x.dtype()));
    if x.is_require_grad() { new.require_grad() } else { new }
}

pub(crate) fn entries<const D: usize, T>(x: Tensor<D>, f: impl FnOnce(&[f32]) -> T) -> T {
    let data = x.into_data_dtype(DType::F32);
    f(data.as_slice().expect("numbers that have been made f32"))
}

pub(crate) fn entries_of_all<const N: usize, T>(
    vectors: [Tensor<1>; N],
    f: impl FnOnce([&[f32]; N]) -> T,
) -> T {
    let mut lengths = vectors.iter().map(|x| x.dims()[0]).collect::<Vec<_>>().into_iter();
    // Numbers alone, for which burn's graph needs no node.
    let vectors = vectors.map(|x| if x.device().is_autodiff() { x.inner() } else { x });
    entries(Tensor::cat(vectors.into(), 0), |mut rest| {
        f(std::array::from_fn(|_| {
            let (these, others) = rest.split_at(lengths.next().unwrap_or_default());
            rest = others;
            these
        }))
    })
}
