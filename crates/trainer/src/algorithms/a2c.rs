//! Advantage actor-critic (Mnih et al., 2016), synchronous.
//!
//! ```text
//! repeat
//!     T steps in each of n lanes with πθ                             episodes run on between rollouts
//!     Âₜ ← GAE(γ, λ),  Gₜ ← Âₜ + V(sₜ)                                truncation bootstraps, both endings cut
//!     L ← −mean log πθ(aₜ|sₜ) Âₜ − c_H H + c_V mean (G − V)²          the whole rollout at once
//!     θ ← RMSprop(θ, ∇θL clipped to a global norm)                   ∇ by burn's autodiff
//! ```

use burn::tensor::Device;
use elegante_policy::{ActorCritic, Policy};

use crate::{
    A2cConfig, TrainError,
    algorithms::{Batch, Learnt, Loss, Method, Setup, learnt},
    checkpoint::Checkpoint,
    collector::{Collector, Options},
    crew::Crew,
    loss::{advantage_policy_gradient, value_mse},
    metrics::Means,
    minibatches::normalized,
    optim::Learner,
    rollout::{Minibatch, Rollout},
    schedule::Left,
};

/// The state of A2C: environments, and networks that learn.
pub(crate) struct A2c {
    config: A2cConfig,
    collector: Collector,
    networks: Learner<ActorCritic>,
    device: Device,
}

impl A2c {
    pub(crate) fn new(config: &A2cConfig, setup: Setup<'_>) -> Result<Self, TrainError> {
        let networks = setup.new_actor_critic()?;
        let Setup { envs, seed, device, threads, .. } = setup;
        let options = Options {
            gamma: config.gamma,
            normalize_observations: config.normalize_observations,
            normalize_rewards: config.normalize_rewards,
            sde_sample_steps: config.sde_sample_steps,
        };
        let (decay, epsilon) = (config.rms_decay, config.rms_epsilon);
        Ok(Self {
            collector: Collector::new(envs, seed, &networks, options)?,
            networks: Learner::rms_prop(networks, decay, epsilon, config.max_grad_norm)
                .on_threads(threads),
            config: config.clone(),
            device,
        })
    }

    fn learn(&mut self, rollout: &Rollout, left: f64, update: u64) -> Result<Learnt, TrainError> {
        let c = &self.config;
        let targets = rollout.targets(c.gamma, c.gae_lambda);
        let all: Vec<usize> = (0..rollout.units()).collect();
        let batch = rollout.gather(&targets, &all, &self.device);
        let learning_rate = c.schedule.at(c.learning_rate, left);
        let mut means = Means::default();
        descend(c, &mut self.networks, &batch, learning_rate, update, &mut means)?;
        Ok(learnt(means, rollout, &targets, learning_rate))
    }
}

/// The loss of a batch with the networks as they are.
pub(super) fn loss(c: &A2cConfig, networks: &ActorCritic, crew: &Crew, batch: &Minibatch) -> Loss {
    let advantages = if c.normalize_advantages {
        normalized(&batch.advantages)
    } else {
        batch.advantages.clone()
    };
    let (π, value) = batch.evaluate(networks, crew);
    let log_prob = π.log_prob(batch.actions.clone());
    let policy = advantage_policy_gradient(log_prob, batch.tensor(&advantages));
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
    let descent = networks.descend(loss.parts, learning_rate, update)?;
    means.add("loss", descent.loss);
    means.add("grad_norm", descent.grad_norm);
    Ok(())
}

impl Method for A2c {
    fn update(&mut self, left: Left, update: u64) -> Result<Batch, TrainError> {
        let acting = self.networks.module.valid();
        let (rollout, episodes) = self.collector.collect(&acting, self.config.n_steps)?;
        let before = self.networks.clone();
        // As in Stable-Baselines3, whose presets these are, a schedule looks at what is left after the
        // rollout.
        let learnt = self.learn(&rollout, left.after(rollout.len()), update);
        if learnt.is_err() {
            self.networks = before;
        }
        Ok(Batch { steps: rollout.len(), episodes, learnt: learnt? })
    }

    fn acting(&self) -> Policy {
        self.collector.export(self.networks.module.policy().valid())
    }

    fn save(&self, checkpoint: &mut Checkpoint) {
        checkpoint.put("networks", &self.networks);
        self.collector.save(checkpoint);
    }

    fn restore(&mut self, checkpoint: &mut Checkpoint) -> Result<Vec<usize>, TrainError> {
        checkpoint.get("networks", &mut self.networks)?;
        self.collector.restore(checkpoint)
    }
}
