//! The record of a failed update as a file: written beside the run's others, read back to be replayed.

use std::{fs, path::PathBuf};

use elegante_env::Registry;
use elegante_policy::{DeviceChoice, write_atomic};
use elegante_trainer::{Failure, FailureReport, Replay, TrainError, Trainer};
use serde::{Deserialize, Serialize};

use crate::{COMMIT, ExperimentConfig, RunDir, RunError, VERSION, run_dir::files};

/// A failed update, with the configuration of its run.
#[derive(Debug)]
pub struct FailedUpdate {
    /// The file it was read from.
    pub path: PathBuf,
    /// The run's configuration.
    pub config: ExperimentConfig,
    /// The version of elegante that wrote it.
    pub version: String,
    /// The git commit that it was built from, or "unknown".
    pub commit: String,
    failure: Failure,
}

/// What the file has in its header besides the failure itself.
#[derive(Serialize, Deserialize)]
struct Notes {
    version: String,
    commit: String,
    /// The resolved configuration, as TOML.
    config: String,
}

/// Writes what `trainer` has failed on into `dir`, whole or not at all; returns the file, or `None` where
/// it has failed on nothing that is kept.
pub(crate) fn write(
    dir: &RunDir,
    config: &ExperimentConfig,
    registry: &Registry,
    trainer: &Trainer,
) -> Result<Option<PathBuf>, RunError> {
    let Some(failure) = trainer.failure() else { return Ok(None) };
    let path = dir.file(files::FAILURE);
    let notes = Notes {
        version: VERSION.to_owned(),
        commit: COMMIT.to_owned(),
        config: config.to_toml(registry)?,
    };
    let notes = serde_json::to_string(&notes);
    let notes = notes.map_err(|error| RunError::io(&path)(error.into()))?;
    write_atomic(&path, &failure.to_safetensors(&notes)?)?;
    Ok(Some(path))
}

impl FailedUpdate {
    /// Reads the record in `path`: a file, or a run directory that has one.
    ///
    /// # Errors
    /// When there is none, when it is damaged, or when its configuration names an environment that
    /// `registry` does not have; the error names the file.
    pub fn open(path: impl Into<PathBuf>, registry: &Registry) -> Result<Self, RunError> {
        let mut path = path.into();
        if path.is_dir() {
            let file = path.join(files::FAILURE);
            if !file.exists() {
                return Err(RunError::NoFailure { path });
            }
            path = file;
        }
        let bytes = fs::read(&path).map_err(RunError::io(&path))?;
        let damaged = |reason: String| RunError::Damaged { path: path.clone(), reason };
        let (failure, notes) = Failure::from_safetensors(&bytes).map_err(|error| match error {
            TrainError::Failure(reason) => damaged(reason),
            other => damaged(other.to_string()),
        })?;
        let Notes { version, commit, config } = serde_json::from_str(&notes)
            .map_err(|error| damaged(format!("its notes can't be read: {error}")))?;
        let config = ExperimentConfig::read(registry, &config, &path)?;
        Ok(Self { path, config, version, commit, failure })
    }

    /// What went wrong.
    pub fn report(&self) -> &FailureReport {
        self.failure.report()
    }

    /// Makes the update once more, on `device` or, where that is `None`, on the one that the run had. The
    /// program is to have chosen the configuration's `kernels` before it computes anything.
    ///
    /// # Errors
    /// When the record does not fit its own configuration (the environment may be another by now), or
    /// the device does not work.
    pub fn replay(
        &self,
        registry: &Registry,
        device: Option<DeviceChoice>,
    ) -> Result<Replay, RunError> {
        let mut train = self.config.train.clone();
        train.device = device.unwrap_or(train.device);
        let make = self.config.env_factory(registry)?;
        let mut trainer = Trainer::from_factory(train, make)?;
        trainer.replay(&self.failure).map_err(|error| match error {
            TrainError::Failure(reason) | TrainError::Checkpoint(reason) => {
                RunError::Damaged { path: self.path.clone(), reason }
            }
            other => other.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Recorder, Request};
    use std::{ops::ControlFlow, path::Path, time::Instant};

    /// A run whose first update goes wrong, in `dir`.
    fn failed(dir: &Path) -> (Registry, PathBuf) {
        let registry = Registry::standard();
        let sets = ["ppo.learning_rate=1e300", "steps=512", "network.hidden=[4]", "ppo.n_steps=32"];
        let request = Request {
            env: Some("CartPole-v1".into()),
            sets: sets.map(str::to_owned).to_vec(),
            ..Request::default()
        };
        let config = ExperimentConfig::resolve(&registry, &request).unwrap();
        let make = config.env_factory(&registry).unwrap();
        let mut trainer = Trainer::from_factory(config.train.clone(), make).unwrap();
        let run = RunDir::create(dir.join("run"), false).unwrap();
        let recorder = Recorder::begin(run, &config, &registry, Instant::now()).unwrap();
        assert_eq!(recorder.save_failure(&trainer, &registry).unwrap(), None, "nothing failed yet");
        trainer.run(|_| ControlFlow::Continue(())).unwrap_err();
        let path = recorder.save_failure(&trainer, &registry).unwrap().unwrap();
        (registry, path)
    }

    #[test]
    fn a_failed_update_is_found_by_its_run_and_fails_again() {
        let dir = tempfile::tempdir().unwrap();
        let (registry, path) = failed(dir.path());
        for place in [dir.path().join("run"), path] {
            let update = FailedUpdate::open(place, &registry).unwrap();
            assert_eq!(update.config.env, "CartPole-v1");
            let replay = update.replay(&registry, None).unwrap();
            assert_eq!(replay.report.as_ref(), Some(update.report()));
        }
    }

    #[test]
    fn what_cant_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (registry, path) = failed(dir.path());
        let open = |path: &Path| FailedUpdate::open(path, &registry).unwrap_err().to_string();
        assert!(open(dir.path()).contains("no record of a failed update"), "{}", open(dir.path()));
        let gone = dir.path().join("gone");
        assert!(open(&gone).contains("gone: "), "{}", open(&gone));

        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let words = open(&path);
        assert!(words.contains("failure.safetensors: its checksum does not match"), "{words}");
        fs::write(&path, &bytes[..last / 2]).unwrap();
        assert!(open(&path).contains("damaged or cut short"), "{}", open(&path));

        // Another program may not have the environment.
        let (_, path) = failed(&dir.path().join("other"));
        let error = FailedUpdate::open(&path, &Registry::empty()).unwrap_err().to_string();
        assert!(error.contains("unknown environment `CartPole-v1`"), "{error}");
    }
}
