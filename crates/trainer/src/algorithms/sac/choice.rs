//! What an actor would do, and what that is worth: draws where actions are numbers, expectations where they
//! are a choice.

use burn::tensor::Tensor;
use elegante_policy::{ActionTensor, Critics, Distribution, Policy, SquashedGaussian};

use super::super::critics::flat;
use crate::{
    TrainError,
    bridge::{mask, matrix},
    loss::{soft_value, soft_value_of_choice},
};

/// What the actor would do in each state of a minibatch.
#[expect(clippy::large_enum_variant, reason = "there are two at a time")]
pub(super) enum Choice {
    /// An action that was drawn, `[rows, dims]` within ±1, and log πθ of it, `[rows]`.
    Drawn(Tensor<2>, Tensor<1>),
    /// log πθ of each of n, `[rows, n]`.
    Any(Tensor<2>),
}

impl Choice {
    /// What `policy` would do, among the actions that `valid` allows.
    ///
    /// # Shapes
    /// `noise`: a number for each entry of an action, or, with gSDE, for each of E, which all rows share.
    pub(super) fn of(
        policy: &Policy,
        observations: Tensor<2>,
        valid: &[bool],
        noise: &[f32],
    ) -> Result<Self, TrainError> {
        let (device, head) = (observations.device(), &policy.config().action);
        let valid = mask(valid, head.choices(), &device);
        let distribution = policy.forward(observations, valid);
        let noise = || matrix(noise.to_vec(), head.dims(), &device);
        let u = match &distribution {
            Distribution::Categorical(choice) => return Ok(Self::Any(choice.log_probs())),
            Distribution::SquashedGaussian(d) => d.rsample(noise()),
            Distribution::Gsde(d) => d.rsample(noise().unsqueeze_dim(0)),
            _ => return Err(TrainError::Unsupported("SAC needs a head that it can learn".into())),
        };
        let log_prob = distribution.log_prob(ActionTensor::Continuous(u.clone()));
        Ok(Self::Drawn(SquashedGaussian::squash(u), log_prob))
    }

    /// log πθ(ã|s), or its mean over all actions: `[rows]`.
    pub(super) fn log_prob(&self) -> Tensor<1> {
        match self {
            Self::Drawn(_, log_prob) => log_prob.clone(),
            Self::Any(log_probs) => -elegante_kernels::entropy(log_probs.clone()),
        }
    }

    /// V(s) as `critics` have it: `[rows]`.
    pub(super) fn value(self, critics: &Critics, observations: Tensor<2>, alpha: f64) -> Tensor<1> {
        match self {
            Self::Drawn(action, log_prob) => {
                let judged = Tensor::cat(vec![observations, action], 1);
                soft_value(flat(critics.least(&judged)), log_prob, alpha)
            }
            Self::Any(log_probs) => {
                soft_value_of_choice(critics.least(&observations), log_probs, alpha)
            }
        }
    }
}
