//! Layers one after the other, from arrays to arrays.

use burn::{
    backend::{BackendTensor, DispatchTensorKind, TensorMetadata, flex::FlexTensor},
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
                ) if [w.dtype(), b.dtype()] == [DType::F32; 2] => {
                    Some((w.to_contiguous(), b.to_contiguous(), f))
                }
                _ => None,
            });
        let layers: Vec<_> = layers.collect::<Option<_>>()?;
        for (i, (w, b, _)) in layers.iter().enumerate() {
            let [inputs, outputs] = dims(w);
            assert_eq!(b.shape().num_elements(), outputs, "a bias for each output of layer {i}");
            if let Some((next, ..)) = layers.get(i + 1) {
                assert_eq!(dims(next)[0], outputs, "an input of layer {} for each output", i + 1);
            }
            assert!(inputs > 0, "layer {i} needs an input");
        }
        switch::fused().then_some(Self(layers))
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
