//! What was collected as named arrays, for the record of a failed update, and back.

use elegante_env::Ending;
use elegante_policy::{ActionBatch, ActionHead};

use crate::{
    TrainError,
    replay_buffer::Transitions,
    rollout::Rollout,
    trajectories::Trajectories,
    watch::{Array, Arrays, Numbers},
};

impl Rollout {
    /// Everything in it; rows are steps, time-major.
    pub(crate) fn to_arrays(&self) -> Arrays {
        let memory = self.memory.len() / self.lanes.max(1);
        let arrays = [
            ("observations", Array::rows(self.observations.clone(), self.width)),
            ("actions", actions(&self.actions)),
            ("valid", Array::rows(self.valid.as_slice(), self.head.choices())),
            ("log_probs", Array::flat(self.log_probs.clone())),
            ("rewards", Array::flat(self.rewards.clone())),
            ("values", Array::flat(self.values.clone())),
            ("next_values", Array::flat(self.next_values.clone())),
            ("endings", endings(self.endings.iter().copied())),
            ("starts", Array::flat(self.starts.as_slice())),
            ("memory", Array::rows(self.memory.clone(), memory)),
        ];
        arrays.map(|(name, array)| (name.to_owned(), array)).into()
    }

    /// What [`to_arrays`](Self::to_arrays) made, if it fits `shape`, an empty rollout of the run's own.
    pub(crate) fn from_arrays(shape: Self, arrays: &mut Arrays) -> Result<Self, TrainError> {
        let rewards = numbers(arrays, "rewards")?;
        let n = rewards.len();
        if n == 0 || !n.is_multiple_of(shape.lanes) {
            return Err(foreign(&format!("has {n} steps, and this run {} lanes", shape.lanes)));
        }
        let rollout = Self {
            observations: floats(arrays, "observations")?,
            actions: actions_of(arrays, &shape.head)?,
            valid: flags(arrays, "valid")?,
            log_probs: numbers(arrays, "log_probs")?,
            values: numbers(arrays, "values")?,
            next_values: numbers(arrays, "next_values")?,
            endings: bytes(arrays, "endings")?.into_iter().map(ending).collect(),
            starts: flags(arrays, "starts")?,
            memory: floats(arrays, "memory")?,
            rewards,
            ..shape
        };
        let masks = if rollout.valid.is_empty() { 0 } else { n * rollout.head.choices() };
        let lengths = [
            (rollout.observations.len(), n * rollout.width),
            (rollout.actions.rows(), n),
            (rollout.valid.len(), masks),
            (rollout.log_probs.len(), n),
            (rollout.values.len(), n),
            (rollout.next_values.len(), n),
            (rollout.endings.len(), n),
            (rollout.starts.len(), n),
            (rollout.memory.len(), shape.memory.len()),
        ];
        same(&lengths)?;
        Ok(rollout)
    }
}

impl Trajectories {
    /// Everything in it; rows are steps, one trajectory after the other.
    pub(crate) fn to_arrays(&self, width: usize, outputs: usize) -> Arrays {
        let lengths = self.lengths.iter().map(|&length| length as u64).collect();
        let arrays = [
            ("observations", Array::rows(self.observations.clone(), width)),
            ("actions", actions(&self.actions)),
            ("valid", Array::rows(self.valid.as_slice(), outputs)),
            ("rewards", Array::flat(self.rewards.clone())),
            ("lengths", Array::flat(Numbers::U64(lengths))),
            ("endings", endings(self.endings.iter().map(|ending| Some(*ending)))),
        ];
        arrays.map(|(name, array)| (name.to_owned(), array)).into()
    }

    /// What [`to_arrays`](Self::to_arrays) made, if it fits a policy with this head and observations of
    /// this width.
    pub(crate) fn from_arrays(
        width: usize,
        head: &ActionHead,
        arrays: &mut Arrays,
    ) -> Result<Self, TrainError> {
        let trajectories = Self {
            observations: floats(arrays, "observations")?,
            actions: actions_of(arrays, head)?,
            valid: flags(arrays, "valid")?,
            rewards: numbers(arrays, "rewards")?,
            lengths: indices(arrays, "lengths")?,
            endings: bytes(arrays, "endings")?.into_iter().filter_map(ending).collect(),
        };
        let n = trajectories.steps();
        let masks = if trajectories.valid.is_empty() { 0 } else { n * head.choices() };
        let sum = trajectories.lengths.iter().try_fold(0usize, |sum, &n| sum.checked_add(n));
        same(&[
            (trajectories.observations.len(), n * width),
            (trajectories.actions.rows(), n),
            (trajectories.valid.len(), masks),
            (sum.unwrap_or(usize::MAX), n.max(1)),
            (trajectories.endings.len(), trajectories.count()),
        ])?;
        Ok(trajectories)
    }
}

impl Transitions {
    /// Everything in minibatches of equal size, one after the other; rows are transitions.
    pub(crate) fn to_arrays(all: &[Self], width: usize, head: &ActionHead) -> Arrays {
        let floats =
            |of: fn(&Self) -> &Vec<f32>| -> Vec<f32> { all.iter().flat_map(of).copied().collect() };
        let indices =
            |of: &dyn Fn(&Self) -> Vec<u64>| Numbers::U64(all.iter().flat_map(of).collect());
        let flags = |of: fn(&Self) -> &Vec<bool>| -> Vec<bool> {
            all.iter().flat_map(of).copied().collect()
        };
        let (valid, next_valid) = (flags(|batch| &batch.valid), flags(|batch| &batch.next_valid));
        let mut acted = head.no_actions();
        all.iter().for_each(|batch| acted.append(&batch.actions));
        let arrays = [
            ("steps", Array::flat(indices(&|batch| vec![batch.steps]))),
            ("rows", Array::flat(indices(&|b| b.rows.iter().map(|row| *row as u64).collect()))),
            ("observations", Array::rows(floats(|batch| &batch.observations), width)),
            ("valid", Array::rows(valid.as_slice(), head.choices())),
            ("actions", actions(&acted)),
            ("rewards", Array::flat(floats(|batch| &batch.rewards))),
            ("next_observations", Array::rows(floats(|batch| &batch.next_observations), width)),
            ("next_valid", Array::rows(next_valid.as_slice(), head.choices())),
            ("discounts", Array::flat(floats(|batch| &batch.discounts))),
            ("weights", Array::flat(floats(|batch| &batch.weights))),
        ];
        arrays.map(|(name, array)| (name.to_owned(), array)).into()
    }

    /// What [`to_arrays`](Self::to_arrays) made, if it fits minibatches of `size`.
    pub(crate) fn from_arrays(
        size: usize,
        width: usize,
        head: &ActionHead,
        arrays: &mut Arrays,
    ) -> Result<Vec<Self>, TrainError> {
        let (steps, rows) = (indices(arrays, "steps")?, indices(arrays, "rows")?);
        let [observations, rewards, next_observations, discounts, weights] =
            ["observations", "rewards", "next_observations", "discounts", "weights"]
                .map(|name| floats(arrays, name));
        let (observations, next_observations) = (observations?, next_observations?);
        let (rewards, discounts, weights) = (rewards?, discounts?, weights?);
        let acted = actions_of(arrays, head)?;
        let (valid, next_valid) = (flags(arrays, "valid")?, flags(arrays, "next_valid")?);
        let n = steps.len() * size;
        let or_none = |found: usize, expected| if found == 0 { 0 } else { expected };
        same(&[
            (rows.len(), n),
            (observations.len(), n * width),
            (acted.rows(), n),
            (rewards.len(), n),
            (next_observations.len(), n * width),
            (valid.len(), or_none(valid.len(), n * head.choices())),
            (next_valid.len(), valid.len()),
            (discounts.len(), n),
            (weights.len(), or_none(weights.len(), n)),
        ])?;
        let part = |i: usize| {
            let at = i * size..(i + 1) * size;
            let wide = |each: usize| at.start * each..at.end * each;
            let mut mine = head.no_actions();
            at.clone().for_each(|row| mine.push_row(&acted, row));
            Self {
                steps: steps[i] as u64,
                rows: rows[at.clone()].to_vec(),
                observations: observations[wide(width)].to_vec(),
                valid: valid.get(wide(head.choices())).unwrap_or_default().to_vec(),
                actions: mine,
                rewards: rewards[at.clone()].to_vec(),
                next_observations: next_observations[wide(width)].to_vec(),
                next_valid: next_valid.get(wide(head.choices())).unwrap_or_default().to_vec(),
                discounts: discounts[at.clone()].to_vec(),
                weights: weights.get(at.clone()).unwrap_or_default().to_vec(),
            }
        };
        Ok((0..steps.len()).map(part).collect())
    }
}

/// Actions, a row each; choices as indices, switches as 0 and 1.
pub(crate) fn actions(actions: &ActionBatch) -> Array {
    let indices =
        |values: &[usize]| Numbers::U64(values.iter().map(|&index| index as u64).collect());
    match actions {
        ActionBatch::Discrete(values) => Array::flat(indices(values)),
        ActionBatch::MultiDiscrete { values, dims } => Array::rows(indices(values), *dims),
        ActionBatch::MultiBinary { values, dims } => Array::rows(values.as_slice(), *dims),
        ActionBatch::Continuous { values, dims } => Array::rows(values.clone(), *dims),
    }
}

/// The actions among `arrays`, of the kind that `head` draws and among its choices.
fn actions_of(arrays: &mut Arrays, head: &ActionHead) -> Result<ActionBatch, TrainError> {
    let name = "actions";
    let actions = match head.no_actions() {
        ActionBatch::Discrete(_) => ActionBatch::Discrete(indices(arrays, name)?),
        ActionBatch::MultiDiscrete { dims, .. } => {
            ActionBatch::MultiDiscrete { values: indices(arrays, name)?, dims }
        }
        ActionBatch::MultiBinary { dims, .. } => {
            ActionBatch::MultiBinary { values: flags(arrays, name)?, dims }
        }
        ActionBatch::Continuous { dims, .. } => {
            ActionBatch::Continuous { values: floats(arrays, name)?, dims }
        }
    };
    if within(&actions, head) {
        return Ok(actions);
    }
    Err(foreign("has actions that this run's policy has not"))
}

/// Whether all of these are among the choices of `head`.
pub(crate) fn within(actions: &ActionBatch, head: &ActionHead) -> bool {
    match (actions, head) {
        (ActionBatch::Discrete(values), head) => {
            let n = head.choices();
            values.iter().all(|index| *index < n)
        }
        (ActionBatch::MultiDiscrete { values, .. }, ActionHead::MultiCategorical { ns }) => {
            values.len().is_multiple_of(ns.len().max(1))
                && values.iter().zip(ns.iter().cycle()).all(|(index, n)| index < n)
        }
        _ => true,
    }
}

fn endings(all: impl Iterator<Item = Option<Ending>>) -> Array {
    Array::flat(Numbers::U8(all.map(code).collect()))
}

/// 0 where an episode goes on, 1 where it terminated, 2 where it was truncated.
pub(crate) fn code(ending: Option<Ending>) -> u8 {
    match ending {
        None => 0,
        Some(Ending::Terminated) => 1,
        Some(Ending::Truncated) => 2,
    }
}

/// What [`code`] made a number of.
pub(crate) fn ending(code: u8) -> Option<Ending> {
    match code {
        0 => None,
        1 => Some(Ending::Terminated),
        _ => Some(Ending::Truncated),
    }
}

fn foreign(why: &str) -> TrainError {
    TrainError::Failure(format!("its batch {why}: it belongs to another configuration"))
}

/// Each a length that was found, and the one that belongs there.
fn same(lengths: &[(usize, usize)]) -> Result<(), TrainError> {
    match lengths.iter().find(|(found, expected)| found != expected) {
        None => Ok(()),
        Some((found, expected)) => {
            Err(foreign(&format!("has {found} numbers where this run needs {expected}")))
        }
    }
}

/// Takes out the numbers called `name`.
fn take(arrays: &mut Arrays, name: &str) -> Result<Numbers, TrainError> {
    let array = arrays.remove(name);
    array.map(|array| array.numbers).ok_or_else(|| foreign(&format!("has no `{name}`")))
}

fn kind(name: &str) -> TrainError {
    foreign(&format!("has `{name}` of another kind than this run's"))
}

fn floats(arrays: &mut Arrays, name: &str) -> Result<Vec<f32>, TrainError> {
    match take(arrays, name)? {
        Numbers::F32(all) => Ok(all),
        _ => Err(kind(name)),
    }
}

fn numbers(arrays: &mut Arrays, name: &str) -> Result<Vec<f64>, TrainError> {
    match take(arrays, name)? {
        Numbers::F64(all) => Ok(all),
        _ => Err(kind(name)),
    }
}

fn bytes(arrays: &mut Arrays, name: &str) -> Result<Vec<u8>, TrainError> {
    match take(arrays, name)? {
        Numbers::U8(all) => Ok(all),
        _ => Err(kind(name)),
    }
}

fn flags(arrays: &mut Arrays, name: &str) -> Result<Vec<bool>, TrainError> {
    Ok(bytes(arrays, name)?.into_iter().map(|flag| flag != 0).collect())
}

fn indices(arrays: &mut Arrays, name: &str) -> Result<Vec<usize>, TrainError> {
    match take(arrays, name)? {
        Numbers::U64(all) => {
            all.into_iter().map(|index| usize::try_from(index).map_err(|_| kind(name))).collect()
        }
        _ => Err(kind(name)),
    }
}
