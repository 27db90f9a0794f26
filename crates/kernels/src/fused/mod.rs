//! The operations as single nodes of burn's graph, on burn-flex and f32.

mod autodiff;
mod flex;
mod leaf;
mod perceptron;

use burn::{
    backend::{
        Backend, BackendTensor, Dispatch, DispatchTensor, DispatchTensorKind, TensorMetadata,
        backend_extension,
        flex::FlexTensor,
        tensor::{FloatTensor, IntTensor},
    },
    tensor::{DType, Int, Tensor},
};

use crate::{Activation, switch};

pub(crate) use perceptron::Perceptron;

/// The forward passes. Calling one on a backend that is not listed panics; [`takes`] says which are.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Kernels: Backend {
    fn dense(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        f: Activation,
    ) -> FloatTensor<Self>;

    fn tanh_of(x: FloatTensor<Self>) -> FloatTensor<Self>;

    fn huber_of(x: FloatTensor<Self>) -> FloatTensor<Self>;

    fn log_softmax_of(x: FloatTensor<Self>) -> FloatTensor<Self>;

    fn pick(x: FloatTensor<Self>, index: IntTensor<Self>) -> FloatTensor<Self>;

    fn entropy(log_p: FloatTensor<Self>) -> FloatTensor<Self>;

    fn clipped_surrogate(
        log_prob: FloatTensor<Self>,
        old_log_prob: FloatTensor<Self>,
        advantage: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    fn mean_squared_error(x: FloatTensor<Self>, target: FloatTensor<Self>) -> FloatTensor<Self>;

    fn with_bonus(
        loss: FloatTensor<Self>,
        entropy: FloatTensor<Self>,
        coefficient: f64,
    ) -> FloatTensor<Self>;

    fn written(x: FloatTensor<Self>, values: &[f32]) -> FloatTensor<Self>;
}

/// The tensor itself if it is on burn-flex.
fn on_flex(kind: &DispatchTensorKind) -> Option<&FlexTensor> {
    match kind {
        DispatchTensorKind::Flex(BackendTensor::Float(x)) => Some(x),
        DispatchTensorKind::Flex(BackendTensor::Autodiff(x)) => Some(x.primitive()),
        DispatchTensorKind::Autodiff(inner) => on_flex(inner),
        _ => None,
    }
}

/// `x` as a kernel takes it, if there are kernels for what is computed from it and they are wanted; else `x`
/// itself.
#[expect(clippy::result_large_err, reason = "both are the tensor, and none is an error")]
pub(crate) fn takes<const D: usize>(x: Tensor<D>) -> Result<DispatchTensor, Tensor<D>> {
    let x = x.into_dispatch();
    if wanted(&x) { Ok(x) } else { Err(Tensor::from_dispatch(x)) }
}

/// The same for several vectors, all or none.
pub(crate) fn take_all<const N: usize>(
    vectors: [Tensor<1>; N],
) -> Result<[DispatchTensor; N], [Tensor<1>; N]> {
    let vectors = vectors.map(Tensor::into_dispatch);
    if vectors.iter().all(wanted) { Ok(vectors) } else { Err(vectors.map(Tensor::from_dispatch)) }
}

fn wanted(x: &DispatchTensor) -> bool {
    switch::fused() && x.dtype() == DType::F32 && on_flex(&x.kind).is_some()
}

pub(crate) fn entries<T>(x: DispatchTensor, f: impl FnOnce(&[f32]) -> T) -> T {
    f(&flex::entries(on_flex(&x.kind).expect("it has been looked at")))
}

pub(crate) fn entries_of_all<const N: usize, T>(
    vectors: &[DispatchTensor; N],
    f: impl FnOnce([&[f32]; N]) -> T,
) -> T {
    let entries = vectors
        .each_ref()
        .map(|x| flex::entries(on_flex(&x.kind).expect("all have been looked at")));
    f(entries.each_ref().map(|entries| &**entries))
}

pub(crate) fn dense(x: DispatchTensor, w: Tensor<2>, b: Tensor<1>, f: Activation) -> Tensor<2> {
    let (w, b) = (w.into_dispatch(), b.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Kernels>::dense(x, w, b, f))
}

pub(crate) fn tanh<const D: usize>(x: DispatchTensor) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Kernels>::tanh_of(x))
}

pub(crate) fn huber<const D: usize>(x: DispatchTensor) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Kernels>::huber_of(x))
}

pub(crate) fn log_softmax(x: DispatchTensor) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Kernels>::log_softmax_of(x))
}

pub(crate) fn pick(x: DispatchTensor, index: Tensor<1, Int>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as Kernels>::pick(x, index.into_dispatch()))
}

pub(crate) fn entropy(log_p: DispatchTensor) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as Kernels>::entropy(log_p))
}

pub(crate) fn clipped_surrogate(
    log_prob: DispatchTensor,
    old_log_prob: Tensor<1>,
    advantage: Tensor<1>,
    epsilon: f64,
) -> Tensor<1> {
    let (old, advantage) = (old_log_prob.into_dispatch(), advantage.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Kernels>::clipped_surrogate(
        log_prob, old, advantage, epsilon,
    ))
}

pub(crate) fn mean_squared_error(x: DispatchTensor, target: Tensor<1>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as Kernels>::mean_squared_error(x, target.into_dispatch()))
}

pub(crate) fn with_bonus(loss: DispatchTensor, entropy: Tensor<1>, coefficient: f64) -> Tensor<1> {
    let entropy = entropy.into_dispatch();
    Tensor::from_dispatch(<Dispatch as Kernels>::with_bonus(loss, entropy, coefficient))
}

pub(crate) fn written<const D: usize>(x: DispatchTensor, values: &[f32]) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Kernels>::written(x, values))
}
