//! The flight recorder: what an update that went wrong leaves behind, and how it is made once more.
//!
//! An update is a function of what it begins with. Where the learning failed, that is the batch, the
//! networks with their optimisers, and the stream that shuffles: all of it is at hand when the error
//! appears, so nothing has to be kept while all is well, and the environments need not be asked again.
//! Where the collecting failed, it is the whole run at an update boundary a few thousand steps earlier,
//! which the trainer keeps in memory; from there the run is made again.

use std::{borrow::Cow, collections::HashMap, fmt};

use elegante_env::EnvError;
use elegante_policy::{PolicyError, checksum};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use crate::{
    TrainError,
    watch::{Array, Arrays, Numbers, Phase},
};

/// The one metadata key: several would be written in an order that changes from run to run.
const KEY: &str = "elegante.failure";
const VERSION: u32 = 1;
/// The array that holds the state from before the update, a file in the file.
const STATE: &str = "state";

/// A number that is not finite, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bad {
    /// Its indices in the stage's numbers; the first is the row of the minibatch where there are rows.
    pub at: Vec<usize>,
    /// `NaN`, `inf` or `-inf`, for which JSON has no numbers.
    pub value: String,
}

impl Bad {
    pub(crate) fn new(at: Vec<usize>, value: f64) -> Self {
        Self { at, value: value.to_string() }
    }
}

/// One stage of an update, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// `observation`, `ratio`, `gradient policy.net.layers.0.weight` and so on.
    pub name: String,
    /// How many numbers it has.
    pub count: usize,
    /// The smallest and the largest of those that are finite.
    pub range: Option<[f64; 2]>,
    /// The first that is not.
    pub bad: Option<Bad>,
}

/// What went wrong, in words and figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureReport {
    /// The update that failed, from 1.
    pub update: u64,
    /// Environment steps that had been trained before it.
    pub steps: u64,
    /// What the update was at.
    pub phase: Phase,
    /// The error that ended the training.
    pub error: String,
    /// The quantity that was the first to go bad, by name.
    pub first: String,
    /// Its value.
    pub value: String,
    /// Learning: the minibatch of the update, from 1.
    pub minibatch: Option<u64>,
    /// Learning: that minibatch stage by stage, in the order in which they are computed.
    pub stages: Vec<Stage>,
    /// Collecting: lanes whose environment can't save its state, so that a replay can't repeat them.
    pub fresh_lanes: Vec<usize>,
}

impl FailureReport {
    /// The first quantity to go bad, and what it was, in half a sentence.
    pub fn culprit(&self) -> String {
        format!("{} = {}", self.first, self.value)
    }
}

/// An update that went wrong, with all that it takes to make it once more.
///
/// [`Trainer::failure`](crate::Trainer::failure) has one after an error,
/// [`Trainer::replay`](crate::Trainer::replay) takes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub(crate) report: FailureReport,
    /// A checkpoint's bytes: of the networks from before the update, or of the whole run.
    pub(crate) state: Vec<u8>,
    /// `batch.…`: what was collected; `stage …`: the numbers of the minibatch that went bad.
    pub(crate) arrays: Arrays,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    version: u32,
    report: Cow<'a, FailureReport>,
    /// The writer's own words, its configuration for example.
    notes: Cow<'a, str>,
    /// Of everything else in the file.
    checksum: String,
}

impl Failure {
    /// What went wrong.
    pub fn report(&self) -> &FailureReport {
        &self.report
    }

    /// The bytes of a safetensors file, with `notes` of the caller's own in its header. Any reader of
    /// safetensors finds in it the batch that was learnt from (`batch.observations`, `batch.actions`,
    /// …) and every stage of the minibatch that went bad (`stage ratio`, `stage gradient …`). Equal
    /// failures give equal bytes.
    ///
    /// # Errors
    /// When something can't be written down.
    pub fn to_safetensors(&self, notes: &str) -> Result<Vec<u8>, TrainError> {
        let failed = |e: &dyn fmt::Display| TrainError::Failure(e.to_string());
        let state = Array::flat(Numbers::U8(self.state.clone()));
        let mut arrays: Vec<_> = self.arrays.iter().map(|(name, a)| (name.as_str(), a)).collect();
        arrays.push((STATE, &state));
        let all: Vec<_> = arrays
            .into_iter()
            .map(|(name, array)| (name, array.shape.clone(), encode(&array.numbers)))
            .collect();
        let views = all.iter().map(|(name, shape, (dtype, bytes))| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (*name, view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(|e| failed(&e))?;
        let checksum = self.checksum(notes)?;
        let header = Header {
            version: VERSION,
            report: Cow::Borrowed(&self.report),
            notes: notes.into(),
            checksum,
        };
        let header = serde_json::to_string(&header).map_err(|e| failed(&e))?;
        let metadata = HashMap::from([(KEY.to_owned(), header)]);
        safetensors::serialize(views, Some(metadata)).map_err(|e| failed(&e))
    }

    /// Reads what [`to_safetensors`](Self::to_safetensors) wrote, and the notes in it. Runs no code from
    /// the file and allocates no more than a few times its size.
    ///
    /// # Errors
    /// [`TrainError::Failure`] says what is wrong with the bytes.
    pub fn from_safetensors(bytes: &[u8]) -> Result<(Self, String), TrainError> {
        let failed = |reason: String| TrainError::Failure(reason);
        let damaged = |e| {
            failed(format!("not a readable safetensors file ({e}); it is damaged or cut short"))
        };
        let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let header = metadata.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or_else(|| {
            failed("a safetensors file, but not the record of a failed update".into())
        })?;
        let Header { report, notes, checksum, .. } = read_header(header).map_err(failed)?;
        let mut arrays = Arrays::new();
        for (name, view) in tensors.iter() {
            let numbers = decode(view.dtype(), view.data()).ok_or_else(|| {
                failed(format!("tensor `{name}` has the unexpected type {:?}", view.dtype()))
            })?;
            arrays.insert(name.to_owned(), Array { shape: view.shape().to_vec(), numbers });
        }
        let Some(Array { numbers: Numbers::U8(state), .. }) = arrays.remove(STATE) else {
            return Err(failed("has no state to begin the update from; it is damaged".into()));
        };
        let failure = Self { report: report.into_owned(), state, arrays };
        if failure.checksum(&notes)? != checksum {
            return Err(failed("its checksum does not match its contents; it is damaged".into()));
        }
        Ok((failure, notes.into_owned()))
    }

    fn checksum(&self, notes: &str) -> Result<String, TrainError> {
        let report = serde_json::to_string(&self.report);
        let report = report.map_err(|e| TrainError::Failure(e.to_string()))?;
        let arrays = self.arrays.iter().flat_map(|(name, array)| {
            let shape = array.shape.iter().flat_map(|n| n.to_le_bytes());
            name.bytes().chain(shape).chain(encode(&array.numbers).1)
        });
        let words = report.bytes().chain(notes.bytes());
        Ok(checksum(words.chain(self.state.iter().copied()).chain(arrays)))
    }
}

fn read_header(json: &str) -> Result<Header<'_>, String> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let unreadable = |e| format!("its header can't be read: {e}");
    let Version { version } = serde_json::from_str(json).map_err(unreadable)?;
    if version != VERSION {
        return Err(format!(
            "written in format {version}, and this elegante reads {VERSION}: replay it with the elegante that wrote it"
        ));
    }
    serde_json::from_str(json).map_err(unreadable)
}

fn encode(numbers: &Numbers) -> (Dtype, Vec<u8>) {
    match numbers {
        Numbers::F32(all) => (Dtype::F32, all.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Numbers::F64(all) => (Dtype::F64, all.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Numbers::U8(all) => (Dtype::U8, all.clone()),
        Numbers::U64(all) => (Dtype::U64, all.iter().flat_map(|x| x.to_le_bytes()).collect()),
    }
}

fn decode(dtype: Dtype, bytes: &[u8]) -> Option<Numbers> {
    let (four, eight) = (bytes.as_chunks::<4>().0, bytes.as_chunks::<8>().0);
    Some(match dtype {
        Dtype::F32 => Numbers::F32(four.iter().map(|b| f32::from_le_bytes(*b)).collect()),
        Dtype::F64 => Numbers::F64(eight.iter().map(|b| f64::from_le_bytes(*b)).collect()),
        Dtype::U8 => Numbers::U8(bytes.to_vec()),
        Dtype::U64 => Numbers::U64(eight.iter().map(|b| u64::from_le_bytes(*b)).collect()),
        _ => return None,
    })
}

/// The quantity that an error is about and its value, where it is about a number that went bad.
pub(crate) fn blamed(error: &TrainError) -> Option<(String, String)> {
    match error {
        TrainError::NotFinite { what, value, .. } => Some(((*what).to_owned(), value.to_string())),
        TrainError::Guard { what, value, .. } => Some(((*what).to_owned(), value.to_string())),
        TrainError::Env(EnvError::NonFinite { lane, what, value }) => {
            Some((format!("{what} of lane {lane}, from the environment"), value.to_string()))
        }
        TrainError::Env(EnvError::NotWritten { lane, entry }) => {
            let what = format!("entry {entry} of the observation of lane {lane}");
            Some((format!("{what}, from the environment"), "not written".to_owned()))
        }
        TrainError::Policy(PolicyError::OutputNotFinite { row, value }) => {
            Some((format!("output of the policy, row {row}"), value.to_string()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> Failure {
        let bad = Bad::new(vec![1], f64::NAN);
        let stage =
            Stage { name: "ratio".into(), count: 2, range: Some([1.0, 1.0]), bad: Some(bad) };
        let report = FailureReport {
            update: 3,
            steps: 512,
            phase: Phase::Learning,
            error: "it went wrong".into(),
            first: "ratio".into(),
            value: "NaN".into(),
            minibatch: Some(2),
            stages: vec![stage],
            fresh_lanes: Vec::new(),
        };
        let arrays = [
            ("batch.rewards", Array::flat(vec![1.0, f64::INFINITY])),
            ("batch.starts", Array::flat(&[true, false][..])),
            ("batch.actions", Array::flat(Numbers::U64(vec![7]))),
            ("stage ratio", Array::rows(vec![1.0f32, -0.0], 1)),
        ];
        let arrays = arrays.map(|(name, array)| (name.to_owned(), array)).into();
        Failure { report, state: vec![1, 2, 3], arrays }
    }

    #[test]
    fn a_failure_comes_back_whole() {
        let bytes = failure().to_safetensors("gamma = 0.9").unwrap();
        let (read, notes) = Failure::from_safetensors(&bytes).unwrap();
        assert_eq!((read, notes.as_str()), (failure(), "gamma = 0.9"));
        assert_eq!(bytes, failure().to_safetensors("gamma = 0.9").unwrap());
    }

    #[test]
    fn every_single_byte_matters() {
        let bytes = failure().to_safetensors("gamma = 0.9").unwrap();
        for at in 0..bytes.len() {
            for flip in [1, 0x20, 0x80] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                let read = Failure::from_safetensors(&damaged);
                // White space in the header means nothing.
                let same =
                    read.is_ok_and(|(read, notes)| read == failure() && notes == "gamma = 0.9");
                assert!(Failure::from_safetensors(&damaged).is_err() || same, "byte {at} ^ {flip}");
            }
            assert!(Failure::from_safetensors(&bytes[..at]).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn another_format_says_what_to_do() {
        let words = read_header(r#"{"version": 9}"#).err().unwrap();
        assert!(words.contains("format 9") && words.contains("that wrote it"), "{words}");
        let empty: [(&str, TensorView<'_>); 0] = [];
        let other = safetensors::serialize(empty, None).unwrap();
        let error = Failure::from_safetensors(&other).unwrap_err().to_string();
        assert!(error.contains("not the record of a failed update"), "{error}");
    }
}
