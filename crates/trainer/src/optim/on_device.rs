//! Adam and RMSprop as operations on tensors, for parameters that are not in the memory of the program: the way
//! to the host and back would take longer than the step.

use burn::tensor::Tensor;
use elegante_kernels::{AdamStep, entries_of_all};

use super::adam_step;
use crate::flat::Flat;

/// An optimiser that is where its parameters are. Its tensors have no autodiff.
#[derive(Clone, Debug)]
pub(crate) struct OnDevice {
    rule: Rule,
    /// Running mean of squared gradients, v.
    second: Tensor<1>,
    epsilon: f32,
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of them for each network")]
enum Rule {
    /// With the first moments m, and t.
    Adam {
        first: Tensor<1>,
        steps: u64,
    },
    RmsProp {
        decay: f32,
    },
}

impl OnDevice {
    /// Adam for as many parameters as these.
    pub(super) fn adam(parameters: &Tensor<1>, epsilon: f64) -> Self {
        let zeros = parameters.zeros_like();
        let rule = Rule::Adam { first: zeros.clone(), steps: 0 };
        Self { rule, second: zeros, epsilon: epsilon as f32 }
    }

    /// RMSprop for as many parameters as these; `decay` is PyTorch's α.
    pub(super) fn rms_prop(parameters: &Tensor<1>, decay: f64, epsilon: f64) -> Self {
        let rule = Rule::RmsProp { decay: decay as f32 };
        Self { rule, second: parameters.zeros_like(), epsilon: epsilon as f32 }
    }

    /// See [`Optimizer::step`](super::Optimizer::step). The host is told three numbers, in one journey.
    pub(super) fn step(
        &mut self,
        parameters: &mut Flat,
        gradient: Flat,
        longest: f64,
        learning_rate: f64,
    ) -> (f64, bool) {
        let gradient = gradient.into_tensor(&self.second);
        let (θ, v, ε) =
            (parameters.clone().into_tensor(&self.second), self.second.clone(), self.epsilon);
        let squares = gradient.clone().square().sum();
        let g = match longest > 0.0 {
            true => gradient * (squares.clone().sqrt().clamp_min(longest).recip() * longest),
            false => gradient,
        };
        let new = match &mut self.rule {
            Rule::Adam { first, steps } => {
                *steps += 1;
                let AdamStep { betas: [β1, β2], size, correction, epsilon } =
                    adam_step(*steps, learning_rate, ε);
                *first = first.clone() * β1 + g.clone() * (1.0 - β1);
                self.second = v * β2 + g.square() * (1.0 - β2);
                θ - first.clone() * size / (self.second.clone().sqrt() * correction + epsilon)
            }
            Rule::RmsProp { decay } => {
                self.second = v * *decay + g.clone().square() * (1.0 - *decay);
                θ - g * learning_rate / (self.second.clone().sqrt() + ε)
            }
        };
        // Where a sum is not finite a term may not be: the caller then looks at each.
        let said = [squares, new.clone().sum(), self.second.clone().sum()];
        let [squares, θ, v] = entries_of_all(said, |said| said.map(|x| x[0]));
        if squares.is_finite() {
            *parameters = Flat::Device(new.into());
        }
        (f64::from(squares).sqrt(), θ.is_finite() && v.is_finite())
    }

    /// Running mean of squared gradients.
    pub(super) fn second(&self) -> &Tensor<1> {
        &self.second
    }

    /// What it keeps for each parameter, by name.
    pub(super) fn moments(&self) -> Vec<(&'static str, &Tensor<1>)> {
        match &self.rule {
            Rule::Adam { first, .. } => vec![("adam.m", first), ("adam.v", &self.second)],
            Rule::RmsProp { .. } => vec![("rmsprop.v", &self.second)],
        }
    }

    /// The same, to be replaced.
    pub(super) fn moments_mut(&mut self) -> Vec<(&'static str, &mut Tensor<1>)> {
        match &mut self.rule {
            Rule::Adam { first, .. } => vec![("adam.m", first), ("adam.v", &mut self.second)],
            Rule::RmsProp { .. } => vec![("rmsprop.v", &mut self.second)],
        }
    }

    /// Steps made, where they matter.
    pub(super) fn steps_mut(&mut self) -> Option<&mut u64> {
        match &mut self.rule {
            Rule::Adam { steps, .. } => Some(steps),
            Rule::RmsProp { .. } => None,
        }
    }

    /// The same.
    pub(super) fn steps(&self) -> u64 {
        match &self.rule {
            Rule::Adam { steps, .. } => *steps,
            Rule::RmsProp { .. } => 0,
        }
    }
}
