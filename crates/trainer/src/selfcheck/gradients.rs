//! Autodiff against what it should say: central differences, and the same loss composed differently.

use burn::tensor::{DType, Device, Tensor, TensorData};
use elegante_kernels::{
    Activation, dense, entropy, fused, log_softmax, mean_squared_error, pick, set_fused,
};
use elegante_policy::DeviceChoice;

use super::{Update, Work, choices, host, numbers, relative_error};
use crate::{TrainError, loss::clipped_surrogate};

/// How exactly a device is asked to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// As in training.
    F32,
    /// Where the device has it: the CPU's backends do.
    F64,
}

impl Precision {
    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F64 => DType::F64,
        }
    }

    /// How far to go for a difference: a larger step has a larger error of its own, a smaller one drowns
    /// in rounding.
    fn step(self) -> f64 {
        match self {
            Self::F32 => 1.0 / 64.0,
            Self::F64 => 1e-5,
        }
    }

    /// The error beyond which a gradient is wrong rather than rounded. A sign, a factor or a term that
    /// is wrong makes one of at least a few hundredths.
    pub fn tolerance(self) -> f64 {
        match self {
            Self::F32 => 1e-2,
            Self::F64 => 1e-6,
        }
    }
}

/// Rows of the loss, a power of two: burn rounds 1/n to f32 on the way back, also where it computes in f64.
const ROWS: usize = 8;
const INPUTS: usize = 3;
const HIDDEN: usize = 5;
const ACTIONS: usize = 2;
/// The parameters of the two layers, one after the other: weights, biases.
const SIZES: [usize; 4] = [INPUTS * HIDDEN, HIDDEN, HIDDEN * (ACTIONS + 1), ACTIONS + 1];

/// The distance between autodiff's gradient of PPO's loss (clipped surrogate, value and entropy, on a
/// network of one hidden layer) and the one by central differences, as a share of the latter's norm.
pub fn gradient_error(device: &Device, precision: Precision) -> f64 {
    let device = device.clone().autodiff();
    let θ = numbers(SIZES.iter().sum(), 1);
    let problem = Problem::new(&device, precision, &θ);
    let ours = problem.gradient(&θ);
    let h = precision.step();
    let differences = (0..θ.len()).map(|i| {
        let at = |step: f64| {
            let mut θ = θ.clone();
            θ[i] += step;
            problem.loss(&problem.parameters(&θ))
        };
        (host(at(h))[0] - host(at(-h))[0]) / (2.0 * h)
    });
    relative_error(&ours, &differences.collect::<Vec<_>>())
}

/// Weights and biases of two layers.
type Layers = (Tensor<2>, Tensor<1>, Tensor<2>, Tensor<1>);

/// A loss with a batch to take it on.
struct Problem<'a> {
    device: &'a Device,
    precision: Precision,
    /// log π_old(a|s) of every row.
    old: Vec<f64>,
}

impl<'a> Problem<'a> {
    fn new(device: &'a Device, precision: Precision, θ: &[f64]) -> Self {
        let mut problem = Self { device, precision, old: vec![0.0; ROWS] };
        let log_prob = host(problem.look(&problem.parameters(θ)).0);
        // Half of the ratios lie well within the clip range, the others well without: nothing is near
        // a kink, where there is no derivative to compare with.
        let shifts = [0.05, 1.0, -0.05, -1.0].into_iter().cycle();
        problem.old = log_prob.iter().zip(shifts).map(|(new, shift)| new + shift).collect();
        problem
    }

    fn tensor<const D: usize>(&self, numbers: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
        let data = TensorData::new(numbers, shape);
        Tensor::from_data(data, (self.device, self.precision.dtype()))
    }

    /// θ as the tensors of two layers.
    fn parameters(&self, θ: &[f64]) -> Layers {
        let mut rest = θ;
        let mut take = |n: usize| {
            let (mine, after) = rest.split_at(n);
            rest = after;
            mine.to_vec()
        };
        let [w1, b1, w2, b2] = SIZES.map(&mut take);
        (
            self.tensor(w1, [INPUTS, HIDDEN]).require_grad(),
            self.tensor(b1, [HIDDEN]).require_grad(),
            self.tensor(w2, [HIDDEN, ACTIONS + 1]).require_grad(),
            self.tensor(b2, [ACTIONS + 1]).require_grad(),
        )
    }

    /// log π(a|s), H(π(·|s)) and V(s) of every row.
    fn look(&self, (w1, b1, w2, b2): &Layers) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
        let x = self.tensor(numbers(ROWS * INPUTS, 2), [ROWS, INPUTS]);
        let z = dense(x, w1.clone(), b1.clone(), Activation::Tanh);
        let out = dense(z, w2.clone(), b2.clone(), Activation::Identity);
        let log_p = log_softmax(out.clone().narrow(1, 0, ACTIONS));
        let value = out.narrow(1, ACTIONS, 1).squeeze_dim(1);
        (pick(log_p.clone(), choices(ROWS, ACTIONS, self.device)), entropy(log_p), value)
    }

    /// L_π + ½ L_V − ¼ H.
    fn loss(&self, θ: &Layers) -> Tensor<1> {
        let (log_prob, entropy, value) = self.look(θ);
        let column = |numbers: Vec<f64>| self.tensor(numbers, [ROWS]);
        let (old, advantage) = (column(self.old.clone()), column(numbers(ROWS, 3)));
        let surrogate = clipped_surrogate(log_prob, old, advantage, 0.25);
        let value = mean_squared_error(value, column(numbers(ROWS, 4)));
        surrogate + value * 0.5 - entropy.mean() * 0.25
    }

    fn gradient(&self, θ: &[f64]) -> Vec<f64> {
        let θ = self.parameters(θ);
        let gradients = self.loss(&θ).backward();
        let layers = [(&θ.0, &θ.1), (&θ.2, &θ.3)];
        let both = layers.map(|(w, b)| {
            let w = w.grad(&gradients).map(host).unwrap_or_default();
            [w, b.grad(&gradients).map(host).unwrap_or_default()].concat()
        });
        both.concat()
    }
}

/// The distance between the gradients that fused and composed operations give of a PPO minibatch on
/// networks of usual size, as a share of the latter's norm; `None` where nothing is fused on `device`.
///
/// It switches fusing off and on for the whole program: nothing else should be computing.
///
/// # Errors
/// When the device does not work or can't hold the networks.
pub fn fused_error(device: DeviceChoice) -> Result<Option<f64>, TrainError> {
    let update = Update::new(device, &Work::choice(4, 2, &[64, 64], 64), 1)?;
    let before = fused();
    set_fused(true);
    let ours = update.gradient();
    set_fused(false);
    let composed = update.gradient();
    set_fused(before);
    // Where nothing is fused the two are one computation.
    Ok((ours != composed).then(|| relative_error(&ours, &composed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_right_on_every_backend_compiled_in() {
        for choice in DeviceChoice::compiled_in() {
            let Ok(device) = choice.open() else { continue };
            let error = gradient_error(&device, Precision::F32);
            assert!(error < Precision::F32.tolerance(), "{choice}: {error}");
            if matches!(choice, DeviceChoice::Flex | DeviceChoice::NdArray) {
                let error = gradient_error(&device, Precision::F64);
                assert!(error < Precision::F64.tolerance(), "{choice}: {error}");
            }
        }
    }

    #[test]
    fn a_loss_that_is_another_would_be_noticed() {
        // The old policy a little off, as if a ratio were taken of other actions.
        let device = DeviceChoice::Auto.open().unwrap().autodiff();
        let θ = numbers(SIZES.iter().sum(), 1);
        let problem = Problem::new(&device, Precision::F32, &θ);
        let right = problem.gradient(&θ);
        let mut wrong = Problem::new(&device, Precision::F32, &θ);
        wrong.old.iter_mut().for_each(|old| *old += 0.2);
        let error = relative_error(&wrong.gradient(&θ), &right);
        assert!(error > 2.0 * Precision::F32.tolerance(), "{error}");
    }
}
