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

use std::sync::Arc;

use burn::tensor::Tensor;
use elegante_env::EnvRng;
use elegante_policy::{ActorCritic, Policy};

use super::{
    Batch, Evidence, Failed, Learnt, Method, Setup, Watched,
    actor_critic::{Pair, learnt, record},
    approximate_kl, excess,
    objective::{self, Objective},
};
use crate::{
    PpoConfig, TrainError,
    checkpoint::Checkpoint,
    collector::Options,
    crew::{Ahead, Task},
    inspect::Inspected,
    learner::Learner,
    loss::{clipped_surrogate, clipped_value_mse, value_mse},
    metrics::Means,
    minibatches::Minibatches,
    rollout::{Minibatch, Rollout, Shard},
    schedule::Left,
    streams::{Purpose, stream},
    watch::{Arrays, Watch},
};

/// The state of PPO: environments, networks that learn, and what shuffles the steps.
pub(crate) struct Ppo {
    config: PpoConfig,
    pair: Pair,
    shuffle: EnvRng,
}

impl Ppo {
    pub(crate) fn new(config: &PpoConfig, setup: Setup<'_>) -> Result<Self, TrainError> {
        let c = config;
        let options = Options {
            gamma: c.gamma,
            normalize_observations: c.normalize_observations,
            normalize_rewards: c.normalize_rewards,
            sde_sample_steps: c.sde_sample_steps,
        };
        let (lanes, shuffle) = (setup.envs.len(), stream(setup.seed, Purpose::Shuffle, 0));
        let adam = |networks| Learner::adam(networks, c.adam_epsilon, c.max_grad_norm);
        let pair = Pair::new(setup, options, c.normalize_advantages, adam)?;
        let remembering = pair.networks.module.memory() > 0;
        Minibatches::new(c.batch_size, c.n_steps, lanes, remembering)?;
        Ok(Self { pair, shuffle, config: config.clone() })
    }

    /// K epochs over the rollout.
    fn learn(
        &mut self,
        rollout: &Arc<Rollout>,
        left: f64,
        update: u64,
    ) -> Result<Learnt, TrainError> {
        let c = &self.config;
        let targets = Arc::new(rollout.targets(c.gamma, c.gae_lambda));
        let learning_rate = c.schedule.at(c.learning_rate, left);
        let ε = c.clip_schedule.at(c.clip_range, left);
        let steps = rollout.len() / rollout.lanes;
        let remembering = !rollout.memory.is_empty();
        let deal = Minibatches::new(c.batch_size, steps, rollout.lanes, remembering)?;

        let mut means = Means::default();
        'epochs: for _ in 0..c.epochs {
            let gather = |units: Vec<usize>| -> Task<Minibatch> {
                let (rollout, targets) = (rollout.clone(), targets.clone());
                let layout = self.pair.layout.clone();
                Box::new(move || rollout.gather(&targets, &units, &layout))
            };
            let mut deal = deal.shuffled(&mut self.shuffle).into_iter().map(gather);
            // While one minibatch is learnt from, another thread takes the next out of the rollout.
            let mut next = deal.next().map(Ahead::Later);
            while let Some(batch) = next.map(Ahead::get) {
                next = deal.next().map(|gather| self.pair.networks.crew.ahead(gather));
                let kl = descend(
                    &self.config,
                    &mut self.pair.networks,
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
        self.pair.networks.tell_variation(&mut means);
        means.add("clip_range", ε);
        let learnt = learnt(means, rollout, &targets, learning_rate);
        let kl = learnt.values.get("approx_kl").copied();
        self.pair.guard.check(update, kl, learnt.entropy)?;
        Ok(learnt)
    }

    /// The same, with every number on record and everything afterwards as it was.
    fn watched(&mut self, rollout: &Arc<Rollout>, left: f64, update: u64) -> Watched {
        let before = (self.pair.networks.clone(), self.shuffle.clone());
        self.pair.networks.watch = Some(Watch::default());
        let outcome = self.learn(rollout, left, update).map(drop);
        let watch = self.pair.networks.watch.take().unwrap_or_default();
        (self.pair.networks, self.shuffle) = before;
        Watched { watch, outcome }
    }
}

/// What PPO wants of a minibatch.
#[derive(Clone, Copy)]
pub(crate) struct Surrogate {
    pub(super) ε: f64,
    clip_value: Option<f64>,
    coefficients: [f64; 2],
}

impl Surrogate {
    pub(crate) fn new(c: &PpoConfig, ε: f64) -> Self {
        let coefficients = [c.entropy_coef, c.value_coef];
        Self { ε, clip_value: c.clip_value, coefficients }
    }
}

impl Objective for Surrogate {
    fn policy_loss(&self, log_prob: Tensor<1>, rows: &Shard) -> Tensor<1> {
        let [old, advantage] = [&rows.old_log_probs, &rows.advantages].map(|x| rows.tensor(x));
        clipped_surrogate(log_prob, old, advantage, self.ε)
    }

    fn value_loss(&self, value: Tensor<2>, rows: &Shard) -> Tensor<1> {
        let returns = rows.tensor(&rows.returns);
        match self.clip_value {
            Some(ε) => {
                let old = rows.tensor(&rows.old_values);
                clipped_value_mse(value.squeeze_dim(1), old, returns, ε)
            }
            None => value_mse(value, returns),
        }
    }

    fn coefficients(&self) -> [f64; 2] {
        self.coefficients
    }
}

/// One step down the loss of one minibatch; returns how far πθ is from π_old. Where that is too far
/// already, the step is not made.
pub(crate) fn descend(
    c: &PpoConfig,
    networks: &mut Learner<ActorCritic>,
    batch: &Minibatch,
    (learning_rate, ε): (f64, f64),
    update: u64,
    means: &mut Means,
) -> Result<f64, TrainError> {
    record(networks, batch);
    let told = objective::loss(networks, batch, &Surrogate::new(c, ε));
    let log_ratio = batch.log_ratios(&told.log_probs);
    let excess = excess(&log_ratio);
    if let Some(excess) = excess.iter().find(|excess| !excess.is_finite()) {
        return Err(TrainError::NotFinite { update, what: "ratio", value: excess + 1.0 });
    }
    let kl = approximate_kl(&log_ratio, &excess);
    means.add("approx_kl", kl);
    means.add("clip_fraction", share(&excess, |excess| excess.abs() > ε));
    told.tell(means, networks.watch.as_mut());
    if c.target_kl.is_some_and(|target| kl > 1.5 * target) {
        return Ok(kl);
    }
    told.descend(networks, learning_rate, update, means)?;
    Ok(kl)
}

fn share(values: &[f64], of: impl Fn(f64) -> bool) -> f64 {
    values.iter().filter(|&&x| of(x)).count() as f64 / values.len() as f64
}

impl Method for Ppo {
    fn update(&mut self, left: Left, update: u64) -> Result<Batch, Failed> {
        let (rollout, episodes) = self.pair.collect(self.config.n_steps)?;
        let rollout = Arc::new(rollout);
        let before = (self.pair.networks.clone(), self.shuffle.clone());
        // As in Stable-Baselines3, whose presets these are, a schedule looks at what is left after the
        // rollout.
        let left = left.after(rollout.len());
        match self.learn(&rollout, left, update) {
            Ok(learnt) => Ok(Batch { steps: rollout.len(), episodes, learnt }),
            Err(error) => {
                (self.pair.networks, self.shuffle) = before;
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
        let rollout = Arc::new(self.pair.recall(batch)?);
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
        checkpoint.note("shuffle", &self.shuffle);
        self.pair.save_learning(checkpoint);
    }

    fn save_collecting(&self, checkpoint: &mut Checkpoint) {
        self.pair.save_collecting(checkpoint);
    }

    fn restore_learning(&mut self, checkpoint: &mut Checkpoint) -> Result<(), TrainError> {
        self.shuffle = checkpoint.recall("shuffle")?;
        self.pair.restore_learning(checkpoint)
    }

    fn restore_collecting(
        &mut self,
        checkpoint: &mut Checkpoint,
    ) -> Result<Vec<usize>, TrainError> {
        self.pair.restore_collecting(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GuardConfig, TrainConfig, config::Algorithm};
    use elegante_env::{AnyEnv, DynEnv, Identity};
    use elegante_policy::{DeviceChoice, MlpConfig};

    #[test]
    fn a_ratio_that_is_not_finite_ends_the_update_and_is_found() {
        let config = PpoConfig { n_steps: 8, batch_size: 8, ..PpoConfig::default() };
        let network = MlpConfig { hidden: vec![4], ..TrainConfig::default().network };
        let envs = vec![AnyEnv::new(Identity::default())];
        let (observation, action) = (envs[0].observation_space(), envs[0].action_space());
        let algorithm = Algorithm::Ppo(config.clone());
        let setup = Setup {
            policy: algorithm.policy_config(&observation, &action, &network).unwrap(),
            network: &network,
            guard: GuardConfig::default(),
            seed: 0,
            steps: 8,
            threads: 1,
            shard: usize::MAX,
            device: DeviceChoice::Auto.open().unwrap().autodiff(),
            build: None,
            envs,
        };
        let mut ppo = Ppo::new(&config, setup).unwrap();
        let (mut rollout, _) = ppo.pair.collect(config.n_steps).unwrap();
        // As if the old policy had never done what it did.
        rollout.log_probs.fill(-1e4);
        let rollout = Arc::new(rollout);
        let error = ppo.learn(&rollout, 1.0, 1).err();
        assert!(matches!(error, Some(TrainError::NotFinite { what: "ratio", .. })), "{error:?}");
        let stages = ppo.watched(&rollout, 1.0, 1).watch.summary();
        let first = stages.iter().find(|stage| stage.bad.is_some()).unwrap();
        assert_eq!((first.name.as_str(), first.count), ("ratio", 8));
    }
}
