//! What the algorithms with an actor and a critic have in common: a pair at work, its loss, and what
//! an update has to tell.

use burn::tensor::{Device, Tensor};
use elegante_policy::{ActorCritic, Policy};

use super::{Learnt, Setup};
use crate::{
    TrainError,
    checkpoint::Checkpoint,
    collector::{Collector, Options},
    metrics::{Episode, Means},
    optim::{Learner, Parts},
    returns::explained_variance,
    rollout::{Rollout, Targets},
};

/// An actor and a critic that learn, and the environments that they are in the middle of.
pub(super) struct Pair {
    pub(super) networks: Learner<ActorCritic>,
    collector: Collector,
    /// With autodiff.
    pub(super) device: Device,
}

impl Pair {
    /// New networks, that `learner` makes learn, and environments that have just begun.
    pub(super) fn new(
        setup: Setup<'_>,
        options: Options,
        learner: impl FnOnce(ActorCritic) -> Learner<ActorCritic>,
    ) -> Result<Self, TrainError> {
        let networks = setup.new_actor_critic()?;
        let Setup { envs, seed, device, threads, .. } = setup;
        let collector = Collector::new(envs, seed, &networks, options)?;
        Ok(Self { collector, networks: learner(networks).on_threads(threads), device })
    }

    /// `steps` steps in every lane with πθ as it is, and the episodes that ended in them.
    pub(super) fn collect(&mut self, steps: usize) -> Result<(Rollout, Vec<Episode>), TrainError> {
        self.collector.collect(&self.networks.module.valid(), steps)
    }

    /// πθ as it acts, with the normaliser as it stands.
    pub(super) fn acting(&self) -> Policy {
        self.collector.export(self.networks.module.policy().valid())
    }

    pub(super) fn save(&self, checkpoint: &mut Checkpoint) {
        checkpoint.put("networks", &self.networks);
        self.collector.save(checkpoint);
    }

    /// Goes back to what [`save`](Self::save) noted; returns the lanes whose environment had not been
    /// saved.
    pub(super) fn restore(
        &mut self,
        checkpoint: &mut Checkpoint,
    ) -> Result<Vec<usize>, TrainError> {
        checkpoint.get("networks", &mut self.networks)?;
        self.collector.restore(checkpoint)
    }
}

/// The loss of an actor and critic, with what it is made of.
pub(super) struct Loss {
    pub(super) parts: Parts,
    policy: Tensor<1>,
    value: Tensor<1>,
    entropy: Tensor<1>,
}

impl Loss {
    /// L = L_π − c_H H + c_V L_V, the last by itself where the networks have nothing in common.
    pub(super) fn new(
        networks: &ActorCritic,
        policy: Tensor<1>,
        entropy: Tensor<1>,
        value: Tensor<1>,
        [entropy_coef, value_coef]: [f64; 2],
    ) -> Self {
        let mut actor = policy.clone();
        if entropy_coef != 0.0 {
            actor = actor - entropy.clone() * entropy_coef;
        }
        let critic = value.clone() * value_coef;
        let parts = match networks.independent_value() {
            Some(_) => Parts(actor, Some(critic)),
            None => Parts::from(actor + critic),
        };
        Self { parts, policy, value, entropy }
    }

    /// Notes the terms.
    pub(super) fn tell(&self, means: &mut Means) {
        means.add("policy_loss", self.policy.clone().into_scalar::<f64>());
        means.add("value_loss", self.value.clone().into_scalar::<f64>());
        means.add("entropy", self.entropy.clone().into_scalar::<f64>());
    }

    /// One step of `networks` down it, noted.
    pub(super) fn descend(
        self,
        networks: &mut Learner<ActorCritic>,
        learning_rate: f64,
        update: u64,
        means: &mut Means,
    ) -> Result<(), TrainError> {
        let descent = networks.descend(self.parts, learning_rate, update)?;
        means.add("loss", descent.loss);
        means.add("grad_norm", descent.grad_norm);
        Ok(())
    }
}

/// What an update of an actor and critic has to tell, from the means over its minibatches.
pub(super) fn learnt(
    mut means: Means,
    rollout: &Rollout,
    targets: &Targets,
    learning_rate: f64,
) -> Learnt {
    means.add("explained_variance", explained_variance(&targets.returns, &rollout.values));
    let [loss, entropy, grad_norm] = ["loss", "entropy", "grad_norm"].map(|name| means.take(name));
    Learnt { loss, entropy, grad_norm, learning_rate, values: means.finish() }
}
