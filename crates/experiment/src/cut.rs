//! Where the logs of a run are cut when it goes on from a checkpoint.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    time::Duration,
};

use serde::Deserialize;

use crate::{RunError, run_dir::files};

/// The part of a run's logs that tells of a checkpoint's updates.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Kept {
    /// Bytes of `metrics.jsonl`.
    pub(crate) metrics: u64,
    /// Bytes of `episodes.csv`.
    pub(crate) episodes: u64,
    /// Seconds that the updates took.
    pub(crate) seconds: f64,
    /// The best evaluation among them.
    pub(crate) best: Option<f64>,
}

/// What matters of a line of `metrics.jsonl`.
#[derive(Deserialize)]
struct Line {
    event: String,
    #[serde(default)]
    update: u64,
    #[serde(default)]
    steps: u64,
    #[serde(default)]
    seconds: f64,
    mean_return: Option<f64>,
}

impl Kept {
    /// Of the run in `run`, its first `updates` updates and `episodes` episodes.
    ///
    /// # Errors
    /// When a log is damaged before that place, or does not reach it.
    pub(crate) fn until(run: &Path, updates: u64, episodes: u64) -> Result<Self, RunError> {
        let mut kept = Self::default();
        kept.read_metrics(&run.join(files::METRICS), updates)?;
        kept.read_episodes(&run.join(files::EPISODES), episodes)?;
        Ok(kept)
    }

    /// The same as a time.
    pub(crate) fn seconds(&self) -> Duration {
        Duration::try_from_secs_f64(self.seconds).unwrap_or_default()
    }

    fn read_metrics(&mut self, path: &Path, updates: u64) -> Result<(), RunError> {
        let (mut reached, mut number) = (0, 0);
        for_each_line(path, |text| {
            number += 1;
            let line: Line = match serde_json::from_slice(text) {
                Ok(line) => line,
                // What comes after the place that is looked for may be torn.
                Err(_) if reached == updates => return Ok(false),
                Err(error) => return Err(damaged(path, format!("line {number}: {error}"))),
            };
            match line.event.as_str() {
                "update" if reached == updates => return Ok(false),
                "update" => (reached, self.seconds) = (line.update, line.seconds),
                // An evaluation belongs to the update before it.
                "evaluation" => {
                    self.best = self.best.into_iter().chain(line.mean_return).reduce(f64::max);
                }
                _ => {}
            }
            self.metrics += text.len() as u64;
            Ok(true)
        })?;
        if reached == updates {
            return Ok(());
        }
        Err(damaged(path, format!("it ends at update {reached}, and {updates} have been made")))
    }

    fn read_episodes(&mut self, path: &Path, episodes: u64) -> Result<(), RunError> {
        let mut rows = 0u64;
        for_each_line(path, |text| {
            if rows > episodes {
                return Ok(false);
            }
            rows += 1; // the heading is one too
            self.episodes += text.len() as u64;
            Ok(true)
        })?;
        match rows.checked_sub(1) {
            Some(rows) if rows == episodes => Ok(()),
            rows => {
                let rows = rows.unwrap_or(0);
                Err(damaged(path, format!("it has {rows} episodes, and {episodes} have ended")))
            }
        }
    }
}

/// The evaluations that the log at `path` tells of, as far as its lines are whole: steps and mean
/// returns.
///
/// # Errors
/// When it can't be read.
pub(crate) fn evaluations(path: &Path) -> Result<Vec<(u64, f64)>, RunError> {
    let mut found = Vec::new();
    for_each_line(path, |text| {
        let Ok(line) = serde_json::from_slice::<Line>(text) else { return Ok(false) };
        if line.event == "evaluation" {
            found.extend(line.mean_return.map(|mean_return| (line.steps, mean_return)));
        }
        Ok(true)
    })?;
    Ok(found)
}

/// Calls `each` with every whole line, its line break included, for as long as it answers true.
fn for_each_line(
    path: &Path,
    mut each: impl FnMut(&[u8]) -> Result<bool, RunError>,
) -> Result<(), RunError> {
    let mut file = BufReader::new(File::open(path).map_err(RunError::io(path))?);
    let mut line = Vec::new();
    loop {
        line.clear();
        file.read_until(b'\n', &mut line).map_err(RunError::io(path))?;
        if !line.ends_with(b"\n") || !each(&line)? {
            return Ok(());
        }
    }
}

fn damaged(path: &Path, reason: String) -> RunError {
    RunError::Damaged { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const METRICS: [&str; 5] = [
        r#"{"event":"update","update":1,"loss":null,"seconds":0.5}"#,
        r#"{"event":"evaluation","steps":8,"mean_return":7.5}"#,
        r#"{"event":"update","update":2,"seconds":1.25}"#,
        r#"{"event":"evaluation","steps":16,"mean_return":-3.0}"#,
        r#"{"event":"update","update":3,"seconds":2.0}"#,
    ];

    fn logs(metrics: &str, episodes: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(files::METRICS), metrics).unwrap();
        fs::write(dir.path().join(files::EPISODES), episodes).unwrap();
        dir
    }

    #[test]
    fn an_update_takes_its_evaluation_along_and_a_torn_line_is_left() {
        let metrics = METRICS.join("\n") + "\n{\"event\":\"upd";
        let dir = logs(&metrics, "episode,steps\n1,9\n2,1");
        let until = |updates, episodes| Kept::until(dir.path(), updates, episodes);
        let length =
            |lines: usize| METRICS[..lines].iter().map(|l| l.len() as u64 + 1).sum::<u64>();
        let kept = until(1, 1).unwrap();
        assert_eq!((kept.metrics, kept.seconds, kept.best), (length(2), 0.5, Some(7.5)));
        assert_eq!(kept.episodes, "episode,steps\n1,9\n".len() as u64);
        let kept = until(2, 0).unwrap();
        assert_eq!((kept.metrics, kept.seconds, kept.best), (length(4), 1.25, Some(7.5)));
        assert_eq!(until(3, 0).unwrap().metrics, length(5));
        assert_eq!(until(0, 0).unwrap().metrics, 0);

        let error = until(4, 0).unwrap_err().to_string();
        assert!(error.contains("metrics.jsonl: "), "{error}");
        let error = until(3, 2).unwrap_err().to_string();
        assert!(error.ends_with("it has 1 episodes, and 2 have ended"), "{error}");
    }

    #[test]
    fn evaluations_are_told_up_to_where_the_log_is_torn() {
        let dir = logs(&(METRICS.join("\n") + "\n{\"event\":\"evaluation\",\"steps\":24"), "");
        let path = dir.path().join(files::METRICS);
        assert_eq!(evaluations(&path).unwrap(), [(8, 7.5), (16, -3.0)]);
        fs::write(&path, "").unwrap();
        assert_eq!(evaluations(&path).unwrap(), []);
    }

    #[test]
    fn damage_in_the_middle_is_told_with_its_line() {
        let dir = logs(&METRICS.join("\n").replace("\"update\":2", "\"update\"2"), "heading\n");
        let error = Kept::until(dir.path(), 3, 0).unwrap_err().to_string();
        assert!(error.contains("metrics.jsonl: line 3: "), "{error}");
        assert!(Kept::until(dir.path(), 1, 0).is_ok(), "what is before it is good");
    }
}
