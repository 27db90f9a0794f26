#![doc = include_str!("../README.md")]

mod arithmetic;
mod composed;
#[cfg(feature = "flex")]
mod fused;
mod switch;
mod team;

use burn::tensor::{Int, Tensor};

pub use arithmetic::{AdamStep, all_finite, exp_m1, instruction_set, move_to, norm};
pub use switch::{Instructions, fused, instructions, set_fused, set_instructions};
pub use team::{Ahead, Task, Team};

/// The nonlinearity f of a layer y = f(x W + b).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// z itself.
    Identity,
    /// tanh z.
    Tanh,
    /// max(z, 0).
    Relu,
}

/// `fused::NAME` where there is such a kernel for these tensors, else `composed::NAME`.
macro_rules! choose {
    ($name:ident($first:ident $(, $rest:ident)*)) => {{
        #[cfg(feature = "flex")]
        let $first = match fused::takes($first) {
            Ok($first) => return fused::$name($first $(, $rest)*),
            Err($first) => $first,
        };
        composed::$name($first $(, $rest)*)
    }};
}

/// A fully connected layer, y = f(x W + b).
///
/// # Shapes
/// `x`: `[rows, inputs]`, `weight`: `[inputs, outputs]`, `bias`: `[outputs]`; result: `[rows, outputs]`.
pub fn dense(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, f: Activation) -> Tensor<2> {
    choose!(dense(x, weight, bias, f))
}

/// Fully connected layers one after the other, as [`dense`] computes them and to the same bits, from array to array: for
/// many passes between two changes of their weights, in which tensors would take longer than a few rows do.
#[derive(Clone, Debug)]
pub struct Perceptron(
    #[cfg(feature = "flex")] fused::Perceptron,
    #[cfg(not(feature = "flex"))] std::convert::Infallible,
);

impl Perceptron {
    /// The layers with these weights, biases and nonlinearities; `None` where there is no kernel for them (another
    /// device, autodiff, another type than f32) or fused operations are off.
    ///
    /// # Panics
    /// When a layer has another number of inputs than the one before has outputs, or of biases than of outputs.
    pub fn new(
        layers: impl IntoIterator<Item = (Tensor<2>, Tensor<1>, Activation)>,
    ) -> Option<Self> {
        #[cfg(feature = "flex")]
        return fused::Perceptron::new(layers.into_iter()).map(Self);
        #[cfg(not(feature = "flex"))]
        return layers.into_iter().next().and(None);
    }

    /// What comes out of the last layer.
    ///
    /// # Shapes
    /// `x`: `[rows × inputs]`; result: `[rows × outputs]`.
    ///
    /// # Panics
    /// When `x` is no whole number of rows: that is a mistake in the caller.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        #[cfg(feature = "flex")]
        return self.0.forward(x);
        #[cfg(not(feature = "flex"))]
        match (self.0, x) {}
    }
}

/// tanh x, entry by entry; within 4e-7 on f32 tensors.
///
/// # Shapes
/// Any; the result has that of `x`.
pub fn tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    choose!(tanh(x))
}

/// Huber's h, entry by entry: ½ x² for |x| ≤ 1, |x| − ½ beyond.
///
/// # Shapes
/// Any; the result has that of `x`.
pub fn huber<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    choose!(huber(x))
}

/// log softmax x, row by row: xⱼ − log Σₖ exp xₖ.
///
/// # Shapes
/// `x` and result: `[rows, n]`.
pub fn log_softmax(x: Tensor<2>) -> Tensor<2> {
    choose!(log_softmax(x))
}

/// The entry of each row that `index` names.
///
/// # Shapes
/// `x`: `[rows, n]`, `index`: `[rows]`, below n; result: `[rows]`.
pub fn pick(x: Tensor<2>, index: Tensor<1, Int>) -> Tensor<1> {
    choose!(pick(x, index))
}

/// H = −Σⱼ pⱼ log pⱼ of each row, in nats.
///
/// # Shapes
/// `log_p`: `[rows, n]`, normalised; result: `[rows]`.
pub fn entropy(log_p: Tensor<2>) -> Tensor<1> {
    choose!(entropy(log_p))
}

/// −mean min(ρÂ, clip(ρ, 1 − ε, 1 + ε) Â) with log ρ = log π − log π_old: PPO's clipped surrogate
/// (Schulman et al., 2017, eq. 7). Only log π is differentiated.
///
/// # Shapes
/// `log_prob`, `old_log_prob`, `advantage`: `[rows]`; result: `[1]`.
pub fn clipped_surrogate(
    log_prob: Tensor<1>,
    old_log_prob: Tensor<1>,
    advantage: Tensor<1>,
    epsilon: f64,
) -> Tensor<1> {
    choose!(clipped_surrogate(log_prob, old_log_prob, advantage, epsilon))
}

/// mean (x − target)². Only x is differentiated.
///
/// # Shapes
/// `x`: any, as the column of a network's outputs; `target`: `[rows]`, as many as `x` has entries; result: `[1]`.
///
/// # Panics
/// When there are not as many targets as entries.
pub fn mean_squared_error<const D: usize>(x: Tensor<D>, target: Tensor<1>) -> Tensor<1> {
    let (entries, [targets]) = (x.shape().num_elements(), target.dims());
    assert_eq!(entries, targets, "a target for each entry");
    choose!(mean_squared_error(x, target))
}

/// L − c · mean H: a loss with a bonus of so much for entropy.
///
/// # Shapes
/// `loss` and result: `[1]`, `entropy`: `[rows]`.
pub fn with_bonus(loss: Tensor<1>, entropy: Tensor<1>, coefficient: f64) -> Tensor<1> {
    choose!(with_bonus(loss, entropy, coefficient))
}

/// A tensor with the shape and type of `x`, on its device, whose entries are `values`, row by row; a leaf that
/// asks for a gradient where `x` does. It is in the memory of `x` if nobody else looks at that.
///
/// What has been computed from `x` should have been differentiated: where an operation has kept no numbers of `x`, as a
/// sum does not, the result may be the same leaf to burn, which then takes a gradient by `x` for its own.
///
/// # Panics
/// When there are not as many values as `x` has entries.
pub fn with_values<const D: usize>(x: Tensor<D>, values: &[f32]) -> Tensor<D> {
    let shape = x.shape();
    assert_eq!(values.len(), shape.num_elements(), "as many values as entries of {shape:?}");
    choose!(written(x, values))
}

/// What `f` makes of the entries of `x`, row by row, which are copied only where they have to be.
///
/// # Shapes
/// Any.
pub fn entries<const D: usize, T>(x: Tensor<D>, f: impl FnOnce(&[f32]) -> T) -> T {
    choose!(entries(x, f))
}

/// What `f` makes of the entries of several vectors. Where they have to be copied to get here, it is one journey
/// for all of them.
///
/// # Shapes
/// Any lengths.
pub fn entries_of_all<const N: usize, T>(
    vectors: [Tensor<1>; N],
    f: impl FnOnce([&[f32]; N]) -> T,
) -> T {
    #[cfg(feature = "flex")]
    let vectors = match fused::take_all(vectors) {
        Ok(vectors) => return fused::entries_of_all(&vectors, f),
        Err(vectors) => vectors,
    };
    composed::entries_of_all(vectors, f)
}

#[cfg(all(test, feature = "flex"))]
mod tests;
