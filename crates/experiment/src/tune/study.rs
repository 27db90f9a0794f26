//! A search in a directory of its own: what was asked, every trial, and what came out.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use elegante_env::Registry;
use elegante_policy::write_atomic;
use elegante_trainer::{Purpose, stream};
use serde::{Deserialize, Serialize};

use super::{
    Params, Pruner, Reading, Sampler, SearchSpace, SeedScore, StudyRecord, Trial, TrialState,
};
use crate::{
    COMMIT, ConfigError, ExperimentConfig, ExperimentDir, Origin, RunError, Seeds, VERSION,
    cut::evaluations,
    experiment::{read_json, write_json},
    lock::Lock,
    run_dir::{files, numbered, occupied_by_others},
};

/// The names of the files in a search's directory, beside its trials.
pub mod study_files {
    /// What was asked for. Written last of what a search begins with: where it is, all is.
    pub const STUDY: &str = "tune.json";
    /// The configuration that the search began with.
    pub const CONFIG: &str = "tune.toml";
    /// The settings that vary, each with its values.
    pub const SPACE: &str = "space.toml";
    /// One JSON object a line for each trial that is over, in the order in which they ended.
    pub const TRIALS: &str = "trials.jsonl";
    /// The configuration of the best trial.
    pub const BEST: &str = "best.toml";
    /// The results, for people.
    pub const TABLE: &str = "tune.md";
    /// In a trial's directory: the settings that it tries.
    pub const TRIAL: &str = "trial.json";
}

use study_files::{BEST, CONFIG, SPACE, STUDY, TABLE, TRIAL, TRIALS};

/// Evaluations of a seed that pruning goes by, where the configuration asks for none.
const RUNGS: u64 = 8;
/// Proposals that are drawn anew because their settings do not go together.
const ATTEMPTS: u64 = 1_000;

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StudyOptions {
    /// Trials in all.
    pub trials: u64,
    /// Seeds that each is trained with, one after the other.
    pub seeds_per_trial: u64,
    /// How the settings of the next are found.
    pub sampler: Sampler,
    /// How one is given up early.
    pub pruner: Pruner,
}

/// What `tune.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyInfo {
    /// Version of elegante.
    pub version: String,
    /// Git commit that it was built from, or "unknown".
    pub commit: String,
    /// The environment.
    pub env: String,
    /// The algorithm.
    pub algo: String,
    /// Environment steps that each seed of a trial is trained for.
    pub steps: u64,
    /// Trials in all.
    pub trials: u64,
    /// The seeds of each trial, the same for all.
    pub seeds: Vec<u64>,
    /// How the settings of the next are found.
    pub sampler: Sampler,
    /// How one is given up early.
    pub pruner: Pruner,
    /// Steps after which a trial is evaluated on the way; 0: never.
    pub evaluate_every: u64,
}

impl StudyInfo {
    fn of(config: &ExperimentConfig, options: &StudyOptions) -> Result<Self, ConfigError> {
        let run = &config.train.run;
        let every = match (run.eval_every, options.pruner) {
            (0, Pruner::None) => 0,
            (0, _) => run.steps.div_ceil(RUNGS).max(1),
            (given, _) => given,
        };
        let last = run.seed.checked_add(options.seeds_per_trial.max(1));
        let seeds = last.filter(|last| i64::try_from(*last).is_ok()).map(|last| run.seed..last);
        let seeds = seeds.ok_or_else(|| ConfigError::Value {
            key: "seed".into(),
            value: run.seed.to_string(),
            expected: "so small that the seeds of a trial, which count up from it, stay below 2⁶³"
                .into(),
            origin: Origin::Default,
        })?;
        Ok(Self {
            version: VERSION.to_owned(),
            commit: COMMIT.to_owned(),
            env: config.env.clone(),
            algo: config.algo.clone(),
            steps: run.steps,
            trials: options.trials,
            seeds: seeds.collect(),
            sampler: options.sampler,
            pruner: options.pruner,
            evaluate_every: every,
        })
    }

    /// Evaluations that are due in the training of a seed, the one at its end included.
    fn rungs(&self) -> u64 {
        if self.evaluate_every == 0 { 1 } else { self.steps.div_ceil(self.evaluate_every).max(1) }
    }

    /// Ten seeds that no trial has seen, as `--seeds` takes them.
    pub fn fresh_seeds(&self) -> String {
        let first = self.seeds.iter().max().map_or(0, |last| last.saturating_add(1));
        format!("{first}..{}", first.saturating_add(10))
    }
}

/// A trial that somebody is to run.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// Its number.
    pub trial: u64,
    /// The settings that it tries.
    pub params: Params,
    /// An experiment with its configuration, and a run for each of its seeds, which is yet to be trained
    /// or gone on with.
    pub dir: ExperimentDir,
    /// The seeds to train, one after the other.
    pub seeds: Vec<u64>,
}

/// A search that belongs to one process for as long as the value lives.
#[derive(Debug)]
pub struct Study {
    record: StudyRecord,
    /// What is under way, with its readings.
    running: BTreeMap<u64, Vec<Reading>>,
    registry: Registry,
    _lock: Arc<Lock>,
}

impl Study {
    /// Makes `path` the directory of a new search.
    ///
    /// # Errors
    /// When it holds something, or can't be made.
    pub fn create(
        path: impl Into<PathBuf>,
        config: &ExperimentConfig,
        space: &SearchSpace,
        options: &StudyOptions,
        registry: &Registry,
    ) -> Result<Self, RunError> {
        let (path, info) = (path.into(), StudyInfo::of(config, options)?);
        // A process that was killed at its very beginning is no obstacle.
        if occupied_by_others(&path, &[CONFIG, SPACE])? {
            return Err(RunError::NotAStudy { path });
        }
        fs::create_dir_all(&path).map_err(RunError::io(&path))?;
        Self::begin(path, info, config, space, registry)
    }

    /// Makes the directory `<env>-<algo>-tune-<n>` in `parent`, n being the first number that is free.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn create_numbered(
        parent: &Path,
        config: &ExperimentConfig,
        space: &SearchSpace,
        options: &StudyOptions,
        registry: &Registry,
    ) -> Result<Self, RunError> {
        let info = StudyInfo::of(config, options)?;
        Self::begin(numbered(parent, config, "tune")?, info, config, space, registry)
    }

    fn begin(
        path: PathBuf,
        info: StudyInfo,
        config: &ExperimentConfig,
        space: &SearchSpace,
        registry: &Registry,
    ) -> Result<Self, RunError> {
        let lock = Arc::new(Lock::take(&path)?);
        let (config, space) = (config.clone(), space.clone());
        let record = StudyRecord { path, info, config, space, trials: Vec::new() };
        let study = Self::over(record, registry, lock);
        let StudyRecord { info, config, space, .. } = &study.record;
        write_atomic(&study.file(CONFIG), config.to_toml(registry)?.as_bytes())?;
        write_atomic(&study.file(SPACE), space.to_toml().as_bytes())?;
        write_json(&study.file(STUDY), info)?;
        Ok(study)
    }

    /// With nothing under way.
    fn over(record: StudyRecord, registry: &Registry, lock: Arc<Lock>) -> Self {
        let registry = registry.clone();
        Self { record, running: BTreeMap::new(), registry, _lock: lock }
    }

    /// Whether `path` holds a search.
    pub fn exists(path: &Path) -> bool {
        StudyRecord::exists(path)
    }

    /// Takes the directory of a search that is there already, to go on with it.
    ///
    /// # Errors
    /// When there is none, a file of it is missing or damaged, or another process is at work on it.
    pub fn open(path: impl Into<PathBuf>, registry: &Registry) -> Result<Self, RunError> {
        let path = path.into();
        if !Self::exists(&path) {
            return Err(RunError::NoStudy { path });
        }
        let lock = Arc::new(Lock::take(&path)?);
        Ok(Self::over(StudyRecord::read(path, registry)?, registry, lock))
    }

    /// Refuses to go on when something else is asked for than what the search was begun with; the number
    /// of trials may differ.
    ///
    /// # Errors
    /// [`RunError::OtherStudy`] says what differs.
    pub fn agrees(
        &self,
        config: &ExperimentConfig,
        space: &SearchSpace,
        options: &StudyOptions,
    ) -> Result<(), RunError> {
        let asked = StudyInfo::of(config, options)?;
        let differs = if *config != self.record.config {
            "its configuration, tune.toml"
        } else if *space != self.record.space {
            "its search space, space.toml"
        } else if asked.seeds != self.record.info.seeds {
            "its seeds"
        } else if asked.sampler != self.record.info.sampler {
            "its sampler"
        } else if asked.pruner != self.record.info.pruner {
            "its pruner"
        } else {
            return Ok(());
        };
        Err(RunError::OtherStudy { path: self.record.path.clone(), differs })
    }

    /// Sets the number of trials in all.
    ///
    /// # Errors
    /// When it can't be written down.
    pub fn set_trials(&mut self, trials: u64) -> Result<(), RunError> {
        if trials != self.record.info.trials {
            self.record.info.trials = trials;
            write_json(&self.file(STUDY), &self.record.info)?;
        }
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.record.path()
    }

    /// The path of one of its [`study_files`].
    pub fn file(&self, name: &str) -> PathBuf {
        self.record.file(name)
    }

    /// What was asked for.
    pub fn info(&self) -> &StudyInfo {
        self.record.info()
    }

    /// The configuration that the search began with.
    pub fn config(&self) -> &ExperimentConfig {
        self.record.config()
    }

    /// What varies.
    pub fn space(&self) -> &SearchSpace {
        self.record.space()
    }

    /// The trials that are over, in the order in which they ended.
    pub fn trials(&self) -> &[Trial] {
        self.record.trials()
    }

    /// The best trial that is complete; of equal ones the earlier.
    pub fn best(&self) -> Option<&Trial> {
        self.record.best()
    }

    /// The results as a page of Markdown, as [`StudyRecord::to_markdown`] has them.
    pub fn to_markdown(&self) -> String {
        self.record.to_markdown()
    }

    /// The next trial that nobody is at work on, with a directory that is ready for it; `None` when there
    /// is none left. What was proposed before the search was stopped is proposed again.
    ///
    /// # Errors
    /// When no settings go together, or its directory can't be made.
    pub fn assign(&mut self) -> Result<Option<Assignment>, RunError> {
        let taken = |number: &u64| {
            self.running.contains_key(number)
                || self.record.trials.iter().any(|it| it.trial == *number)
        };
        let Some(trial) = (0..self.record.info.trials).find(|number| !taken(number)) else {
            return Ok(None);
        };
        let path = self.record.path.join(format!("trial-{trial}"));
        fs::create_dir_all(&path).map_err(RunError::io(&path))?;
        let proposed = path.join(TRIAL);
        let params = if proposed.exists() {
            read_json(&proposed)?
        } else {
            let params = self.propose(trial)?;
            write_json(&proposed, &params)?;
            params
        };
        let mut config =
            self.record.config.with(&self.registry, &params, &Origin::File(proposed))?;
        config.train.run.eval_every = self.record.info.evaluate_every;
        // A search has many runs, and nobody goes back in them.
        config.checkpoints.keep = 1;
        let seeds = Seeds::of(self.record.info.seeds.clone());
        let dir = ExperimentDir::prepare(path, &config, &seeds, &self.registry)?;
        self.running.insert(trial, Vec::new());
        Ok(Some(Assignment { trial, params, dir, seeds: self.record.info.seeds.clone() }))
    }

    /// The settings of a trial: the configuration's own for the first, then what the sampler finds.
    fn propose(&self, trial: u64) -> Result<Params, RunError> {
        if trial == 0 {
            return Ok(self.record.start());
        }
        let mut rng = stream(self.record.config.train.run.seed, Purpose::Search, trial);
        let mut refusal = None;
        for _ in 0..ATTEMPTS {
            let params =
                self.record.info.sampler.propose(&self.record.space, &self.record.trials, &mut rng);
            match self.record.config.with(&self.registry, &params, &Origin::File(self.file(SPACE)))
            {
                Ok(_) => return Ok(params),
                Err(error) => refusal = Some(error),
            }
        }
        let reason = refusal.map_or(String::new(), |error| error.to_string());
        Err(RunError::NoProposal { path: self.file(SPACE), attempts: ATTEMPTS, reason })
    }

    /// Notes an evaluation on the way: of the trial's seed after `scores`, at so many steps. Whether the
    /// trial is to be given up. One that has been noted already, as it comes again after a run was gone
    /// on with, changes nothing.
    pub fn reading(
        &mut self,
        trial: u64,
        scores: &[SeedScore],
        steps: u64,
        mean_return: f64,
    ) -> bool {
        let rungs = self.record.info.rungs();
        let within = steps.checked_div(self.record.info.evaluate_every).unwrap_or(0);
        let seed = self.record.info.seeds.get(scores.len());
        let (Some(seed), Some(mine)) = (seed, self.running.get_mut(&trial)) else { return false };
        let position = scores.len() as u64 * rungs + within;
        let known = mine.last().map_or(0, |reading| reading.position);
        // The evaluation at the end of a training decides nothing: the trial is over.
        if within == 0 || within >= rungs || position <= known || !mean_return.is_finite() {
            return false;
        }
        let sum = mean_return + scores.iter().map(|score| score.mean_return).sum::<f64>();
        let value = sum / (scores.len() + 1) as f64;
        mine.push(Reading { seed: *seed, position, steps, mean_return, value });
        let others: Vec<&[Reading]> =
            self.running.iter().filter(|it| *it.0 != trial).map(|it| it.1.as_slice()).collect();
        self.record.info.pruner.prunes(rungs, &self.running[&trial], &self.record.trials, &others)
    }

    /// What is known of the evaluations of a run in `run` from before it was stopped: steps and mean
    /// returns. They are for [`reading`](Self::reading), before the run goes on.
    ///
    /// # Errors
    /// When its log can't be read.
    pub fn past(run: &Path) -> Result<Vec<(u64, f64)>, RunError> {
        let path = run.join(files::METRICS);
        if path.exists() { evaluations(&path) } else { Ok(Vec::new()) }
    }

    /// Writes down a trial that is over, and what the search has come to.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn record(
        &mut self,
        assignment: &Assignment,
        scores: Vec<SeedScore>,
        end: Result<TrialState, String>,
    ) -> Result<Trial, RunError> {
        let (number, params) = (assignment.trial, assignment.params.clone());
        let readings = self.running.remove(&number).unwrap_or_default();
        let trial = match end {
            Ok(TrialState::Pruned) => Trial::pruned(number, params, scores, readings),
            Ok(_) => Trial::complete(number, params, scores, readings),
            Err(error) => Trial::failed(number, params, scores, readings, error),
        };
        self.record.trials.push(trial.clone());
        let mut lines = String::new();
        for trial in &self.record.trials {
            let line = serde_json::to_string(trial);
            lines += &line.map_err(|error| RunError::io(self.file(TRIALS))(error.into()))?;
            lines.push('\n');
        }
        write_atomic(&self.file(TRIALS), lines.as_bytes())?;
        self.write_results()?;
        Ok(trial)
    }

    /// Leaves a trial that was stopped for later.
    pub fn leave(&mut self, assignment: &Assignment) {
        self.running.remove(&assignment.trial);
    }

    /// Writes the best configuration, if any trial is complete, and the table.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn write_results(&self) -> Result<(), RunError> {
        if let Some(best) = self.best() {
            let origin = Origin::File(self.file(TRIALS));
            let config = self.record.config.with(&self.registry, &best.params, &origin)?;
            let text = config.to_toml(&self.registry)?;
            write_atomic(&self.file(BEST), text.as_bytes())?;
        }
        Ok(write_atomic(&self.file(TABLE), self.to_markdown().as_bytes())?)
    }
}
