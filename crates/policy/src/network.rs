//! Multilayer perceptrons.

use burn::{
    module::{Module, Param},
    nn::Linear,
    tensor::{Device, Tensor, TensorData},
};
use elegante_kernels::{Activation as Function, Perceptron, dense};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{AnyNetwork, Cell, Init, Network, PolicyError, Recurrent, settings};

/// The nonlinearity between layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// tanh x.
    #[default]
    Tanh,
    /// max(x, 0).
    Relu,
}

settings! {
    /// The hidden layers of a network; inputs and outputs come from the spaces it connects.
    pub struct MlpConfig {
        /// Width of each hidden layer, from the observation on; [] is a linear network.
        pub hidden: Vec<usize> = vec![64],
        /// Nonlinearity after each hidden layer: "tanh" or "relu".
        pub activation: Activation = Activation::Tanh,
        /// Initial weights: "orthogonal" (gain √2, head 0.01, zero biases) or "burn-default"
        /// (weights and biases from U(−1/√fan_in, 1/√fan_in)).
        pub init: Init = Init::Orthogonal,
        /// A layer that remembers, between the observation and the hidden layers: "none", "gru" or
        /// "lstm".
        pub recurrent: Cell = Cell::None,
        /// Units of that layer.
        pub recurrent_size: usize = 64,
        /// Whether the policy and the value function share all layers but their last.
        pub shared: bool = false,
    }
}

/// The most parameters that a network of ours may have: 2³⁰, 4 GiB of weights.
const MOST_PARAMETERS: usize = 1 << 30;

impl MlpConfig {
    /// The number of weights and biases, from `inputs` to `outputs` through the hidden layers.
    ///
    /// # Errors
    /// When a layer is empty or the network too large to be meant.
    pub fn parameter_count(&self, inputs: usize, outputs: usize) -> Result<usize, PolicyError> {
        let expected = "every layer needs at least one unit, and a network at most 2³⁰ parameters";
        let gates = self.recurrent.gates();
        let (units, wide) = (self.features(inputs), gates.checked_mul(self.features(inputs)));
        let widths = self.widths(units, outputs);
        let layer = |from: usize, to: usize| from.checked_add(1)?.checked_mul(to);
        let recurrent = if gates == 0 {
            Some(0)
        } else {
            wide.and_then(|wide| layer(inputs, wide)?.checked_add(layer(units, wide)?))
        };
        widths
            .windows(2)
            .try_fold(recurrent.unwrap_or(usize::MAX), |sum, w| sum.checked_add(layer(w[0], w[1])?))
            .filter(|&count| count <= MOST_PARAMETERS && inputs > 0 && !widths.contains(&0))
            .ok_or_else(|| PolicyError::Config {
                field: "network.hidden",
                value: format!("{:?} between {inputs} inputs and {outputs} outputs", self.hidden),
                expected,
            })
    }

    /// The multilayer perceptron with weights drawn from `rng`; there is an output for each of `output_gains`, which
    /// scale the weights that lead to it (orthogonal initialisation only).
    ///
    /// # Errors
    /// As [`parameter_count`](Self::parameter_count).
    pub fn init(
        &self,
        inputs: usize,
        output_gains: &[f64],
        rng: &mut impl Rng,
        device: &Device,
    ) -> Result<Mlp, PolicyError> {
        let outputs = output_gains.len();
        self.parameter_count(inputs, outputs)?;
        let last = self.hidden.len();
        Ok(self.assemble(inputs, outputs, device, |layer, [fan_in, fan_out]| {
            let hidden = vec![std::f64::consts::SQRT_2; fan_out];
            self.init.draw(fan_in, if layer == last { output_gains } else { &hidden }, rng)
        }))
    }

    /// The network of this configuration, whatever its kind, with weights drawn from `rng`.
    ///
    /// # Errors
    /// As [`parameter_count`](Self::parameter_count).
    pub fn network(
        &self,
        inputs: usize,
        output_gains: &[f64],
        rng: &mut impl Rng,
        device: &Device,
    ) -> Result<AnyNetwork, PolicyError> {
        Ok(match self.recurrent {
            Cell::None => AnyNetwork::new(self.init(inputs, output_gains, rng, device)?),
            Cell::Gru | Cell::Lstm => {
                AnyNetwork::new(self.recurrent(inputs, output_gains, rng, device)?)
            }
        })
    }

    /// A network of zeros, for weights that are read from a file.
    pub(crate) fn blank(&self, inputs: usize, outputs: usize, device: &Device) -> AnyNetwork {
        let zeros =
            |[fan_in, fan_out]: [usize; 2]| (vec![0.0; fan_in * fan_out], vec![0.0; fan_out]);
        let mlp = self.assemble(self.features(inputs), outputs, device, |_, shape| zeros(shape));
        if self.recurrent == Cell::None {
            return AnyNetwork::new(mlp);
        }
        let (units, wide) = (self.recurrent_size, self.recurrent.gates() * self.recurrent_size);
        let map = |shape| linear(zeros(shape), shape, device);
        AnyNetwork::new(Recurrent::new(
            self.recurrent,
            map([inputs, wide]),
            map([units, wide]),
            mlp,
        ))
    }

    /// The recurrent layer's maps are drawn gate by gate, with gain 1, then the layers after it.
    pub(crate) fn recurrent(
        &self,
        inputs: usize,
        output_gains: &[f64],
        rng: &mut impl Rng,
        device: &Device,
    ) -> Result<Recurrent, PolicyError> {
        self.parameter_count(inputs, output_gains.len())?;
        let (units, gates) = (self.recurrent_size, self.recurrent.gates());
        let mut map = |from: usize| {
            let drawn: Vec<_> =
                (0..gates).map(|_| self.init.draw(from, &vec![1.0; units], rng)).collect();
            let row =
                |r: usize| drawn.iter().flat_map(move |(w, _)| &w[r * units..(r + 1) * units]);
            let weight = (0..from).flat_map(row).copied().collect();
            let bias = drawn.iter().flat_map(|(_, b)| b).copied().collect();
            linear((weight, bias), [from, gates * units], device)
        };
        let (input, memory) = (map(inputs), map(units));
        let mlp = Self { recurrent: Cell::None, ..self.clone() };
        let mlp = mlp.init(units, output_gains, rng, device)?;
        Ok(Recurrent::new(self.recurrent, input, memory, mlp))
    }

    /// Width of what the last layer is given.
    pub(crate) fn last_features(&self, inputs: usize) -> usize {
        self.hidden.last().copied().unwrap_or_else(|| self.features(inputs))
    }

    /// What the hidden layers are given: the recurrent layer's units, or the inputs themselves.
    fn features(&self, inputs: usize) -> usize {
        if self.recurrent == Cell::None { inputs } else { self.recurrent_size }
    }

    /// A network whose layers' weights and biases `values` returns, given index and shape.
    fn assemble(
        &self,
        inputs: usize,
        outputs: usize,
        device: &Device,
        mut values: impl FnMut(usize, [usize; 2]) -> (Vec<f32>, Vec<f32>),
    ) -> Mlp {
        let widths = self.widths(inputs, outputs);
        let layers = widths.windows(2).enumerate().map(|(i, w)| {
            let shape = [w[0], w[1]];
            linear(values(i, shape), shape, device)
        });
        Mlp { layers: layers.collect(), activation: self.activation }
    }

    fn widths(&self, inputs: usize, outputs: usize) -> Vec<usize> {
        std::iter::once(inputs).chain(self.hidden.iter().copied()).chain([outputs]).collect()
    }
}

fn linear((weight, bias): (Vec<f32>, Vec<f32>), shape: [usize; 2], device: &Device) -> Linear {
    Linear {
        weight: Param::from_data(TensorData::new(weight, shape), device),
        bias: Some(Param::from_data(TensorData::new(bias, [shape[1]]), device)),
    }
}

/// A multilayer perceptron: linear layers with a nonlinearity after each but the last.
#[derive(Module, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
    #[module(skip)]
    activation: Activation,
}

impl Mlp {
    /// What the last layer is given.
    fn hidden(&self, mut x: Tensor<2>) -> Tensor<2> {
        let f = self.function();
        for layer in &self.layers[..self.layers.len() - 1] {
            x = apply(layer, x, f);
        }
        x
    }

    /// The nonlinearity after each hidden layer.
    fn function(&self) -> Function {
        match self.activation {
            Activation::Tanh => Function::Tanh,
            Activation::Relu => Function::Relu,
        }
    }

    fn last(&self) -> &Linear {
        // There is a layer more than there are hidden ones.
        &self.layers[self.layers.len() - 1]
    }
}

impl Network for Mlp {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        affine(self.last(), self.hidden(x))
    }

    fn features(&self) -> Option<usize> {
        Some(self.last().weight.dims()[0])
    }

    fn perceptron(&self) -> Option<Perceptron> {
        let last = self.layers.len() - 1;
        Perceptron::new(self.layers.iter().enumerate().map(|(i, layer)| {
            let f = if i == last { Function::Identity } else { self.function() };
            let (weight, bias) = tensors(layer);
            (weight, bias, f)
        }))
    }

    fn step_with_features(&self, x: Tensor<2>, memory: Tensor<2>) -> Option<[Tensor<2>; 3]> {
        let features = self.hidden(x);
        Some([affine(self.last(), features.clone()), features, memory])
    }
}

/// x W + b.
pub(crate) fn affine(layer: &Linear, x: Tensor<2>) -> Tensor<2> {
    apply(layer, x, Function::Identity)
}

/// f(x W + b).
fn apply(layer: &Linear, x: Tensor<2>, f: Function) -> Tensor<2> {
    let (weight, bias) = tensors(layer);
    dense(x, weight, bias, f)
}

/// W and b, zeros if the layer has none.
fn tensors(layer: &Linear) -> (Tensor<2>, Tensor<1>) {
    let weight = layer.weight.val();
    let bias = match &layer.bias {
        Some(bias) => bias.val(),
        None => Tensor::zeros([weight.dims()[1]], &weight.device()),
    };
    (weight, bias)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceChoice;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    #[test]
    fn a_network_computes_what_its_layers_say() {
        let device = DeviceChoice::Auto.open().unwrap();
        for activation in [Activation::Tanh, Activation::Relu] {
            let init = Init::BurnDefault;
            let config = MlpConfig { hidden: vec![3], activation, init, ..MlpConfig::default() };
            let mlp = config.init(2, &[1.0], &mut Pcg64::seed_from_u64(7), &device).unwrap();
            let p: Vec<f64> = crate::params::flatten(&mlp).into_iter().map(f64::from).collect();
            let x = [0.3f64, -0.8];
            let hidden = (0..3).map(|j| {
                let z = x[0] * p[j] + x[1] * p[3 + j] + p[6 + j];
                p[9 + j] * if activation == Activation::Tanh { z.tanh() } else { z.max(0.0) }
            });
            let expected = hidden.sum::<f64>() + p[12];
            let out = mlp.forward(Tensor::from_data([[0.3f32, -0.8]], &device));
            assert!((out.into_scalar::<f64>() - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn impossible_networks_are_refused_by_name() {
        for hidden in [vec![64, 0], vec![usize::MAX], vec![1 << 20, 1 << 20]] {
            let config = MlpConfig { hidden, ..MlpConfig::default() };
            let error = config.parameter_count(4, 2).unwrap_err().to_string();
            assert!(error.starts_with("network.hidden"), "{error}");
        }
        let linear = MlpConfig { hidden: vec![], ..MlpConfig::default() };
        assert_eq!(linear.parameter_count(4, 2).unwrap(), 10);
    }
}
