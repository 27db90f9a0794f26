//! The checkpoints of a run: when they are made, what they are called and how many are kept.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use elegante_policy::{settings, write_atomic};
use elegante_trainer::{Restored, TrainError, Trainer};

use crate::{RunError, run_dir::files};

settings! {
    /// How much of a run a power cut may take away.
    pub struct CheckpointConfig {
        /// Seconds after which the run is written down whole, at the next update boundary; 0: never.
        /// The clock decides when, and nothing of what comes out.
        pub every_seconds: u64 = 60,
        /// The same after this many environment steps; 0: never.
        pub every_steps: u64 = 0,
        /// How many checkpoints are kept, the last ones.
        pub keep: usize = 3,
    }
}

impl CheckpointConfig {
    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        if (1..=10_000).contains(&self.keep) {
            return Ok(());
        }
        Err(TrainError::Setting {
            name: "checkpoints.keep",
            value: self.keep.to_string(),
            expected: "between 1 and 10000".into(),
        })
    }
}

/// When the next checkpoint is due.
#[derive(Debug)]
pub(crate) struct Cadence {
    seconds: Option<Duration>,
    every_steps: u64,
    next_steps: u64,
    last: Instant,
}

impl Cadence {
    /// From a run that has come as far as `steps`.
    pub(crate) fn new(config: &CheckpointConfig, steps: u64) -> Self {
        let seconds = (config.every_seconds > 0).then(|| Duration::from_secs(config.every_seconds));
        let mut cadence =
            Self { seconds, every_steps: config.every_steps, next_steps: 0, last: Instant::now() };
        cadence.made(steps);
        cadence
    }

    pub(crate) fn due(&self, steps: u64) -> bool {
        let by_steps = self.every_steps > 0 && steps >= self.next_steps;
        by_steps || self.seconds.is_some_and(|seconds| self.last.elapsed() >= seconds)
    }

    /// One has been made, or tried, after `steps`.
    pub(crate) fn made(&mut self, steps: u64) {
        // Multiples, whatever came before: a run that was continued makes those of one that was not.
        self.next_steps = match self.every_steps {
            0 => 0,
            every => (steps / every).saturating_add(1).saturating_mul(every),
        };
        self.last = Instant::now();
    }
}

/// The directory `checkpoints` of a run.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints(PathBuf);

impl Checkpoints {
    pub(crate) fn of(run: &Path) -> Self {
        Self(run.join(files::CHECKPOINTS))
    }

    fn path(&self, steps: u64) -> PathBuf {
        self.0.join(format!("step-{steps:09}.safetensors"))
    }

    /// Those that are there, by the steps after which they were made, the newest first.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub(crate) fn newest_first(&self) -> Result<Vec<(u64, PathBuf)>, RunError> {
        let mut all: Vec<_> = self.paths(|name| name.ends_with(".safetensors"))?;
        all.sort_by_key(|(steps, _)| std::cmp::Reverse(*steps));
        Ok(all)
    }

    /// The files of ours whose names are as `wanted`, with their steps.
    fn paths(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<(u64, PathBuf)>, RunError> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(RunError::io(&self.0)(error)),
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        Ok(paths
            .filter_map(|path| {
                let name = path.file_name()?.to_str()?;
                let (steps, _) = name.strip_prefix("step-")?.split_once('.')?;
                let steps = steps.parse().ok().filter(|_| wanted(name))?;
                Some((steps, path))
            })
            .collect())
    }

    /// Writes one made after `steps`, whole or not at all, and then lets go of those that are too old.
    ///
    /// # Errors
    /// When it can't be written; the older ones are then all there.
    pub(crate) fn write(&self, steps: u64, bytes: &[u8], keep: usize) -> Result<(), RunError> {
        if !self.0.is_dir() {
            fs::create_dir(&self.0).map_err(RunError::io(&self.0))?;
            sync_directory(&self.0)?;
        }
        write_atomic(&self.path(steps), bytes)?;
        for (_, path) in self.newest_first()?.into_iter().skip(keep) {
            fs::remove_file(&path).map_err(RunError::io(&path))?;
        }
        Ok(())
    }

    /// Puts those made after more than `steps` out of the way: the run goes on from an older one, and
    /// will make them anew.
    pub(crate) fn set_aside_after(&self, steps: u64) -> Result<(), RunError> {
        for (_, path) in self.newest_first()?.into_iter().filter(|(made, _)| *made > steps) {
            let mut aside = path.clone().into_os_string();
            aside.push(".unused");
            fs::rename(&path, aside).map_err(RunError::io(&path))?;
        }
        Ok(())
    }

    /// Removes what a run writes here, and the directory if nothing else is in it.
    pub(crate) fn remove(&self) -> Result<(), RunError> {
        for (_, path) in self.paths(|_| true)? {
            fs::remove_file(&path).map_err(RunError::io(&path))?;
        }
        remove_unfinished(&self.0)?;
        match fs::remove_dir(&self.0) {
            Err(error)
                if ![io::ErrorKind::DirectoryNotEmpty, io::ErrorKind::NotFound]
                    .contains(&error.kind()) =>
            {
                Err(RunError::io(&self.0)(error))
            }
            _ => Ok(()),
        }
    }

    /// Removes what a process that was killed had not finished writing.
    pub(crate) fn remove_unfinished(&self) -> Result<(), RunError> {
        remove_unfinished(&self.0)
    }
}

/// Makes sure that a new directory is on the disk: that is, its name in the one above it.
#[cfg(unix)]
fn sync_directory(path: &Path) -> Result<(), RunError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(RunError::io(path))
}

#[cfg(not(unix))]
fn sync_directory(_path: &Path) -> Result<(), RunError> {
    Ok(())
}

/// Removes temporary files of [`write_atomic`] from `dir`: its process was killed in the middle.
pub(crate) fn remove_unfinished(dir: &Path) -> Result<(), RunError> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(()) };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if is_unfinished(name) && path.is_file() {
            fs::remove_file(&path).map_err(RunError::io(&path))?;
        }
    }
    Ok(())
}

/// Whether a file of this name is one that is yet to get its own: `.tmp` and six letters, as the crate
/// `tempfile` calls them.
pub(crate) fn is_unfinished(name: &str) -> bool {
    name.len() == 10 && name.starts_with(".tmp")
}

/// Restores `trainer` from the checkpoint in `path`. After an error the trainer should not be used.
///
/// # Errors
/// When the file can't be read, is damaged, or belongs to another run; the error names it.
pub fn load_checkpoint(trainer: &mut Trainer, path: &Path) -> Result<Restored, RunError> {
    let bytes = fs::read(path).map_err(RunError::io(path))?;
    trainer
        .restore(&bytes)
        .map_err(|error| RunError::Damaged { path: path.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept_and_older_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::of(dir.path());
        assert!(checkpoints.newest_first().unwrap().is_empty());
        for steps in [5, 1_000_000_000, 30, 4_000] {
            checkpoints.write(steps, b"state", 2).unwrap();
        }
        let steps = |of: &Checkpoints| -> Vec<u64> {
            of.newest_first().unwrap().into_iter().map(|(steps, _)| steps).collect()
        };
        assert_eq!(steps(&checkpoints), [1_000_000_000, 4_000]);
        checkpoints.set_aside_after(4_000).unwrap();
        assert_eq!(steps(&checkpoints), [4_000]);
        fs::write(dir.path().join("checkpoints/.tmpAb12Cd"), "half").unwrap();
        fs::write(dir.path().join("checkpoints/notes.txt"), "mine").unwrap();
        checkpoints.remove().unwrap();
        let left: Vec<_> = fs::read_dir(dir.path().join("checkpoints")).unwrap().collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].as_ref().unwrap().file_name(), "notes.txt");
    }

    #[test]
    fn multiples_of_the_steps_are_due_whenever_the_last_was_made() {
        let config = CheckpointConfig { every_steps: 100, every_seconds: 0, keep: 1 };
        let mut cadence = Cadence::new(&config, 130);
        assert_eq!([199, 200, 999].map(|steps| cadence.due(steps)), [false, true, true]);
        cadence.made(256);
        assert_eq!([256, 299, 300].map(|steps| cadence.due(steps)), [false, false, true]);
        let never = CheckpointConfig { every_steps: 0, ..config };
        assert!(!Cadence::new(&never, 0).due(u64::MAX));
    }

    #[test]
    fn the_clock_asks_for_one_whatever_the_steps() {
        let config = CheckpointConfig { every_steps: 0, every_seconds: 60, keep: 1 };
        let mut cadence = Cadence::new(&config, 0);
        assert!(!cadence.due(u64::MAX));
        cadence.last =
            Instant::now().checked_sub(Duration::from_secs(61)).expect("a clock that old");
        assert!(cadence.due(1));
        cadence.made(1);
        assert!(!cadence.due(1));
    }
}
