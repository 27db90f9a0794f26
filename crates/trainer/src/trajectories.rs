//! Whole trajectories τ = (s₀, a₀, r₀, s₁, …), structure of arrays, one after the other.

use std::ops::Range;

use elegante_env::Ending;
use elegante_policy::ActionBatch;

/// A batch of finished trajectories.
#[derive(Clone, Debug)]
pub struct Trajectories {
    /// sₜ: `[steps × observation]`.
    pub observations: Vec<f32>,
    /// aₜ as drawn (unclipped): `[steps]` or `[steps × dims]`.
    pub actions: ActionBatch,
    /// Valid actions in sₜ: `[steps × n]`, or empty when all are, always.
    pub valid: Vec<bool>,
    /// rₜ, the reward for taking aₜ in sₜ: `[steps]`.
    pub rewards: Vec<f64>,
    /// Steps of each trajectory: `[trajectories]`.
    pub lengths: Vec<usize>,
    /// Why each trajectory ended: `[trajectories]`. A time limit is part of the horizon here, so the
    /// return is what was collected either way.
    pub endings: Vec<Ending>,
}

impl Trajectories {
    /// An empty batch; `actions` is empty too, and says of which kind they will be.
    pub fn new(actions: ActionBatch) -> Self {
        Self {
            observations: Vec::new(),
            actions,
            valid: Vec::new(),
            rewards: Vec::new(),
            lengths: Vec::new(),
            endings: Vec::new(),
        }
    }

    /// Number of steps, of all trajectories together.
    pub fn steps(&self) -> usize {
        self.rewards.len()
    }

    /// Number of trajectories.
    pub fn count(&self) -> usize {
        self.lengths.len()
    }

    /// The steps of each trajectory, as ranges into the arrays.
    pub fn spans(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.lengths.iter().scan(0, |start, &length| {
            let span = *start..*start + length;
            *start = span.end;
            Some(span)
        })
    }

    /// r(τ) of each trajectory, undiscounted.
    pub fn returns(&self) -> impl Iterator<Item = f64> + '_ {
        self.spans().map(|span| self.rewards[span].iter().sum())
    }

    /// Notes which of `n` actions are valid in the state whose step comes next; `None`: all.
    ///
    /// Nothing is stored until the first mask appears, since most environments have none.
    pub(crate) fn push_mask(&mut self, mask: Option<&[bool]>, n: usize) {
        if let Some(mask) = mask {
            self.valid.resize(self.steps() * n, true);
            self.valid.extend_from_slice(mask);
        }
    }

    /// Appends the trajectories of `other`, where a discrete action is one of `n`.
    pub(crate) fn append(&mut self, other: &Self, n: usize) {
        if !(self.valid.is_empty() && other.valid.is_empty()) {
            self.valid.resize(self.steps() * n, true);
            self.valid.extend_from_slice(&other.valid);
        }
        self.observations.extend_from_slice(&other.observations);
        self.actions.append(&other.actions);
        self.rewards.extend_from_slice(&other.rewards);
        self.lengths.extend_from_slice(&other.lengths);
        self.endings.extend_from_slice(&other.endings);
        if !self.valid.is_empty() {
            self.valid.resize(self.steps() * n, true);
        }
    }

    /// Empties the batch and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.observations.clear();
        self.actions.clear();
        self.valid.clear();
        self.rewards.clear();
        self.lengths.clear();
        self.endings.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(rewards: &[f64], lengths: &[usize]) -> Trajectories {
        let mut batch = Trajectories::new(ActionBatch::Discrete(Vec::new()));
        batch.rewards = rewards.to_vec();
        batch.lengths = lengths.to_vec();
        batch.endings = vec![Ending::Terminated; lengths.len()];
        batch
    }

    #[test]
    fn spans_cover_the_steps_in_order() {
        let batch = batch(&[1.0, 2.0, 3.0, 4.0, 5.0], &[2, 3]);
        assert_eq!(batch.spans().collect::<Vec<_>>(), [0..2, 2..5]);
        assert_eq!(batch.returns().collect::<Vec<_>>(), [3.0, 12.0]);
    }

    #[test]
    fn masks_line_up_with_steps_whenever_they_first_appear() {
        let mut late = Trajectories::new(ActionBatch::Discrete(Vec::new()));
        late.push_mask(None, 2);
        late.rewards.push(0.0);
        late.push_mask(Some(&[false, true]), 2);
        late.rewards.push(0.0);
        assert_eq!(late.valid, [true, true, false, true]);

        let mut all = batch(&[0.0], &[1]);
        all.append(&late, 2);
        all.append(&batch(&[0.0], &[1]), 2);
        assert_eq!(all.valid, [true, true, true, true, false, true, true, true]);
    }

    #[test]
    fn a_mask_that_goes_away_again_leaves_all_actions_valid() {
        let mut some = Trajectories::new(ActionBatch::Discrete(Vec::new()));
        some.push_mask(Some(&[false, true]), 2);
        some.rewards.push(0.0);
        some.push_mask(None, 2);
        some.rewards.push(0.0);
        let mut all = Trajectories::new(ActionBatch::Discrete(Vec::new()));
        all.append(&some, 2);
        assert_eq!(all.valid, [false, true, true, true]);
    }
}
