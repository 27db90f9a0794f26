//! An experiment: the same training with several seeds, one run directory each, under one roof.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use elegante_env::Registry;
use elegante_policy::write_atomic;
use serde::{Deserialize, Serialize};

use crate::{
    COMMIT, Curve, ExperimentConfig, Request, RunDir, RunError, RunInfo, Seeds, StopReason,
    VERSION,
    lock::Lock,
    run_dir::{files, numbered, occupied, remove_files},
};

/// The names of the files in an experiment's directory, beside the runs.
pub mod experiment_files {
    /// What was asked for: environment, algorithm, seeds.
    pub const EXPERIMENT: &str = "experiment.json";
    /// The resolved configuration that all seeds share.
    pub const CONFIG: &str = "experiment.toml";
    /// The results, for machines.
    pub const SUMMARY: &str = "summary.json";
    /// The results, for people.
    pub const TABLE: &str = "summary.md";
    /// The learning curves.
    pub const CURVES: &str = "curves.svg";

    /// All of them.
    pub const ALL: [&str; 5] = [EXPERIMENT, CONFIG, SUMMARY, TABLE, CURVES];
}

use experiment_files::{CONFIG, EXPERIMENT};

/// What `experiment.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExperimentInfo {
    /// Version of elegante.
    pub version: String,
    /// Git commit that it was built from, or "unknown".
    pub commit: String,
    /// The environment.
    pub env: String,
    /// The algorithm.
    pub algo: String,
    /// Environment steps that each seed was to train for.
    pub steps: u64,
    /// The mean return at which the environment counts as solved, if it has any.
    pub threshold: Option<f64>,
    /// The seeds, in the order in which they were given.
    pub seeds: Vec<u64>,
}

/// A directory that belongs to one experiment, and to one process for as long as the value lives; the
/// run of seed 3 is in its `seed-3`.
#[derive(Clone, Debug)]
pub struct ExperimentDir {
    path: PathBuf,
    _lock: Arc<Lock>,
}

impl ExperimentDir {
    /// Refuses what [`create`](Self::create) would refuse, and changes nothing.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn check(path: &Path, force: bool) -> Result<(), RunError> {
        match (occupied(path)?, force) {
            (false, _) => Ok(()),
            (true, false) => {
                Err(RunError::Occupied { path: path.to_owned(), ours: read_info(path).is_ok() })
            }
            (true, true) => match read_info(path) {
                Ok(_) => Lock::check(path),
                Err(_) => Err(RunError::NotAnExperiment { path: path.to_owned() }),
            },
        }
    }

    /// Makes `path` the directory of a new experiment. With `force` the files of an older experiment
    /// in it are removed, its runs included; of the runs of seeds that are asked for again only the
    /// result goes, the rest is left to [`RunDir::create`].
    ///
    /// # Errors
    /// When it holds something and `force` is not given, when what it or a seed's directory holds is
    /// not ours, or when it can't be made.
    pub fn create(
        path: impl Into<PathBuf>,
        config: &ExperimentConfig,
        seeds: &Seeds,
        registry: &Registry,
        force: bool,
    ) -> Result<Self, RunError> {
        let path = path.into();
        Self::check(&path, force)?;
        let runs = seeds.as_slice().iter().map(|seed| path.join(run_name(*seed)));
        let asked: Vec<PathBuf> = runs.collect();
        asked.iter().try_for_each(|run| RunDir::check(run, force))?;
        fs::create_dir_all(&path).map_err(RunError::io(&path))?;
        let dir = Self::take(path)?;
        let older = read_info(&dir.path).map(|info| info.seeds).unwrap_or_default();
        for run in older.iter().map(|seed| dir.run(*seed)) {
            if asked.contains(&run) {
                // Were it left, a run that fails this time would pass for the older one.
                remove_files(&run, &[files::RUN])?;
            } else {
                RunDir::remove(&run)?;
            }
        }
        remove_files(&dir.path, &experiment_files::ALL)?;
        dir.begin(config, seeds, registry)?;
        Ok(dir)
    }

    /// Makes the directory `<env>-<algo>-seeds-<n>` in `parent`, n being the first number that is free.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn create_numbered(
        parent: &Path,
        config: &ExperimentConfig,
        seeds: &Seeds,
        registry: &Registry,
    ) -> Result<Self, RunError> {
        let dir = Self::take(numbered(parent, config, "seeds")?)?;
        dir.begin(config, seeds, registry)?;
        Ok(dir)
    }

    /// Takes the directory of an experiment that is there already, to go on with it; its configuration
    /// and what was asked for come along. With `steps` each seed is to have so many.
    ///
    /// # Errors
    /// When there is no experiment, a file of it is missing or damaged, another process is at work on
    /// it, or it can't be given other steps.
    pub fn open(
        path: impl Into<PathBuf>,
        registry: &Registry,
        steps: Option<u64>,
    ) -> Result<(Self, ExperimentConfig, ExperimentInfo), RunError> {
        let path = path.into();
        let mut info = read_info(&path)?;
        let dir = Self::take(path)?;
        let request = Request { file: Some(dir.file(CONFIG)), ..Request::default() };
        let mut config = ExperimentConfig::resolve(registry, &request)?;
        if let Some(steps) = steps.filter(|steps| *steps != config.train.run.steps) {
            config = config.with_steps(steps, &dir.path)?;
            info.steps = steps;
            write_atomic(&dir.file(CONFIG), config.to_toml(registry)?.as_bytes())?;
            write_json(&dir.file(EXPERIMENT), &info)?;
        }
        Ok((dir, config, info))
    }

    /// Takes the directory of an experiment, which must exist, and writes down what it is, whether that has
    /// been done before or not; its runs are left as they are.
    ///
    /// # Errors
    /// When another process is at work on it, or a file can't be written.
    pub(crate) fn prepare(
        path: PathBuf,
        config: &ExperimentConfig,
        seeds: &Seeds,
        registry: &Registry,
    ) -> Result<Self, RunError> {
        let dir = Self::take(path)?;
        dir.begin(config, seeds, registry)?;
        Ok(dir)
    }

    fn take(path: PathBuf) -> Result<Self, RunError> {
        Ok(Self { _lock: Arc::new(Lock::take(&path)?), path })
    }

    fn begin(
        &self,
        config: &ExperimentConfig,
        seeds: &Seeds,
        registry: &Registry,
    ) -> Result<(), RunError> {
        let info = ExperimentInfo {
            version: VERSION.to_owned(),
            commit: COMMIT.to_owned(),
            env: config.env.clone(),
            algo: config.algo.clone(),
            steps: config.train.run.steps,
            threshold: registry.get(&config.env)?.threshold(),
            seeds: seeds.as_slice().to_vec(),
        };
        write_atomic(&self.file(CONFIG), config.to_toml(registry)?.as_bytes())?;
        write_json(&self.file(EXPERIMENT), &info)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of one of its [`experiment_files`].
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The run directory of `seed`.
    pub fn run(&self, seed: u64) -> PathBuf {
        self.path.join(run_name(seed))
    }
}

fn run_name(seed: u64) -> String {
    format!("seed-{seed}")
}

/// What one seed came to.
#[derive(Clone, Debug)]
pub struct SeedRun {
    /// The seed.
    pub seed: u64,
    /// Its run; `None` if it was never finished.
    pub info: Option<RunInfo>,
    /// Its learning curve; empty if it was never finished.
    pub curve: Curve,
}

impl SeedRun {
    /// How its last policy was evaluated, unless it failed, was interrupted or never ran.
    pub fn evaluation(&self) -> Option<&elegante_trainer::Evaluation> {
        self.info.as_ref().and_then(|info| info.evaluation.as_ref())
    }

    /// Why it ended; a run that left no result has failed.
    pub fn stop(&self) -> StopReason {
        self.info.as_ref().map_or(StopReason::Failed, |info| info.stop)
    }
}

/// An experiment, read back.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// Its directory.
    pub path: PathBuf,
    /// What was asked for.
    pub info: ExperimentInfo,
    /// What came out, in the order of the seeds.
    pub runs: Vec<SeedRun>,
}

impl Experiment {
    /// Reads the experiment in `path`. Seeds that have no result are in it without one.
    ///
    /// # Errors
    /// When it is not an experiment, or a file of a finished run is missing or damaged.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, RunError> {
        let path = path.into();
        let info = read_info(&path)?;
        let runs = info.seeds.iter().map(|seed| seed_run(&path, *seed));
        Ok(Self { runs: runs.collect::<Result<_, _>>()?, path, info })
    }

    /// The runs that were trained and evaluated to their end.
    pub fn finished(&self) -> impl Iterator<Item = &SeedRun> {
        self.runs.iter().filter(|run| run.evaluation().is_some())
    }

    /// The mean return of each finished run's last policy.
    pub fn scores(&self) -> Vec<f64> {
        self.finished().filter_map(SeedRun::evaluation).map(|e| e.mean_return).collect()
    }

    /// The learning curve of each finished run.
    pub fn curves(&self) -> Vec<Curve> {
        self.finished().map(|run| run.curve.clone()).collect()
    }
}

fn seed_run(path: &Path, seed: u64) -> Result<SeedRun, RunError> {
    let dir = path.join(run_name(seed));
    let run = dir.join(files::RUN);
    let info: Option<RunInfo> = if run.exists() { Some(read_json(&run)?) } else { None };
    let finished = info.as_ref().is_some_and(|info| info.evaluation.is_some());
    let curve = if finished { Curve::read(&dir.join(files::EPISODES))? } else { Curve::default() };
    Ok(SeedRun { seed, info, curve })
}

fn read_info(path: &Path) -> Result<ExperimentInfo, RunError> {
    let file = path.join(EXPERIMENT);
    if !file.exists() {
        return Err(RunError::NoExperiment { path: path.to_owned() });
    }
    read_json(&file)
}

pub(crate) fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, RunError> {
    let text = fs::read_to_string(path).map_err(RunError::io(path))?;
    let damaged = |error: serde_json::Error| RunError::Damaged {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    serde_json::from_str(&text).map_err(damaged)
}

pub(crate) fn write_json(path: &Path, data: &impl Serialize) -> Result<(), RunError> {
    let json = serde_json::to_string_pretty(data);
    let json = json.map_err(|error| RunError::io(path)(error.into()))?;
    Ok(write_atomic(path, format!("{json}\n").as_bytes())?)
}
