//! How fast a device is with networks of a given size: an action, and a minibatch of PPO from its rollout to
//! the new weights, by the very functions that training calls.

use std::time::{Duration, Instant};

use elegante_env::EnvRng;
use elegante_policy::{
    ActionHead, ActionTensor, Actor, ActorCritic, DeviceChoice, Distribution, MlpConfig, Policy,
    PolicyConfig,
};

use super::{Timing, numbers, time};
use crate::{
    PpoConfig, TrainError,
    algorithms::{
        objective::{self, Stage},
        ppo::{self, Surrogate},
    },
    bridge::matrix,
    learner::Learner,
    metrics::Means,
    rollout::{Layout, Minibatch, Rollout, Targets},
    trainer::shard,
};

/// Observations to act on, or to learn from.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// The policy; the value network has the same hidden layers.
    pub policy: PolicyConfig,
    /// Observations.
    pub rows: usize,
}

impl Work {
    /// A choice among `actions` by `inputs` numbers, with these hidden layers.
    pub fn choice(inputs: usize, actions: usize, hidden: &[usize], rows: usize) -> Self {
        let network = MlpConfig { hidden: hidden.to_vec(), ..MlpConfig::default() };
        let head = ActionHead::Categorical { n: actions };
        Self { policy: PolicyConfig::new(inputs, head, network), rows }
    }

    fn observations(&self) -> Vec<f32> {
        numbers(self.rows * self.policy.observation, 5).iter().map(|&x| x as f32).collect()
    }
}

/// A policy that acts, and observations to act on.
#[derive(Clone, Debug)]
pub struct Acting {
    policy: Policy,
    on_host: bool,
    observations: Vec<f32>,
    lanes: Vec<usize>,
}

impl Acting {
    /// A policy on a device.
    ///
    /// # Errors
    /// When the device does not work or can't hold the network.
    pub fn new(device: DeviceChoice, work: &Work) -> Result<Self, TrainError> {
        let policy = work.policy.init(&mut EnvRng::new(1), &device.open()?)?;
        let (observations, lanes) = (work.observations(), (0..work.rows).collect());
        Ok(Self { policy, on_host: device.on_host(), observations, lanes })
    }

    /// The most probable action for every observation, all of them in one forward pass, from the host and
    /// back to it.
    ///
    /// # Errors
    /// When the network says something that is not finite.
    pub fn run(&self) -> Result<(), TrainError> {
        let mut actor = Actor::new(&self.policy, self.lanes.len());
        let said = actor.look(&self.lanes, &self.observations, &[])?;
        std::hint::black_box(self.policy.to_env(said.mode()?));
        Ok(())
    }

    /// How long [`run`](Self::run) takes, as [`time`] measures it.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn time(&self, budget: Duration) -> Result<Timing, TrainError> {
        // A GPU compiles its kernels the first time, which may be beyond the budget.
        if !self.on_host {
            self.run()?;
        }
        time(budget, || self.run())
    }
}

/// A minibatch of PPO, and a policy and a value network to learn from it.
#[derive(Clone, Debug)]
pub struct Update {
    config: PpoConfig,
    on_host: bool,
    learner: Learner<ActorCritic>,
    rollout: Rollout,
    targets: Targets,
    units: Vec<usize>,
    layout: Layout,
}

/// How long the stages of an update took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// Taking the minibatch out of the rollout.
    pub gather: Duration,
    /// From observations to log-probabilities of all actions and to values.
    pub forward: Duration,
    /// From there to the loss.
    pub loss: Duration,
    /// From the loss to the gradient, as one flat vector.
    pub backward: Duration,
    /// Clipping, Adam, and the new parameters' way into the networks.
    pub step: Duration,
}

impl Update {
    /// Networks on a device, a rollout of random observations that is as long as the minibatch, and actions
    /// that the policy has drawn. `threads` is as in training; 0: one for each core.
    ///
    /// # Errors
    /// When the device does not work or can't hold the networks.
    pub fn new(device: DeviceChoice, work: &Work, threads: usize) -> Result<Self, TrainError> {
        let config = PpoConfig { entropy_coef: 0.01, ..PpoConfig::default() };
        let (shard, on_host) = (shard(device), device.on_host());
        let device = device.open()?.autodiff();
        let (mut policy, mut value) = (EnvRng::new(1), EnvRng::new(2));
        let networks = ActorCritic::init(&work.policy, &mut policy, &mut value, &device)?;
        let rollout = rollout(work, &networks.valid())?;
        // Rows come in an order as random as that of a shuffled rollout.
        let mut units: Vec<_> = (0..work.rows).collect();
        let order = numbers(work.rows, 8);
        units.sort_by(|&a, &b| order[a].total_cmp(&order[b]));
        let learner = Learner::adam(networks, config.adam_epsilon, config.max_grad_norm);
        Ok(Self {
            targets: rollout.targets(config.gamma, config.gae_lambda),
            learner: learner.on_threads(match threads {
                0 => std::thread::available_parallelism().map_or(1, usize::from),
                n => n,
            }),
            layout: Layout { normalize_advantages: true, shard, device },
            config,
            on_host,
            rollout,
            units,
        })
    }

    fn batch(&self) -> Minibatch {
        self.rollout.gather(&self.targets, &self.units, &self.layout)
    }

    /// Takes the minibatch out of the rollout and makes one step down its loss. The step has length 0, so that
    /// every call finds the same networks.
    ///
    /// # Errors
    /// When the device computes something that is not finite.
    pub fn run(&mut self) -> Result<(), TrainError> {
        let batch = self.batch();
        let (ε, means) = (self.config.clip_range, &mut Means::default());
        ppo::descend(&self.config, &mut self.learner, &batch, (0.0, ε), 0, means).map(drop)
    }

    /// How long [`run`](Self::run) takes, as [`time`] measures it.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn time(&mut self, budget: Duration) -> Result<Timing, TrainError> {
        // As for `Acting`.
        if !self.on_host {
            self.run()?;
        }
        time(budget, || self.run())
    }

    /// [`run`](Self::run) on one thread, with a look at the clock after every stage. What PPO measures besides, the
    /// share of clipped ratios and the distance from the old policy, is in none of them.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn stages(&mut self) -> Result<Stages, TrainError> {
        let mut stages = Stages::default();
        let mut last = Instant::now();
        let mut lap = || {
            let now = Instant::now();
            now - std::mem::replace(&mut last, now)
        };
        let batch = self.batch();
        stages.gather = lap();
        let objective = Surrogate::new(&self.config, self.config.clip_range);
        let told = objective::staged_loss(&self.learner.module, &batch, &objective, &mut |stage| {
            *match stage {
                Stage::Forward => &mut stages.forward,
                Stage::Loss => &mut stages.loss,
                Stage::Backward => &mut stages.backward,
            } += lap();
        });
        told.descend(&mut self.learner, 0.0, 0, &mut Means::default())?;
        stages.step = lap();
        Ok(stages)
    }

    /// The gradient of the loss with respect to all parameters.
    pub(super) fn gradient(&self) -> Vec<f64> {
        let objective = Surrogate::new(&self.config, self.config.clip_range);
        let told = objective::loss(&self.learner, &self.batch(), &objective);
        told.gradient.into_numbers().into_iter().map(f64::from).collect()
    }
}

/// What a lane might have brought that saw random observations and random rewards.
fn rollout(work: &Work, networks: &ActorCritic) -> Result<Rollout, TrainError> {
    let (policy, observations, rows) = (networks.policy(), work.observations(), work.rows);
    let seen = matrix(observations.clone(), work.policy.observation, &policy.device());
    let π: Distribution = policy.forward(seen, None);
    let mut streams: Vec<_> = (0..rows as u64).map(EnvRng::new).collect();
    let exploring: Vec<_> = streams.iter_mut().map(|stream| policy.exploration(stream)).collect();
    let actions = π.explore(exploring.iter().zip(&mut streams))?;
    let taken: ActionTensor = actions.to_tensor(&policy.device());
    Ok(Rollout {
        lanes: 1,
        width: work.policy.observation,
        head: work.policy.action.clone(),
        observations,
        log_probs: π.log_prob(taken).into_data().iter::<f64>().collect(),
        actions,
        valid: Vec::new(),
        rewards: numbers(rows, 6),
        values: numbers(rows, 7),
        next_values: numbers(rows, 9),
        endings: vec![None; rows],
        starts: vec![false; rows],
        memory: Vec::new(),
    })
}

/// Minibatches that are learnt from in a second on one thread: forwards, backwards, clipping and Adam. Takes
/// about as long as `budget`, or as one update.
///
/// # Errors
/// As [`Update::new`] and [`Update::run`].
pub fn updates_per_second(
    device: DeviceChoice,
    work: &Work,
    budget: Duration,
) -> Result<f64, TrainError> {
    Update::new(device, work, 1)?.time(budget).map(per_second)
}

/// Actions that a policy chooses in a second, a forward pass for all rows of `work`. Takes about as long as
/// `budget`, or as one pass.
///
/// # Errors
/// As [`Acting::new`] and [`Acting::run`].
pub fn actions_per_second(
    device: DeviceChoice,
    work: &Work,
    budget: Duration,
) -> Result<f64, TrainError> {
    let timing = Acting::new(device, work)?.time(budget)?;
    Ok(work.rows as f64 * per_second(timing))
}

fn per_second(timing: Timing) -> f64 {
    timing.seconds.recip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_told_on_every_backend_that_works() {
        for choice in DeviceChoice::compiled_in() {
            if choice.open().is_err() {
                continue;
            }
            let work = Work::choice(4, 2, &[8], 16);
            for rate in [updates_per_second, actions_per_second] {
                let rate = rate(choice, &work, Duration::from_millis(1)).unwrap();
                assert!(rate > 0.0 && rate.is_finite(), "{choice}: {rate}");
            }
        }
    }

    #[test]
    fn every_kind_of_action_can_be_learnt_from() {
        let network = MlpConfig { hidden: vec![8], ..MlpConfig::default() };
        let bounds = || vec![Some(-1.0); 2];
        for head in [
            ActionHead::MultiCategorical { ns: vec![2, 3] },
            ActionHead::Bernoulli { n: 3 },
            ActionHead::Gaussian { low: bounds(), high: bounds(), initial_log_std: 0.0 },
            ActionHead::Beta { low: vec![-1.0], high: vec![1.0] },
        ] {
            let policy = PolicyConfig::new(3, head, network.clone());
            let work = Work { policy, rows: 16 };
            let mut update = Update::new(DeviceChoice::Auto, &work, 1).unwrap();
            update.run().unwrap();
            Acting::new(DeviceChoice::Auto, &work).unwrap().run().unwrap();
        }
    }

    #[test]
    fn an_update_leaves_everything_as_it_was_and_its_stages_are_all_there() {
        // More than a shard.
        let work = Work::choice(4, 2, &[8], 600);
        let mut update = Update::new(DeviceChoice::Auto, &work, 1).unwrap();
        let before = update.gradient();
        update.run().unwrap();
        let stages = update.stages().unwrap();
        assert_eq!(update.gradient(), before);
        assert!(before.iter().any(|g| *g != 0.0));
        let Stages { gather, forward, loss, backward, step } = stages;
        assert!([gather, forward, loss, backward, step].iter().all(|took| !took.is_zero()));
    }
}
