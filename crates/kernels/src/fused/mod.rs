//! The operations as single nodes of burn's graph, on burn-flex and f32.

mod autodiff;
mod flex;

use burn::{
    backend::{
        Backend, Dispatch, DispatchTensorKind, backend_extension,
        tensor::{FloatTensor, IntTensor},
    },
    tensor::{DType, Int, Tensor},
};

use crate::{Activation, switch};

/// The forward passes. Calling one on a backend that is not listed panics; [`applies`] says which are.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Kernels: Backend {
    fn dense(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        f: Activation,
    ) -> FloatTensor<Self>;

    fn tanh_of(x: FloatTensor<Self>) -> FloatTensor<Self>;

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
}

/// Whether there are kernels for what is computed from `x`, and they are wanted.
pub(crate) fn applies<const D: usize>(x: &Tensor<D>) -> bool {
    fn on_flex(kind: &DispatchTensorKind) -> bool {
        match kind {
            DispatchTensorKind::Flex(_) => true,
            DispatchTensorKind::Autodiff(inner) => on_flex(inner),
            #[allow(unreachable_patterns)] // where flex is the only backend
            _ => false,
        }
    }
    switch::fused() && x.dtype() == DType::F32 && on_flex(&x.clone().into_dispatch().kind)
}

pub(crate) fn dense(x: Tensor<2>, w: Tensor<2>, b: Tensor<1>, f: Activation) -> Tensor<2> {
    let (x, w, b) = (x.into_dispatch(), w.into_dispatch(), b.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Kernels>::dense(x, w, b, f))
}

pub(crate) fn tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Kernels>::tanh_of(x.into_dispatch()))
}

pub(crate) fn log_softmax(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Kernels>::log_softmax_of(x.into_dispatch()))
}

pub(crate) fn pick(x: Tensor<2>, index: Tensor<1, Int>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as Kernels>::pick(x.into_dispatch(), index.into_dispatch()))
}

pub(crate) fn entropy(log_p: Tensor<2>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as Kernels>::entropy(log_p.into_dispatch()))
}

pub(crate) fn clipped_surrogate(
    log_prob: Tensor<1>,
    old_log_prob: Tensor<1>,
    advantage: Tensor<1>,
    epsilon: f64,
) -> Tensor<1> {
    let (log_prob, old) = (log_prob.into_dispatch(), old_log_prob.into_dispatch());
    let advantage = advantage.into_dispatch();
    Tensor::from_dispatch(<Dispatch as Kernels>::clipped_surrogate(
        log_prob, old, advantage, epsilon,
    ))
}

pub(crate) fn mean_squared_error(x: Tensor<1>, target: Tensor<1>) -> Tensor<1> {
    let (x, target) = (x.into_dispatch(), target.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Kernels>::mean_squared_error(x, target))
}
