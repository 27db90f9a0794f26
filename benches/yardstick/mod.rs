//! An update of PPO written by hand: the same networks and the same loss as elegante's on CartPole, without
//! tensors, a graph, allocation or a size that is not known when it is compiled. What a general program
//! costs beyond it is what generality costs on this machine.
//!
//! Two networks 4 → 64 → 64 → 2 and 4 → 64 → 64 → 1 with tanh, PPO's clipped surrogate with an entropy bonus,
//! the squared error of the value, their gradient by hand, its global norm, Adam. Rows are taken through all
//! of it in blocks that stay in the first cache.

mod block;
mod machine;

use std::time::{Duration, Instant};

use block::{Activations, Losses};
use machine::{Work, best};

/// Numbers in an observation.
pub const INPUTS: usize = 4;
/// Units of a hidden layer.
pub const HIDDEN: usize = 64;
/// Actions to choose from.
pub const ACTIONS: usize = 2;
/// Rows that are computed together.
pub const BLOCK: usize = 64;

/// Adam's β₁, β₂ and ε.
const BETAS: [f32; 2] = [0.9, 0.999];
const EPSILON: f32 = 1e-5;

/// What PPO learns from: a row for each step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// `[rows × INPUTS]`.
    pub observations: Vec<f32>,
    /// Actions taken, 0 or 1: `[rows]`.
    pub actions: Vec<u32>,
    /// log π_old(a|s): `[rows]`.
    pub old_log_probs: Vec<f32>,
    /// Â, normalised: `[rows]`.
    pub advantages: Vec<f32>,
    /// G: `[rows]`.
    pub returns: Vec<f32>,
}

/// What is done one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Forward,
    Loss,
    Backward,
    Step,
}

/// How long the stages of an update took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// From observations to logits and values.
    pub forward: Duration,
    /// Log-softmax, entropy, the two losses, and their slopes with respect to logits and values.
    pub loss: Duration,
    /// From there to the gradient.
    pub backward: Duration,
    /// The norm, clipping and Adam.
    pub step: Duration,
}

/// Coefficients of the loss, and how far a step goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// ε of the surrogate.
    pub clip_range: f32,
    /// c_H.
    pub entropy_coef: f32,
    /// c_V.
    pub value_coef: f32,
    /// Largest global norm of the gradient.
    pub max_grad_norm: f32,
    /// Adam's step size.
    pub learning_rate: f32,
}

/// Where a network's tensors stand in a flat vector, in elegante's order: weights `[inputs, outputs]`, then
/// biases, layer by layer.
const fn size(outputs: usize) -> usize {
    (INPUTS + 1) * HIDDEN + (HIDDEN + 1) * HIDDEN + (HIDDEN + 1) * outputs
}

/// Parameters of both networks.
pub const PARAMETERS: usize = size(ACTIONS) + size(1);

/// Two networks that learn.
#[derive(Clone, Debug)]
pub struct Yardstick {
    /// The actor's parameters, then the critic's.
    pub parameters: Vec<f32>,
    /// The gradient of the last update, before clipping.
    pub gradient: Vec<f32>,
    settings: Settings,
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
    actor: Box<Activations<ACTIONS>>,
    critic: Box<Activations<1>>,
}

impl Yardstick {
    /// Networks with these parameters, the actor's first.
    ///
    /// # Panics
    /// When there are not [`PARAMETERS`] of them.
    pub fn new(parameters: Vec<f32>, settings: Settings) -> Self {
        assert_eq!(parameters.len(), PARAMETERS, "the networks have a fixed size");
        Self {
            parameters,
            gradient: vec![0.0; PARAMETERS],
            settings,
            first: vec![0.0; PARAMETERS],
            second: vec![0.0; PARAMETERS],
            steps: 0,
            actor: Box::default(),
            critic: Box::default(),
        }
    }

    /// Networks with some weights and a batch with some numbers, to be timed. The steps have length 0, so that every
    /// call finds the same.
    pub fn example(rows: usize) -> (Self, Batch) {
        let numbers = |n: usize| (0..n).map(|i| ((i * 7919 + 13) % 2003) as f32 / 1001.5 - 1.0);
        let batch = Batch {
            observations: numbers(rows * INPUTS).collect(),
            actions: (0..rows as u32).map(|row| row * 7 % 3 % 2).collect(),
            old_log_probs: vec![-(2f32.ln()); rows],
            advantages: numbers(rows).collect(),
            returns: numbers(rows).collect(),
        };
        let settings = Settings {
            clip_range: 0.2,
            entropy_coef: 0.01,
            value_coef: 0.5,
            max_grad_norm: 0.5,
            learning_rate: 0.0,
        };
        (Self::new(numbers(PARAMETERS).map(|x| 0.1 * x).collect(), settings), batch)
    }

    /// One step down the loss of `batch`; returns the loss.
    ///
    /// # Panics
    /// When the batch is not a whole number of blocks.
    pub fn update(&mut self, batch: &Batch) -> f32 {
        best(Update { it: self, batch, done: |_| () })
    }

    /// The same with a look at the clock after every stage of every block.
    ///
    /// # Panics
    /// As [`update`](Self::update).
    pub fn stages(&mut self, batch: &Batch) -> Stages {
        let mut stages = Stages::default();
        let mut last = Instant::now();
        let done = |stage| {
            let now = Instant::now();
            *match stage {
                Stage::Forward => &mut stages.forward,
                Stage::Loss => &mut stages.loss,
                Stage::Backward => &mut stages.backward,
                Stage::Step => &mut stages.step,
            } += now - std::mem::replace(&mut last, now);
        };
        std::hint::black_box(best(Update { it: self, batch, done }));
        stages
    }
}

struct Update<'a, F> {
    it: &'a mut Yardstick,
    batch: &'a Batch,
    done: F,
}

impl<F: FnMut(Stage)> Work for Update<'_, F> {
    type Output = f32;

    #[inline(always)]
    fn run<const WIDE: usize, const FMA: bool>(self) -> f32 {
        let Self { it, batch, mut done } = self;
        let rows = batch.actions.len();
        assert!(rows > 0 && rows.is_multiple_of(BLOCK), "{rows} rows are no whole blocks");
        let (actor, critic) = it.parameters.split_at(size(ACTIONS));
        let (actor_slope, critic_slope) = it.gradient.split_at_mut(size(ACTIONS));
        actor_slope.fill(0.0);
        critic_slope.fill(0.0);
        it.actor.prepare(actor);
        it.critic.prepare(critic);
        let mut losses = Losses::new(it.settings, rows);
        for block in 0..rows / BLOCK {
            let from = block * BLOCK;
            let x =
                batch.observations[from * INPUTS..].first_chunk().expect("a row for each action");
            it.actor.forward::<WIDE, FMA>(actor, x);
            it.critic.forward::<WIDE, FMA>(critic, x);
            done(Stage::Forward);
            losses.take::<FMA>(batch, from, &mut it.actor.outputs, &mut it.critic.outputs[0]);
            done(Stage::Loss);
            it.actor.backward::<WIDE, FMA>(x, actor_slope);
            it.critic.backward::<WIDE, FMA>(x, critic_slope);
            done(Stage::Backward);
        }
        it.step();
        done(Stage::Step);
        losses.sum
    }
}

impl Yardstick {
    /// Clips the gradient and makes a step of Adam.
    #[inline(always)]
    fn step(&mut self) {
        let mut sums = [0.0f32; 32];
        for chunk in self.gradient.chunks(32) {
            sums.iter_mut().zip(chunk).for_each(|(sum, g)| *sum += g * g);
        }
        let norm = sums.iter().sum::<f32>().sqrt();
        let Settings { max_grad_norm, learning_rate, .. } = self.settings;
        let scale = if norm > max_grad_norm { max_grad_norm / norm } else { 1.0 };
        self.steps += 1;
        let [β_1, β_2] = BETAS;
        let size = learning_rate / (1.0 - β_1.powi(self.steps));
        let correction = (1.0 - β_2.powi(self.steps)).sqrt().recip();
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((θ, g), (m, v)) in self.parameters.iter_mut().zip(&self.gradient).zip(moments) {
            let g = scale * g;
            *m = β_1 * *m + (1.0 - β_1) * g;
            *v = β_2 * *v + (1.0 - β_2) * g * g;
            *θ -= size * *m / (v.sqrt() * correction + EPSILON);
        }
    }
}
