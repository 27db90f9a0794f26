//! Networks of anybody's: the one trait that a network has to have, and a box for any of them.

use std::fmt;

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use elegante_kernels::Perceptron;

use crate::{
    linear::{self, LinearInfo, Shift},
    params::{ParamInfo, Parameters, Reader, Writer},
};

/// A network: a burn module that turns features into outputs. Any that has this can be the policy or
/// the value network of every algorithm here.
///
/// ```
/// use burn::{module::Module, nn::Linear, tensor::{Tensor, activation::relu}};
/// use elegante_policy::Network;
///
/// /// Two linear layers with a skip around the first.
/// #[derive(Module, Debug)]
/// struct Residual {
///     inner: Linear,
///     out: Linear,
/// }
///
/// impl Network for Residual {
///     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
///         self.out.forward(x.clone() + relu(self.inner.forward(x)))
///     }
/// }
/// ```
///
/// A network that remembers, such as a GRU, says how many numbers it carries from step to step
/// ([`memory`](Self::memory)) and how one step changes them ([`step`](Self::step)). An episode begins
/// with a memory of zeros.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be used as a network",
    note = "derive burn's `Module` for it and implement `elegante_policy::Network`: one method, `forward`"
)]
pub trait Network: Module + Sync {
    /// Outputs for a batch of features.
    ///
    /// # Shapes
    /// `x`: `[rows, inputs]`; result: `[rows, outputs]`.
    fn forward(&self, x: Tensor<2>) -> Tensor<2>;

    /// Numbers carried from one step of an episode to the next; 0 for a network without memory.
    fn memory(&self) -> usize {
        0
    }

    /// Outputs and new memory after one step of each row's episode.
    ///
    /// # Shapes
    /// `x`: `[rows, inputs]`; `memory`: `[rows, self.memory()]`; results: `[rows, outputs]` and
    /// `[rows, self.memory()]`.
    fn step(&self, x: Tensor<2>, memory: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        (self.forward(x), memory)
    }

    /// Width of the features from which the last layer makes the outputs; `None` where there is no
    /// such thing. Only state-dependent exploration asks for them.
    fn features(&self) -> Option<usize> {
        None
    }

    /// The network as it is now, where it is a chain of fully connected layers and nothing else: acting goes through
    /// it, which saves the tensors between the layers. `None` is right for every network.
    fn perceptron(&self) -> Option<Perceptron> {
        None
    }

    /// A [`step`](Self::step) that also tells those features; `None` where there are none.
    ///
    /// # Shapes
    /// Results: outputs, features `[rows, self.features()]`, and memory.
    fn step_with_features(&self, _x: Tensor<2>, _memory: Tensor<2>) -> Option<[Tensor<2>; 3]> {
        None
    }
}

/// Any [`Network`] at all, in a box.
pub struct AnyNetwork(Box<dyn Erased>);

/// [`Network`] without what keeps it from being a trait object.
trait Erased: Parameters + Send + Sync + fmt::Debug {
    fn forward(&self, x: Tensor<2>) -> Tensor<2>;
    fn memory(&self) -> usize;
    fn step(&self, x: Tensor<2>, memory: Tensor<2>) -> (Tensor<2>, Tensor<2>);
    fn features(&self) -> Option<usize>;
    fn perceptron(&self) -> Option<Perceptron>;
    fn step_with_features(&self, x: Tensor<2>, memory: Tensor<2>) -> Option<[Tensor<2>; 3]>;
    fn valid(&self) -> Box<dyn Erased>;
    fn train(&self) -> Box<dyn Erased>;
    fn frozen(&self) -> Box<dyn Erased>;
    fn linear_layers(&self) -> Vec<LinearInfo>;
    fn shifted(&self, shifts: Vec<Shift>) -> Box<dyn Erased>;
    fn devices(&self) -> Vec<Device>;
    fn boxed(&self) -> Box<dyn Erased>;
}

impl<N: Network + 'static> Erased for N {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        Network::forward(self, x)
    }

    fn memory(&self) -> usize {
        Network::memory(self)
    }

    fn step(&self, x: Tensor<2>, memory: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        Network::step(self, x, memory)
    }

    fn features(&self) -> Option<usize> {
        Network::features(self)
    }

    fn perceptron(&self) -> Option<Perceptron> {
        Network::perceptron(self)
    }

    fn step_with_features(&self, x: Tensor<2>, memory: Tensor<2>) -> Option<[Tensor<2>; 3]> {
        Network::step_with_features(self, x, memory)
    }

    fn valid(&self) -> Box<dyn Erased> {
        Box::new(Module::valid(self))
    }

    fn train(&self) -> Box<dyn Erased> {
        Box::new(Module::train(self.clone()))
    }

    fn frozen(&self) -> Box<dyn Erased> {
        Box::new(Module::no_grad(self.clone()))
    }

    fn linear_layers(&self) -> Vec<LinearInfo> {
        linear::layers(self)
    }

    fn shifted(&self, shifts: Vec<Shift>) -> Box<dyn Erased> {
        Box::new(linear::shifted(self.clone(), shifts))
    }

    fn devices(&self) -> Vec<Device> {
        Module::devices(self)
    }

    fn boxed(&self) -> Box<dyn Erased> {
        Box::new(self.clone())
    }
}

impl AnyNetwork {
    /// Boxes a network.
    pub fn new(network: impl Network + 'static) -> Self {
        Self(Box::new(network))
    }

    /// See [`Network::forward`].
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.0.forward(x)
    }

    /// See [`Network::memory`].
    pub fn memory(&self) -> usize {
        self.0.memory()
    }

    /// See [`Network::step`].
    pub fn step(&self, x: Tensor<2>, memory: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        self.0.step(x, memory)
    }

    /// See [`Network::features`].
    pub fn features(&self) -> Option<usize> {
        self.0.features()
    }

    /// See [`Network::perceptron`].
    pub fn perceptron(&self) -> Option<Perceptron> {
        self.0.perceptron()
    }

    /// See [`Network::step_with_features`].
    pub fn step_with_features(&self, x: Tensor<2>, memory: Tensor<2>) -> Option<[Tensor<2>; 3]> {
        self.0.step_with_features(x, memory)
    }

    /// The same network without autodiff, for acting.
    #[must_use]
    pub fn valid(&self) -> Self {
        Self(self.0.valid())
    }

    /// The same network with autodiff, for learning.
    #[must_use]
    pub fn train(&self) -> Self {
        Self(self.0.train())
    }

    /// The same network with autodiff, whose parameters are constants: gradients pass through it to its
    /// inputs, and none is computed for them.
    #[must_use]
    pub fn frozen(&self) -> Self {
        Self(self.0.frozen())
    }

    /// See [`linear::layers`].
    pub(crate) fn linear_layers(&self) -> Vec<LinearInfo> {
        self.0.linear_layers()
    }

    /// See [`linear::shifted`].
    #[must_use]
    pub(crate) fn shifted(&self, shifts: Vec<Shift>) -> Self {
        Self(self.0.shifted(shifts))
    }

    /// The devices that hold its parameters.
    pub fn devices(&self) -> Vec<Device> {
        self.0.devices()
    }
}

impl Clone for AnyNetwork {
    fn clone(&self) -> Self {
        Self(self.0.boxed())
    }
}

impl fmt::Debug for AnyNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Parameters for AnyNetwork {
    fn describe(&self) -> Vec<ParamInfo> {
        self.0.describe()
    }

    fn count(&self) -> usize {
        self.0.count()
    }

    fn read(&self, reader: &mut Reader<'_>) {
        self.0.read(reader);
    }

    fn write(&mut self, writer: &mut Writer<'_>) {
        self.0.write(writer);
    }
}
