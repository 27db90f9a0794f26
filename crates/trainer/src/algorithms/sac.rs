//! Soft actor-critic (Haarnoja et al., 2018b), and its form for a choice among n (Christodoulou, 2019).
//!
//! ```text
//! repeat
//!     k steps in each of n lanes, a ~ πθ(·|s), or any at first                        into the buffer
//!     for each of g minibatches (s, a, R, s′, Γ) drawn from the buffer
//!         α ← Adam(α, −∇ log α · mean (log πθ(ã|s) + H̄)), ã ~ πθ(·|s)             if it is learnt
//!         y ← R + Γ (minᵢ Qᵢ⁻(s′, a′) − α log πθ(a′|s′)), a′ ~ πθ(·|s′)           a choice: Σ over a′
//!         φ ← Adam(φ, ∇φ ½ Σᵢ mean (Qᵢ(s, a) − y)²)                           ∇ by burn's autodiff
//!         θ ← Adam(θ, ∇θ mean [α log πθ(ã|s) − minᵢ Qᵢ(s, ã)])                a choice: Σ over ã
//!         Qᵢ⁻ ← τ Qᵢ + (1 − τ) Qᵢ⁻                                         every so many minibatches
//! ```
//!
//! A continuous action is a = tanh u. u is what the buffer keeps: the actor draws it, the one map to an
//! environment's bounds begins with it, and tanh u, which the critics see, can be had from it to the last bit
//! where u can't be had from tanh u.

mod choice;
#[cfg(test)]
mod tests;

use std::f64::consts::LN_2;

use burn::{
    module::{Module, Param},
    tensor::{Tensor, TensorData},
};
use elegante_env::EnvRng;
use elegante_policy::{
    ActionBatch, ActionHead, ActionTensor, Critics, Distribution, Exploration, Policy,
    SquashedGaussian,
};

use choice::Choice;

use super::{
    Setup,
    critics::{Judges, column, descend, evenly, flat, normal, without_memory},
    off_policy::{Agent, Moment, OffPolicy, Seen, replaying},
};
use crate::{
    SacConfig, TrainError,
    bridge::{mask, matrix},
    checkpoint::Checkpoint,
    config::check,
    inspect::Inspected,
    learner::Learner,
    loss::{actor, bellman_target, temperature},
    metrics::Means,
    replay_buffer::Transitions,
    schedule::Left,
    streams::{Purpose, stream},
    watch::Watch,
};

/// Of the entropy of a choice where all n are equal, what is aimed at (Christodoulou, 2019).
const AIM: f64 = 0.98;

/// The networks of SAC.
#[derive(Clone)]
pub(super) struct Sac {
    config: SacConfig,
    /// πθ.
    pub(super) actor: Learner<Policy>,
    pub(super) critics: Judges,
    /// log α, where it is learnt.
    pub(super) temperature: Option<Learner<Temperature>>,
    /// What ã and a′ are drawn with.
    noise: EnvRng,
    /// What each lane explores with until the next update; gSDE only.
    explorations: Vec<Exploration>,
    /// Minibatches learnt from.
    minibatches: u64,
    watch: Option<Watch>,
}

/// log α as a parameter.
#[derive(Module, Debug)]
pub(super) struct Temperature {
    log_alpha: Param<Tensor<1>>,
}

/// SAC with its environments.
pub(super) fn new(config: &SacConfig, setup: Setup<'_>) -> Result<OffPolicy<Sac>, TrainError> {
    let c = config;
    let replaying = replaying!("sac.buffer_size", c);
    let (head, width) = (&setup.policy.action, setup.policy.observation);
    let shape = match head {
        ActionHead::Categorical { n } => [width, *n],
        head => [width + head.dims(), 1],
    };
    if let (Some(target), None) = (c.target_entropy, c.entropy_coef) {
        reachable(target, head)?;
    }
    let (policy, critics) = (setup.new_policy()?, setup.new_critics(c.critics, shape)?);
    without_memory("SAC", policy.memory() + critics.memory())?;
    let noise = stream(setup.seed, Purpose::Noise, 0);
    OffPolicy::new(Sac::new(config, policy, critics, noise), setup, replaying)
}

/// Refuses an entropy that no policy has: α would grow without end.
fn reachable(target: f64, head: &ActionHead) -> Result<(), TrainError> {
    let (most, of) = match head {
        ActionHead::Categorical { n } => ((*n as f64).ln(), format!("ln {n}")),
        // Within ±1, where the entropy is measured, in each entry.
        head => (head.dims() as f64 * LN_2, format!("{} ln 2", head.dims())),
    };
    let expected = format!("below {most:.4} ({of}), the entropy of actions drawn evenly");
    check("sac.target_entropy", target, target < most, expected)
}

impl Sac {
    /// `policy` and `critics` have autodiff.
    pub(super) fn new(config: &SacConfig, policy: Policy, critics: Critics, noise: EnvRng) -> Self {
        let c = config;
        let learnt = c.entropy_coef.is_none().then(|| {
            let log_alpha = vec![c.initial_entropy_coef.ln() as f32];
            let data = TensorData::new(log_alpha, [1]);
            let log_alpha = Param::from_data(data, &policy.device());
            Learner::adam(Temperature { log_alpha }, c.adam_epsilon, 0.0)
        });
        Self {
            config: c.clone(),
            actor: Learner::adam(policy, c.adam_epsilon, c.max_grad_norm),
            critics: Judges::new(critics, c.adam_epsilon, c.max_grad_norm),
            temperature: learnt,
            noise,
            explorations: Vec::new(),
            minibatches: 0,
            watch: None,
        }
    }

    /// α.
    pub(super) fn alpha(&self) -> f64 {
        let learnt = self.temperature.as_ref().map(Learner::parameters);
        match learnt.as_deref() {
            Some([log_alpha]) => f64::from(*log_alpha).exp(),
            _ => self.config.entropy_coef.unwrap_or_default(),
        }
    }

    /// H̄, in states that allow `valid`: `[rows × choices]`, or nothing where all is allowed.
    fn aim(&self, valid: &[bool]) -> f64 {
        match (self.config.target_entropy, self.head()) {
            (Some(set), _) => set,
            (None, ActionHead::Categorical { n }) if valid.is_empty() => AIM * (*n as f64).ln(),
            // Chances are even at ln of what there is to choose from, and no entropy is larger.
            (None, ActionHead::Categorical { n }) => {
                let rows = valid.chunks_exact(*n);
                let (most, count) = rows.fold((0.0, 0), |(sum, count), row| {
                    let allowed = row.iter().filter(|allowed| **allowed).count();
                    (sum + (allowed as f64).ln(), count + 1)
                });
                AIM * most / f64::from(count)
            }
            (None, head) => -(head.dims() as f64),
        }
    }

    /// The noise of ã and of a′, for minibatches of `rows`.
    fn draw(&mut self, rows: usize) -> [Vec<f32>; 2] {
        match self.head() {
            ActionHead::Categorical { .. } => [Vec::new(), Vec::new()],
            ActionHead::Gsde { .. } => {
                // One E for all of it, as long as nothing has been learnt from it.
                let held = self.actor.module.exploration(&mut self.noise).noise().to_vec();
                [held.clone(), held]
            }
            head => {
                let n = rows * head.dims();
                [normal(n, &mut self.noise), normal(n, &mut self.noise)]
            }
        }
    }

    /// Learns from a minibatch, with this noise for ã and for a′.
    pub(super) fn improve(
        &mut self,
        batch: &Transitions,
        noise: &[Vec<f32>; 2],
        at: Moment,
        means: &mut Means,
    ) -> Result<(), TrainError> {
        self.record(batch);
        let (rate, alpha) = (self.learning_rate(at.left), self.alpha());
        let width = self.actor.module.config().observation;
        let device = self.actor.module.device();
        let observations = matrix(batch.observations.clone(), width, &device);
        let policy = &self.actor.module;
        let choice = Choice::of(policy, observations.clone(), &batch.valid, &noise[0])?;
        let log_prob = choice.log_prob().detach();
        means.add("entropy", -log_prob.clone().mean().into_scalar::<f64>());
        means.add("ent_coef", alpha);
        self.cool(log_prob, self.aim(&batch.valid), (rate, at.update), means)?;

        let target = self.targets(batch, &noise[1], alpha)?;
        let values = self.values(batch, observations.clone())?;
        let how = (0.5, rate, at.update);
        self.critics.learn(values, target, how, &mut self.watch, means)?;

        let value = choice.value(&self.critics.online.module.frozen(), observations, alpha);
        if let Some(watch) = &mut self.watch {
            watch.record("value of the policy", column(value.clone().inner()));
        }
        let watch = (&mut self.watch, "policy.");
        let descent = descend(&mut self.actor, watch, actor(value), rate, at.update)?;
        means.add("actor_loss", descent.loss);

        self.minibatches += 1;
        if self.minibatches.is_multiple_of(self.config.target_update_interval) {
            self.critics.follow(self.config.tau);
        }
        Ok(())
    }

    /// One step of α, where it is learnt.
    fn cool(
        &mut self,
        log_prob: Tensor<1>,
        target_entropy: f64,
        (rate, update): (f64, u64),
        means: &mut Means,
    ) -> Result<(), TrainError> {
        let Some(learner) = &mut self.temperature else { return Ok(()) };
        let log_alpha = learner.module.log_alpha.val();
        let loss = temperature(log_alpha, log_prob, target_entropy);
        let descent = descend(learner, (&mut self.watch, "temperature."), loss, rate, update)?;
        means.add("ent_coef_loss", descent.loss);
        Ok(())
    }

    /// y, without a gradient: `[rows]`.
    pub(super) fn targets(
        &self,
        batch: &Transitions,
        noise: &[f32],
        alpha: f64,
    ) -> Result<Tensor<1>, TrainError> {
        let policy = self.actor.module.valid();
        let (device, width) = (policy.device(), policy.config().observation);
        let next = matrix(batch.next_observations.clone(), width, &device);
        let choice = Choice::of(&policy, next.clone(), &batch.next_valid, noise)?;
        let value = choice.value(&self.critics.target.module, next, alpha);
        let numbers = |all: &[f32]| Tensor::<1>::from_data(all, &device);
        Ok(bellman_target(numbers(&batch.rewards), numbers(&batch.discounts), value))
    }

    /// Qᵢ(s, a) of every critic, a `[rows]` each.
    fn values(
        &self,
        batch: &Transitions,
        observations: Tensor<2>,
    ) -> Result<Vec<Tensor<1>>, TrainError> {
        let critics = &self.critics.online.module;
        match batch.actions.to_tensor(&observations.device()) {
            ActionTensor::Discrete(actions) => {
                let all = critics.forward(&observations).into_iter();
                Ok(all.map(|values| elegante_kernels::pick(values, actions.clone())).collect())
            }
            ActionTensor::Continuous(u) => {
                let action = SquashedGaussian::squash(u);
                let judged = Tensor::cat(vec![observations, action], 1);
                Ok(critics.forward(&judged).into_iter().map(flat).collect())
            }
            _ => Err(TrainError::Unsupported("SAC learns from choices and from vectors".into())),
        }
    }

    /// Puts on record what is learnt from, where the update is watched.
    fn record(&mut self, batch: &Transitions) {
        let Some(watch) = &mut self.watch else { return };
        let policy = &self.actor.module;
        watch.begin();
        batch.record(watch, policy.config().observation);
        watch.turn("policy.");
        watch.parameters("weight", policy, &self.actor.parameters());
        self.critics.record(watch);
    }
}

impl Agent for Sac {
    const MEASURES: &'static [&'static str] =
        &["actor_loss", "critic_loss", "ent_coef", "ent_coef_loss", "q_value", "grad_variance"];

    fn head(&self) -> &ActionHead {
        &self.actor.module.config().action
    }

    fn policy(&self) -> Policy {
        self.actor.module.valid()
    }

    fn act(
        &mut self,
        policy: &Policy,
        seen: Seen<'_>,
        at: Left,
        streams: &mut [EnvRng],
    ) -> Result<ActionBatch, TrainError> {
        if at.steps < self.config.learning_starts {
            return Ok(evenly(self.head(), seen.valid, streams));
        }
        let (device, width) = (policy.device(), policy.config().observation);
        let observations = matrix(seen.observations.to_vec(), width, &device);
        let valid = mask(seen.valid, self.head().choices(), &device);
        let distribution = policy.forward(observations, valid);
        if let Distribution::Gsde(gsde) = distribution {
            let every = self.config.sde_sample_steps;
            let due = seen.since == 0 || (every > 0 && seen.since.is_multiple_of(every));
            // Nor are there any yet where the first of these steps were drawn evenly.
            if due || self.explorations.len() != streams.len() {
                let draw = |stream: &mut EnvRng| policy.exploration(stream);
                self.explorations = streams.iter_mut().map(draw).collect();
            }
            return Ok(gsde.explore(&self.explorations)?);
        }
        Ok(distribution.sample(streams)?)
    }

    fn learn(
        &mut self,
        batch: &Transitions,
        at: Moment,
        means: &mut Means,
    ) -> Result<Vec<f32>, TrainError> {
        let noise = self.draw(batch.rows.len());
        self.improve(batch, &noise, at, means)?;
        Ok(Vec::new())
    }

    fn tell_variation(&mut self, means: &mut Means) {
        self.critics.online.tell_variation(means);
        // Of the others' nobody is told, but the next update's are to be counted from here too.
        self.actor.variation.take();
        if let Some(temperature) = &mut self.temperature {
            temperature.variation.take();
        }
    }

    fn learning_rate(&self, at: Left) -> f64 {
        self.config.schedule.at(self.config.learning_rate, at.after(0))
    }

    fn watch(&mut self) -> &mut Option<Watch> {
        &mut self.watch
    }

    fn keep_gradients(&mut self) {
        self.actor.keep_gradients();
        self.critics.online.keep_gradients();
        self.temperature.iter_mut().for_each(Learner::keep_gradients);
    }

    fn inspect(&self) -> Vec<Inspected> {
        let mut all = self.actor.inspect("policy");
        all.extend(self.critics.online.inspect("critics"));
        all.extend(self.temperature.iter().flat_map(|it| it.inspect("temperature")));
        all
    }

    fn save(&self, checkpoint: &mut Checkpoint) {
        checkpoint.put("actor", &self.actor);
        self.critics.save(checkpoint);
        self.temperature.iter().for_each(|it| checkpoint.put("temperature", it));
        checkpoint.note("noise", &self.noise);
        checkpoint.note("minibatches", &self.minibatches);
    }

    fn restore(&mut self, checkpoint: &mut Checkpoint) -> Result<(), TrainError> {
        checkpoint.get("actor", &mut self.actor)?;
        self.critics.restore(checkpoint)?;
        self.temperature.iter_mut().try_for_each(|it| checkpoint.get("temperature", it))?;
        self.noise = checkpoint.recall("noise")?;
        self.minibatches = checkpoint.recall("minibatches")?;
        // Every round begins with explorations of its own.
        self.explorations.clear();
        Ok(())
    }
}
