//! Networks that remember: a gated recurrent layer before a multilayer perceptron.

use burn::{
    module::Module,
    nn::Linear,
    tensor::{Tensor, activation::sigmoid},
};
use serde::{Deserialize, Serialize};

use crate::{Mlp, Network, network::affine, tanh};

/// The layer that remembers, if there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cell {
    /// No memory.
    #[default]
    None,
    /// Gated recurrent unit (Cho et al., 2014).
    Gru,
    /// Long short-term memory (Hochreiter & Schmidhuber, 1997), with forget gates.
    Lstm,
}

impl Cell {
    /// Linear maps of the layer, each from its input and from what it remembers.
    pub(crate) fn gates(self) -> usize {
        match self {
            Self::None => 0,
            Self::Gru => 3,
            Self::Lstm => 4,
        }
    }
}

/// A recurrent layer, and a multilayer perceptron on what it says.
#[derive(Module, Debug)]
pub struct Recurrent {
    #[module(skip)]
    cell: Cell,
    /// `[inputs, gates × units]`.
    input: Linear,
    /// `[units, gates × units]`.
    memory: Linear,
    mlp: Mlp,
}

impl Recurrent {
    /// The network whose layer has these maps; see [`Cell::gates`].
    pub(crate) fn new(cell: Cell, input: Linear, memory: Linear, mlp: Mlp) -> Self {
        Self { cell, input, memory, mlp }
    }

    fn units(&self) -> usize {
        self.memory.weight.dims()[0]
    }

    /// What the layer says and what it remembers then.
    fn recur(&self, x: Tensor<2>, memory: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        match self.cell {
            Cell::Lstm => self.lstm(x, memory),
            Cell::Gru | Cell::None => self.gru(x, memory),
        }
    }

    /// r = σ(Wᵣx + Uᵣh), z = σ(W_z x + U_z h), n = tanh(Wₙx + r ∘ Uₙh), h′ = (1 − z) ∘ n + z ∘ h.
    fn gru(&self, x: Tensor<2>, h: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let (x, from_h) = (affine(&self.input, x), affine(&self.memory, h.clone()));
        let gate = |all: &Tensor<2>, k| part(all, k, self.units());
        let r = sigmoid(gate(&x, 0) + gate(&from_h, 0));
        let z = sigmoid(gate(&x, 1) + gate(&from_h, 1));
        let n = tanh(gate(&x, 2) + r * gate(&from_h, 2));
        let h = n.clone() + z * (h - n);
        (h.clone(), h)
    }

    /// i, f, o = σ(W x + U h) each, g = tanh(W x + U h), c′ = f ∘ c + i ∘ g, h′ = o ∘ tanh c′; the memory
    /// is h and c side by side.
    fn lstm(&self, x: Tensor<2>, memory: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let units = self.units();
        let (h, c) = (part(&memory, 0, units), part(&memory, 1, units));
        let all = affine(&self.input, x) + affine(&self.memory, h);
        let gate = |k| part(&all, k, units);
        let (i, f, g, o) = (sigmoid(gate(0)), sigmoid(gate(1)), tanh(gate(2)), sigmoid(gate(3)));
        let c = f * c + i * g;
        let h = o * tanh(c.clone());
        (h.clone(), Tensor::cat(vec![h, c], 1))
    }
}

/// Columns `k·width` to `(k + 1)·width`.
fn part(all: &Tensor<2>, k: usize, width: usize) -> Tensor<2> {
    all.clone().narrow(1, k * width, width)
}

impl Network for Recurrent {
    /// A first step: nothing is remembered yet.
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let memory = Tensor::zeros([x.dims()[0], Network::memory(self)], &x.device());
        self.step(x, memory).0
    }

    fn memory(&self) -> usize {
        if self.cell == Cell::Lstm { 2 * self.units() } else { self.units() }
    }

    fn step(&self, x: Tensor<2>, memory: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let (h, memory) = self.recur(x, memory);
        (self.mlp.forward(h), memory)
    }

    fn features(&self) -> Option<usize> {
        Network::features(&self.mlp)
    }

    fn step_with_features(&self, x: Tensor<2>, memory: Tensor<2>) -> Option<[Tensor<2>; 3]> {
        let (h, memory) = self.recur(x, memory);
        self.mlp.step_with_features(h, memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeviceChoice, MlpConfig, params};
    use burn::tensor::TensorData;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    const UNITS: usize = 3;
    const INPUTS: usize = 2;

    fn matrix(values: &[f64], width: usize) -> Tensor<2> {
        let device = DeviceChoice::Auto.open().unwrap();
        let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
        let rows = values.len() / width;
        Tensor::from_data(TensorData::new(values, [rows, width]), &device)
    }

    fn host(tensor: Tensor<2>) -> Vec<f64> {
        tensor.into_data().iter::<f64>().collect()
    }

    fn network(cell: Cell) -> Recurrent {
        let config = MlpConfig {
            hidden: vec![],
            recurrent: cell,
            recurrent_size: UNITS,
            init: crate::Init::BurnDefault,
            ..MlpConfig::default()
        };
        let device = DeviceChoice::Auto.open().unwrap();
        config.recurrent(INPUTS, &[1.0], &mut Pcg64::seed_from_u64(3), &device).unwrap()
    }

    /// Weights by name: W, b, U, c of a layer with `gates` gates, for arithmetic on the host.
    fn pre(p: &[f64], gates: usize, x: &[f64], h: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let wide = gates * UNITS;
        let (w, rest) = p.split_at(INPUTS * wide);
        let (b, rest) = rest.split_at(wide);
        let (u, rest) = rest.split_at(UNITS * wide);
        let affine = |m: &[f64], b: &[f64], x: &[f64]| -> Vec<f64> {
            let entry =
                |j| b[j] + x.iter().enumerate().map(|(i, x)| x * m[i * wide + j]).sum::<f64>();
            (0..wide).map(entry).collect()
        };
        (affine(w, b, x), affine(u, &rest[..wide], h))
    }

    fn sigma(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn a_gru_step_is_its_equations() {
        let net = network(Cell::Gru);
        let p: Vec<f64> = params::flatten(&net).into_iter().map(f64::from).collect();
        let (x, h) = ([0.3, -0.8], [0.5, -0.2, 0.9]);
        let (a, b) = pre(&p, 3, &x, &h);
        let expected: Vec<f64> = (0..UNITS)
            .map(|j| {
                let (r, z) = (sigma(a[j] + b[j]), sigma(a[UNITS + j] + b[UNITS + j]));
                let n = (a[2 * UNITS + j] + r * b[2 * UNITS + j]).tanh();
                (1.0 - z) * n + z * h[j]
            })
            .collect();
        let (_, memory) = net.step(matrix(&x, 2), matrix(&h, 3));
        for (ours, theirs) in host(memory).iter().zip(expected) {
            assert!((ours - theirs).abs() < 1e-6, "{ours} and {theirs}");
        }
    }

    #[test]
    fn an_lstm_step_is_its_equations() {
        let net = network(Cell::Lstm);
        let p: Vec<f64> = params::flatten(&net).into_iter().map(f64::from).collect();
        let (x, h, c) = ([0.3, -0.8], [0.5, -0.2, 0.9], [0.1, 1.0, -0.7]);
        let (a, b) = pre(&p, 4, &x, &h);
        let z: Vec<f64> = a.iter().zip(b).map(|(a, b)| a + b).collect();
        let cell: Vec<f64> = (0..UNITS)
            .map(|j| sigma(z[UNITS + j]) * c[j] + sigma(z[j]) * z[2 * UNITS + j].tanh())
            .collect();
        let said: Vec<f64> = (0..UNITS).map(|j| sigma(z[3 * UNITS + j]) * cell[j].tanh()).collect();
        let memory: Vec<f64> = h.iter().chain(&c).copied().collect();
        let (_, memory) = net.step(matrix(&x, 2), matrix(&memory, 6));
        for (ours, theirs) in host(memory).iter().zip(said.iter().chain(&cell)) {
            assert!((ours - theirs).abs() < 1e-6, "{ours} and {theirs}");
        }
    }

    #[test]
    fn an_episode_begins_with_a_memory_of_zeros() {
        for cell in [Cell::Gru, Cell::Lstm] {
            let net = network(cell);
            let x = matrix(&[0.3, -0.8], 2);
            let zeros = matrix(&vec![0.0; Network::memory(&net)], Network::memory(&net));
            assert_eq!(host(net.forward(x.clone())), host(net.step(x, zeros).0));
        }
    }
}
