//! Files that grow while a run goes on.

use std::{
    fs::{File, OpenOptions},
    io::Write,
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

/// A text file that lines are appended to. They reach the disk together, at each update, so that a
/// reader never sees half an update for long and a run is not slowed down by single lines.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    pending: Vec<u8>,
}

impl LogFile {
    /// A new, empty file; one that is there already belongs to somebody else.
    pub(crate) fn create(path: &Path) -> Result<Self, RunError> {
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        Ok(Self::over(path, file.map_err(RunError::io(path))?))
    }

    fn over(path: &Path, file: File) -> Self {
        Self { path: path.to_owned(), file, pending: Vec::new() }
    }

    pub(crate) fn line(&mut self, text: &str) {
        self.pending.extend_from_slice(text.as_bytes());
        self.pending.push(b'\n');
    }

    /// Hands what is pending to the system.
    pub(crate) fn flush(&mut self) -> Result<(), RunError> {
        let written = self.file.write_all(&self.pending);
        self.pending.clear();
        written.map_err(RunError::io(&self.path))
    }

    /// Makes sure that the file is on the disk.
    pub(crate) fn sync(&mut self) -> Result<(), RunError> {
        self.flush()?;
        self.file.sync_all().map_err(RunError::io(&self.path))
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
        log.line("one");
        let error = log.flush().unwrap_err().to_string();
        assert!(error.starts_with("/dev/full: No space left on device"), "{error}");
        assert!(log.flush().is_ok(), "the lost lines are not tried again");
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
