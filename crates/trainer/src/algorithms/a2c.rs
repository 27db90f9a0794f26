//! Advantage actor-critic (Mnih et al., 2016), synchronous.
//!
//! ```text
//! repeat
//!     T steps in each of n lanes with πθ                             episodes run on between rollouts
//!     Âₜ ← GAE(γ, λ),  Gₜ ← Âₜ + V(sₜ)                                truncation bootstraps, both endings cut
//!     L ← −mean log πθ(aₜ|sₜ) Âₜ − c_H H + c_V mean (G − V)²          the whole rollout at once
//!     θ ← RMSprop(θ, ∇θL clipped to a global norm)                   ∇ by burn's autodiff
//! ```

use elegante_policy::{ActorCritic, Policy};

use super::{
    Batch, Learnt, Method, Setup,
    actor_critic::{Loss, Pair, learnt},
};
use crate::{
    A2cConfig, TrainError,
    checkpoint::Checkpoint,
    collector::Options,
    crew::Crew,
    loss::{advantage_policy_gradient, value_mse},
    metrics::Means,
    optim::Learner,
    rollout::{Minibatch, Rollout},
    schedule::Left,
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
        Ok(Self { pair: Pair::new(setup, options, rms_prop)?, config: config.clone() })
    }

    fn learn(&mut self, rollout: &Rollout, left: f64, update: u64) -> Result<Learnt, TrainError> {
        let c = &self.config;
        let targets = rollout.targets(c.gamma, c.gae_lambda);
        let all: Vec<usize> = (0..rollout.units()).collect();
        let batch = rollout.gather(&targets, &all, &self.pair.device);
        let learning_rate = c.schedule.at(c.learning_rate, left);
        let mut means = Means::default();
        descend(c, &mut self.pair.networks, &batch, learning_rate, update, &mut means)?;
        Ok(learnt(means, rollout, &targets, learning_rate))
    }
}

/// The loss of a batch with the networks as they are.
pub(super) fn loss(c: &A2cConfig, networks: &ActorCritic, crew: &Crew, batch: &Minibatch) -> Loss {
    let advantages = batch.advantages(c.normalize_advantages);
    let (π, value) = batch.evaluate(networks, crew);
    let log_prob = π.log_prob(batch.actions.clone());
    let policy = advantage_policy_gradient(log_prob, advantages);
    let value = value_mse(value, batch.tensor(&batch.returns));
    Loss::new(networks, policy, π.entropy().mean(), value, [c.entropy_coef, c.value_coef])
}

/// One step down that loss.
pub(super) fn descend(
    c: &A2cConfig,
    networks: &mut Learner<ActorCritic>,
    batch: &Minibatch,
    learning_rate: f64,
    update: u64,
    means: &mut Means,
) -> Result<(), TrainError> {
    let loss = loss(c, &networks.module, &networks.crew, batch);
    loss.tell(means);
    loss.descend(networks, learning_rate, update, means)
}

impl Method for A2c {
    fn update(&mut self, left: Left, update: u64) -> Result<Batch, TrainError> {
        let (rollout, episodes) = self.pair.collect(self.config.n_steps)?;
        let before = self.pair.networks.clone();
        // As in Stable-Baselines3, whose presets these are, a schedule looks at what is left after the
        // rollout.
        let learnt = self.learn(&rollout, left.after(rollout.len()), update);
        let learnt = learnt.inspect_err(|_| self.pair.networks = before)?;
        Ok(Batch { steps: rollout.len(), episodes, learnt })
    }

    fn acting(&self) -> Policy {
        self.pair.acting()
    }

    fn save(&self, checkpoint: &mut Checkpoint) {
        self.pair.save(checkpoint);
    }

    fn restore(&mut self, checkpoint: &mut Checkpoint) -> Result<Vec<usize>, TrainError> {
        self.pair.restore(checkpoint)
    }
}
