//! A search read back, as far as it has come.

use std::{
    fs,
    path::{Path, PathBuf},
};

use elegante_env::Registry;

use super::{
    Params, SearchSpace, StudyInfo, Trial, TrialState,
    study_files::{CONFIG, SPACE, STUDY, TRIALS},
};
use crate::{ExperimentConfig, Request, RunError, experiment::read_json};

/// What a search has been asked for, and every trial of it that is over. Nobody who is at work on it is
/// disturbed: no lock is taken.
#[derive(Clone, Debug)]
pub struct StudyRecord {
    pub(super) path: PathBuf,
    pub(super) info: StudyInfo,
    pub(super) config: ExperimentConfig,
    pub(super) space: SearchSpace,
    pub(super) trials: Vec<Trial>,
}

impl StudyRecord {
    /// Whether `path` holds a search.
    pub fn exists(path: &Path) -> bool {
        path.join(STUDY).exists()
    }

    /// Reads the search in `path`, whose environment is one of `registry`.
    ///
    /// # Errors
    /// When there is none, or a file of it is missing or damaged.
    pub fn read(path: impl Into<PathBuf>, registry: &Registry) -> Result<Self, RunError> {
        let path = path.into();
        if !Self::exists(&path) {
            return Err(RunError::NoStudy { path });
        }
        let info: StudyInfo = read_json(&path.join(STUDY))?;
        let request = Request { file: Some(path.join(CONFIG)), ..Request::default() };
        let config = ExperimentConfig::resolve(registry, &request)?;
        let space = SearchSpace::read(&path.join(SPACE), &config, registry)?;
        let trials = read_trials(&path.join(TRIALS))?;
        Ok(Self { path, info, config, space, trials })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of one of its [`study_files`](super::study_files).
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What was asked for.
    pub fn info(&self) -> &StudyInfo {
        &self.info
    }

    /// The configuration that the search began with.
    pub fn config(&self) -> &ExperimentConfig {
        &self.config
    }

    /// What varies.
    pub fn space(&self) -> &SearchSpace {
        &self.space
    }

    /// The trials that are over, in the order in which they ended.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// The same, the best first.
    pub fn ranked(&self) -> Vec<&Trial> {
        Trial::ranked(&self.trials)
    }

    /// The best trial that is complete; of equal ones the earlier.
    pub fn best(&self) -> Option<&Trial> {
        self.ranked().into_iter().find(|it| it.state == TrialState::Complete)
    }

    /// The settings that vary as the search began with them; one that is not set is missing.
    pub fn start(&self) -> Params {
        self.space.of_config(&self.config)
    }
}

fn read_trials(path: &Path) -> Result<Vec<Trial>, RunError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path).map_err(RunError::io(path))?;
    let damaged = |line: usize, error: serde_json::Error| RunError::Damaged {
        path: path.to_owned(),
        reason: format!("line {}: it is not a trial: {error}", line + 1),
    };
    let lines = text.lines().enumerate();
    lines.map(|(n, line)| serde_json::from_str(line).map_err(|error| damaged(n, error))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        lock::Lock,
        tune::testing::{complete, failed, pruned, write_search},
    };

    fn read(dir: &Path) -> Result<StudyRecord, RunError> {
        StudyRecord::read(dir, &Registry::standard())
    }

    #[test]
    fn a_search_that_another_process_is_at_work_on_is_read_as_far_as_it_has_come() {
        let dir = tempfile::tempdir().unwrap();
        let trials = [failed(2), complete(0, 5.0), pruned(1, 3, 90.0), complete(3, 7.0)];
        write_search(dir.path(), &trials);
        let _lock = Lock::take(dir.path()).unwrap();
        let record = read(dir.path()).unwrap();
        assert_eq!(record.trials(), trials);
        assert_eq!((record.info().trials, record.best().unwrap().trial), (8, 3));
        let start = record.start();
        assert_eq!(start["ppo.gamma"], toml::Value::Float(0.98), "the preset's: {start:?}");
        std::fs::remove_file(dir.path().join(TRIALS)).unwrap();
        assert_eq!(read(dir.path()).unwrap().trials(), []);
    }

    #[test]
    fn what_is_damaged_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for (file, text, words) in [
            (TRIALS, "{}", &["trials.jsonl", "line 3", "not a trial"][..]),
            (STUDY, "{", &["tune.json"]),
            (SPACE, "ppo.gama = 3", &["space.toml", "ppo.gama"]),
            (CONFIG, "env = 3", &["tune.toml", "env"]),
        ] {
            write_search(dir.path(), &[complete(0, 5.0), complete(1, 6.0)]);
            let path = dir.path().join(file);
            let whole = if file == TRIALS { fs::read_to_string(&path).unwrap() } else { "".into() };
            fs::write(path, whole + text).unwrap();
            let error = read(dir.path()).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{file}: {error}");
        }
        let error = read(&dir.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("no such search"), "{error}");
    }
}
