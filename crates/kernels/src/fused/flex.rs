//! Forward and backward passes on burn-flex's tensors.

use std::{borrow::Cow, ops::Range, sync::Arc};

use burn::{
    backend::{
        Flex, TensorMetadata,
        flex::{FlexTensor, Layout},
    },
    tensor::{Bytes, DType, TensorData},
};

use super::Kernels;
use crate::{
    Activation,
    arithmetic::{self, Shape},
    team::by_rows,
};

impl Kernels for Flex {
    fn dense(x: FlexTensor, w: FlexTensor, b: FlexTensor, f: Activation) -> FlexTensor {
        layer(&[x, w, b], f)
    }

    fn tanh_of(x: FlexTensor) -> FlexTensor {
        update(x, arithmetic::tanh)
    }

    fn huber_of(x: FlexTensor) -> FlexTensor {
        update(x, arithmetic::huber)
    }

    fn log_softmax_of(x: FlexTensor) -> FlexTensor {
        let [_, n] = dims(&x);
        update(x, |x| arithmetic::log_softmax(x, n))
    }

    fn pick(x: FlexTensor, index: FlexTensor) -> FlexTensor {
        pick(&x, &indices(&index))
    }

    fn entropy(log_p: FlexTensor) -> FlexTensor {
        let [_, n] = dims(&log_p);
        vector(arithmetic::entropy(&entries(&log_p), n))
    }

    fn clipped_surrogate(
        log_prob: FlexTensor,
        old_log_prob: FlexTensor,
        advantage: FlexTensor,
        epsilon: f64,
    ) -> FlexTensor {
        clipped_surrogate(&log_prob, &old_log_prob, &advantage, epsilon).0
    }

    fn mean_squared_error(x: FlexTensor, target: FlexTensor) -> FlexTensor {
        mean_squared_error(&x, &target).0
    }

    fn with_bonus(loss: FlexTensor, entropy: FlexTensor, coefficient: f64) -> FlexTensor {
        with_bonus(&loss, &entropy, coefficient)
    }

    fn written(mut x: FlexTensor, values: &[f32]) -> FlexTensor {
        if let Some(entries) = entries_mut(&mut x) {
            entries.copy_from_slice(values);
            return x;
        }
        FlexTensor::from_data(TensorData::new(values.to_vec(), x.shape()))
    }
}

/// y = f(x W + b), given x, W and b.
pub(super) fn layer(given: &[FlexTensor; 3], f: Activation) -> FlexTensor {
    let shape = layer_shape(&given[0], &given[1]);
    let y = by_rows(shape.rows, shape.products(), given, move |[x, w, b], rows| {
        let (x, shape) = (&entries(x)[of(&rows, shape.inputs)], shape.part(&rows));
        arithmetic::layer(x, &entries(w), &entries(b), shape, f)
    });
    matrix(y, [shape.rows, shape.outputs])
}

/// The loss, and its derivative with respect to log π.
pub(super) fn clipped_surrogate(
    log_prob: &FlexTensor,
    old_log_prob: &FlexTensor,
    advantage: &FlexTensor,
    epsilon: f64,
) -> (FlexTensor, FlexTensor) {
    let (log_prob, old, advantage) = (entries(log_prob), entries(old_log_prob), entries(advantage));
    let (loss, slope) = arithmetic::clipped_surrogate(&log_prob, &old, &advantage, epsilon);
    (vector(vec![loss]), vector(slope))
}

/// The loss, and its derivative with respect to x.
pub(super) fn mean_squared_error(x: &FlexTensor, target: &FlexTensor) -> (FlexTensor, FlexTensor) {
    let (loss, slope) = arithmetic::mean_squared_error(&entries(x), &entries(target));
    (vector(vec![loss]), tensor(slope, Layout::contiguous(x.shape())))
}

/// L − c · mean H.
pub(super) fn with_bonus(loss: &FlexTensor, entropy: &FlexTensor, coefficient: f64) -> FlexTensor {
    let loss = arithmetic::with_bonus(entries(loss)[0], &entries(entropy), coefficient);
    vector(vec![loss])
}

/// Its derivative with respect to each H.
pub(super) fn bonus_backward(rows: usize, coefficient: f64, dy: &FlexTensor) -> FlexTensor {
    vector(vec![arithmetic::bonus_slope(rows, coefficient) * entries(dy)[0]; rows])
}

/// dz = f′ dy of a layer whose output is y.
pub(super) fn through_activation(y: &FlexTensor, dy: FlexTensor, f: Activation) -> FlexTensor {
    if f == Activation::Identity {
        return dy;
    }
    update(dy, |dy| arithmetic::through_activation(&entries(y), dy, f))
}

/// What a layer that goes back is given: x, W and dz.
pub(super) type Back = [FlexTensor; 3];

/// dW and db.
pub(super) fn parameter_gradients(given: &Back) -> (FlexTensor, FlexTensor) {
    let [x, _, dz] = given;
    let ([rows, inputs], [_, outputs]) = (dims(x), dims(dz));
    let shape = Shape { rows, inputs, outputs };
    let db = arithmetic::bias_gradient(&entries(dz), shape);
    let dw = by_rows(inputs, shape.products(), given, move |[x, _, dz], rows| {
        arithmetic::weight_gradient(&entries(x), &entries(dz), shape, rows)
    });
    (matrix(dw, [inputs, outputs]), vector(db))
}

/// dx = dz Wᵀ.
pub(super) fn input_gradient(given: &Back) -> FlexTensor {
    let [_, w, dz] = given;
    let ([rows, outputs], [inputs, _]) = (dims(dz), dims(w));
    let shape = Shape { rows, inputs, outputs };
    let dx = by_rows(rows, shape.products(), given, move |[_, w, dz], rows| {
        let (dz, shape) = (&entries(dz)[of(&rows, shape.outputs)], shape.part(&rows));
        arithmetic::input_gradient(dz, &entries(w), shape)
    });
    matrix(dx, [rows, inputs])
}

/// dx of Huber's function of `x`.
pub(super) fn huber_backward(x: &FlexTensor, dy: FlexTensor) -> FlexTensor {
    update(dy, |dy| arithmetic::huber_backward(&entries(x), dy))
}

/// dx of log softmax, whose output is `y`.
pub(super) fn log_softmax_backward(y: &FlexTensor, dy: FlexTensor) -> FlexTensor {
    let [_, n] = dims(y);
    update(dy, |dy| arithmetic::log_softmax_backward(&entries(y), dy, n))
}

/// The entry of each row that the index names.
pub(super) fn pick(x: &FlexTensor, index: &[usize]) -> FlexTensor {
    let [_, n] = dims(x);
    vector(arithmetic::pick(&entries(x), n, index))
}

/// dx of picking from rows of n.
pub(super) fn pick_backward(index: &[usize], dy: &FlexTensor, n: usize) -> FlexTensor {
    let dx = arithmetic::pick_backward(index, &entries(dy), n);
    matrix(dx, [dy.shape().num_elements(), n])
}

/// The derivative of the entropy with respect to log p.
pub(super) fn entropy_backward(log_p: &FlexTensor, dy: &FlexTensor) -> FlexTensor {
    let [rows, n] = dims(log_p);
    matrix(arithmetic::entropy_backward(&entries(log_p), &entries(dy), n), [rows, n])
}

/// slope · dy with one number dy.
pub(super) fn scaled(slope: FlexTensor, dy: &FlexTensor) -> FlexTensor {
    let dy = entries(dy)[0];
    update(slope, |slope| slope.iter_mut().for_each(|s| *s *= dy))
}

/// Where the entries of some rows are, `width` long each.
fn of(rows: &Range<usize>, width: usize) -> Range<usize> {
    rows.start * width..rows.end * width
}

fn layer_shape(x: &FlexTensor, w: &FlexTensor) -> Shape {
    let ([rows, inputs], [expected, outputs]) = (dims(x), dims(w));
    assert_eq!(inputs, expected, "a layer for {expected} inputs was given {inputs}");
    Shape { rows, inputs, outputs }
}

pub(super) fn dims(tensor: &FlexTensor) -> [usize; 2] {
    tensor.layout().shape().dims()
}

/// The entries in row-major order.
pub(super) fn entries(tensor: &FlexTensor) -> Cow<'_, [f32]> {
    match tensor.as_slice::<f32>() {
        Some(entries) => Cow::Borrowed(entries),
        None => {
            let tensor = tensor.to_contiguous();
            Cow::Owned(tensor.storage::<f32>()[..tensor.shape().num_elements()].to_vec())
        }
    }
}

/// Entries of a tensor of whole numbers.
pub(super) fn indices(index: &FlexTensor) -> Vec<usize> {
    if let Some(entries) = index.as_slice::<i32>() {
        return entries.iter().map(|&i| i as usize).collect();
    }
    if let Some(entries) = index.as_slice::<i64>() {
        return entries.iter().map(|&i| i as usize).collect();
    }
    index.clone().into_data().iter::<i64>().map(|i| i as usize).collect()
}

fn matrix(entries: Vec<f32>, shape: [usize; 2]) -> FlexTensor {
    tensor(entries, Layout::contiguous(shape.into()))
}

fn vector(entries: Vec<f32>) -> FlexTensor {
    let n = entries.len();
    tensor(entries, Layout::contiguous([n].into()))
}

fn tensor(entries: Vec<f32>, layout: Layout) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(entries), layout, DType::F32)
}

/// Keeps the memory of a tensor that nobody else looks at for the next one.
pub(super) fn recycle(x: FlexTensor) {
    let bytes = x.data_arc();
    drop(x);
    if let Some(bytes) = Arc::into_inner(bytes) {
        bytes.try_into_vec().map_or_else(drop, arithmetic::keep);
    }
}

/// Has `f` change the entries in row-major order: where they are if nobody else looks at them, else in a
/// copy.
fn update(mut x: FlexTensor, f: impl FnOnce(&mut [f32])) -> FlexTensor {
    if let Some(entries) = entries_mut(&mut x) {
        f(entries);
        return x;
    }
    let mut values = entries(&x).into_owned();
    f(&mut values);
    FlexTensor::from_data(TensorData::new(values, x.shape()))
}

/// The entries in row-major order, to be overwritten, if nobody else looks at them.
pub(super) fn entries_mut(x: &mut FlexTensor) -> Option<&mut [f32]> {
    let (start, end) = x.layout().contiguous_offsets()?;
    Some(&mut x.try_storage_mut::<f32>()?[start..end])
}
