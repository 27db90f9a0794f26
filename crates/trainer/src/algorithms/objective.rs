//! The loss of an actor and a critic, and its gradient, in pieces that threads can share.
//!
//! L = L_π − c_H H + c_V L_V is a mean over the rows of a minibatch, so that its gradient is a sum over
//! pieces of it; and where policy and value function have no layer in common, over the two of them.

use burn::tensor::Tensor;
use elegante_kernels::{entries, entries_of_all, with_bonus};
use elegante_policy::{
    ActorCritic, Distribution,
    params::{self, Parameters},
};

use crate::{
    TrainError,
    crew::Task,
    flat::Flat,
    learner::Learner,
    metrics::Means,
    rollout::{Minibatch, Shard},
    watch::Watch,
};

/// What an algorithm wants of its networks: two losses, as means over rows.
pub(crate) trait Objective: Clone + Send + 'static {
    /// L_π, from log πθ(aₜ|sₜ).
    fn policy_loss(&self, log_prob: Tensor<1>, rows: &Shard) -> Tensor<1>;

    /// L_V, from Vφ(sₜ): `[rows, 1]`, as networks say it.
    fn value_loss(&self, value: Tensor<2>, rows: &Shard) -> Tensor<1>;

    /// c_H and c_V.
    fn coefficients(&self) -> [f64; 2];
}

/// A loss, what it is made of, and its gradient.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(super) loss: f64,
    pub(super) policy_loss: f64,
    pub(super) entropy: f64,
    pub(super) value_loss: f64,
    /// With respect to the parameters that the terms depend on: of all terms, all of them.
    pub(crate) gradient: Flat,
    /// log πθ(aₜ|sₜ) of every row.
    pub(super) log_probs: Vec<f32>,
}

impl Told {
    /// What all pieces told, which come as [`pieces`] has them: the gradients of a part's shards are added,
    /// those of actor and critic follow each other as their parameters do.
    fn all(told: impl Iterator<Item = (Part, Self)>) -> Self {
        let mut parts: Vec<(Part, Self)> = Vec::with_capacity(2);
        for (part, mut told) in told {
            match parts.last_mut() {
                Some((same, sum)) if *same == part => {
                    sum.gradient.add(std::mem::take(&mut told.gradient));
                    sum.add(told);
                }
                _ => parts.push((part, told)),
            }
        }
        let together = parts.into_iter().map(|(_, told)| told).reduce(|mut actor, mut critic| {
            actor.gradient.append(std::mem::take(&mut critic.gradient));
            actor.add(critic);
            actor
        });
        together.unwrap_or_default()
    }

    /// Adds what another piece told, but for its gradient.
    fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.policy_loss += other.policy_loss;
        self.entropy += other.entropy;
        self.value_loss += other.value_loss;
        self.log_probs.extend(other.log_probs);
    }

    /// Notes the terms.
    pub(super) fn tell(&self, means: &mut Means, watch: Option<&mut Watch>) {
        let terms = [
            ("policy_loss", self.policy_loss),
            ("value_loss", self.value_loss),
            ("entropy", self.entropy),
        ];
        terms.iter().for_each(|(name, value)| means.add(name, *value));
        if let Some(watch) = watch {
            terms.iter().for_each(|(name, value)| watch.number(name, *value));
        }
    }

    /// One step of `networks` down the gradient, noted.
    pub(crate) fn descend(
        self,
        networks: &mut Learner<ActorCritic>,
        learning_rate: f64,
        update: u64,
        means: &mut Means,
    ) -> Result<(), TrainError> {
        let descent = networks.step(self.loss, self.gradient, learning_rate, update)?;
        means.add("loss", descent.loss);
        means.add("grad_norm", descent.grad_norm);
        Ok(())
    }
}

/// Which terms of the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Both,
    Actor,
    Critic,
}

/// What is made of a piece, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// From observations to a distribution and values.
    Forward,
    /// From there to one number.
    Loss,
    /// From there to the gradient, as one flat vector.
    Backward,
}

/// The terms and the shard of every piece.
fn pieces(networks: &ActorCritic, batch: &Minibatch) -> Vec<(Part, usize)> {
    let parts: &[Part] = match networks.independent_value() {
        Some(_) => &[Part::Actor, Part::Critic],
        None => &[Part::Both],
    };
    let shards = 0..batch.0.len();
    parts.iter().flat_map(|&part| shards.clone().map(move |shard| (part, shard))).collect()
}

/// The loss of a minibatch with the networks as they are.
pub(crate) fn loss(
    learner: &Learner<ActorCritic>,
    batch: &Minibatch,
    objective: &impl Objective,
) -> Told {
    if learner.crew.threads() == 1 {
        return staged_loss(&learner.module, batch, objective, &mut |_| ());
    }
    let pieces = pieces(&learner.module, batch);
    let threads = learner.crew.threads().min(pieces.len());
    let told = learner.crew.all(tasks(&learner.module, batch, objective, &pieces, threads));
    Told::all(pieces.iter().map(|(part, _)| *part).zip(told.into_iter().flatten()))
}

/// The same on the calling thread alone; `done` is told of every stage of every piece when it is over.
pub(crate) fn staged_loss(
    networks: &ActorCritic,
    batch: &Minibatch,
    objective: &impl Objective,
    done: &mut impl FnMut(Stage),
) -> Told {
    let room = networks.count();
    let piece = |(part, shard): (_, usize)| {
        (part, terms(networks, &batch.0[shard], objective, part, room, done))
    };
    Told::all(pieces(networks, batch).into_iter().map(piece))
}

/// The pieces in their order, dealt to so many threads.
fn tasks(
    networks: &ActorCritic,
    batch: &Minibatch,
    objective: &impl Objective,
    pieces: &[(Part, usize)],
    threads: usize,
) -> Vec<Task<Vec<Told>>> {
    let room = networks.count();
    let cut = |thread: usize| thread * pieces.len() / threads;
    let share = |thread| {
        let (before, mine) =
            (&pieces[..cut(thread)], pieces[cut(thread)..cut(thread + 1)].to_vec());
        // burn locks the graph that a parameter is part of: two threads need two of each.
        let met = mine.iter().any(|(part, _)| before.iter().any(|(other, _)| part == other));
        let networks = if met { replica(networks) } else { networks.clone() };
        let (batch, objective) = (batch.clone(), objective.clone());
        let task = move || {
            let piece = |&(part, shard): &(_, usize)| {
                terms(&networks, &batch.0[shard], &objective, part, room, &mut |_| ())
            };
            mine.iter().map(piece).collect()
        };
        Box::new(task) as Task<_>
    };
    (0..threads).map(share).collect()
}

/// The same networks with parameters that nobody else's graph holds.
fn replica(networks: &ActorCritic) -> ActorCritic {
    params::unflatten(networks.clone(), &params::flatten(networks))
}

/// Some terms of the loss, as far as these rows make it, and their gradient, with room for that of all terms; `done`
/// is told of every stage when it is over.
fn terms(
    networks: &ActorCritic,
    rows: &Shard,
    objective: &impl Objective,
    part: Part,
    room: usize,
    done: &mut impl FnMut(Stage),
) -> Told {
    let [entropy_coef, value_coef] = objective.coefficients();
    let (π, value) = match part {
        Part::Both => {
            let (π, value) = rows.evaluate(networks);
            (Some(π), Some(value))
        }
        Part::Actor => (Some(rows.policy(networks)), None),
        Part::Critic => (None, Some(rows.value(networks))),
    };
    done(Stage::Forward);
    let mut told = Told::default();
    let number = |term: &[f32]| rows.share * f64::from(term[0]);
    let actor = π.map(|π: Distribution| {
        let log_prob = π.log_prob(rows.actions.clone());
        let loss = objective.policy_loss(log_prob.clone(), rows);
        // With a coefficient of 0 it is only told, and needs no graph.
        let bonus = entropy_coef != 0.0;
        let entropy = if bonus { π.entropy() } else { π.valid().entropy() };
        let mean = |h: &[f32]| h.iter().map(|h| f64::from(*h)).sum::<f64>() / h.len() as f64;
        entries_of_all([log_prob, loss.clone(), entropy.clone()], |[log_prob, loss, entropy]| {
            told.log_probs = log_prob.to_vec();
            told.policy_loss = number(loss);
            told.entropy = rows.share * mean(entropy);
        });
        if bonus { with_bonus(loss, entropy, entropy_coef) } else { loss }
    });
    let critic = value.map(|value| {
        let loss = objective.value_loss(value, rows);
        told.value_loss = entries(loss.clone(), number);
        loss
    });
    // The gradient of w L is w times that of L, for which the graph needs no node.
    let (total, weight) = match (actor, critic) {
        (Some(actor), Some(critic)) => (actor + critic * value_coef, rows.share),
        (Some(actor), None) => (actor, rows.share),
        (None, critic) => (critic.expect("every part has a term"), rows.share * value_coef),
    };
    // An entropy may be infinite, and is not part of the loss then.
    let bonus = if entropy_coef == 0.0 { 0.0 } else { entropy_coef * told.entropy };
    told.loss = told.policy_loss - bonus + value_coef * told.value_loss;
    done(Stage::Loss);
    told.gradient = match (part, networks.independent_value()) {
        (Part::Actor, _) => Flat::gradient(networks.policy(), &total, room),
        (Part::Critic, Some(value)) => Flat::gradient(value, &total, room),
        _ => Flat::gradient(networks, &total, room),
    };
    if weight != 1.0 {
        told.gradient.scale(weight);
    }
    done(Stage::Backward);
    told
}
