//! Files that grow while a run goes on.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::RunError;

/// `event` and the fields of `data` as one JSON object on one line, without the line break. A number
/// that JSON does not have, NaN or an infinity, is `null`.
pub fn json_line(event: &str, data: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Line<'a, T> {
        event: &'a str,
        #[serde(flatten)]
        data: &'a T,
    }
    // Plain structs with string keys always serialise; a value of another kind would be lost here.
    serde_json::to_string(&Line { event, data })
        .unwrap_or_else(|error| format!("{{\"event\":\"{event}\",\"error\":\"{error}\"}}"))
}

/// Lines that wait for room on a full disk may take this much memory.
const PATIENCE: usize = 256 << 20;

/// A text file that lines are appended to. They reach the disk together, at each update, so that a
/// reader never sees half an update for long and a run is not slowed down by single lines.
///
/// What could not be written is kept, and written first the next time.
#[derive(Debug)]
pub(crate) struct LogFile<W = File> {
    path: PathBuf,
    file: W,
    pending: Vec<u8>,
}

impl LogFile {
    /// A new, empty file; one that is there already belongs to somebody else.
    pub(crate) fn create(path: &Path) -> Result<Self, RunError> {
        let file = OpenOptions::new().append(true).create_new(true).open(path);
        Ok(Self::over(path, file.map_err(RunError::io(path))?))
    }

    /// A file that is there already, to be gone on with.
    pub(crate) fn append(path: &Path) -> Result<Self, RunError> {
        let file = OpenOptions::new().append(true).open(path);
        Ok(Self::over(path, file.map_err(RunError::io(path))?))
    }

    /// Goes on with an older file, of which the first `length` bytes are kept.
    ///
    /// Cutting is one change of one number in the file system: after a power cut the file is as long as
    /// before or as long as it should be, and either will do.
    pub(crate) fn cut(path: &Path, length: u64) -> Result<Self, RunError> {
        let cut = || {
            let file = OpenOptions::new().append(true).open(path)?;
            file.set_len(length)?;
            file.sync_all()?;
            Ok(file)
        };
        Ok(Self::over(path, cut().map_err(RunError::io(path))?))
    }

    /// Makes sure that the file is on the disk.
    pub(crate) fn sync(&mut self) -> Result<(), RunError> {
        self.flush()?;
        self.file.sync_all().map_err(RunError::io(&self.path))
    }
}

impl<W: Write> LogFile<W> {
    fn over(path: &Path, file: W) -> Self {
        Self { path: path.to_owned(), file, pending: Vec::new() }
    }

    pub(crate) fn line(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        self.pending.push(b'\n');
    }

    pub(crate) fn bytes(&mut self, data: &[u8]) {
        self.pending.extend_from_slice(data);
    }

    /// Hands what is pending to the system.
    pub(crate) fn flush(&mut self) -> Result<(), RunError> {
        let (mut written, mut result) = (0, Ok(()));
        while result.is_ok() && written < self.pending.len() {
            match self.file.write(&self.pending[written..]) {
                Ok(0) => result = Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => result = Err(error),
            }
        }
        self.pending.drain(..written);
        result.map_err(RunError::io(&self.path))
    }

    /// Whether more is waiting for room than memory should be spent on.
    pub(crate) fn out_of_patience(&self) -> bool {
        self.pending.len() > PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_in_order_at_the_flush() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogFile::create(&path).unwrap();
        log.line("one");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
        log.line("two");
        log.flush().unwrap();
        log.sync().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert!(LogFile::create(&path).is_err(), "an existing file is not taken over");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let path = Path::new("/dev/full");
        let mut log = LogFile::over(path, OpenOptions::new().write(true).open(path).unwrap());
        assert!(log.flush().is_ok(), "there is nothing to write");
        log.line("one");
        for _ in 0..2 {
            let error = log.flush().unwrap_err();
            assert!(error.no_room(), "{error}");
            assert!(error.to_string().starts_with("/dev/full: No space left on device"), "{error}");
        }
    }

    /// A disk with this much room left.
    struct Disk {
        room: usize,
        holds: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.holds.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_is_full_for_a_while_loses_no_line_and_has_none_twice() {
        let mut log = LogFile::over(Path::new("log"), Disk { room: 6, holds: Vec::new() });
        for (line, room) in [("one", 0), ("two", 0), ("three", 5), ("four", 100), ("five", 0)] {
            log.line(line);
            log.file.room += room;
            let full = log.flush().is_err();
            assert_eq!(full, ["two", "three"].contains(&line), "{line}");
        }
        assert_eq!(log.file.holds, b"one\ntwo\nthree\nfour\nfive\n");
    }

    #[test]
    fn a_log_goes_on_where_it_was_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        let mut log = LogFile::cut(&path, 4).unwrap();
        log.line("zwei");
        log.sync().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\nzwei\n");
    }

    #[test]
    fn nan_is_null_in_json() {
        #[derive(Serialize)]
        struct Data {
            x: f64,
            y: f64,
        }
        let line = json_line("update", &Data { x: f64::NAN, y: 0.5 });
        assert_eq!(line, r#"{"event":"update","x":null,"y":0.5}"#);
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
    }
}
