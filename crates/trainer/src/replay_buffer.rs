//! Experience to learn from more than once: the last transitions of every lane, in a ring.
//!
//! A step is stored once: what followed it is the next step of its lane, or what the lane stands at now.
//! Only where an episode was cut off by a limit is the observation from before the reset kept beside the
//! ring. So the ring takes half of what pairs of observations would, and a transition over n steps, which
//! ends early at an ending, bootstraps from where it ended: through a truncation, never through a
//! termination.

mod saved;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, TryReserveError};

use elegante_env::{Ending, EnvRng};
use elegante_policy::{ActionBatch, ActionHead};
use rand::RngExt;

use crate::{
    arrays::actions,
    sum_tree::SumTree,
    watch::{Array, Watch},
};

/// What keeps a transition with no error at all from never being seen again (Schaul et al., 2016, § 3.3).
const LEAST_ERROR: f64 = 1e-6;

/// Bytes around the observation of a cut off episode: what the allocator adds to a vector or two, and a tree to an
/// entry, of which its nodes have room for up to twice as many.
const FINAL_BESIDE: usize = 32 + size_of::<(usize, Final)>();

/// How transitions are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Draw {
    /// Transitions in a minibatch.
    pub(crate) size: usize,
    /// Steps that a transition spans, at most.
    pub(crate) n_steps: usize,
    pub(crate) gamma: f64,
    /// β, how much of the bias is corrected that priorities bring, where there are such.
    pub(crate) beta: f64,
}

/// Transitions drawn from a buffer: (s, a, R, s′, Γ), where R is what the steps between earned and Γ what
/// the value of s′ counts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transitions {
    /// Steps of the run when they were drawn.
    pub(crate) steps: u64,
    /// Where in the buffer they stand.
    pub(crate) rows: Vec<usize>,
    /// s, `[size × width]`.
    pub(crate) observations: Vec<f32>,
    /// The actions that s allows, `[size × choices]`; empty where there are no masks.
    pub(crate) valid: Vec<bool>,
    pub(crate) actions: ActionBatch,
    /// R = Σₖ γᵏ rₖ.
    pub(crate) rewards: Vec<f32>,
    /// s′, `[size × width]`; s itself where nothing follows.
    pub(crate) next_observations: Vec<f32>,
    /// The actions that s′ allows, `[size × choices]`; empty where there are no masks.
    pub(crate) next_valid: Vec<bool>,
    /// Γ = γᵐ after m steps, 0 where the episode terminated.
    pub(crate) discounts: Vec<f32>,
    /// What each counts in the loss, at most 1; empty where all count the same.
    pub(crate) weights: Vec<f32>,
}

impl Transitions {
    /// Bytes that `size` of them take; saturating.
    pub(crate) fn bytes(size: usize, width: usize, head: &ActionHead, masked: bool) -> u64 {
        let masks = if masked { 2 * head.choices() } else { 0 };
        let each = 2 * 4 * width + action_bytes(head) + size_of::<usize>() + 3 * size_of::<f32>();
        (size as u64).saturating_mul((each + masks) as u64)
    }

    /// Puts everything on record that is learnt from.
    pub(crate) fn record(&self, watch: &mut Watch, width: usize) {
        watch.record("observation", Array::rows(self.observations.clone(), width));
        if !self.valid.is_empty() {
            let choices = self.valid.len() / self.rows.len().max(1);
            watch.record("valid action", Array::rows(self.valid.as_slice(), choices));
        }
        watch.record("action", actions(&self.actions));
        watch.record("reward", Array::flat(self.rewards.clone()));
        watch.record("next observation", Array::rows(self.next_observations.clone(), width));
        watch.record("discount", Array::flat(self.discounts.clone()));
        watch.record("weight of the transition", Array::flat(self.weights.clone()));
    }
}

/// What follows the steps of a transition.
enum Successor {
    /// The observation of this row.
    Row(usize),
    /// What the lane of this row stands at now.
    Latest,
    /// What an episode was cut off at, beside this row.
    Final(usize),
    /// Nothing: the episode terminated.
    Nothing,
}

/// Where an episode was cut off.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Final {
    /// What was observed there: `[width]`.
    pub(crate) observation: Vec<f32>,
    /// The actions that were valid: `[choices]`; empty where all were.
    pub(crate) valid: Vec<bool>,
}

/// The last steps of every lane.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ReplayBuffer {
    lanes: usize,
    width: usize,
    head: ActionHead,
    /// Vector steps that fit.
    slots: usize,
    /// Vector steps that are in it.
    len: usize,
    /// The slot that the next vector step goes to.
    next: usize,
    /// sₜ: `[len × lanes × width]`.
    observations: Vec<f32>,
    actions: ActionBatch,
    rewards: Vec<f32>,
    endings: Vec<Option<Ending>>,
    /// The actions that sₜ allows, once there has been a mask: `[len × lanes × choices]`.
    valid: Vec<bool>,
    /// By row, what truncated episodes were cut off at.
    finals: BTreeMap<usize, Final>,
    /// What every lane stands at now, and what it allows.
    latest: (Vec<f32>, Vec<bool>),
    priorities: Option<Priorities>,
}

/// How likely each row is to be drawn: pᵢ = (|δᵢ| + ε)^α (Schaul et al., 2016).
#[derive(Clone, Debug, PartialEq)]
struct Priorities {
    tree: SumTree,
    alpha: f64,
    /// That of rows which have not been learnt from yet: the largest there has been.
    largest: f64,
}

impl ReplayBuffer {
    /// An empty one for `capacity` steps of all lanes together; with priorities where there is an `alpha`.
    pub(crate) fn new(
        capacity: usize,
        lanes: usize,
        width: usize,
        head: &ActionHead,
        alpha: Option<f64>,
    ) -> Self {
        let slots = (capacity / lanes).max(1);
        let priorities = |alpha| Priorities { tree: SumTree::default(), alpha, largest: 1.0 };
        Self {
            lanes,
            width,
            head: head.clone(),
            slots,
            len: 0,
            next: 0,
            observations: Vec::new(),
            actions: head.no_actions(),
            rewards: Vec::new(),
            endings: Vec::new(),
            valid: Vec::new(),
            finals: BTreeMap::new(),
            latest: (vec![0.0; lanes * width], Vec::new()),
            priorities: alpha.map(priorities),
        }
    }

    /// Bytes that one with `steps` in it takes, but for what truncated episodes add
    /// ([`taken`](Self::taken)); saturating, so that what can't be is refused as too large.
    pub(crate) fn bytes(
        steps: usize,
        width: usize,
        head: &ActionHead,
        (prioritized, masked): (bool, bool),
    ) -> u64 {
        let mask = if masked { head.choices() } else { 0 };
        let step =
            4 * width + action_bytes(head) + size_of::<f32>() + size_of::<Option<Ending>>() + mask;
        // A tree has two nodes for each leaf, and up to two leaves for each row.
        let tree = if prioritized { 4 * size_of::<f64>() } else { 0 };
        (steps as u64).saturating_mul((step + tree) as u64)
    }

    /// Asks for the memory of `steps` steps, or as many as fit in it, so that what is in it need never be moved
    /// to twice as much; it is taken as it fills.
    ///
    /// # Errors
    /// When there is not so much.
    pub(crate) fn reserve(&mut self, steps: usize) -> Result<(), TryReserveError> {
        let most = steps.div_ceil(self.lanes).min(self.slots) * self.lanes;
        let (width, actions) = (self.width, most.saturating_mul(self.head.dims()));
        reserve(&mut self.observations, most.saturating_mul(width))?;
        reserve(&mut self.rewards, most)?;
        reserve(&mut self.endings, most)?;
        if !(self.valid.is_empty() && self.latest.1.is_empty()) {
            reserve(&mut self.valid, most.saturating_mul(self.head.choices()))?;
        }
        match &mut self.actions {
            ActionBatch::Discrete(all) => reserve(all, actions),
            ActionBatch::MultiDiscrete { values, .. } => reserve(values, actions),
            ActionBatch::MultiBinary { values, .. } => reserve(values, actions),
            ActionBatch::Continuous { values, .. } => reserve(values, actions),
        }
    }

    /// Steps in it, over all lanes.
    pub(crate) fn len(&self) -> usize {
        self.len * self.lanes
    }

    /// Bytes that it takes now, what truncated episodes add included.
    pub(crate) fn taken(&self) -> u64 {
        let masked = !self.valid.is_empty();
        let kinds = (self.priorities.is_some(), masked);
        let mask = if masked { self.head.choices() } else { 0 };
        let each = 4 * self.width + mask + size_of::<(usize, Final)>() + FINAL_BESIDE;
        let finals = (self.finals.len() as u64).saturating_mul(each as u64);
        Self::bytes(self.len(), self.width, &self.head, kinds).saturating_add(finals)
    }

    /// Episodes in it that were cut off.
    pub(crate) fn cut_off(&self) -> usize {
        self.finals.len()
    }

    /// What every lane stands at: `[lanes × width]`.
    pub(crate) fn standing(&self) -> &[f32] {
        &self.latest.0
    }

    /// What every lane stands at, from which the next step is made, and what it allows.
    pub(crate) fn stand(&mut self, observations: &[f32], valid: Vec<bool>) {
        self.latest.0.copy_from_slice(observations);
        self.latest.1 = valid;
        if !self.latest.1.is_empty() {
            self.keep_masks();
        }
    }

    /// From the first mask on there is one for every step; whatever came before allowed everything.
    fn keep_masks(&mut self) {
        self.valid.resize(self.len() * self.head.choices(), true);
    }

    /// One step of every lane from where it [stood](Self::stand).
    pub(crate) fn push(
        &mut self,
        actions: &ActionBatch,
        rewards: &[f64],
        endings: &[Option<Ending>],
        finals: Vec<(usize, Final)>,
    ) {
        let first = self.next * self.lanes;
        let (row, width, choices) = (first..first + self.lanes, self.width, self.head.choices());
        put(&mut self.observations, first * width, &self.latest.0);
        put_actions(&mut self.actions, first, actions);
        let rewards: Vec<f32> = rewards.iter().map(|&reward| reward as f32).collect();
        put(&mut self.rewards, first, &rewards);
        put(&mut self.endings, first, endings);
        let masks = std::mem::take(&mut self.latest.1);
        let cut_off = finals.iter().any(|(_, last)| !last.valid.is_empty());
        if cut_off || !(masks.is_empty() && self.valid.is_empty()) {
            self.keep_masks();
            let masks = if masks.is_empty() { vec![true; self.lanes * choices] } else { masks };
            put(&mut self.valid, first * choices, &masks);
        }
        let replaced: Vec<usize> = self.finals.range(row.clone()).map(|(row, _)| *row).collect();
        replaced.iter().for_each(|row| drop(self.finals.remove(row)));
        self.finals.extend(finals.into_iter().map(|(lane, last)| (first + lane, last)));
        if let Some(Priorities { tree, largest, .. }) = &mut self.priorities {
            row.for_each(|row| tree.set(row, *largest));
        }
        self.next = (self.next + 1) % self.slots;
        self.len = (self.len + 1).min(self.slots);
    }

    /// Minibatches are drawn with replacement: each row with the same chance, or by its priority, one from
    /// each of `size` equal parts of the sum of all.
    ///
    /// # Panics
    /// When the buffer is empty: that is a mistake in the caller.
    pub(crate) fn draw(&self, draw: &Draw, steps: u64, stream: &mut EnvRng) -> Transitions {
        let rows: Vec<usize> = match &self.priorities {
            None => (0..draw.size).map(|_| stream.random_range(0..self.len())).collect(),
            Some(Priorities { tree, .. }) => {
                let part = tree.total() / draw.size as f64;
                let point = |i| part * (i as f64 + stream.random::<f64>());
                (0..draw.size).map(point).map(|point| tree.find(point)).collect()
            }
        };
        let mut all = Transitions {
            steps,
            observations: Vec::with_capacity(rows.len() * self.width),
            valid: Vec::new(),
            actions: self.head.no_actions(),
            rewards: Vec::with_capacity(rows.len()),
            next_observations: Vec::with_capacity(rows.len() * self.width),
            next_valid: Vec::new(),
            discounts: Vec::with_capacity(rows.len()),
            weights: self.weights(&rows, draw.beta),
            rows,
        };
        for i in 0..all.rows.len() {
            self.add(all.rows[i], draw, &mut all);
        }
        all
    }

    /// wᵢ = (N Pᵢ)^−β, over the largest of them.
    fn weights(&self, rows: &[usize], beta: f64) -> Vec<f32> {
        let Some(Priorities { tree, .. }) = &self.priorities else { return Vec::new() };
        let scale = self.len() as f64 / tree.total();
        let weights: Vec<f64> =
            rows.iter().map(|&row| (scale * tree.get(row)).powf(-beta)).collect();
        let largest = weights.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        weights.iter().map(|weight| (weight / largest) as f32).collect()
    }

    /// Appends the transition that begins at `row`.
    fn add(&self, row: usize, draw: &Draw, all: &mut Transitions) {
        let (reward, discount, successor) = self.follow(row, draw);
        all.observations.extend_from_slice(self.observation(row));
        all.actions.push_row(&self.actions, row);
        all.rewards.push(reward as f32);
        all.discounts.push(discount as f32);
        let lane = row % self.lanes;
        all.next_observations.extend_from_slice(match successor {
            Successor::Row(next) => self.observation(next),
            Successor::Latest => &self.latest.0[lane * self.width..(lane + 1) * self.width],
            Successor::Final(row) => &self.finals[&row].observation,
            Successor::Nothing => self.observation(row),
        });
        if !self.valid.is_empty() {
            let choices = self.head.choices();
            all.valid.extend_from_slice(&self.valid[row * choices..(row + 1) * choices]);
            let allowed = match successor {
                Successor::Row(next) => self.valid.chunks_exact(choices).nth(next),
                Successor::Latest => self.latest.1.chunks_exact(choices).nth(lane),
                Successor::Final(row) => Some(self.finals[&row].valid.as_slice()),
                Successor::Nothing => None,
            };
            match allowed.filter(|allowed| !allowed.is_empty()) {
                Some(allowed) => all.next_valid.extend_from_slice(allowed),
                None => all.next_valid.resize(all.next_valid.len() + choices, true),
            }
        }
    }

    /// The discounted rewards from `row` on, what the value of the successor counts, and where that is.
    fn follow(&self, row: usize, draw: &Draw) -> (f64, f64, Successor) {
        let newest = (self.next + self.slots - 1) % self.slots;
        let (mut slot, lane) = (row / self.lanes, row % self.lanes);
        let (mut reward, mut discount) = (0.0, 1.0);
        for _ in 0..draw.n_steps {
            let row = slot * self.lanes + lane;
            reward += discount * f64::from(self.rewards[row]);
            discount *= draw.gamma;
            match self.endings[row] {
                Some(Ending::Terminated) => return (reward, 0.0, Successor::Nothing),
                Some(Ending::Truncated) => return (reward, discount, Successor::Final(row)),
                None if slot == newest => return (reward, discount, Successor::Latest),
                None => slot = (slot + 1) % self.slots,
            }
        }
        (reward, discount, Successor::Row(slot * self.lanes + lane))
    }

    fn observation(&self, row: usize) -> &[f32] {
        &self.observations[row * self.width..(row + 1) * self.width]
    }

    /// Sets the priorities of `rows`, whose errors δ have just been seen; nothing without priorities.
    pub(crate) fn prioritize(&mut self, rows: &[usize], errors: &[f32]) {
        let Some(Priorities { tree, alpha, largest }) = &mut self.priorities else { return };
        for (&row, error) in rows.iter().zip(errors) {
            let priority = (f64::from(error.abs()) + LEAST_ERROR).powf(*alpha);
            *largest = largest.max(priority);
            tree.set(row, priority);
        }
    }

    /// A lane has been put somewhere else: its last step led to where it stood, and to nothing since.
    pub(crate) fn cut(&mut self, lane: usize) {
        if self.len == 0 {
            return;
        }
        let row = (self.next + self.slots - 1) % self.slots * self.lanes + lane;
        if self.endings[row].is_none() {
            self.endings[row] = Some(Ending::Truncated);
            let choices = self.head.choices();
            let (observations, valid) = &self.latest;
            let last = Final {
                observation: observations[lane * self.width..(lane + 1) * self.width].to_vec(),
                valid: valid.chunks_exact(choices).nth(lane).unwrap_or_default().to_vec(),
            };
            self.finals.insert(row, last);
        }
    }
}

/// Bytes that an action takes.
fn action_bytes(head: &ActionHead) -> usize {
    match head.no_actions() {
        ActionBatch::Continuous { dims, .. } => 4 * dims,
        ActionBatch::MultiBinary { dims, .. } => dims,
        _ => size_of::<usize>() * head.dims(),
    }
}

/// Memory for `n` in all.
fn reserve<T>(all: &mut Vec<T>, n: usize) -> Result<(), TryReserveError> {
    all.try_reserve_exact(n.saturating_sub(all.len()))
}

/// Writes `row` at `at`, which is within `all` or its end.
fn put<T: Copy>(all: &mut Vec<T>, at: usize, row: &[T]) {
    match all.get_mut(at..at + row.len()) {
        Some(old) => old.copy_from_slice(row),
        None => all.extend_from_slice(row),
    }
}

/// The same for actions, which are of one kind.
fn put_actions(all: &mut ActionBatch, at: usize, row: &ActionBatch) {
    use ActionBatch::{Continuous, Discrete, MultiBinary, MultiDiscrete};
    match (all, row) {
        (Discrete(all), Discrete(row)) => put(all, at, row),
        (MultiDiscrete { values, dims }, MultiDiscrete { values: row, .. }) => {
            put(values, at * *dims, row);
        }
        (MultiBinary { values, dims }, MultiBinary { values: row, .. }) => {
            put(values, at * *dims, row);
        }
        (Continuous { values, dims }, Continuous { values: row, .. }) => {
            put(values, at * *dims, row);
        }
        _ => unreachable!("a policy draws actions of one kind"),
    }
}
