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

use burn::tensor::{Int, Tensor, TensorData};
use elegante_env::EnvRng;
use elegante_policy::{
    ActionBatch, ActionHead, ActionTensor, ActionValues, Distribution, Policy, params,
};

use super::{
    Setup,
    off_policy::{Agent, Moment, OffPolicy, Replaying, Seen},
};
use crate::{
    DqnConfig, TrainError,
    bridge::{mask, matrix},
    checkpoint::Checkpoint,
    inspect::Inspected,
    loss::{huber, quantile_huber},
    metrics::Means,
    optim::Learner,
    replay_buffer::Transitions,
    schedule::Left,
    target::Target,
    watch::{Array, Watch},
};

/// The networks of DQN.
#[derive(Clone)]
pub(super) struct Dqn {
    config: DqnConfig,
    values: ActionValues,
    /// Qθ.
    pub(super) online: Learner<Policy>,
    /// Qθ⁻, without autodiff.
    pub(super) target: Target<Policy>,
    /// How often the target network has been updated.
    followed: u64,
}

/// DQN with its environments.
pub(super) fn new(config: &DqnConfig, setup: Setup<'_>) -> Result<OffPolicy<Dqn>, TrainError> {
    let c = config;
    let replaying = Replaying {
        buffer_size: ("dqn.buffer_size", c.buffer_size),
        buffer_memory: c.buffer_memory,
        learning_starts: c.learning_starts,
        train_freq: c.train_freq,
        gradient_steps: c.gradient_steps,
        batch_size: c.batch_size,
        gamma: c.gamma,
        n_steps: c.n_steps,
        priorities: c.prioritized.then_some([c.priority_alpha, c.priority_beta]),
    };
    OffPolicy::new(Dqn::new(config, setup.new_policy()?)?, setup, replaying)
}

impl Dqn {
    /// `policy` has autodiff.
    pub(super) fn new(config: &DqnConfig, policy: Policy) -> Result<Self, TrainError> {
        let ActionHead::EpsilonGreedy { values, .. } = policy.config().action else {
            return Err(TrainError::Unsupported("DQN needs a head that values actions".into()));
        };
        let target = Target::new(policy.valid());
        let online = Learner::adam(policy, config.adam_epsilon, config.max_grad_norm);
        Ok(Self { config: config.clone(), values, online, target, followed: 0 })
    }

    /// ε, the chance of a random action.
    fn epsilon(&self, at: Left) -> f64 {
        let c = &self.config;
        if at.steps < c.learning_starts {
            return 1.0;
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

    /// y of every quantile, without a gradient.
    ///
    /// # Shapes
    /// Result: `[size, quantiles]`.
    pub(super) fn targets(&self, batch: &Transitions) -> Tensor<2> {
        let device = self.target.module.device();
        let width = self.online.module.config().observation;
        let next = matrix(batch.next_observations.clone(), width, &device);
        let said = self.values.quantiles(self.target.module.outputs(next.clone()));
        let preferred = match self.config.double {
            true => self.values.expected(self.online.module.valid().outputs(next)),
            false => said.clone().mean_dim(2).squeeze_dim(2),
        };
        let preferred = match mask(&batch.next_valid, self.values.n, &device) {
            Some(valid) => preferred.mask_fill(valid.bool_not(), f32::NEG_INFINITY),
            None => preferred,
        };
        let best = preferred.argmax(1).squeeze_dim(1);
        let column = |numbers: &[f32]| matrix(numbers.to_vec(), 1, &device);
        column(&batch.rewards) + chosen(said, best) * column(&batch.discounts)
    }

    /// Puts on record what goes into the loss, where the update is watched.
    fn record(&mut self, batch: &Transitions, values: &Tensor<2>, targets: &Tensor<2>) {
        let Some(watch) = &mut self.online.watch else { return };
        let width = self.online.module.config().observation;
        watch.begin();
        batch.record(watch, width);
        let module = &self.online.module;
        watch.parameters("weight", module, &params::flatten(module));
        self.target.record(watch);
        for (name, tensor) in [("value", values), ("target", targets)] {
            let numbers: Vec<f32> = tensor.clone().into_data().iter::<f32>().collect();
            watch.record(name, Array::rows(numbers, self.values.quantiles));
        }
    }
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
        &self.online.module.config().action
    }

    fn policy(&self) -> Policy {
        self.online.module.valid()
    }

    fn act(
        &mut self,
        policy: &Policy,
        seen: Seen<'_>,
        at: Left,
        streams: &mut [EnvRng],
    ) -> Result<ActionBatch, TrainError> {
        let (device, width) = (policy.device(), policy.config().observation);
        let observations = matrix(seen.observations.to_vec(), width, &device);
        let valid = mask(seen.valid, self.values.n, &device);
        match policy.forward(observations, valid) {
            Distribution::EpsilonGreedy(greedy) => {
                let greedy = greedy.with_epsilon(self.epsilon(at));
                Ok(ActionBatch::Discrete(greedy.sample(streams)?))
            }
            other => Ok(other.sample(streams)?),
        }
    }

    fn learn(
        &mut self,
        batch: &Transitions,
        at: Moment,
        means: &mut Means,
    ) -> Result<Vec<f32>, TrainError> {
        self.follow(batch.steps);
        let device = self.online.module.device();
        let width = self.online.module.config().observation;
        let targets = self.targets(batch);
        let observations = matrix(batch.observations.clone(), width, &device);
        let ActionTensor::Discrete(actions) = batch.actions.to_tensor(&device) else {
            return Err(TrainError::Unsupported("DQN learns from choices among n".into()));
        };
        let out = self.online.module.outputs(observations);
        let values = chosen(self.values.quantiles(out), actions);
        self.record(batch, &values.clone().inner(), &targets);
        let mean = |tensor: Tensor<2>| tensor.mean_dim(1).squeeze_dim::<1>(1);
        let told = mean(values.clone().inner());
        let errors = mean(targets.clone()) - told.clone();
        means.add("q_value", told.mean().into_scalar());

        let weights = (!batch.weights.is_empty()).then(|| {
            let weights = TensorData::new(batch.weights.clone(), [batch.rows.len()]);
            Tensor::from_data(weights, &device)
        });
        let targets = Tensor::from_inner(targets);
        let loss = match self.values.quantiles {
            1 => huber(values.squeeze_dim(1), targets.squeeze_dim(1), weights),
            _ => quantile_huber(values, targets, weights),
        };
        let descent = self.online.descend(loss, self.learning_rate(at.left), at.update)?;
        means.add("loss", descent.loss);
        means.add("grad_norm", descent.grad_norm);
        let ε = self.epsilon(at.left);
        means.add("exploration_rate", ε);
        means.add("entropy", self.entropy(ε));
        let told = self.config.prioritized.then(|| errors.into_data().iter::<f32>().collect());
        Ok(told.unwrap_or_default())
    }

    fn tell_variation(&mut self, means: &mut Means) {
        self.online.tell_variation(means);
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
    }

    fn restore(&mut self, checkpoint: &mut Checkpoint) -> Result<(), TrainError> {
        checkpoint.get("online", &mut self.online)?;
        self.target.restore("target", checkpoint)?;
        self.followed = checkpoint.recall("followed")?;
        Ok(())
    }
}
