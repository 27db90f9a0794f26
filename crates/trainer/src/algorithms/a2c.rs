//! Advantage actor-critic (Mnih et al., 2016), synchronous.
//!
//! ```text
//! repeat
//!     T steps in each of n lanes with πθ                             episodes run on between rollouts
//!     Âₜ ← GAE(γ, λ),  Gₜ ← Âₜ + V(sₜ)                                truncation bootstraps, both endings cut
//!     L ← −mean log πθ(aₜ|sₜ) Âₜ − c_H H + c_V mean (G − V)²          the whole rollout at once
//!     θ ← RMSprop(θ, ∇θL clipped to a global norm)                   ∇ by burn's autodiff
//! ```

use burn::tensor::Tensor;
use elegante_policy::{ActorCritic, Policy};

use super::{
    Batch, Evidence, Failed, Learnt, Method, Setup, Watched,
    actor_critic::{Pair, learnt, record},
    objective::{self, Objective},
};
use crate::{
    A2cConfig, TrainError,
    checkpoint::Checkpoint,
    collector::Options,
    inspect::Inspected,
    learner::Learner,
    loss::{advantage_policy_gradient, value_mse},
    metrics::Means,
    rollout::{Minibatch, Rollout, Shard},
    schedule::Left,
    watch::{Arrays, Watch},
};

/// The state of A2C: environments, and networks that learn.
pub(crate) struct A2c {
    config: A2cConfig,
    pair: Pair,
}

impl A2c {
    pub(crate) fn new(config: &A2cConfig, setup: Setup<'_>) -> Result<Self, TrainError> {
        let c = config;
        let options = Options {
            gamma: c.gamma,
            normalize_observations: c.normalize_observations,
            normalize_rewards: c.normalize_rewards,
            sde_sample_steps: c.sde_sample_steps,
        };
        let rms_prop =
            |networks| Learner::rms_prop(networks, c.rms_decay, c.rms_epsilon, c.max_grad_norm);
        Ok(Self {
            pair: Pair::new(setup, options, c.normalize_advantages, rms_prop)?,
            config: config.clone(),
        })
    }

    fn learn(&mut self, rollout: &Rollout, left: f64, update: u64) -> Result<Learnt, TrainError> {
        let c = &self.config;
        let targets = rollout.targets(c.gamma, c.gae_lambda);
        let all: Vec<usize> = (0..rollout.units()).collect();
        let batch = rollout.gather(&targets, &all, &self.pair.layout);
        let learning_rate = c.schedule.at(c.learning_rate, left);
        let mut means = Means::default();
        descend(c, &mut self.pair.networks, &batch, learning_rate, update, &mut means)?;
        self.pair.networks.tell_variation(&mut means);
        let kl = self.pair.moved(&batch);
        kl.iter().for_each(|kl| means.add("approx_kl", *kl));
        let learnt = learnt(means, rollout, &targets, learning_rate);
        self.pair.guard.check(update, kl, learnt.entropy)?;
        Ok(learnt)
    }

    /// The same, with every number on record and everything afterwards as it was.
    fn watched(&mut self, rollout: &Rollout, left: f64, update: u64) -> Watched {
        let before = self.pair.networks.clone();
        self.pair.networks.watch = Some(Watch::default());
        let outcome = self.learn(rollout, left, update).map(drop);
        let watch = self.pair.networks.watch.take().unwrap_or_default();
        self.pair.networks = before;
        Watched { watch, outcome }
    }
}

/// What A2C wants of a batch.
#[derive(Clone, Copy)]
pub(super) struct PolicyGradient {
    coefficients: [f64; 2],
}

impl PolicyGradient {
    pub(super) fn new(c: &A2cConfig) -> Self {
        Self { coefficients: [c.entropy_coef, c.value_coef] }
    }
}

impl Objective for PolicyGradient {
    fn policy_loss(&self, log_prob: Tensor<1>, rows: &Shard) -> Tensor<1> {
        advantage_policy_gradient(log_prob, rows.tensor(&rows.advantages))
    }

    fn value_loss(&self, value: Tensor<2>, rows: &Shard) -> Tensor<1> {
        value_mse(value, rows.tensor(&rows.returns))
    }

    fn coefficients(&self) -> [f64; 2] {
        self.coefficients
    }
}

/// One step down the loss of a batch.
pub(super) fn descend(
    c: &A2cConfig,
    networks: &mut Learner<ActorCritic>,
    batch: &Minibatch,
    learning_rate: f64,
    update: u64,
    means: &mut Means,
) -> Result<(), TrainError> {
    record(networks, batch);
    let told = objective::loss(networks, batch, &PolicyGradient::new(c));
    told.tell(means, networks.watch.as_mut());
    told.descend(networks, learning_rate, update, means)
}

impl Method for A2c {
    fn update(&mut self, left: Left, update: u64) -> Result<Batch, Failed> {
        let (rollout, episodes) = self.pair.collect(self.config.n_steps)?;
        let before = self.pair.networks.clone();
        // As in Stable-Baselines3, whose presets these are, a schedule looks at what is left after the
        // rollout.
        let left = left.after(rollout.len());
        match self.learn(&rollout, left, update) {
            Ok(learnt) => Ok(Batch { steps: rollout.len(), episodes, learnt }),
            Err(error) => {
                self.pair.networks = before;
                let watched = self.watched(&rollout, left, update);
                Err(Evidence::failed(error, rollout.to_arrays(), watched))
            }
        }
    }

    fn watch(
        &mut self,
        batch: &mut Arrays,
        left: Left,
        update: u64,
    ) -> Result<Watched, TrainError> {
        let rollout = self.pair.recall(batch)?;
        Ok(self.watched(&rollout, left.after(rollout.len()), update))
    }

    fn acting(&self) -> Policy {
        self.pair.acting()
    }

    fn keep_gradients(&mut self) {
        self.pair.networks.keep_gradients();
    }

    fn inspect(&self) -> Vec<Inspected> {
        self.pair.networks.inspect("")
    }

    fn save_learning(&self, checkpoint: &mut Checkpoint) {
        self.pair.save_learning(checkpoint);
    }

    fn save_collecting(&self, checkpoint: &mut Checkpoint) {
        self.pair.save_collecting(checkpoint);
    }

    fn restore_learning(&mut self, checkpoint: &mut Checkpoint) -> Result<(), TrainError> {
        self.pair.restore_learning(checkpoint)
    }

    fn restore_collecting(
        &mut self,
        checkpoint: &mut Checkpoint,
    ) -> Result<Vec<usize>, TrainError> {
        self.pair.restore_collecting(checkpoint)
    }
}
