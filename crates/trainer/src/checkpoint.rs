//! Everything that a run is at an update boundary, as the bytes of one safetensors file.
//!
//! Weights, moments and environment states are tensors; counters, streams and scales are JSON in the
//! header. Reading one runs no code from the file and allocates no more than its size.

use std::collections::{BTreeMap, HashMap};

use burn::module::Module;
use elegante_env::EnvRng;
use elegante_policy::{checksum, params};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use crate::{
    TrainError,
    metrics::{Progress, Recent},
    optim::Learner,
};

/// The one metadata key: several would be written in an order that changes from run to run.
const KEY: &str = "elegante.checkpoint";
const VERSION: u32 = 1;

/// The part of a checkpoint that is not tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    pub(crate) progress: Progress,
    pub(crate) recent: Recent,
    pub(crate) next_evaluation: u64,
    /// Seconds trained so far.
    pub(crate) seconds: f64,
    pub(crate) algorithm: AlgorithmState,
    /// Action stream of each lane.
    pub(crate) streams: Vec<EnvRng>,
}

/// What an algorithm keeps besides its tensors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlgorithmState {
    /// Steps of each network's Adam, by the network's name.
    pub(crate) adam_steps: BTreeMap<String, u64>,
    /// Mean and spread of the returns that the value network last learnt from.
    pub(crate) value_scale: Option<(f64, f64)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    state: State,
    /// Of the state and every tensor: a bit that flipped in a moment or a stream shows nowhere else.
    checksum: String,
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
        let numbers = self.numbers.iter().map(|(name, numbers)| {
            let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
            (name, Dtype::F32, numbers.len(), bytes)
        });
        let bytes =
            self.bytes.iter().map(|(name, bytes)| (name, Dtype::U8, bytes.len(), bytes.clone()));
        let all: Vec<_> = numbers.chain(bytes).collect();
        let views = all.iter().map(|(name, dtype, length, bytes)| {
            TensorView::new(*dtype, vec![*length], bytes).map(|view| (name.as_str(), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(|e| failed(&e))?;
        let checksum = self.checksum()?;
        let header = Header { version: VERSION, state: self.state.clone(), checksum };
        let header = serde_json::to_string(&header).map_err(|e| failed(&e))?;
        let metadata = HashMap::from([(KEY.to_owned(), header)]);
        safetensors::serialize(views, Some(metadata)).map_err(|e| failed(&e))
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
        if version != VERSION || checkpoint.checksum()? != checksum {
            return Err(failed("its checksum does not match its contents; it is damaged".into()));
        }
        Ok(checkpoint)
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
    pub(crate) fn put<M: Module>(&mut self, name: &str, learner: &Learner<M>) {
        let adam = &learner.adam;
        let parts = [
            ("", params::flatten(&learner.module)),
            (".adam.m", adam.first.clone()),
            (".adam.v", adam.second.clone()),
        ];
        self.numbers.extend(parts.map(|(part, numbers)| (format!("{name}{part}"), numbers)));
        self.state.algorithm.adam_steps.insert(name.to_owned(), adam.steps);
    }

    /// Restores a network that learns from what was put in under `name`.
    pub(crate) fn get<M: Module>(
        &mut self,
        name: &str,
        learner: &mut Learner<M>,
    ) -> Result<(), TrainError> {
        let length = learner.module.num_params();
        learner.replace(&self.take(name, length)?);
        learner.adam.first = self.take(&format!("{name}.adam.m"), length)?;
        learner.adam.second = self.take(&format!("{name}.adam.v"), length)?;
        learner.adam.steps = *self.state.algorithm.adam_steps.get(name).ok_or_else(|| {
            TrainError::Checkpoint(format!(
                "knows no optimiser for `{name}`: it belongs to another configuration"
            ))
        })?;
        Ok(())
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
