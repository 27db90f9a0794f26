//! The directory that holds a run, and the rules that keep it from harming anything else.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use crate::{ExperimentConfig, RunError};

/// The names of the files in a run directory.
pub mod files {
    /// The resolved configuration.
    pub const CONFIG: &str = "config.toml";
    /// One JSON object a line for each update, and for each evaluation during training.
    pub const METRICS: &str = "metrics.jsonl";
    /// One line for each training episode.
    pub const EPISODES: &str = "episodes.csv";
    /// The trained policy.
    pub const POLICY: &str = "policy.safetensors";
    /// The whole state of the training.
    pub const CHECKPOINT: &str = "checkpoint.safetensors";
    /// What the run was, where and when, and how it ended.
    pub const RUN: &str = "run.json";

    /// All of them.
    pub const ALL: [&str; 6] = [CONFIG, METRICS, EPISODES, POLICY, CHECKPOINT, RUN];
}

/// A directory that belongs to one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Refuses what [`create`](Self::create) would refuse, and changes nothing: to be asked before
    /// any work is begun.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn check(path: &Path, force: bool) -> Result<(), RunError> {
        match (occupied(path)?, force) {
            (false, _) => Ok(()),
            (true, false) => Err(RunError::Occupied { path: path.to_owned() }),
            (true, true) if holds_a_run(path) => Ok(()),
            (true, true) => Err(RunError::NotARun { path: path.to_owned() }),
        }
    }

    /// Makes `path` the directory of a new run. With `force` the files of an older run of ours in
    /// it are removed first; whatever else is there stays.
    ///
    /// # Errors
    /// When it holds something and `force` is not given, when what it holds is not a run of ours,
    /// or when it can't be made.
    pub fn create(path: impl Into<PathBuf>, force: bool) -> Result<Self, RunError> {
        let path = path.into();
        Self::check(&path, force)?;
        fs::create_dir_all(&path).map_err(RunError::io(&path))?;
        remove_files(&path, &files::ALL)?;
        Ok(Self { path })
    }

    /// Removes the files of the run in `path`, and the directory if nothing else is in it. What is not
    /// a run of ours stays.
    ///
    /// # Errors
    /// When a file can't be removed.
    pub(crate) fn remove(path: &Path) -> Result<(), RunError> {
        if !holds_a_run(path) {
            return Ok(());
        }
        remove_files(path, &files::ALL)?;
        match fs::remove_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                Err(RunError::io(path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Makes the directory `<env>-<algo>-<seed>-<n>` in `parent`, n being the first number that is
    /// free; two runs that start at once get two numbers.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn create_numbered(parent: &Path, config: &ExperimentConfig) -> Result<Self, RunError> {
        let seed = config.train.run.seed.to_string();
        Ok(Self { path: numbered(parent, config, &seed)? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of one of its [`files`].
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Makes the directory `<env>-<algo>-<what>-<n>` in `parent`, n being the first number that is free.
pub(crate) fn numbered(
    parent: &Path,
    config: &ExperimentConfig,
    what: &str,
) -> Result<PathBuf, RunError> {
    fs::create_dir_all(parent).map_err(RunError::io(parent))?;
    // An id may have a namespace, `ALE/Pong-v5`, but a run is one directory.
    let env = config.env.replace(['/', '\\', ':'], "_");
    let mut number = 1u64;
    loop {
        let path = parent.join(format!("{env}-{}-{what}-{number}", config.algo));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(RunError::io(path)(error)),
        }
    }
}

/// Removes the files of these names in `dir`, as far as they are there.
pub(crate) fn remove_files(dir: &Path, names: &[&str]) -> Result<(), RunError> {
    for file in names.iter().map(|name| dir.join(name)) {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(RunError::io(file)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether anything is in `path`; what does not exist is empty.
pub(crate) fn occupied(path: &Path) -> Result<bool, RunError> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(RunError::io(path)(error)),
    }
}

/// Whether `path` holds a run of ours. Many programs have a config.toml, so it is read.
fn holds_a_run(path: &Path) -> bool {
    let config = fs::read_to_string(path.join(files::CONFIG)).unwrap_or_default();
    let Ok(table) = config.parse::<Table>() else { return false };
    ["env", "algo"].iter().all(|key| table.get(*key).is_some_and(Value::is_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use elegante_env::Registry;

    fn config() -> ExperimentConfig {
        let request = crate::Request { env: Some("CartPole-v1".into()), ..Default::default() };
        ExperimentConfig::resolve(&Registry::standard(), &request).unwrap()
    }

    #[test]
    fn a_full_directory_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let note = dir.path().join("thesis.tex");
        fs::write(&note, "years of work").unwrap();
        let error = RunDir::create(dir.path(), false).unwrap_err();
        assert!(matches!(error, RunError::Occupied { .. }), "{error}");
        let error = RunDir::create(dir.path(), true).unwrap_err();
        assert!(matches!(error, RunError::NotARun { .. }), "{error}");
        fs::write(dir.path().join(files::CONFIG), "title = \"somebody's web site\"").unwrap();
        assert!(matches!(RunDir::create(dir.path(), true), Err(RunError::NotARun { .. })));
        assert_eq!(fs::read_to_string(note).unwrap(), "years of work");
    }

    #[test]
    fn force_removes_the_files_of_a_run_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(files::CONFIG), "env = \"CartPole-v1\"\nalgo = \"ppo\"").unwrap();
        fs::write(dir.path().join(files::METRICS), "{}").unwrap();
        fs::write(dir.path().join("notes.txt"), "seed 3 is odd").unwrap();
        RunDir::create(dir.path(), true).unwrap();
        let left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["notes.txt"]);
    }

    #[test]
    fn empty_and_missing_directories_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        assert!(RunDir::create(dir.path(), false).is_ok());
        assert!(RunDir::create(dir.path().join("a/b"), false).is_ok());
        assert!(dir.path().join("a/b").is_dir());
    }

    #[test]
    fn numbers_count_up_from_the_first_free_one() {
        let dir = tempfile::tempdir().unwrap();
        let name = |run: RunDir| run.path().file_name().unwrap().to_str().unwrap().to_owned();
        let make = || name(RunDir::create_numbered(dir.path(), &config()).unwrap());
        assert_eq!(make(), "CartPole-v1-ppo-0-1");
        assert_eq!(make(), "CartPole-v1-ppo-0-2");
        fs::remove_dir(dir.path().join("CartPole-v1-ppo-0-1")).unwrap();
        assert_eq!(make(), "CartPole-v1-ppo-0-1");
    }

    #[test]
    fn a_file_in_the_way_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("run")] {
            let error = RunDir::create(&path, false).unwrap_err().to_string();
            assert!(error.contains("file"), "{error}");
        }
    }
}
