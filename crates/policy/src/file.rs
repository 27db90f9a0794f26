//! Policies on disk: safetensors, with the configuration as JSON in the file's own header.
//!
//! Loading runs no code from the file and allocates no more than the file's own size: the header is
//! checked against the architecture that the configuration describes before anything is built.

use std::{
    collections::HashMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use crate::{AnyNetwork, Policy, PolicyConfig, PolicyError, params};

/// The one metadata key: several would be written in an order that changes from run to run.
const KEY: &str = "elegante.policy";
/// Version of the format; a reader refuses a newer one.
const VERSION: u32 = 1;

/// What stands in the header beside the tensors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    config: PolicyConfig,
    /// [`checksum`] of the rest; left out by writers that do not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
}

impl Header {
    /// The header of a policy with this configuration and these weights.
    fn new(version: u32, config: PolicyConfig, weights: &[f32]) -> Result<Self, String> {
        let plain = Self { version, config, checksum: None };
        let json = serde_json::to_string(&plain).map_err(|e| e.to_string())?;
        let bytes = json.bytes().chain(weights.iter().flat_map(|w| w.to_le_bytes()));
        Ok(Self { checksum: Some(checksum(bytes)), ..plain })
    }
}

/// FNV-1a (Fowler, Noll & Vo) in hexadecimal: finds every change of a single byte, and all but one
/// in 2⁶⁴ of the others. It guards against accidents, not against malice.
pub fn checksum(bytes: impl IntoIterator<Item = u8>) -> String {
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, mix))
}

impl Policy {
    /// The policy as the bytes of a safetensors file; equal policies give equal bytes.
    ///
    /// # Errors
    /// When a weight is not finite: a diverged policy is never saved over a good one.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, String> {
        let flat = params::flatten(self);
        if let Some(bad) = flat.iter().find(|w| !w.is_finite()) {
            return Err(format!("not saved, because one of its weights is {bad}"));
        }
        let bytes: Vec<u8> = flat.iter().flat_map(|w| w.to_le_bytes()).collect();
        let mut rest = bytes.as_slice();
        let mut tensors = Vec::new();
        for info in params::describe(self) {
            let (mine, after) = rest.split_at(4 * info.shape.iter().product::<usize>());
            rest = after;
            let view = TensorView::new(Dtype::F32, info.shape, mine).map_err(|e| e.to_string())?;
            tensors.push((info.name, view));
        }
        let header = Header::new(VERSION, self.config().clone(), &flat)?;
        let header = serde_json::to_string(&header).map_err(|e| e.to_string())?;
        let metadata = HashMap::from([(KEY.to_owned(), header)]);
        safetensors::serialize(tensors, Some(metadata)).map_err(|e| e.to_string())
    }

    /// A policy from the bytes of a safetensors file.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the bytes.
    pub fn from_safetensors(bytes: &[u8], device: &Device) -> Result<Self, String> {
        Self::read(bytes, |config, stored| {
            let expected = count(config)?;
            if stored != Some(expected) {
                let stored = stored.unwrap_or(usize::MAX);
                return Err(format!(
                    "holds {stored} weights where its configuration describes {expected}: the wrong architecture, or a network of somebody's own"
                ));
            }
            config.blank(device).map_err(|e| e.to_string())
        })
    }

    /// The same for a policy on a network of your own making, which its file can't describe: `net` is
    /// of that architecture, and gets the weights of the file.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the bytes, or which parameter does not fit.
    pub fn from_safetensors_with(
        bytes: &[u8],
        net: AnyNetwork,
        device: &Device,
    ) -> Result<Self, String> {
        Self::read(bytes, |config, _| {
            count(config)?;
            config.with_network(net, device).map_err(|e| e.to_string())
        })
    }

    /// A policy whose weights are those of the file; `blank` makes one with others, given the
    /// configuration and the number of weights in the file.
    fn read(
        bytes: &[u8],
        blank: impl FnOnce(&PolicyConfig, Option<usize>) -> Result<Self, String>,
    ) -> Result<Self, String> {
        let damaged =
            |e| format!("not a readable safetensors file ({e}); it is damaged or cut short");
        let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let header = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
        let header = header.ok_or(
            "a safetensors file, but not an elegante policy: its header has no configuration",
        )?;
        let Header { version, config, checksum } = read_header(header)?;

        let stored = tensors
            .iter()
            .try_fold(0usize, |sum, (_, view)| sum.checked_add(view.shape().iter().product()));
        let blank = blank(&config, stored)?;
        let flat = read_tensors(&tensors, &params::describe(&blank))?;
        if checksum.is_some() && checksum != Header::new(version, config, &flat)?.checksum {
            return Err("its checksum does not match its contents; it is damaged".into());
        }
        Ok(params::unflatten(blank, &flat))
    }

    /// Writes the policy to `path`, whole or not at all.
    ///
    /// # Errors
    /// When a weight is not finite or the file can't be written; an older file then stays as it was.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PolicyError> {
        let path = path.as_ref();
        let bytes = self
            .to_safetensors()
            .map_err(|reason| PolicyError::File { path: path.to_owned(), reason })?;
        write_atomic(path, &bytes)
    }

    /// Reads a policy from `path` onto `device`.
    ///
    /// # Errors
    /// When the file can't be read, is damaged, or is not a policy of this version.
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self, PolicyError> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(io_error(path))?;
        Self::from_safetensors(&bytes, device)
            .map_err(|reason| PolicyError::File { path: path.to_owned(), reason })
    }
}

fn read_header(json: &str) -> Result<Header, String> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let unreadable = |e| format!("its configuration can't be read: {e}");
    let Version { version } = serde_json::from_str(json).map_err(unreadable)?;
    if version > VERSION {
        return Err(format!(
            "written in format {version}, and this elegante reads up to {VERSION}: update elegante"
        ));
    }
    serde_json::from_str(json).map_err(unreadable)
}

/// The tensors that `wanted` names, in its order, as one flat vector.
fn read_tensors(
    tensors: &SafeTensors<'_>,
    wanted: &[params::ParamInfo],
) -> Result<Vec<f32>, String> {
    let mut flat = Vec::new();
    for params::ParamInfo { name, shape } in wanted {
        let view = tensors
            .tensor(name)
            .map_err(|_| format!("has no tensor `{name}`: the wrong architecture"))?;
        if view.dtype() != Dtype::F32 || view.shape() != shape {
            return Err(format!(
                "tensor `{name}` is {:?} of shape {:?} where F32 of shape {shape:?} belongs: the wrong architecture",
                view.dtype(),
                view.shape(),
            ));
        }
        let numbers = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
        flat.extend(numbers);
    }
    match flat.iter().find(|w| !w.is_finite()) {
        Some(bad) => {
            Err(format!("one of its weights is {bad}: the file is damaged or training diverged"))
        }
        None => Ok(flat),
    }
}

/// How many parameters a sound configuration describes.
fn count(config: &PolicyConfig) -> Result<usize, String> {
    config.parameter_count().map_err(|e| format!("its configuration is invalid: {e}"))
}

/// Writes `bytes` to `path` so that a reader, or a power cut, sees the old file or the new one.
///
/// # Errors
/// When the folder is missing or not writable, or the disk is full; `path` is then untouched.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), PolicyError> {
    let failed = io_error(path);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        set_usual_permissions(file.as_file())?;
        file.persist(path).map_err(|e| e.error)?;
        // The rename itself is on disk only when the folder is.
        #[cfg(unix)]
        fs::File::open(&folder)?.sync_all()?;
        Ok(())
    };
    write().map_err(failed)
}

/// Temporary files are private to their owner; a finished one is as readable as any other.
#[cfg(unix)]
fn set_usual_permissions(file: &fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_usual_permissions(_file: &fs::File) -> std::io::Result<()> {
    Ok(())
}

fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> PolicyError + '_ {
    |source| PolicyError::Io { path: path.to_owned(), source }
}
