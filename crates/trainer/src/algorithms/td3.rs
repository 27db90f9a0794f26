//! Twin delayed deep deterministic policy gradients (TD3; Fujimoto et al., 2018), and without what it added:
//! DDPG (Lillicrap et al., 2016), which has one critic, no delay and no smoothing.
//!
//! ```text
//! repeat
//!     k steps in each of n lanes, a = clip(μθ(s) + ε, ±1), or any at first            into the buffer
//!     for each of g minibatches (s, a, R, s′, Γ) drawn from the buffer
//!         a′ ← clip(μθ⁻(s′) + clip(ε′, ±c), ±1), ε′ ~ 𝒩(0, σ²)
//!         y ← R + Γ minᵢ Qᵢ⁻(s′, a′)                   Γ = γᵐ over m steps; 0 after a termination
//!         φ ← Adam(φ, ∇φ Σᵢ mean (Qᵢ(s, a) − y)²)                           ∇ by burn's autodiff
//!         every so many minibatches
//!             θ ← Adam(θ, −∇θ mean Q₁(s, μθ(s)))
//!             Qᵢ⁻ ← τ Qᵢ + (1 − τ) Qᵢ⁻,  θ⁻ ← τ θ + (1 − τ) θ⁻
//! ```

use burn::tensor::Tensor;
use elegante_env::EnvRng;
use elegante_policy::{ActionBatch, ActionHead, ActionTensor, Critics, Distribution, Policy};

use super::{
    Setup,
    critics::{Judges, column, descend, evenly, flat, normal, without_memory},
    off_policy::{Agent, Moment, OffPolicy, Seen, replaying},
};
use crate::{
    Noise, Td3Config, TrainError,
    bridge::matrix,
    checkpoint::Checkpoint,
    inspect::Inspected,
    learner::Learner,
    loss::{actor, bellman_target},
    metrics::Means,
    replay_buffer::Transitions,
    schedule::Left,
    streams::{Purpose, stream},
    target::Target,
    watch::Watch,
};

/// How strongly Ornstein–Uhlenbeck noise is drawn back to 0, and the time between two of its steps, as in
/// Stable-Baselines3.
const OU: [f64; 2] = [0.15, 1e-2];

/// The networks of TD3.
#[derive(Clone)]
pub(super) struct Td3 {
    config: Td3Config,
    /// μθ.
    pub(super) actor: Learner<Policy>,
    /// μθ⁻, without autodiff.
    pub(super) target: Target<Policy>,
    pub(super) critics: Judges,
    /// What ε′ is drawn with.
    noise: EnvRng,
    /// Where the noise of each lane has wandered to, `[lanes × dims]`; Ornstein–Uhlenbeck only.
    walks: Vec<f32>,
    /// Minibatches learnt from.
    minibatches: u64,
    watch: Option<Watch>,
}

/// TD3 with its environments; `name` is what it is called, and `setting` what its buffer's size is.
pub(super) fn new(
    config: &Td3Config,
    (name, setting): (&str, &'static str),
    setup: Setup<'_>,
) -> Result<OffPolicy<Td3>, TrainError> {
    let c = config;
    let replaying = replaying!(setting, c);
    let shape = [setup.policy.observation + setup.policy.action.dims(), 1];
    let (policy, critics) = (setup.new_policy()?, setup.new_critics(c.critics, shape)?);
    without_memory(name, policy.memory() + critics.memory())?;
    let noise = stream(setup.seed, Purpose::Noise, 0);
    let mut td3 = Td3::new(config, policy, critics, noise);
    if c.noise == Noise::OrnsteinUhlenbeck {
        td3.walks = vec![0.0; setup.envs.len() * setup.policy.action.dims()];
    }
    OffPolicy::new(td3, setup, replaying)
}

/// μ(s): `[rows, dims]`, within ±1.
fn certain(policy: &Policy, observations: Tensor<2>) -> Result<Tensor<2>, TrainError> {
    match policy.forward(observations, None) {
        Distribution::Deterministic(d) => Ok(d.action()),
        _ => Err(TrainError::Unsupported("TD3 needs a head that is certain".into())),
    }
}

impl Td3 {
    /// `policy` and `critics` have autodiff.
    pub(super) fn new(config: &Td3Config, policy: Policy, critics: Critics, noise: EnvRng) -> Self {
        let (epsilon, longest) = (config.adam_epsilon, config.max_grad_norm);
        Self {
            config: config.clone(),
            target: Target::new(policy.valid()),
            actor: Learner::adam(policy, epsilon, longest),
            critics: Judges::new(critics, epsilon, longest),
            noise,
            walks: Vec::new(),
            minibatches: 0,
            watch: None,
        }
    }

    /// Adds the noise of every lane to `actions`, and keeps them within ±1.
    fn disturb(&mut self, actions: &mut [f32], dims: usize, streams: &mut [EnvRng]) {
        let (std, [back, tick]) = (self.config.noise_std, OU);
        for (lane, stream) in streams.iter_mut().enumerate() {
            let mine = lane * dims..(lane + 1) * dims;
            let drawn = match self.config.noise {
                Noise::None => continue,
                Noise::Normal => normal(dims, stream).iter().map(|z| std as f32 * z).collect(),
                Noise::OrnsteinUhlenbeck => {
                    let walk = &mut self.walks[mine.clone()];
                    for (x, z) in walk.iter_mut().zip(normal(dims, stream)) {
                        let drift = -back * f64::from(*x) * tick;
                        *x += (drift + std * tick.sqrt() * f64::from(z)) as f32;
                    }
                    walk.to_vec()
                }
            };
            actions[mine].iter_mut().zip(drawn).for_each(|(a, ε)| *a = (*a + ε).clamp(-1.0, 1.0));
        }
    }

    /// ε′ before it is clipped, for minibatches of `rows`; nothing where there is none.
    fn draw(&mut self, rows: usize) -> Vec<f32> {
        if self.config.target_noise == 0.0 {
            return Vec::new();
        }
        let std = self.config.target_noise as f32;
        let n = rows * self.head().dims();
        normal(n, &mut self.noise).into_iter().map(|z| std * z).collect()
    }

    /// Learns from a minibatch, with this ε′ before it is clipped.
    pub(super) fn improve(
        &mut self,
        batch: &Transitions,
        noise: &[f32],
        at: Moment,
        means: &mut Means,
    ) -> Result<(), TrainError> {
        self.record(batch);
        let rate = self.learning_rate(at.left);
        let width = self.actor.module.config().observation;
        let device = self.actor.module.device();
        let observations = matrix(batch.observations.clone(), width, &device);
        let ActionTensor::Continuous(actions) = batch.actions.to_tensor(&device) else {
            return Err(TrainError::Unsupported("TD3 learns from vectors".into()));
        };
        let target = self.targets(batch, noise)?;
        let judged = Tensor::cat(vec![observations.clone(), actions], 1);
        let values = self.critics.online.module.forward(&judged).into_iter().map(flat).collect();
        let how = (1.0, rate, at.update);
        self.critics.learn(values, target, how, &mut self.watch, means)?;

        self.minibatches += 1;
        if self.minibatches.is_multiple_of(self.config.policy_delay) {
            self.follow_critics(observations, (rate, at.update), means)?;
        }
        Ok(())
    }

    /// One step of the policy to what the first critic values more, after which the targets follow.
    fn follow_critics(
        &mut self,
        observations: Tensor<2>,
        (rate, update): (f64, u64),
        means: &mut Means,
    ) -> Result<(), TrainError> {
        let action = certain(&self.actor.module, observations.clone())?;
        let judged = Tensor::cat(vec![observations, action], 1);
        let value = flat(self.critics.online.module.frozen().first(judged));
        if let Some(watch) = &mut self.watch {
            watch.record("value of the policy", column(value.clone().inner()));
        }
        let watch = (&mut self.watch, "policy.");
        let descent = descend(&mut self.actor, watch, actor(value), rate, update)?;
        means.add("actor_loss", descent.loss);
        self.critics.follow(self.config.tau);
        self.target.follow(&self.actor, self.config.tau);
        Ok(())
    }

    /// y, without a gradient: `[rows]`.
    pub(super) fn targets(
        &self,
        batch: &Transitions,
        noise: &[f32],
    ) -> Result<Tensor<1>, TrainError> {
        let policy = &self.target.module;
        let (device, width) = (policy.device(), policy.config().observation);
        let next = matrix(batch.next_observations.clone(), width, &device);
        let mut action = certain(policy, next.clone())?;
        if !noise.is_empty() {
            let farthest = self.config.target_noise_clip;
            let noise = matrix(noise.to_vec(), self.head().dims(), &device);
            action = (action + noise.clamp(-farthest, farthest)).clamp(-1.0, 1.0);
        }
        let value = flat(self.critics.target.module.least(&Tensor::cat(vec![next, action], 1)));
        let numbers = |all: &[f32]| Tensor::<1>::from_data(all, &device);
        Ok(bellman_target(numbers(&batch.rewards), numbers(&batch.discounts), value))
    }

    /// Puts on record what is learnt from, where the update is watched.
    fn record(&mut self, batch: &Transitions) {
        let Some(watch) = &mut self.watch else { return };
        let policy = &self.actor.module;
        watch.begin();
        batch.record(watch, policy.config().observation);
        watch.turn("policy.");
        watch.parameters("weight", policy, &self.actor.parameters());
        self.target.record(watch);
        self.critics.record(watch);
    }
}

impl Agent for Td3 {
    const MEASURES: &'static [&'static str] =
        &["actor_loss", "critic_loss", "q_value", "grad_variance"];

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
        let mut actions = policy.forward(observations, None).mode()?;
        if let ActionBatch::Continuous { values, dims } = &mut actions {
            self.disturb(values, *dims, streams);
        }
        Ok(actions)
    }

    fn begin(&mut self, lane: usize) {
        let dims = self.head().dims();
        if let Some(walk) = self.walks.get_mut(lane * dims..(lane + 1) * dims) {
            walk.fill(0.0);
        }
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
        // Of the actor's nobody is told, but the next update's are to be counted from here too.
        self.actor.variation.take();
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
    }

    fn inspect(&self) -> Vec<Inspected> {
        let mut all = self.actor.inspect("policy");
        all.extend(self.critics.online.inspect("critics"));
        all
    }

    fn save(&self, checkpoint: &mut Checkpoint) {
        checkpoint.put("actor", &self.actor);
        self.target.save("target_actor", checkpoint);
        self.critics.save(checkpoint);
        checkpoint.numbers.insert("walks".into(), self.walks.clone());
        checkpoint.note("noise", &self.noise);
        checkpoint.note("minibatches", &self.minibatches);
    }

    fn restore(&mut self, checkpoint: &mut Checkpoint) -> Result<(), TrainError> {
        checkpoint.get("actor", &mut self.actor)?;
        self.target.restore("target_actor", checkpoint)?;
        self.critics.restore(checkpoint)?;
        self.walks = checkpoint.take("walks", self.walks.len())?;
        self.noise = checkpoint.recall("noise")?;
        self.minibatches = checkpoint.recall("minibatches")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use elegante_policy::{ActionHead, Critics, DeviceChoice, MlpConfig, PolicyConfig};

    use super::*;

    const DIMS: usize = 2;

    /// TD3 that explores with a walk of standard deviation 0.3, in two lanes.
    fn walking() -> Td3 {
        let device = DeviceChoice::Auto.open().unwrap().autodiff();
        let network = MlpConfig { hidden: vec![4], ..MlpConfig::default() };
        let head = ActionHead::Deterministic { low: vec![-1.0; DIMS], high: vec![1.0; DIMS] };
        let mut rng = EnvRng::new(0);
        let policy = PolicyConfig::new(3, head, network.clone()).init(&mut rng, &device).unwrap();
        let critics = Critics::init(&network, 3 + DIMS, 1, [&mut rng], &device).unwrap();
        let config =
            Td3Config { noise: Noise::OrnsteinUhlenbeck, noise_std: 0.3, ..Td3Config::default() };
        let mut td3 = Td3::new(&config, policy, critics, EnvRng::new(1));
        td3.walks = vec![0.0; 2 * DIMS];
        td3
    }

    #[test]
    fn the_walk_is_ornstein_and_uhlenbecks() {
        // x ← x − θ x dt + σ √dt z with the z of each lane's own stream.
        let (mut td3, [θ, dt]) = (walking(), OU);
        let mut streams = [EnvRng::new(3), EnvRng::new(4)];
        let mut drawn = streams.clone();
        let mut expected = [0f64; 2 * DIMS];
        for _ in 0..50 {
            let mut actions = [0.1f32; 2 * DIMS];
            td3.disturb(&mut actions, DIMS, &mut streams);
            let z = drawn.iter_mut().flat_map(|stream| normal(DIMS, stream)).map(f64::from);
            for (x, z) in expected.iter_mut().zip(z) {
                *x += -θ * *x * dt + 0.3 * dt.sqrt() * z;
            }
            for (a, x) in actions.iter().zip(&expected) {
                assert!((f64::from(*a) - (0.1 + x).clamp(-1.0, 1.0)).abs() < 1e-5, "{a} and {x}");
            }
        }
        assert!(expected.iter().all(|x| x.abs() > 1e-3), "{expected:?}");
    }

    #[test]
    fn a_walk_begins_anew_with_its_lanes_episode() {
        let mut td3 = walking();
        let mut streams = [EnvRng::new(3), EnvRng::new(4)];
        td3.disturb(&mut [0.0; 2 * DIMS], DIMS, &mut streams);
        let before = td3.walks.clone();
        td3.begin(1);
        assert_eq!(td3.walks, [before[0], before[1], 0.0, 0.0]);
        assert!(before.iter().all(|x| *x != 0.0));
    }

    #[test]
    fn over_a_long_time_a_walk_has_the_deviation_that_it_tends_to() {
        // σ/√(2θ) of the process in continuous time, where θdt is small.
        let mut td3 = walking();
        let mut streams = [EnvRng::new(5), EnvRng::new(6)];
        let (mut sum, mut n) = (0.0, 0.0);
        for t in 0..400_000 {
            td3.disturb(&mut [0.0; 2 * DIMS], DIMS, &mut streams);
            if t >= 10_000 {
                sum += td3.walks.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
                n += 2.0 * DIMS as f64;
            }
        }
        let (deviation, expected) = ((sum / n).sqrt(), 0.3 / (2.0 * OU[0]).sqrt());
        // Of four walks with some 600 independent squares each: four standard errors.
        assert!((deviation / expected - 1.0).abs() < 0.06, "{deviation} and {expected}");
    }
}
