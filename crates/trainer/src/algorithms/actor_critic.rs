//! What the algorithms with an actor and a critic have in common: a pair at work, and what an update has
//! to tell.

use elegante_policy::{ActorCritic, Policy};

use super::{Learnt, Setup};
use crate::{
    TrainError,
    checkpoint::Checkpoint,
    collector::{Collector, Options},
    metrics::{Episode, Means},
    optim::Learner,
    returns::explained_variance,
    rollout::{Layout, Rollout, Targets},
};

/// An actor and a critic that learn, and the environments that they are in the middle of.
pub(super) struct Pair {
    pub(super) networks: Learner<ActorCritic>,
    collector: Collector,
    /// With autodiff.
    pub(super) layout: Layout,
}

impl Pair {
    /// New networks, that `learner` makes learn, and environments that have just begun.
    pub(super) fn new(
        setup: Setup<'_>,
        options: Options,
        normalize_advantages: bool,
        learner: impl FnOnce(ActorCritic) -> Learner<ActorCritic>,
    ) -> Result<Self, TrainError> {
        let networks = setup.new_actor_critic()?;
        let Setup { envs, seed, device, threads, shard, .. } = setup;
        let collector = Collector::new(envs, seed, &networks, options)?;
        let layout = Layout { normalize_advantages, shard, device };
        Ok(Self { collector, networks: learner(networks).on_threads(threads), layout })
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
