//! Logs beside the usual ones, for tools that people have: TensorBoard's event files and a CSV with
//! Stable-Baselines3's names.

mod csv;
mod names;
mod protobuf;
pub(crate) mod tensorboard;

use elegante_policy::settings;
use elegante_trainer::{Evaluation, Event};

use crate::{ExperimentConfig, RunDir, RunError, StopReason, run_dir::files};
use csv::Progress;
use names::{evaluation, update};
use tensorboard::EventFile;

settings! {
    /// What is written down beside the usual logs.
    pub struct LogConfig {
        /// Write event files for TensorBoard as well, into the run's directory tensorboard.
        pub tensorboard: bool = false,
        /// Write progress.csv as well: a row for each update, in Stable-Baselines3's columns.
        pub csv: bool = false,
        /// With tensorboard: add histograms of all weights and gradients after the first update and
        /// whenever this many further steps have been trained; 0: none.
        pub histograms_every: u64 = 0,
    }
}

/// The further logs of one run, as far as they are wanted.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    tensorboard: Option<EventFile>,
    csv: Option<Progress>,
    /// Environment steps at the last update.
    steps: u64,
}

impl Logs {
    /// Opens the logs of a new run.
    pub(crate) fn begin(
        dir: &RunDir,
        config: &ExperimentConfig,
        toml: &str,
    ) -> Result<Self, RunError> {
        let mut logs = Self::default();
        if config.log.csv {
            logs.csv = Some(Progress::create(&dir.file(files::PROGRESS))?);
        }
        if config.log.tensorboard {
            let mut file = EventFile::create(&dir.file(files::TENSORBOARD))?;
            file.introduce(config, toml);
            file.flush()?;
            logs.tensorboard = Some(file);
        }
        Ok(logs)
    }

    /// Opens the logs of a run that goes on after `steps` steps: what they say of later ones is taken
    /// back. TensorBoard's file is a further one, which says so itself.
    ///
    /// # Errors
    /// When a file can't be read or written, or is not what a run writes.
    pub(crate) fn resume(
        dir: &RunDir,
        config: &ExperimentConfig,
        steps: u64,
    ) -> Result<Self, RunError> {
        let mut logs = Self { steps, ..Self::default() };
        if config.log.csv {
            logs.csv = Some(Progress::resume(&dir.file(files::PROGRESS), steps)?);
        }
        if config.log.tensorboard {
            let mut file = EventFile::create(&dir.file(files::TENSORBOARD))?;
            file.forget_after(steps);
            file.flush()?;
            logs.tensorboard = Some(file);
        }
        Ok(logs)
    }

    /// Notes an event of the training; `algo` is the algorithm's id.
    pub(crate) fn note(&mut self, algo: &str, event: Event<'_>) -> Result<(), RunError> {
        match event {
            Event::Update(metrics) => {
                self.steps = metrics.steps;
                if let Some(file) = &mut self.tensorboard {
                    file.scalars(self.steps, &update(metrics, algo));
                }
                if let Some(csv) = &mut self.csv {
                    csv.update(&names::all(metrics, algo))?;
                }
            }
            Event::Evaluation(found) => {
                if let Some(file) = &mut self.tensorboard {
                    file.scalars(self.steps, &evaluation(found));
                }
                if let Some(csv) = &mut self.csv {
                    csv.evaluation(self.steps, &evaluation(found))?;
                }
            }
            Event::Parameters(parameters) => {
                if let Some(file) = &mut self.tensorboard {
                    file.histograms(self.steps, parameters);
                }
            }
            _ => return Ok(()),
        }
        self.tensorboard.as_mut().map_or(Ok(()), EventFile::flush)
    }

    /// Makes sure that everything is on the disk.
    pub(crate) fn sync(&mut self) -> Result<(), RunError> {
        self.csv.as_mut().map_or(Ok(()), Progress::sync)?;
        self.tensorboard.as_mut().map_or(Ok(()), EventFile::sync)
    }

    /// Notes how the run ended.
    pub(crate) fn finish(
        &mut self,
        stop: StopReason,
        found: Option<&Evaluation>,
    ) -> Result<(), RunError> {
        let told = found.map(evaluation);
        if let (Some(csv), Some(told)) = (&mut self.csv, &told) {
            csv.evaluation(self.steps, told)?;
        }
        if let Some(file) = &mut self.tensorboard {
            file.scalars(self.steps, told.as_deref().unwrap_or_default());
            file.end(stop);
        }
        self.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elegante_env::Registry;

    #[test]
    fn a_run_that_goes_on_has_a_further_event_file_that_takes_back_later_steps() {
        let folder = tempfile::tempdir().unwrap();
        let dir = RunDir::create(folder.path().join("run"), false).unwrap();
        let sets = vec!["log.tensorboard=true".into(), "log.csv=true".into()];
        let request =
            crate::Request { env: Some("CartPole-v1".into()), sets, ..Default::default() };
        let config = ExperimentConfig::resolve(&Registry::standard(), &request).unwrap();
        drop(Logs::begin(&dir, &config, "steps = 1\n").unwrap());
        let mut logs = Logs::resume(&dir, &config, 300).unwrap();
        logs.finish(StopReason::Budget, None).unwrap();
        let mut files: Vec<_> = std::fs::read_dir(dir.file(files::TENSORBOARD))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        assert_eq!(files.len(), 2, "{files:?}");
        // Step 301, and a session log (field 7) whose status (field 1) is START.
        let start = [0x10, 0xad, 0x02, 0x3a, 0x02, 0x08, 0x01];
        let says = |file: &std::path::PathBuf| {
            std::fs::read(file).unwrap().windows(start.len()).any(|bytes| bytes == start)
        };
        assert_eq!(files.iter().map(says).collect::<Vec<_>>(), [false, true]);
    }
}
