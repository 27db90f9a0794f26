//! Deep Q-learning (Mnih et al., 2015), and the parts of Rainbow (Hessel et al., 2018) as switches.
//!
//! ```text
//! repeat
//!     k steps in each of n lanes, a = argmaxₐ Qθ(s, a) or any with chance ε        into the buffer
//!     θ⁻ ← τ θ + (1 − τ) θ⁻ every so many steps
//!     for each of g minibatches (s, a, R, s′, Γ) drawn from the buffer           by priority, if asked for
//!         a* ← argmaxₐ Qθ⁻(s′, a)                                              double: argmaxₐ Qθ(s′, a)
//!         y ← R + Γ Qθ⁻(s′, a*)                        Γ = γᵐ over m steps; 0 after a termination
//!         L ← mean w h(Qθ(s, a) − y), h Huber's loss                         quantiles: eq. 10 of QR-DQN
//!         θ ← Adam(θ, ∇θL clipped to a global norm)                               ∇ by burn's autodiff
//! ```
//!
//! Noisy networks (Fortunato et al., 2018): θ is (μ, σ), every Q has weights μ + σ ∘ ξ with a noise ξ of its
//! own, and ε is 0 once the learning has started. ξ is drawn anew for each lane in every round, and for each Q
//! in every minibatch.

#[cfg(test)]
mod tests;

use burn::tensor::{Int, Tensor, TensorData};
use elegante_env::EnvRng;
use elegante_policy::{
    ActionBatch, ActionHead, ActionTensor, ActionValues, EpsilonGreedy, NoisyPolicy, Policy,
    WeightNoise, params,
};

use super::{
    Setup,
    off_policy::{Agent, Moment, OffPolicy, Replaying, Seen, replaying},
};
use crate::{
    DqnConfig, TrainError, ValueLoss,
    bridge::{mask, matrix},
    checkpoint::Checkpoint,
    inspect::Inspected,
    learner::Learner,
    loss::{huber, quantile_huber, weighted_mse},
    metrics::Means,
    replay_buffer::Transitions,
    schedule::Left,
    streams::{Purpose, stream},
    target::Target,
    watch::{Array, Watch},
};

/// The networks of DQN.
#[derive(Clone)]
pub(super) struct Dqn {
    config: DqnConfig,
    values: ActionValues,
    /// Qθ.
    pub(super) online: Learner<NoisyPolicy>,
    /// Qθ⁻, without autodiff.
    pub(super) target: Target<NoisyPolicy>,
    /// How often the target network has been updated.
    followed: u64,
    /// What minibatches are learnt from with; noisy networks only.
    noise: EnvRng,
    /// What each lane explores with until the next minibatch; noisy networks only.
    explorers: Vec<Policy>,
}

/// What disturbs the networks while they learn from one minibatch: nothing, or noise for each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Disturbance {
    /// Of Qθ(s, a).
    pub(super) online: WeightNoise,
    /// Of Qθ⁻(s′, a*).
    pub(super) target: WeightNoise,
    /// Of Qθ(s′, a) where that chooses a*.
    pub(super) chooser: WeightNoise,
}

/// DQN with its environments.
pub(super) fn new(config: &DqnConfig, setup: Setup<'_>) -> Result<OffPolicy<Dqn>, TrainError> {
    let c = config;
    let priorities = c.prioritized.then_some([c.priority_alpha, c.priority_beta]);
    let replaying = Replaying { priorities, ..replaying!("dqn.buffer_size", c) };
    let noise = stream(setup.seed, Purpose::Noise, 0);
    OffPolicy::new(Dqn::new(config, setup.new_policy()?, noise)?, setup, replaying)
}

impl Dqn {
    /// `policy` has autodiff.
    pub(super) fn new(
        config: &DqnConfig,
        policy: Policy,
        noise: EnvRng,
    ) -> Result<Self, TrainError> {
        let ActionHead::EpsilonGreedy { values, .. } = policy.config().action else {
            return Err(TrainError::Unsupported("DQN needs a head that values actions".into()));
        };
        let policy = match config.noisy {
            true => NoisyPolicy::new(policy, config.noisy_std)?,
            false => NoisyPolicy::quiet(policy),
        };
        let target = Target::new(policy.valid());
        let online = Learner::adam(policy, config.adam_epsilon, config.max_grad_norm);
        let (config, explorers) = (config.clone(), Vec::new());
        Ok(Self { config, values, online, target, followed: 0, noise, explorers })
    }

    /// ε, the chance of a random action.
    fn epsilon(&self, at: Left) -> f64 {
        let c = &self.config;
        if at.steps < c.learning_starts {
            return 1.0;
        }
        if c.noisy {
            return 0.0;
        }
        let gone = 1.0 - at.after(0);
        let way = if c.exploration_fraction > 0.0 {
            (gone / c.exploration_fraction).min(1.0)
        } else {
            1.0
        };
        c.exploration_initial + way * (c.exploration_final - c.exploration_initial)
    }

    /// The entropy of ε-greedy where every action is allowed.
    fn entropy(&self, ε: f64) -> f64 {
        let other = ε / self.values.n as f64;
        let best = 1.0 - ε + other;
        let term = |chance: f64| if chance > 0.0 { -chance * chance.ln() } else { 0.0 };
        term(best) + (self.values.n - 1) as f64 * term(other)
    }

    /// θ⁻ ← τ θ + (1 − τ) θ⁻, as often as is due after so many steps.
    fn follow(&mut self, steps: u64) {
        let due = steps / self.config.target_update_interval;
        let late = due - self.followed.min(due);
        self.followed = due;
        if late > 0 {
            let kept = (1.0 - self.config.tau).powi(late.min(1 << 30) as i32);
            self.target.follow(&self.online, 1.0 - kept);
        }
    }

    /// Noise for the next minibatch, if the networks are noisy.
    pub(super) fn draw(&mut self) -> Disturbance {
        let Self { online, noise, config, .. } = self;
        let mut draw = || online.module.draw(noise);
        let (online, target) = (draw(), draw());
        let chooser = if config.double { draw() } else { WeightNoise::default() };
        Disturbance { online, target, chooser }
    }

    /// y of every quantile, without a gradient.
    ///
    /// # Shapes
    /// Result: `[size, quantiles]`.
    pub(super) fn targets(&self, batch: &Transitions, noise: &Disturbance) -> Tensor<2> {
        let target = self.target.module.disturbed(&noise.target);
        let (device, width) = (target.device(), target.config().observation);
        let next = matrix(batch.next_observations.clone(), width, &device);
        let said = self.values.quantiles(target.outputs(next.clone()));
        let preferred = match self.config.double {
            true => {
                let online = self.online.module.valid();
                self.values.expected(online.disturbed(&noise.chooser).outputs(next))
            }
            false => mean(said.clone()),
        };
        let preferred = match mask(&batch.next_valid, self.values.n, &device) {
            Some(valid) => preferred.mask_fill(valid.bool_not(), f32::NEG_INFINITY),
            None => preferred,
        };
        let best = preferred.argmax(1).squeeze_dim(1);
        let column = |numbers: &[f32]| matrix(numbers.to_vec(), 1, &device);
        column(&batch.rewards) + chosen(said, best) * column(&batch.discounts)
    }

    /// What each lane's own network says, whose noise lasts until the next minibatch.
    ///
    /// # Shapes
    /// Result: `[lanes, outputs]`.
    fn explore(&mut self, seen: Seen<'_>, streams: &mut [EnvRng]) -> Tensor<2> {
        // Nor are there any yet where the first of these steps were drawn evenly.
        if seen.since == 0 || self.explorers.len() != streams.len() {
            let module = self.online.module.valid();
            let draw = |stream: &mut EnvRng| module.disturbed(&module.draw(stream)).into_owned();
            self.explorers = streams.iter_mut().map(draw).collect();
        }
        let said = self.explorers.iter().enumerate().map(|(lane, policy)| {
            let width = policy.config().observation;
            let observation = seen.observations[lane * width..(lane + 1) * width].to_vec();
            policy.outputs(matrix(observation, width, &policy.device()))
        });
        Tensor::cat(said.collect(), 0)
    }

    /// Learns from a minibatch, with this noise in the networks; returns each transition's error.
    pub(super) fn improve(
        &mut self,
        batch: &Transitions,
        noise: &Disturbance,
        at: Moment,
        means: &mut Means,
    ) -> Result<Vec<f32>, TrainError> {
        self.follow(batch.steps);
        let targets = self.targets(batch, noise);
        let online = &self.online.module;
        let (device, width) = (online.mean().device(), online.mean().config().observation);
        let observations = matrix(batch.observations.clone(), width, &device);
        let ActionTensor::Discrete(actions) = batch.actions.to_tensor(&device) else {
            return Err(TrainError::Unsupported("DQN learns from choices among n".into()));
        };
        let out = online.disturbed(&noise.online).outputs(observations);
        let values = chosen(self.values.quantiles(out), actions);
        self.record(batch, &values.clone().inner(), &targets);
        let told: Tensor<1> = mean(values.clone().inner());
        let errors = self.config.prioritized.then(|| mean::<2, 1>(targets.clone()) - told.clone());
        means.add("q_value", told.mean().into_scalar());

        let weights = (!batch.weights.is_empty()).then(|| {
            let weights = TensorData::new(batch.weights.clone(), [batch.rows.len()]);
            Tensor::from_data(weights, &device)
        });
        let targets = Tensor::from_inner(targets);
        let loss = match (self.values.quantiles, self.config.loss) {
            (1, ValueLoss::Huber) => huber(values.squeeze_dim(1), targets.squeeze_dim(1), weights),
            (1, ValueLoss::Squared) => {
                weighted_mse(values.squeeze_dim(1), targets.squeeze_dim(1), weights)
            }
            _ => quantile_huber(values, targets, weights),
        };
        let descent = self.online.descend(loss, self.learning_rate(at.left), at.update)?;
        means.add("loss", descent.loss);
        means.add("grad_norm", descent.grad_norm);
        let ε = self.epsilon(at.left);
        means.add("exploration_rate", ε);
        means.add("entropy", self.entropy(ε));
        let told = errors.map(|errors| errors.into_data().iter::<f32>().collect());
        Ok(told.unwrap_or_default())
    }

    /// Puts on record what goes into the loss, where the update is watched.
    fn record(&mut self, batch: &Transitions, values: &Tensor<2>, targets: &Tensor<2>) {
        let Some(watch) = &mut self.online.watch else { return };
        let module = &self.online.module;
        watch.begin();
        batch.record(watch, module.mean().config().observation);
        watch.parameters("weight", module, &params::flatten(module));
        self.target.record(watch);
        for (name, tensor) in [("value", values), ("target", targets)] {
            let numbers: Vec<f32> = tensor.clone().into_data().iter::<f32>().collect();
            watch.record(name, Array::rows(numbers, self.values.quantiles));
        }
    }
}

/// The mean over the last dimension, that of the quantiles.
fn mean<const D: usize, const LESS: usize>(of: Tensor<D>) -> Tensor<LESS> {
    let one = of.dims()[D - 1] == 1;
    let mean = if one { of } else { of.mean_dim(D - 1) };
    mean.squeeze_dim(D - 1)
}

/// The quantiles of one action in each row.
///
/// # Shapes
/// `all`: `[rows, n, quantiles]`, `action`: `[rows]`; result: `[rows, quantiles]`.
fn chosen(all: Tensor<3>, action: Tensor<1, Int>) -> Tensor<2> {
    let [rows, _, quantiles] = all.dims();
    if quantiles == 1 {
        return elegante_kernels::pick(all.squeeze_dim(2), action).unsqueeze_dim(1);
    }
    let index = action.reshape([rows, 1, 1]).expand([rows, 1, quantiles]);
    all.gather(1, index).squeeze_dim(1)
}

impl Agent for Dqn {
    const MEASURES: &'static [&'static str] = &["q_value", "exploration_rate", "grad_variance"];

    fn head(&self) -> &ActionHead {
        &self.online.module.mean().config().action
    }

    fn policy(&self) -> Policy {
        self.online.module.mean().valid()
    }

    fn act(
        &mut self,
        policy: &Policy,
        seen: Seen<'_>,
        at: Left,
        streams: &mut [EnvRng],
    ) -> Result<ActionBatch, TrainError> {
        let (device, width) = (policy.device(), policy.config().observation);
        let out = match self.config.noisy && at.steps >= self.config.learning_starts {
            true => self.explore(seen, streams),
            false => policy.outputs(matrix(seen.observations.to_vec(), width, &device)),
        };
        let (q, ε) = (self.values.expected(out), self.epsilon(at));
        let greedy = match mask(seen.valid, self.values.n, &device) {
            Some(valid) => EpsilonGreedy::masked(q, valid, ε),
            None => EpsilonGreedy::new(q, ε),
        };
        Ok(ActionBatch::Discrete(greedy.sample(streams)?))
    }

    fn learn(
        &mut self,
        batch: &Transitions,
        at: Moment,
        means: &mut Means,
    ) -> Result<Vec<f32>, TrainError> {
        let noise = self.draw();
        self.improve(batch, &noise, at, means)
    }

    fn tell_variation(&mut self, means: &mut Means) {
        self.online.tell_variation(means);
        if self.config.noisy {
            means.add("noise_std", self.online.module.mean_std());
        }
    }

    fn learning_rate(&self, at: Left) -> f64 {
        self.config.schedule.at(self.config.learning_rate, at.after(0))
    }

    fn watch(&mut self) -> &mut Option<Watch> {
        &mut self.online.watch
    }

    fn keep_gradients(&mut self) {
        self.online.keep_gradients();
    }

    fn inspect(&self) -> Vec<Inspected> {
        self.online.inspect("")
    }

    fn save(&self, checkpoint: &mut Checkpoint) {
        checkpoint.put("online", &self.online);
        self.target.save("target", checkpoint);
        checkpoint.note("followed", &self.followed);
        if self.config.noisy {
            checkpoint.note("noise", &self.noise);
        }
    }

    fn restore(&mut self, checkpoint: &mut Checkpoint) -> Result<(), TrainError> {
        checkpoint.get("online", &mut self.online)?;
        self.target.restore("target", checkpoint)?;
        self.followed = checkpoint.recall("followed")?;
        if self.config.noisy {
            self.noise = checkpoint.recall("noise")?;
        }
        // Every round begins with explorers of its own.
        self.explorers.clear();
        Ok(())
    }
}
