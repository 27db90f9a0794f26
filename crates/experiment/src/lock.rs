//! One process at a time in a directory.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
};

use crate::{RunError, run_dir::files};

/// The right to write in a directory. The system takes it back when the process ends, however it ends;
/// the file stays, and has no meaning by itself.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Option<File>,
}

impl Lock {
    /// Takes the directory, which must exist.
    ///
    /// # Errors
    /// When another process has it, or the file can't be made.
    pub(crate) fn take(dir: &Path) -> Result<Self, RunError> {
        let path = dir.join(files::LOCK);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(RunError::io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(RunError::Busy { path: dir.to_owned() }),
            // Some network file systems have no locks, and training there is better than not training.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Self { _file: None })
            }
            Err(TryLockError::Error(error)) => Err(RunError::io(&path)(error)),
        }
    }

    /// Refuses a directory that another process has taken, and leaves it as it is.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(crate) fn check(dir: &Path) -> Result<(), RunError> {
        if dir.join(files::LOCK).exists() { Self::take(dir).map(drop) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_taken_once_and_free_again_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        Lock::check(dir.path()).unwrap();
        let lock = Lock::take(dir.path()).unwrap();
        for again in [Lock::take(dir.path()).map(drop), Lock::check(dir.path())] {
            let error = again.unwrap_err();
            assert!(matches!(error, RunError::Busy { .. }), "{error}");
        }
        drop(lock);
        Lock::check(dir.path()).unwrap();
        Lock::take(dir.path()).unwrap();
    }
}
