//! Which processes worked on a run, and with what: a line each in `sessions.jsonl`. No clock is in it.

use std::{
    fs::{self, OpenOptions},
    io::Write,
};

use elegante_kernels::instruction_set;
use elegante_policy::DeviceChoice;
use elegante_trainer::Progress;
use serde::{Deserialize, Serialize};

use crate::{COMMIT, ExperimentConfig, RunDir, RunError, VERSION, json_line, run_dir::files};

/// What decides the bits of a run beside its configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Session {
    version: String,
    commit: String,
    /// The burn backend that computed.
    backend: String,
    /// The instructions of the fused operations.
    instructions: String,
    /// The update that it went on from.
    update: u64,
    /// The steps that had been trained by then.
    steps: u64,
}

impl Session {
    /// This process, going on from `progress`.
    pub(crate) fn now(config: &ExperimentConfig, progress: Progress) -> Self {
        Self {
            version: VERSION.to_owned(),
            commit: COMMIT.to_owned(),
            backend: backend(config.train.device.resolve()).to_owned(),
            instructions: instruction_set().to_owned(),
            update: progress.updates,
            steps: progress.steps,
        }
    }

    /// What another process had that may round differently, in words; nothing if all is as it was.
    pub(crate) fn differences(&self, now: &Self) -> Vec<String> {
        let told = |what: &str, was: &str, is: &str| {
            (was != is).then(|| format!("it was trained with {what} {was}, and this is {is}"))
        };
        let build = |session: &Self| {
            format!(
                "{} (commit {})",
                session.version,
                session.commit.get(..10).unwrap_or("unknown")
            )
        };
        [
            told("elegante", &build(self), &build(now)),
            told("the backend", &self.backend, &now.backend),
            told("the instructions", &self.instructions, &now.instructions),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Adds a line for a process that begins.
pub(crate) fn note(dir: &RunDir, event: &str, session: &Session) -> Result<(), RunError> {
    let path = dir.file(files::SESSIONS);
    let mut line = json_line(event, session);
    line.push('\n');
    let mut append = || {
        // The line before may have been torn by a power cut.
        if fs::read(&path).is_ok_and(|text| !text.is_empty() && !text.ends_with(b"\n")) {
            line.insert(0, '\n');
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.write_all(line.as_bytes())?;
        file.sync_all()
    };
    append().map_err(RunError::io(&path))
}

/// The last process that worked on the run before this one, as far as that is known.
pub(crate) fn last(dir: &RunDir) -> Option<Session> {
    let text = fs::read_to_string(dir.file(files::SESSIONS)).ok()?;
    text.lines().rev().find_map(|line| serde_json::from_str(line).ok())
}

/// The burn backend behind a device.
pub(crate) fn backend(device: DeviceChoice) -> &'static str {
    match device {
        DeviceChoice::Auto => "none",
        DeviceChoice::Flex => "burn-flex",
        DeviceChoice::NdArray => "burn-ndarray",
        DeviceChoice::Wgpu => "burn-wgpu",
        DeviceChoice::Cuda(_) => "burn-cuda",
    }
}
