//! Fixed-length rollouts: T steps in every lane, time-major, episodes running on from one rollout to
//! the next.

use std::sync::Arc;

use burn::tensor::{Bool, Device, Tensor, TensorData};
use elegante_env::Ending;
use elegante_policy::{ActionBatch, ActionHead, ActionTensor, ActorCritic, Distribution, Said};

use crate::{
    advantages::{Segment, discounts, gae, traces},
    bridge::{mask, matrix, vector},
    minibatches::normalized,
    watch::{Array, Numbers, Watch},
};

/// What T steps of n lanes brought; row t·n + i is step t of lane i.
#[derive(Clone, Debug)]
pub(crate) struct Rollout {
    pub(crate) lanes: usize,
    /// Numbers in an observation.
    pub(crate) width: usize,
    pub(crate) head: ActionHead,
    /// sₜ as the policy saw it: `[steps × lanes × width]`.
    pub(crate) observations: Vec<f32>,
    /// aₜ as drawn.
    pub(crate) actions: ActionBatch,
    /// `[steps × lanes × n]`, or empty when every action is valid.
    pub(crate) valid: Vec<bool>,
    /// log π_old(aₜ|sₜ) of the policy that acted.
    pub(crate) log_probs: Vec<f64>,
    /// rₜ as the algorithm sees it, perhaps normalised.
    pub(crate) rewards: Vec<f64>,
    /// V(sₜ).
    pub(crate) values: Vec<f64>,
    /// V of the observation that step t led to, from before any reset.
    pub(crate) next_values: Vec<f64>,
    /// Why the episode ended at step t, if it did.
    pub(crate) endings: Vec<Option<Ending>>,
    /// Whether sₜ begins an episode.
    pub(crate) starts: Vec<bool>,
    /// What the networks remembered before the first step: `[lanes × memory]`.
    pub(crate) memory: Vec<f32>,
}

/// Advantages, and the λ-returns that the value function learns.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    pub(crate) advantages: Vec<f64>,
    pub(crate) returns: Vec<f64>,
}

impl Rollout {
    /// Steps of all lanes together.
    pub(crate) fn len(&self) -> usize {
        self.rewards.len()
    }

    /// Âₜ by GAE(γ, λ), and Âₜ + V(sₜ).
    pub(crate) fn targets(&self, gamma: f64, lambda: f64) -> Targets {
        let advantages = gae(&Segment {
            rewards: &self.rewards,
            values: &self.values,
            next_values: &self.next_values,
            discounts: &discounts(&self.endings, gamma),
            traces: &traces(&self.endings, lambda),
            lanes: self.lanes,
        });
        let returns = advantages.iter().zip(&self.values).map(|(a, v)| a + v).collect();
        Targets { advantages, returns }
    }

    /// What is shuffled and dealt into minibatches: single steps, or whole lanes where the networks
    /// have a memory, since a memory only means something in its order.
    pub(crate) fn units(&self) -> usize {
        if self.memory.is_empty() { self.len() } else { self.lanes }
    }

    /// Rows of the given units: those steps, or all steps of those lanes, time-major.
    fn rows(&self, units: &[usize]) -> Vec<usize> {
        if self.memory.is_empty() {
            return units.to_vec();
        }
        let steps = self.len() / self.lanes;
        (0..steps).flat_map(|t| units.iter().map(move |lane| t * self.lanes + lane)).collect()
    }

    /// The minibatch of the given units.
    pub(crate) fn gather(&self, targets: &Targets, units: &[usize], to: &Layout) -> Minibatch {
        let rows = self.rows(units);
        let unnormalized = pick(&targets.advantages, &rows);
        let advantages =
            if to.normalize_advantages { normalized(&unnormalized) } else { unnormalized.clone() };
        // Whole sequences hang together.
        let each = if self.memory.is_empty() { to.shard.min(rows.len()) } else { rows.len() };
        let share = |part: &[usize]| part.len() as f64 / rows.len() as f64;
        let parts = rows.chunks(each).zip(unnormalized.chunks(each)).zip(advantages.chunks(each));
        let shards = parts.map(|((part, unnormalized), advantages)| {
            self.shard(part, units, [unnormalized, advantages], share(part), &to.device)
        });
        Minibatch(shards.collect())
    }

    /// Some rows of a minibatch of these units, with the advantages that were estimated and those to learn from.
    fn shard(
        &self,
        rows: &[usize],
        units: &[usize],
        [estimated, advantages]: [&[f64]; 2],
        share: f64,
        device: &Device,
    ) -> Shard {
        let observations = take(&self.observations, rows, self.width);
        let choices = self.head.choices();
        let valid =
            if self.valid.is_empty() { Vec::new() } else { take(&self.valid, rows, choices) };
        let mut actions = self.head.no_actions();
        actions.extend_rows(&self.actions, rows);
        let old_values = pick(&self.values, rows);
        let memory = self.memory.len() / self.lanes;
        let sequence = (memory > 0).then(|| Sequence {
            memory: matrix(take(&self.memory, units, memory), memory, device),
            starts: rows.iter().map(|&row| self.starts[row]).collect(),
            lanes: units.len(),
        });
        Shard {
            share,
            observations: matrix(observations, self.width, device),
            actions: actions.to_tensor(device),
            valid: mask(&valid, choices, device),
            old_log_probs: pick(&self.log_probs, rows),
            advantages: advantages.to_vec(),
            // Not taken from where they are: every array is one more place that is in no cache.
            returns: estimated.iter().zip(&old_values).map(|(a, v)| a + v).collect(),
            old_values,
            sequence,
            device: device.clone(),
        }
    }
}

/// How rows of a rollout become minibatches.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) normalize_advantages: bool,
    /// Rows of a minibatch that are computed at once, at most.
    pub(crate) shard: usize,
    pub(crate) device: Device,
}

fn pick(all: &[f64], rows: &[usize]) -> Vec<f64> {
    rows.iter().map(|&row| all[row]).collect()
}

/// Rows of `width` entries each, by index.
fn take<T: Copy>(all: &[T], rows: &[usize], width: usize) -> Vec<T> {
    /// A row whose length the compiler knows is copied without a call.
    fn short<T: Copy, const WIDTH: usize>(all: &[T], rows: &[usize]) -> Vec<T> {
        let all = all.as_chunks::<WIDTH>().0;
        rows.iter().map(|&row| all[row]).collect::<Vec<_>>().into_flattened()
    }
    match width {
        1 => short::<T, 1>(all, rows),
        2 => short::<T, 2>(all, rows),
        3 => short::<T, 3>(all, rows),
        4 => short::<T, 4>(all, rows),
        5 => short::<T, 5>(all, rows),
        6 => short::<T, 6>(all, rows),
        7 => short::<T, 7>(all, rows),
        8 => short::<T, 8>(all, rows),
        _ => {
            let mut taken = Vec::with_capacity(rows.len() * width);
            for row in rows {
                taken.extend_from_slice(&all[row * width..(row + 1) * width]);
            }
            taken
        }
    }
}

/// Part of a rollout, ready to learn from, in the pieces that it is computed in.
///
/// The gradient of a mean over the rows is the sum of the pieces' gradients, each weighed by its share.
/// How many pieces there are depends on nothing but the number of rows, and so does every bit of the sum.
#[derive(Clone)]
pub(crate) struct Minibatch(pub(crate) Arc<[Shard]>);

impl Minibatch {
    /// log π_old(aₜ|sₜ) of every row.
    pub(crate) fn old_log_probs(&self) -> impl Iterator<Item = f64> {
        self.0.iter().flat_map(|shard| shard.old_log_probs.iter().copied())
    }

    /// log πθ(aₜ|sₜ) − log π_old(aₜ|sₜ) of every row, as the loss has it; `log_probs` are the former.
    pub(crate) fn log_ratios(&self, mut log_probs: &[f32]) -> Vec<f64> {
        let mut ratios = Vec::with_capacity(log_probs.len());
        for shard in self.0.iter() {
            let (here, rest) = log_probs.split_at(shard.old_log_probs.len());
            let pairs = here.iter().zip(&shard.old_log_probs);
            ratios.extend(pairs.map(|(new, old)| f64::from(new - *old as f32)));
            log_probs = rest;
        }
        ratios
    }
}

impl Minibatch {
    /// Puts on record what it holds.
    pub(crate) fn record(&self, watch: &mut Watch) {
        let mut record = |name: &str, of: &dyn Fn(&Shard) -> Option<Array>| {
            let parts = self.0.iter().filter_map(of);
            parts.reduce(Array::then).into_iter().for_each(|array| watch.record(name, array));
        };
        record("observation", &|shard| Some(rows_of(&shard.observations)));
        record("initial memory", &|shard| Some(rows_of(&shard.sequence.as_ref()?.memory)));
        record("start of an episode", &|shard| {
            Some(Array::flat(shard.sequence.as_ref()?.starts.as_slice()))
        });
        record("action", &|shard| Some(actions_of(&shard.actions)));
        record("valid action", &|shard| {
            let valid = shard.valid.clone()?;
            let width = valid.dims()[1];
            let flags: Vec<bool> = valid.into_data().iter::<bool>().collect();
            Some(Array::rows(flags.as_slice(), width))
        });
        record("old log-probability", &|shard| Some(Array::flat(shard.old_log_probs.clone())));
        record("old value", &|shard| Some(Array::flat(shard.old_values.clone())));
        record("return", &|shard| Some(Array::flat(shard.returns.clone())));
        record("advantage", &|shard| Some(Array::flat(shard.advantages.clone())));
    }
}

fn rows_of(tensor: &Tensor<2>) -> Array {
    let width = tensor.dims()[1];
    Array::rows(tensor.clone().into_data().iter::<f32>().collect::<Vec<_>>(), width)
}

fn actions_of(actions: &ActionTensor) -> Array {
    let whole = |data: TensorData| Numbers::U64(data.iter::<i64>().map(|i| i as u64).collect());
    match actions.clone() {
        ActionTensor::Discrete(a) => Array::flat(whole(a.into_data())),
        ActionTensor::MultiDiscrete(a) => {
            let width = a.dims()[1];
            Array::rows(whole(a.into_data()), width)
        }
        ActionTensor::MultiBinary(a) => {
            let width = a.dims()[1];
            Array::rows(a.into_data().iter::<bool>().collect::<Vec<_>>().as_slice(), width)
        }
        ActionTensor::Continuous(a) => rows_of(&a),
    }
}

/// Some rows of a minibatch.
pub(crate) struct Shard {
    /// Of the minibatch's rows.
    pub(crate) share: f64,
    pub(crate) observations: Tensor<2>,
    pub(crate) actions: ActionTensor,
    pub(crate) valid: Option<Tensor<2, Bool>>,
    pub(crate) old_log_probs: Vec<f64>,
    pub(crate) old_values: Vec<f64>,
    /// Normalised over the whole minibatch, if at all.
    pub(crate) advantages: Vec<f64>,
    pub(crate) returns: Vec<f64>,
    /// With networks that remember.
    sequence: Option<Sequence>,
    device: Device,
}

/// How the rows of a minibatch hang together.
struct Sequence {
    /// Before the first step: `[lanes, memory]`.
    memory: Tensor<2>,
    /// Whether a row begins an episode: `[steps × lanes]`.
    starts: Vec<bool>,
    lanes: usize,
}

impl Shard {
    /// Numbers of the rows as a tensor.
    pub(crate) fn tensor(&self, numbers: &[f64]) -> Tensor<1> {
        vector(numbers, &self.device)
    }

    /// πθ(·|sₜ) of every row, by the policy as it is now; without a memory.
    pub(crate) fn policy(&self, networks: &ActorCritic) -> Distribution {
        networks.policy().forward(self.observations.clone(), self.valid.clone())
    }

    /// Vφ(sₜ) of every row, `[rows, 1]`, by the value function as it is now; without a memory.
    pub(crate) fn value(&self, networks: &ActorCritic) -> Tensor<2> {
        networks.value_column(self.observations.clone())
    }

    /// Both, of networks that share layers or remember.
    pub(crate) fn evaluate(&self, networks: &ActorCritic) -> (Distribution, Tensor<2>) {
        let said = match &self.sequence {
            None => networks.say(self.observations.clone()),
            Some(sequence) => self.unroll(networks, sequence),
        };
        (networks.distribution(&said, self.valid.clone()), said.value_column())
    }

    /// The networks step by step through their memory, which every new episode begins without.
    fn unroll(&self, networks: &ActorCritic, sequence: &Sequence) -> Said {
        let lanes = sequence.lanes;
        let mut memory = sequence.memory.clone();
        let steps = sequence.starts.chunks_exact(lanes).enumerate().map(|(t, starts)| {
            let observations = self.observations.clone().narrow(0, t * lanes, lanes);
            let (said, next) = networks.step(observations, kept(memory.clone(), starts));
            memory = next;
            said
        });
        Said::cat(steps.collect())
    }
}

/// The memory with the rows that begin an episode set to zero.
pub(crate) fn kept(memory: Tensor<2>, starts: &[bool]) -> Tensor<2> {
    if !starts.contains(&true) {
        return memory;
    }
    let keep: Vec<f64> = starts.iter().map(|&start| if start { 0.0 } else { 1.0 }).collect();
    let keep = vector(&keep, &memory.device()).unsqueeze_dim::<2>(1);
    memory * keep
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_every_width_are_taken_whole_and_in_order() {
        for width in 1..=9 {
            let all: Vec<usize> = (0..5 * width).collect();
            let expected: Vec<usize> =
                [3, 0, 3].iter().flat_map(|row| row * width..(row + 1) * width).collect();
            assert_eq!(take(&all, &[3, 0, 3], width), expected, "{width}");
        }
    }
}
