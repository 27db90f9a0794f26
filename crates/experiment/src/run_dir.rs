//! The directory that holds a run, and the rules that keep it from harming anything else.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use toml::{Table, Value};

use crate::{
    ExperimentConfig, RunError,
    checkpoints::{Checkpoints, is_unfinished, remove_unfinished},
    lock::Lock,
    logging::tensorboard,
};

/// The names of the files in a run directory.
pub mod files {
    /// The resolved configuration.
    pub const CONFIG: &str = "config.toml";
    /// One JSON object a line for each update, and for each evaluation during training.
    pub const METRICS: &str = "metrics.jsonl";
    /// One line for each training episode.
    pub const EPISODES: &str = "episodes.csv";
    /// The trained policy; while the run goes on, that of the last checkpoint.
    pub const POLICY: &str = "policy.safetensors";
    /// The policy of the best evaluation during training, if there were any.
    pub const BEST: &str = "best.safetensors";
    /// The directory of the last checkpoints, `step-000123456.safetensors`: the whole state of the
    /// training after so many steps.
    pub const CHECKPOINTS: &str = "checkpoints";
    /// Where older versions had their only checkpoint.
    pub const OLD_CHECKPOINT: &str = "checkpoint.safetensors";
    /// One JSON object a line for each process that worked on the run, with what decides its bits.
    pub const SESSIONS: &str = "sessions.jsonl";
    /// Held by the process that is at work.
    pub const LOCK: &str = ".lock";
    /// What the run was, where and when, and how it ended.
    pub const RUN: &str = "run.json";
    /// The update that a run failed on, where it did.
    pub const FAILURE: &str = "failure.safetensors";
    /// If asked for: one row for each update, for spreadsheets.
    pub const PROGRESS: &str = "progress.csv";
    /// If asked for: a directory of event files for TensorBoard.
    pub const TENSORBOARD: &str = "tensorboard";

    /// All that are files of their own, the lock apart.
    pub const ALL: [&str; 10] =
        [CONFIG, METRICS, EPISODES, POLICY, BEST, OLD_CHECKPOINT, SESSIONS, RUN, FAILURE, PROGRESS];
}

/// A directory that belongs to one run, and to one process for as long as the value lives.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: Arc<Lock>,
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
            (true, false) => {
                Err(RunError::Occupied { path: path.to_owned(), ours: holds_a_run(path) })
            }
            (true, true) if holds_a_run(path) => Lock::check(path),
            (true, true) => Err(RunError::NotARun { path: path.to_owned() }),
        }
    }

    /// Makes `path` the directory of a new run. With `force` the files of an older run of ours in
    /// it are removed first; whatever else is there stays.
    ///
    /// # Errors
    /// When it holds something and `force` is not given, when what it holds is not a run of ours or
    /// another process is at work on it, or when it can't be made.
    pub fn create(path: impl Into<PathBuf>, force: bool) -> Result<Self, RunError> {
        let path = path.into();
        Self::check(&path, force)?;
        fs::create_dir_all(&path).map_err(RunError::io(&path))?;
        let dir = Self::take(path)?;
        remove_run(&dir.path)?;
        Ok(dir)
    }

    /// Takes the directory of a run that is there already, to go on with it.
    ///
    /// # Errors
    /// When there is no run, or another process is at work on it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, RunError> {
        let path = path.into();
        if !path.is_dir() {
            return Err(RunError::Missing { path });
        }
        if !path.join(files::CONFIG).exists() {
            return Err(RunError::Incomplete { path, file: files::CONFIG });
        }
        let dir = Self::take(path)?;
        remove_unfinished(&dir.path)?;
        Checkpoints::of(&dir.path).remove_unfinished()?;
        Ok(dir)
    }

    /// Refuses a directory that another process is at work on, and leaves it as it is.
    ///
    /// # Errors
    /// [`RunError::Busy`].
    pub fn free(path: &Path) -> Result<(), RunError> {
        Lock::check(path)
    }

    fn take(path: PathBuf) -> Result<Self, RunError> {
        Ok(Self { _lock: Arc::new(Lock::take(&path)?), path })
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
        let lock = Lock::take(path)?;
        remove_run(path)?;
        drop(lock);
        remove_files(path, &[files::LOCK])?;
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
        Self::take(numbered(parent, config, &seed)?)
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

/// Removes everything that a run writes into `dir`, the lock apart.
fn remove_run(dir: &Path) -> Result<(), RunError> {
    remove_files(dir, &files::ALL)?;
    remove_unfinished(dir)?;
    tensorboard::remove(&dir.join(files::TENSORBOARD))?;
    Checkpoints::of(dir).remove()
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

/// Whether anything is in `path`; what does not exist is empty, and so is what a process left that was
/// killed before it had written its first file.
pub(crate) fn occupied(path: &Path) -> Result<bool, RunError> {
    occupied_by_others(path, &[])
}

/// The same where files of these names are no obstacle either.
pub(crate) fn occupied_by_others(path: &Path, ours: &[&str]) -> Result<bool, RunError> {
    let of_nobody = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        name == files::LOCK
            || name.to_str().is_some_and(|name| is_unfinished(name) || ours.contains(&name))
    };
    match fs::read_dir(path) {
        Ok(entries) => {
            Ok(entries.into_iter().any(|entry| !entry.is_ok_and(|entry| of_nobody(&entry))))
        }
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
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(["notes.txt", files::LOCK].iter().all(|it| left.iter().any(|name| name == it)));
    }

    #[test]
    fn empty_and_missing_directories_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        assert!(RunDir::create(dir.path(), false).is_ok());
        assert!(RunDir::create(dir.path().join("a/b"), false).is_ok());
        assert!(dir.path().join("a/b").is_dir());
    }

    #[test]
    fn what_a_killed_process_had_hardly_begun_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(files::LOCK), "").unwrap();
        fs::write(dir.path().join(".tmpAb12Cd"), "env = ").unwrap();
        let run = RunDir::create(dir.path(), false).unwrap();
        assert!(!run.file(".tmpAb12Cd").exists());
        let error = RunDir::create(dir.path(), false).unwrap_err();
        assert!(matches!(error, RunError::Busy { .. }), "{error}");
    }

    #[test]
    fn numbers_count_up_from_the_first_free_one() {
        let dir = tempfile::tempdir().unwrap();
        let name = |run: RunDir| run.path().file_name().unwrap().to_str().unwrap().to_owned();
        let make = || name(RunDir::create_numbered(dir.path(), &config()).unwrap());
        assert_eq!(make(), "CartPole-v1-ppo-0-1");
        assert_eq!(make(), "CartPole-v1-ppo-0-2");
        fs::remove_dir_all(dir.path().join("CartPole-v1-ppo-0-1")).unwrap();
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
