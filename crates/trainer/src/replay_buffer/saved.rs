//! A buffer in a checkpoint.

use elegante_env::Ending;
use elegante_policy::ActionBatch;

use super::{Final, ReplayBuffer, SumTree};
use crate::{
    TrainError,
    arrays::{code, ending, within},
    checkpoint::Checkpoint,
};

/// What a buffer is besides its rows.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    slots: usize,
    len: usize,
    next: usize,
    /// Whether there are masks, and whether the present ones are among them.
    masks: [bool; 2],
    /// Rows with a final observation of their own.
    finals: Vec<usize>,
    /// The largest priority there has been.
    largest: Option<f64>,
}

impl ReplayBuffer {
    /// Notes every transition.
    pub(crate) fn save(&self, checkpoint: &mut Checkpoint) {
        let shape = Shape {
            slots: self.slots,
            len: self.len,
            next: self.next,
            masks: [!self.valid.is_empty(), !self.latest.1.is_empty()],
            finals: self.finals.keys().copied().collect(),
            largest: self.priorities.as_ref().map(|priorities| priorities.largest),
        };
        checkpoint.note("replay", &shape);
        let flags = |flags: &[bool]| flags.iter().map(|&flag| u8::from(flag)).collect::<Vec<_>>();
        let mut numbers =
            |name: &str, all| checkpoint.numbers.insert(format!("replay.{name}"), all);
        numbers("observations", self.observations.clone());
        numbers("rewards", self.rewards.clone());
        numbers("latest", self.latest.0.clone());
        let finals = self.finals.values();
        numbers("finals", finals.clone().flat_map(|last| &last.observation).copied().collect());
        let mut bytes = |name: &str, all| checkpoint.bytes.insert(format!("replay.{name}"), all);
        bytes("endings", self.endings.iter().copied().map(code).collect());
        bytes("valid", flags(&self.valid));
        bytes("latest_valid", flags(&self.latest.1));
        if !self.valid.is_empty() {
            let choices = self.head.choices();
            let masks = finals.flat_map(|last| match last.valid.is_empty() {
                true => vec![1; choices],
                false => flags(&last.valid),
            });
            bytes("finals_valid", masks.collect());
        }
        if let Some(priorities) = &self.priorities {
            let rows = (0..self.len()).map(|row| priorities.tree.get(row));
            bytes("priorities", rows.flat_map(f64::to_le_bytes).collect());
        }
        match &self.actions {
            ActionBatch::Continuous { values, .. } => {
                checkpoint.numbers.insert("replay.actions".into(), values.clone());
            }
            ActionBatch::Discrete(all) | ActionBatch::MultiDiscrete { values: all, .. } => {
                bytes("actions", all.iter().flat_map(|&i| (i as u32).to_le_bytes()).collect());
            }
            ActionBatch::MultiBinary { values, .. } => drop(bytes("actions", flags(values))),
        }
    }

    /// Goes back to what [`save`](Self::save) noted.
    ///
    /// # Errors
    /// When it is of another shape; the buffer should then not be used any further.
    pub(crate) fn restore(&mut self, checkpoint: &mut Checkpoint) -> Result<(), TrainError> {
        let shape: Shape = checkpoint.recall("replay")?;
        let foreign = |what: &str| {
            TrainError::Checkpoint(format!(
                "its replay buffer {what}: it belongs to another configuration"
            ))
        };
        let wraps = shape.len == shape.slots || shape.next == shape.len;
        if shape.slots != self.slots
            || shape.len > shape.slots
            || shape.next >= shape.slots
            || !wraps
            || shape.largest.is_some() != self.priorities.is_some()
        {
            return Err(foreign("is of another size"));
        }
        let reserved = self.observations.capacity() / self.width;
        (self.len, self.next) = (shape.len, shape.next);
        let (rows, width, choices) = (self.len(), self.width, self.head.choices());
        let masks = |there: bool, rows: usize| if there { rows * choices } else { 0 };
        let flags = |bytes: Vec<u8>| bytes.into_iter().map(|flag| flag != 0).collect::<Vec<_>>();
        self.observations = checkpoint.take("replay.observations", rows * width)?;
        self.rewards = checkpoint.take("replay.rewards", rows)?;
        let latest = checkpoint.take("replay.latest", self.lanes * width)?;
        let finals = checkpoint.take("replay.finals", shape.finals.len() * width)?;
        let endings = checkpoint.take_bytes("replay.endings", rows)?;
        self.endings = endings.into_iter().map(ending).collect();
        self.valid = flags(checkpoint.take_bytes("replay.valid", masks(shape.masks[0], rows))?);
        let stands = masks(shape.masks[1], self.lanes);
        self.latest = (latest, flags(checkpoint.take_bytes("replay.latest_valid", stands)?));
        self.actions = self.saved_actions(checkpoint)?;
        if !within(&self.actions, &self.head) {
            return Err(foreign("has actions that this run's policy has not"));
        }
        // Files from before they were kept have none.
        let any = checkpoint.bytes.contains_key("replay.finals_valid");
        let valid =
            flags(checkpoint.take_bytes("replay.finals_valid", masks(any, shape.finals.len()))?);
        let last = |(i, observation): (usize, &[f32])| Final {
            observation: observation.to_vec(),
            valid: valid.chunks_exact(choices).nth(i).unwrap_or_default().to_vec(),
        };
        let finals = finals.chunks_exact(width).enumerate().map(last);
        self.finals = shape.finals.into_iter().zip(finals).collect();
        let cut = |(row, ending): (usize, &Option<Ending>)| {
            (*ending == Some(Ending::Truncated)).then_some(row)
        };
        if !self.endings.iter().enumerate().filter_map(cut).eq(self.finals.keys().copied()) {
            return Err(foreign("has other truncated episodes than final observations"));
        }
        if let (Some(priorities), Some(largest)) = (&mut self.priorities, shape.largest) {
            (priorities.tree, priorities.largest) = (SumTree::default(), largest);
            let bytes = checkpoint.take_bytes("replay.priorities", rows * size_of::<f64>())?;
            for (row, bytes) in bytes.as_chunks().0.iter().enumerate() {
                let priority = f64::from_le_bytes(*bytes);
                if !(priority > 0.0 && priority.is_finite()) {
                    return Err(foreign(&format!("has a priority of {priority}")));
                }
                priorities.tree.set(row, priority);
            }
        }
        let full = |_| TrainError::Checkpoint("its replay buffer does not fit into memory".into());
        self.reserve(reserved).map_err(full)
    }

    /// The actions in it, as many as there are rows.
    fn saved_actions(&self, checkpoint: &mut Checkpoint) -> Result<ActionBatch, TrainError> {
        let name = "replay.actions";
        let entries = self.len() * self.head.dims();
        let mut indices = || -> Result<Vec<usize>, TrainError> {
            let bytes = checkpoint.take_bytes(name, entries * size_of::<u32>())?;
            Ok(bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b) as usize).collect())
        };
        Ok(match self.head.no_actions() {
            ActionBatch::Discrete(_) => ActionBatch::Discrete(indices()?),
            ActionBatch::MultiDiscrete { dims, .. } => {
                ActionBatch::MultiDiscrete { values: indices()?, dims }
            }
            ActionBatch::MultiBinary { dims, .. } => {
                let bytes = checkpoint.take_bytes(name, entries)?;
                ActionBatch::MultiBinary { values: bytes.iter().map(|b| *b != 0).collect(), dims }
            }
            ActionBatch::Continuous { dims, .. } => {
                ActionBatch::Continuous { values: checkpoint.take(name, entries)?, dims }
            }
        })
    }
}
