//! A finished run, read back.

use std::path::{Path, PathBuf};

use elegante_env::{AnyEnv, DynEnv, EnvError, Registry};
use elegante_policy::{DeviceChoice, Policy, PolicyError};
use elegante_trainer::fits as policy_fits;

use crate::{ExperimentConfig, Request, RunError, checkpoints::Checkpoints, run_dir::files};

/// A run directory's configuration and policy, known to fit each other.
#[derive(Debug)]
pub struct Run {
    /// The run directory.
    pub path: PathBuf,
    /// What was trained.
    pub config: ExperimentConfig,
    /// What came out.
    pub policy: Policy,
}

impl Run {
    /// Reads the run in `path`, with its policy on `device`.
    ///
    /// # Errors
    /// When there is no run, a file of it is missing or damaged, or the policy does not fit the
    /// environment that the configuration names.
    pub fn open(
        path: impl Into<PathBuf>,
        registry: &Registry,
        device: DeviceChoice,
    ) -> Result<Self, RunError> {
        let path = path.into();
        if !path.is_dir() {
            return Err(RunError::Missing { path });
        }
        let config = resolve(&path, registry)?;
        let (file, device) = (path.join(files::POLICY), device.open()?);
        let policy = match Policy::load(&file, &device) {
            Ok(policy) => policy,
            Err(source @ (PolicyError::Io { .. } | PolicyError::File { .. }))
                if !Checkpoints::of(&path).newest_first()?.is_empty() =>
            {
                return Err(RunError::LostPolicy { path, source });
            }
            Err(error) => {
                existing(&path, files::POLICY)?;
                return Err(error.into());
            }
        };
        fits(&policy, &config, registry, &file)?;
        Ok(Self { path, config, policy })
    }

    /// What makes the environments that the policy was trained on.
    ///
    /// # Errors
    /// When `registry` does not have the environment.
    pub fn env_factory(
        &self,
        registry: &Registry,
    ) -> Result<impl Fn() -> Result<AnyEnv, EnvError> + Clone + Send + Sync + 'static, EnvError>
    {
        self.config.env_factory(registry)
    }
}

fn resolve(path: &Path, registry: &Registry) -> Result<ExperimentConfig, RunError> {
    let file = Some(existing(path, files::CONFIG)?);
    Ok(ExperimentConfig::resolve(registry, &Request { file, ..Request::default() })?)
}

fn existing(path: &Path, file: &'static str) -> Result<PathBuf, RunError> {
    let full = path.join(file);
    if full.exists() { Ok(full) } else { Err(RunError::Incomplete { path: path.to_owned(), file }) }
}

fn fits(
    policy: &Policy,
    config: &ExperimentConfig,
    registry: &Registry,
    file: &Path,
) -> Result<(), RunError> {
    let env = config.env_factory(registry)?()?;
    let (observation, action) = (env.observation_space(), env.action_space());
    let mine = policy.config();
    if policy_fits(mine, &observation, &action) {
        return Ok(());
    }
    Err(RunError::Unfit {
        path: file.to_owned(),
        policy: format!(
            "{} observations and has {} outputs",
            mine.observation,
            mine.action.outputs()
        ),
        env: config.env.clone(),
        spaces: format!("{} observations and actions {action}", observation.flat_len()),
    })
}
