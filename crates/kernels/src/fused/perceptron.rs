//! Layers one after the other, from arrays to arrays.

use burn::{
    backend::{BackendTensor, DispatchTensorKind, flex::FlexTensor},
    tensor::{DType, Tensor},
};

use super::flex::{dims, entries};
use crate::{
    Activation,
    arithmetic::{self, Shape},
    switch,
};

/// W, b and f of each layer.
#[derive(Clone, Debug)]
pub(crate) struct Perceptron(Vec<(FlexTensor, FlexTensor, Activation)>);

impl Perceptron {
    /// `None` if a tensor is not on burn-flex, has autodiff, or if fused operations are off.
    pub(crate) fn new(
        layers: impl Iterator<Item = (Tensor<2>, Tensor<1>, Activation)>,
    ) -> Option<Self> {
        let layers =
            layers.map(|(w, b, f)| match (w.into_dispatch().kind, b.into_dispatch().kind) {
                (
                    DispatchTensorKind::Flex(BackendTensor::Float(w)),
                    DispatchTensorKind::Flex(BackendTensor::Float(b)),
                ) if [w.dtype(), b.dtype()] == [DType::F32; 2] => Some((w, b, f)),
                _ => None,
            });
        let layers: Option<Vec<_>> = layers.collect();
        layers.filter(|_| switch::fused()).map(Self)
    }

    pub(crate) fn forward(&self, x: &[f32]) -> Vec<f32> {
        let mut last: Option<Vec<f32>> = None;
        for (w, b, f) in &self.0 {
            let [inputs, outputs] = dims(w);
            let x = last.as_deref().unwrap_or(x);
            let shape = Shape { rows: x.len() / inputs, inputs, outputs };
            assert_eq!(x.len(), shape.rows * inputs, "whole rows of {inputs} numbers");
            let y = arithmetic::layer(x, &entries(w), &entries(b), shape, *f);
            last.replace(y).into_iter().for_each(arithmetic::keep);
        }
        last.unwrap_or_else(|| x.to_vec())
    }
}
