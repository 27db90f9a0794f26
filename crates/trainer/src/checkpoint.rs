//! Everything that a run is at an update boundary, as the bytes of one safetensors file.
//!
//! Weights, moments and environment states are tensors; counters, streams and scales are JSON in the
//! header. Reading one runs no code from the file and allocates no more than its size.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use elegante_policy::{checksum, params::Parameters};
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    TrainError,
    learner::{Learner, Variation},
    metrics::{Progress, Recent},
};

/// The one metadata key: several would be written in an order that changes from run to run.
const KEY: &str = "elegante.checkpoint";
/// Version of the format. The first had the seconds trained in it; it is read too.
const VERSION: u32 = 2;

/// The part of a checkpoint that is not tensors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    pub(crate) progress: Progress,
    pub(crate) recent: Recent,
    pub(crate) next_evaluation: u64,
    /// Whether the mean return asked for has been reached, which ends the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) solved: bool,
    /// Seconds trained so far, in format 1. No clock is in a checkpoint any more: equal runs have equal
    /// ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<f64>,
    /// What the algorithm and its environments keep besides tensors, by name, each as JSON.
    pub(crate) parts: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    state: State,
    /// Of the state and every tensor: a bit that flipped in a moment or a stream shows nowhere else.
    checksum: String,
}

/// Numbers or bytes as a file has them, without a copy where the machine has them so too: a replay buffer may
/// be most of the memory there is.
struct Stored<'a> {
    dtype: Dtype,
    shape: [usize; 1],
    bytes: Cow<'a, [u8]>,
}

impl<'a> Stored<'a> {
    fn numbers(numbers: &'a [f32]) -> Self {
        let bytes = if cfg!(target_endian = "little") {
            bytemuck::cast_slice(numbers).into()
        } else {
            numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
        };
        Self { dtype: Dtype::F32, shape: [numbers.len()], bytes }
    }

    fn bytes(bytes: &'a [u8]) -> Self {
        Self { dtype: Dtype::U8, shape: [bytes.len()], bytes: bytes.into() }
    }
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.bytes.as_ref().into()
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// A checkpoint taken apart.
pub(crate) struct Checkpoint {
    pub(crate) state: State,
    pub(crate) numbers: HashMap<String, Vec<f32>>,
    pub(crate) bytes: HashMap<String, Vec<u8>>,
}

impl Checkpoint {
    pub(crate) fn new(state: State) -> Self {
        Self { state, numbers: HashMap::new(), bytes: HashMap::new() }
    }

    /// The bytes of a safetensors file; equal checkpoints give equal bytes.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, TrainError> {
        let failed = |e: &dyn std::fmt::Display| TrainError::Checkpoint(e.to_string());
        let numbers = self.numbers.iter().map(|(name, numbers)| (name, Stored::numbers(numbers)));
        let bytes = self.bytes.iter().map(|(name, bytes)| (name, Stored::bytes(bytes)));
        let checksum = self.checksum()?;
        let header = Header { version: VERSION, state: self.state.clone(), checksum };
        let header = serde_json::to_string(&header).map_err(|e| failed(&e))?;
        let metadata = HashMap::from([(KEY.to_owned(), header)]);
        safetensors::serialize(numbers.chain(bytes), Some(metadata)).map_err(|e| failed(&e))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, TrainError> {
        let failed = |reason: String| TrainError::Checkpoint(reason);
        let damaged = |e| {
            failed(format!("not a readable safetensors file ({e}); it is damaged or cut short"))
        };
        let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let header =
            metadata.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or_else(|| {
                failed("a safetensors file, but not an elegante checkpoint".into())
            })?;
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let unreadable = |e| failed(format!("its header can't be read: {e}"));
        let Version { version } = serde_json::from_str(header).map_err(unreadable)?;
        if version > VERSION {
            return Err(failed(format!(
                "written in format {version}, and this elegante reads up to {VERSION}: update elegante"
            )));
        }
        let Header { version, state, checksum } =
            serde_json::from_str(header).map_err(unreadable)?;
        let (mut numbers, mut raw) = (HashMap::new(), HashMap::new());
        for (name, view) in tensors.iter() {
            match view.dtype() {
                Dtype::F32 => {
                    let chunks = view.data().as_chunks::<4>().0;
                    numbers.insert(
                        name.to_owned(),
                        chunks.iter().map(|b| f32::from_le_bytes(*b)).collect(),
                    );
                }
                Dtype::U8 => {
                    raw.insert(name.to_owned(), view.data().to_vec());
                }
                other => {
                    return Err(failed(format!(
                        "tensor `{name}` has the unexpected type {other:?}"
                    )));
                }
            }
        }
        let checkpoint = Self { state, numbers, bytes: raw };
        // Version 0 has never been: it is a 1 or a 2 with a bit that flipped.
        if version == 0 || checkpoint.checksum()? != checksum {
            return Err(failed("its checksum does not match its contents; it is damaged".into()));
        }
        Ok(checkpoint)
    }

    /// Whether the environment of `lane` is in it.
    pub(crate) fn has_env(&self, lane: usize) -> bool {
        self.bytes.contains_key(&format!("env.{lane}"))
    }

    /// The checksum of everything in it, in an order of names.
    fn checksum(&self) -> Result<String, TrainError> {
        let state = serde_json::to_string(&self.state);
        let state = state.map_err(|e| TrainError::Checkpoint(e.to_string()))?;
        let (numbers, raw): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (self.numbers.iter().collect(), self.bytes.iter().collect());
        let numbers = numbers.into_iter().flat_map(|(name, numbers)| {
            name.bytes().chain(numbers.iter().flat_map(|x| x.to_le_bytes()))
        });
        let raw =
            raw.into_iter().flat_map(|(name, bytes)| name.bytes().chain(bytes.iter().copied()));
        Ok(checksum(state.bytes().chain(numbers).chain(raw)))
    }

    /// Puts in a network that learns, under `name`.
    pub(crate) fn put<M: Parameters + Clone + Send + 'static>(
        &mut self,
        name: &str,
        learner: &Learner<M>,
    ) {
        self.numbers.insert(name.to_owned(), learner.parameters().into_owned());
        for (moment, numbers) in learner.optimizer.moments() {
            self.numbers.insert(format!("{name}.{moment}"), numbers.into_owned());
        }
        self.note(&format!("{name}.steps"), &learner.optimizer.steps());
        if let Some(previous) = &learner.variation.previous {
            let previous = previous.numbers().into_owned();
            self.numbers.insert(format!("{name}.previous_gradient"), previous);
        }
    }

    /// Restores a network that learns from what was put in under `name`.
    pub(crate) fn get<M: Parameters + Clone + Send + 'static>(
        &mut self,
        name: &str,
        learner: &mut Learner<M>,
    ) -> Result<(), TrainError> {
        let length = learner.module.count();
        learner.replace(self.take(name, length)?);
        learner.optimizer.restore(|moment| self.take(&format!("{name}.{moment}"), length))?;
        learner.optimizer.set_steps(self.recall(&format!("{name}.steps"))?);
        // It is not there before the first step, nor in files from before it was looked at.
        let previous = format!("{name}.previous_gradient");
        learner.variation = Variation::default();
        if self.numbers.contains_key(&previous) {
            let mut flat = learner.flat().clone();
            flat.replace(self.take(&previous, length)?);
            learner.variation.previous = Some(flat);
        }
        Ok(())
    }

    /// Notes a plain value under `name`.
    pub(crate) fn note(&mut self, name: &str, value: &impl Serialize) {
        // What is noted are numbers, streams and lists of them, which always serialise; anything else
        // would be missed by `recall`.
        if let Ok(json) = serde_json::to_string(value) {
            self.state.parts.insert(name.to_owned(), json);
        }
    }

    /// The value noted under `name`.
    pub(crate) fn recall<T: DeserializeOwned>(&self, name: &str) -> Result<T, TrainError> {
        let other = |why: String| {
            TrainError::Checkpoint(format!("`{name}` {why}: it belongs to another configuration"))
        };
        let json = self.state.parts.get(name).ok_or_else(|| other("is missing".into()))?;
        serde_json::from_str(json).map_err(|error| other(format!("can't be read ({error})")))
    }

    /// Takes out the bytes called `name`, of which there must be `length`.
    pub(crate) fn take_bytes(&mut self, name: &str, length: usize) -> Result<Vec<u8>, TrainError> {
        let bytes = self.bytes.remove(name).unwrap_or_default();
        if bytes.len() == length {
            return Ok(bytes);
        }
        Err(TrainError::Checkpoint(format!(
            "`{name}` has {} bytes where this run needs {length}: it belongs to another configuration",
            bytes.len(),
        )))
    }

    /// Takes out the numbers called `name`, of which there must be `length`, all finite.
    pub(crate) fn take(&mut self, name: &str, length: usize) -> Result<Vec<f32>, TrainError> {
        let numbers = self.numbers.remove(name).unwrap_or_default();
        if numbers.len() != length {
            return Err(TrainError::Checkpoint(format!(
                "`{name}` has {} numbers where this run needs {length}: it belongs to another configuration",
                numbers.len(),
            )));
        }
        match numbers.iter().find(|x| !x.is_finite()) {
            Some(bad) => {
                Err(TrainError::Checkpoint(format!("`{name}` holds {bad}: it is damaged")))
            }
            None => Ok(numbers),
        }
    }
}
