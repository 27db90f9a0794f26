//! What the algorithms with an actor and a critic have in common: a pair at work, and what an update has
//! to tell.

use burn::tensor::Tensor;
use elegante_policy::{ActorCritic, Policy, params};

use super::{Learnt, Setup, approximate_kl, excess};
use crate::{
    GuardConfig, TrainError,
    checkpoint::Checkpoint,
    collector::{Collector, Options},
    learner::Learner,
    metrics::{Episode, Means},
    returns::explained_variance,
    rollout::{Layout, Minibatch, Rollout, Targets},
    watch::{Array, Arrays},
};

/// An actor and a critic that learn, and the environments that they are in the middle of.
pub(super) struct Pair {
    pub(super) networks: Learner<ActorCritic>,
    collector: Collector,
    /// With autodiff.
    pub(super) layout: Layout,
    pub(super) guard: GuardConfig,
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
        let Setup { envs, guard, seed, device, threads, shard, .. } = setup;
        let collector = Collector::new(envs, seed, &networks, options)?;
        let layout = Layout { normalize_advantages, shard, device };
        Ok(Self { collector, networks: learner(networks).on_threads(threads), layout, guard })
    }

    /// `steps` steps in every lane with πθ as it is, and the episodes that ended in them.
    pub(super) fn collect(&mut self, steps: usize) -> Result<(Rollout, Vec<Episode>), TrainError> {
        self.collector.collect(&self.networks.module.valid(), steps, &self.networks.crew)
    }

    /// πθ as it acts, with the normaliser as it stands.
    pub(super) fn acting(&self) -> Policy {
        self.collector.export(self.networks.module.policy().valid())
    }

    /// A rollout from the record of a failed update.
    pub(super) fn recall(&self, batch: &mut Arrays) -> Result<Rollout, TrainError> {
        self.collector.recall(batch)
    }

    pub(super) fn save_learning(&self, checkpoint: &mut Checkpoint) {
        checkpoint.put("networks", &self.networks);
    }

    pub(super) fn save_collecting(&self, checkpoint: &mut Checkpoint) {
        self.collector.save(checkpoint);
    }

    /// Goes back to what [`save_learning`](Self::save_learning) noted.
    pub(super) fn restore_learning(
        &mut self,
        checkpoint: &mut Checkpoint,
    ) -> Result<(), TrainError> {
        checkpoint.get("networks", &mut self.networks)
    }

    /// Goes back to what [`save_collecting`](Self::save_collecting) noted; returns the lanes whose
    /// environment had not been saved.
    pub(super) fn restore_collecting(
        &mut self,
        checkpoint: &mut Checkpoint,
    ) -> Result<Vec<usize>, TrainError> {
        self.collector.restore(checkpoint)
    }

    /// KL(π_old, πθ) over a batch that has been learnt from, where there is a limit to it.
    pub(super) fn moved(&self, batch: &Minibatch) -> Option<f64> {
        self.guard.max_kl?;
        let [_, log_prob, _] = look(&self.networks.module, batch);
        let log_ratio = batch.log_ratios(&log_prob);
        let excess = excess(&log_ratio);
        Some(approximate_kl(&log_ratio, &excess))
    }
}

/// Vφ(s), log πθ(a|s) and H(πθ(·|s)) of every row.
fn look(networks: &ActorCritic, batch: &Minibatch) -> [Vec<f32>; 3] {
    let mut all: [Vec<f32>; 3] = Default::default();
    for shard in batch.0.iter() {
        let (π, value) = shard.evaluate(networks);
        let said: [Tensor<1>; 3] =
            [value.squeeze_dim(1), π.log_prob(shard.actions.clone()), π.entropy()];
        for (all, said) in all.iter_mut().zip(said) {
            all.extend(said.into_data().iter::<f32>());
        }
    }
    all
}

/// Puts on record what a minibatch is and what the networks say of it, where the update is watched.
pub(super) fn record(networks: &mut Learner<ActorCritic>, batch: &Minibatch) {
    let Some(watch) = &mut networks.watch else { return };
    watch.begin();
    batch.record(watch);
    watch.parameters("weight", &networks.module, &params::flatten(&networks.module));
    let [value, log_prob, entropy] = look(&networks.module, batch);
    let pairs = log_prob.iter().zip(batch.old_log_probs());
    let ratio: Vec<f32> = pairs.map(|(new, old)| (new - old as f32).exp()).collect();
    watch.record("value", Array::flat(value));
    watch.record("log-probability", Array::flat(log_prob));
    watch.record("ratio", Array::flat(ratio));
    watch.record("entropy of each step", Array::flat(entropy));
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
