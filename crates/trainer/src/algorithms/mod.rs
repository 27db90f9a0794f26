//! The algorithms: one file each, that calls shared functions in the order of its pseudo-code.

mod a2c;
#[cfg(test)]
mod against_torch;
mod ppo;
mod reinforce;

use elegante_env::AnyEnv;
use elegante_policy::{MlpConfig, Policy, PolicyConfig};

use burn::tensor::{Device, Tensor};

use crate::{
    Algorithm, TrainError,
    checkpoint::Checkpoint,
    metrics::{Episode, Means, Values},
    returns::explained_variance,
    rollout::{Rollout, Targets},
};

/// An algorithm at work, with its networks and its environments.
pub(crate) trait Method: Send {
    /// Collects experience and learns from it, once. `left` ∈ [0, 1] of the run is still to come.
    ///
    /// # Errors
    /// When an environment fails or a number is no longer finite; the weights are then as before.
    fn update(&mut self, left: f64, update: u64) -> Result<Batch, TrainError>;

    /// πθ as it acts: without autodiff, with frozen normalisers.
    fn acting(&self) -> Policy;

    /// Notes all that the next update depends on.
    fn save(&self, checkpoint: &mut Checkpoint);

    /// Goes back to what [`save`](Self::save) noted; returns the lanes whose environment had not been
    /// saved.
    ///
    /// # Errors
    /// When the checkpoint belongs to another run.
    fn restore(&mut self, checkpoint: &mut Checkpoint) -> Result<Vec<usize>, TrainError>;
}

/// What an update collected and learnt.
pub(crate) struct Batch {
    /// Environment steps, over all lanes.
    pub(crate) steps: usize,
    /// Episodes that ended, in the order in which they did; their `steps` count from the beginning
    /// of the batch.
    pub(crate) episodes: Vec<Episode>,
    pub(crate) learnt: Learnt,
}

/// What an update measured.
pub(crate) struct Learnt {
    pub(crate) loss: f64,
    pub(crate) entropy: f64,
    pub(crate) grad_norm: f64,
    pub(crate) learning_rate: f64,
    /// What only some algorithms have.
    pub(crate) values: Values,
}

/// The loss of an actor and critic, with what it is made of.
struct Loss {
    total: Tensor<1>,
    policy: Tensor<1>,
    value: Tensor<1>,
    entropy: Tensor<1>,
}

impl Loss {
    /// L = L_π − c_H H + c_V L_V.
    fn new(
        policy: Tensor<1>,
        entropy: Tensor<1>,
        value: Tensor<1>,
        entropy_coef: f64,
        value_coef: f64,
    ) -> Self {
        let total = policy.clone() - entropy.clone() * entropy_coef + value.clone() * value_coef;
        Self { total, policy, value, entropy }
    }

    /// Notes the terms.
    fn tell(&self, means: &mut Means) {
        means.add("policy_loss", self.policy.clone().into_scalar::<f64>());
        means.add("value_loss", self.value.clone().into_scalar::<f64>());
        means.add("entropy", self.entropy.clone().into_scalar::<f64>());
    }
}

/// What an update of an actor and critic has to tell, from the means over its minibatches.
fn learnt(mut means: Means, rollout: &Rollout, targets: &Targets, learning_rate: f64) -> Learnt {
    means.add("explained_variance", explained_variance(&targets.returns, &rollout.values));
    let [loss, entropy, grad_norm] = ["loss", "entropy", "grad_norm"].map(|name| means.take(name));
    Learnt { loss, entropy, grad_norm, learning_rate, values: means.finish() }
}

/// What every algorithm is made from.
pub(crate) struct Setup<'a> {
    /// One for each lane.
    pub(crate) envs: Vec<AnyEnv>,
    pub(crate) policy: PolicyConfig,
    pub(crate) network: &'a MlpConfig,
    pub(crate) seed: u64,
    pub(crate) threads: usize,
    /// With autodiff.
    pub(crate) device: Device,
}

impl Algorithm {
    /// Puts the algorithm to work.
    pub(crate) fn begin(&self, setup: Setup<'_>) -> Result<Box<dyn Method>, TrainError> {
        Ok(match self {
            Self::Reinforce(config) => Box::new(reinforce::Reinforce::new(config, setup)?),
            Self::A2c(config) => Box::new(a2c::A2c::new(config, setup)?),
            Self::Ppo(config) => Box::new(ppo::Ppo::new(config, setup)?),
        })
    }
}
