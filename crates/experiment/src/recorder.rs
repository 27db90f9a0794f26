//! Writes a training run down while it goes on.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use elegante_env::{Ending, Registry};
use elegante_kernels::{Instructions, instructions};
use elegante_policy::write_atomic;
use elegante_trainer::{Evaluation, Event, Progress, Stop, Trainer};
use serde::{Deserialize, Serialize};

use crate::{
    COMMIT, ExperimentConfig, Requests, RunDir, RunError, VERSION,
    checkpoints::Cadence,
    cut::Kept,
    experiment::write_json,
    failure, json_line,
    log::LogFile,
    logging::Logs,
    machine,
    run_dir::files,
    sessions::{self, Session},
    training::Best,
};

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StopReason {
    /// The steps asked for have been trained.
    Budget,
    /// The mean return asked for was reached.
    Solved,
    /// Somebody asked it to stop, by Ctrl-C for example.
    Interrupted,
    /// An error ended it; the files hold the state from before.
    Failed,
}

impl From<Stop> for StopReason {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Budget => Self::Budget,
            Stop::Solved => Self::Solved,
            Stop::Asked => Self::Interrupted,
        }
    }
}

/// What `run.json` says of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Version of elegante.
    pub version: String,
    /// Git commit that it was built from, or "unknown".
    pub commit: String,
    /// The environment.
    pub env: String,
    /// The algorithm.
    pub algo: String,
    /// Seed of every random stream of the run.
    pub seed: u64,
    /// The device that held the networks; `auto` is resolved.
    pub device: String,
    /// The burn backend behind it.
    pub backend: String,
    /// How the CPU's kernels rounded; runs from before there was a choice do not say.
    #[serde(default)]
    pub kernels: Instructions,
    /// The machine it ran on; runs from before this was noted do not say.
    #[serde(default)]
    pub machine: Option<String>,
    /// When it ended, as in 2026-01-31T12:00:00Z; runs from before this was noted do not say.
    #[serde(default)]
    pub ended: Option<String>,
    /// Why the run ended.
    pub stop: StopReason,
    /// Environment steps trained, over all lanes.
    pub steps: u64,
    /// Training episodes.
    pub episodes: u64,
    /// Updates.
    pub updates: u64,
    /// Seconds of wall time of the training alone; of a run that was continued, of all that is in it.
    pub train_seconds: f64,
    /// Environment steps a second of the training alone.
    pub train_steps_per_second: f64,
    /// Seconds of wall time of the whole process: start, training, evaluation. Of a run that was
    /// continued, of its last process and of the training before.
    pub seconds: f64,
    /// Environment steps trained a second of the whole process.
    pub steps_per_second: f64,
    /// What the last policy reached; `None` if it was not evaluated.
    pub evaluation: Option<Evaluation>,
}

/// The files of a run in the making.
///
/// ```
/// use elegante_env::Registry;
/// use elegante_experiment::{ExperimentConfig, Recorder, Request, RunDir, StopReason};
/// use elegante_trainer::Trainer;
/// use std::{ops::ControlFlow, time::Instant};
///
/// let registry = Registry::standard();
/// let sets = vec!["steps=2000".into(), "eval_episodes=5".into()];
/// let request = Request { env: Some("CartPole-v1".into()), sets, ..Request::default() };
/// let config = ExperimentConfig::resolve(&registry, &request)?;
/// let mut trainer = Trainer::from_factory(config.train.clone(), config.env_factory(&registry)?)?;
///
/// let folder = tempfile::tempdir()?;
/// let dir = RunDir::create(folder.path().join("run"), false)?;
/// let mut recorder = Recorder::begin(dir, &config, &registry, Instant::now())?;
/// let stop = recorder.train(&mut trainer, |_news| ControlFlow::Continue(()))?;
/// let info = recorder.finish(&trainer, stop, Some(trainer.evaluate()?))?;
/// assert!(info.steps >= 2000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Recorder {
    pub(crate) dir: RunDir,
    pub(crate) config: ExperimentConfig,
    pub(crate) metrics: LogFile,
    pub(crate) episodes: LogFile,
    pub(crate) logs: Logs,
    pub(crate) failure: Option<RunError>,
    /// Steps at the last update.
    pub(crate) steps: u64,
    pub(crate) cadence: Cadence,
    pub(crate) best: Best,
    /// Whether the disk has been full since the last time that everything could be written.
    pub(crate) no_room: bool,
    pub(crate) requests: Requests,
    process_began: Instant,
    began: Instant,
    /// Seconds trained before this process.
    earlier: Duration,
    train_seconds: f64,
}

impl Recorder {
    /// Writes the configuration and opens the logs: what can't be written shows before training.
    /// `process_began` is where the wall time of the whole process counts from.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn begin(
        dir: RunDir,
        config: &ExperimentConfig,
        registry: &Registry,
        process_began: Instant,
    ) -> Result<Self, RunError> {
        let toml = config.to_toml(registry)?;
        write_atomic(&dir.file(files::CONFIG), toml.as_bytes())?;
        let metrics = LogFile::create(&dir.file(files::METRICS))?;
        let mut episodes = LogFile::create(&dir.file(files::EPISODES))?;
        episodes.line("episode,steps,lane,return,length,ending");
        episodes.flush()?;
        let logs = Logs::begin(&dir, config, &toml)?;
        sessions::note(&dir, "train", &Session::now(config, Progress::default()))?;
        Ok(Self::over(dir, config, (metrics, episodes, logs), process_began))
    }

    /// Goes on with a run whose logs tell of `progress` in their first parts, `kept`.
    pub(crate) fn go_on(
        dir: RunDir,
        config: &ExperimentConfig,
        kept: &Kept,
        progress: Progress,
        process_began: Instant,
    ) -> Result<Self, RunError> {
        let metrics = LogFile::cut(&dir.file(files::METRICS), kept.metrics)?;
        let episodes = LogFile::cut(&dir.file(files::EPISODES), kept.episodes)?;
        let logs = Logs::resume(&dir, config, progress.steps)?;
        sessions::note(&dir, "resume", &Session::now(config, progress))?;
        let mut recorder = Self::over(dir, config, (metrics, episodes, logs), process_began);
        recorder.steps = progress.steps;
        recorder.cadence = Cadence::new(&config.checkpoints, progress.steps);
        recorder.best = Best::of(kept.best);
        recorder.earlier = kept.seconds();
        recorder.train_seconds = kept.seconds;
        Ok(recorder)
    }

    fn over(
        dir: RunDir,
        config: &ExperimentConfig,
        (metrics, episodes, logs): (LogFile, LogFile, Logs),
        process_began: Instant,
    ) -> Self {
        Self {
            dir,
            config: config.clone(),
            metrics,
            episodes,
            logs,
            failure: None,
            steps: 0,
            cadence: Cadence::new(&config.checkpoints, 0),
            best: Best::of(None),
            no_room: false,
            requests: Requests::default(),
            process_began,
            began: Instant::now(),
            earlier: Duration::ZERO,
            train_seconds: 0.0,
        }
    }

    /// The run's directory.
    pub fn dir(&self) -> &RunDir {
        &self.dir
    }

    /// Answers these requests from now on.
    pub fn heed(&mut self, requests: Requests) {
        self.requests = requests;
    }

    /// Leaves `idle` out of the time of the training.
    pub(crate) fn leave_out(&mut self, idle: Duration) {
        self.began += idle;
    }

    /// Writes down an event of the training. What can't be written yet is kept.
    pub(crate) fn note(&mut self, event: Event<'_>) -> Result<(), RunError> {
        self.train_seconds = (self.earlier + self.began.elapsed()).as_secs_f64();
        let logged = self.logs.note(&self.config.algo, event);
        self.note_in_logs(event).and(logged)
    }

    fn note_in_logs(&mut self, event: Event<'_>) -> Result<(), RunError> {
        match event {
            Event::Episode(e) => {
                let ending = match e.ending {
                    Ending::Terminated => "terminated",
                    Ending::Truncated => "truncated",
                };
                let (index, steps, lane) = (e.index, e.steps, e.lane);
                self.episodes.line(&format!(
                    "{index},{steps},{lane},{},{},{ending}",
                    e.episode_return, e.length
                ));
                Ok(())
            }
            Event::Update(update) => {
                self.steps = update.steps;
                self.metrics.line(&json_line("update", update));
                self.flush()
            }
            Event::Evaluation(evaluation) => {
                let at = EvaluationAt { steps: self.steps, evaluation };
                self.metrics.line(&json_line("evaluation", &at));
                self.flush()
            }
            _ => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), RunError> {
        self.episodes.flush()?;
        self.metrics.flush()
    }

    /// Writes down what the training has failed on, for [`FailedUpdate`](crate::FailedUpdate) to read;
    /// returns the file, or `None` where it has not failed on anything that is kept.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn save_failure(
        &self,
        trainer: &Trainer,
        registry: &Registry,
    ) -> Result<Option<PathBuf>, RunError> {
        failure::write(&self.dir, &self.config, registry, trainer)
    }

    /// Writes the last lines of the logs and then `run.json`, the last of the files, and returns what it
    /// says.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn finish(
        &mut self,
        trainer: &Trainer,
        stop: StopReason,
        evaluation: Option<Evaluation>,
    ) -> Result<RunInfo, RunError> {
        self.logs.finish(stop, evaluation.as_ref())?;
        let info = self.info(trainer, stop, evaluation);
        write_json(&self.dir.file(files::RUN), &info)?;
        Ok(info)
    }

    fn info(&self, trainer: &Trainer, stop: StopReason, evaluation: Option<Evaluation>) -> RunInfo {
        let (config, progress) = (&self.config, trainer.progress());
        let device = config.train.device.resolve();
        let seconds = (self.earlier + self.process_began.elapsed()).as_secs_f64();
        RunInfo {
            version: VERSION.to_owned(),
            commit: COMMIT.to_owned(),
            env: config.env.clone(),
            algo: config.algo.clone(),
            seed: config.train.run.seed,
            device: device.to_string(),
            backend: sessions::backend(device).to_owned(),
            kernels: instructions(),
            machine: Some(machine::machine()),
            ended: Some(machine::now()),
            stop,
            steps: progress.steps,
            episodes: progress.episodes,
            updates: progress.updates,
            train_seconds: self.train_seconds,
            train_steps_per_second: rate(progress.steps, self.train_seconds),
            seconds,
            steps_per_second: rate(progress.steps, seconds),
            evaluation,
        }
    }
}

/// An evaluation during training, with where it was made.
#[derive(Serialize)]
struct EvaluationAt<'a> {
    steps: u64,
    #[serde(flatten)]
    evaluation: &'a Evaluation,
}

fn rate(steps: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { steps as f64 / seconds } else { 0.0 }
}
