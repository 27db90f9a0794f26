//! Proximal policy optimisation (Schulman et al., 2017), with the clipped surrogate.
//!
//! ```text
//! repeat
//!     T steps in each of n lanes with π_old = πθ                     episodes run on between rollouts
//!     Âₜ ← GAE(γ, λ),  Gₜ ← Âₜ + V(sₜ)                                truncation bootstraps, both endings cut
//!     for K epochs, for each minibatch of the shuffled steps
//!         Â ← (Â − mean)/(std + 1e-8)                                over the minibatch
//!         L ← −mean min(ρÂ, clip(ρ, 1 ± ε)Â) − c_H H + c_V mean (G − V)²,   ρ = πθ/π_old
//!         θ ← Adam(θ, ∇θL clipped to a global norm)                  ∇ by burn's autodiff
//!         stop early if KL(π_old, πθ) > 1.5 · target
//! ```

use burn::tensor::Device;
use elegante_env::EnvRng;
use elegante_policy::{ActorCritic, Policy};

use crate::{
    PpoConfig, TrainError,
    algorithms::{Batch, Learnt, Loss, Method, Setup, learnt},
    checkpoint::Checkpoint,
    collector::{Collector, Options},
    crew::Crew,
    loss::{clipped_surrogate, clipped_value_mse, value_mse},
    metrics::Means,
    minibatches::{Minibatches, normalized},
    optim::Learner,
    rollout::{Minibatch, Rollout},
    schedule::Left,
    streams::{Purpose, stream},
};

/// The state of PPO: environments, networks that learn, and what shuffles the steps.
pub(crate) struct Ppo {
    config: PpoConfig,
    collector: Collector,
    networks: Learner<ActorCritic>,
    shuffle: EnvRng,
    device: Device,
}

impl Ppo {
    pub(crate) fn new(config: &PpoConfig, setup: Setup<'_>) -> Result<Self, TrainError> {
        let networks = setup.new_actor_critic()?;
        let Setup { envs, seed, device, threads, .. } = setup;
        let options = Options {
            gamma: config.gamma,
            normalize_observations: config.normalize_observations,
            normalize_rewards: config.normalize_rewards,
            sde_sample_steps: config.sde_sample_steps,
        };
        let remembering = networks.memory() > 0;
        Minibatches::new(config.batch_size, config.n_steps, envs.len(), remembering)?;
        Ok(Self {
            collector: Collector::new(envs, seed, &networks, options)?,
            networks: Learner::adam(networks, config.adam_epsilon, config.max_grad_norm)
                .on_threads(threads),
            shuffle: stream(seed, Purpose::Shuffle, 0),
            config: config.clone(),
            device,
        })
    }

    /// K epochs over the rollout.
    fn learn(&mut self, rollout: &Rollout, left: f64, update: u64) -> Result<Learnt, TrainError> {
        let c = &self.config;
        let targets = rollout.targets(c.gamma, c.gae_lambda);
        let learning_rate = c.schedule.at(c.learning_rate, left);
        let ε = c.clip_schedule.at(c.clip_range, left);
        let steps = rollout.len() / rollout.lanes;
        let remembering = !rollout.memory.is_empty();
        let deal = Minibatches::new(c.batch_size, steps, rollout.lanes, remembering)?;

        let mut means = Means::default();
        'epochs: for _ in 0..c.epochs {
            for units in deal.shuffled(&mut self.shuffle) {
                let batch = rollout.gather(&targets, &units, &self.device);
                let kl = descend(
                    &self.config,
                    &mut self.networks,
                    &batch,
                    (learning_rate, ε),
                    update,
                    &mut means,
                )?;
                if self.config.target_kl.is_some_and(|target| kl > 1.5 * target) {
                    break 'epochs;
                }
            }
        }
        means.add("clip_range", ε);
        Ok(learnt(means, rollout, &targets, learning_rate))
    }
}

/// The loss of one minibatch with the networks as they are, and log ρ of every step.
pub(super) fn loss(
    c: &PpoConfig,
    networks: &ActorCritic,
    crew: &Crew,
    batch: &Minibatch,
    ε: f64,
) -> (Loss, Vec<f64>) {
    let advantages = if c.normalize_advantages {
        normalized(&batch.advantages)
    } else {
        batch.advantages.clone()
    };
    let (π, value) = batch.evaluate(networks, crew);
    let log_prob = π.log_prob(batch.actions.clone());
    let old_log_prob = batch.tensor(&batch.old_log_probs);
    let log_ratio = log_prob.clone() - old_log_prob.clone();

    let policy = clipped_surrogate(log_prob, old_log_prob, batch.tensor(&advantages), ε);
    let returns = batch.tensor(&batch.returns);
    let value = match c.clip_value {
        Some(ε) => clipped_value_mse(value, batch.tensor(&batch.old_values), returns, ε),
        None => value_mse(value, returns),
    };
    let loss =
        Loss::new(networks, policy, π.entropy().mean(), value, [c.entropy_coef, c.value_coef]);
    (loss, log_ratio.into_data().iter::<f64>().collect())
}

/// One step down the loss of one minibatch; returns how far πθ is from π_old. Where that is too far
/// already, the step is not made.
pub(super) fn descend(
    c: &PpoConfig,
    networks: &mut Learner<ActorCritic>,
    batch: &Minibatch,
    (learning_rate, ε): (f64, f64),
    update: u64,
    means: &mut Means,
) -> Result<f64, TrainError> {
    let (loss, log_ratio) = loss(c, &networks.module, &networks.crew, batch, ε);
    let excess: Vec<f64> = log_ratio.iter().map(|x| x.exp_m1()).collect();
    let kl = approximate_kl(&log_ratio, &excess);
    means.add("approx_kl", kl);
    means.add("clip_fraction", share(&excess, |excess| excess.abs() > ε));
    loss.tell(means);
    if c.target_kl.is_some_and(|target| kl > 1.5 * target) {
        return Ok(kl);
    }
    let descent = networks.descend(loss.parts, learning_rate, update)?;
    means.add("loss", descent.loss);
    means.add("grad_norm", descent.grad_norm);
    Ok(kl)
}

/// k₃ = mean (ρ − 1 − log ρ) ≈ KL(π_old, πθ), never negative (Schulman, 2020, "Approximating KL
/// divergence"); `excess` is ρ − 1.
fn approximate_kl(log_ratio: &[f64], excess: &[f64]) -> f64 {
    let terms = excess.iter().zip(log_ratio).map(|(excess, log_ratio)| excess - log_ratio);
    terms.sum::<f64>() / log_ratio.len() as f64
}

fn share(values: &[f64], of: impl Fn(f64) -> bool) -> f64 {
    values.iter().filter(|&&x| of(x)).count() as f64 / values.len() as f64
}

impl Method for Ppo {
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
        checkpoint.note("shuffle", &self.shuffle);
        self.collector.save(checkpoint);
    }

    fn restore(&mut self, checkpoint: &mut Checkpoint) -> Result<Vec<usize>, TrainError> {
        checkpoint.get("networks", &mut self.networks)?;
        self.shuffle = checkpoint.recall("shuffle")?;
        self.collector.restore(checkpoint)
    }
}
