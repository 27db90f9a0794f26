//! What a report is made of: experiments and single runs, finished or not.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use elegante_env::Registry;
use toml::{Table, Value};

use super::health::Health;
use crate::{
    Curve, Experiment, ExperimentInfo, RunError, SeedRun,
    entries::{entries, said},
    experiment::{experiment_files, read_json},
    run_dir::files,
};

/// An experiment or a single run, read back as far as it has come.
#[derive(Clone, Debug)]
pub struct Source {
    /// What it is called, unlike every other of the same report.
    pub name: String,
    /// Its runs; a run by itself is an experiment of one seed.
    pub experiment: Experiment,
    /// The run directory of each seed.
    pub runs: Vec<PathBuf>,
    /// What the updates of each seed measured.
    pub(super) health: Vec<Health>,
    /// Its configuration, by name.
    pub(super) settings: BTreeMap<String, String>,
}

impl Source {
    /// Reads what is in `path`. The environment's threshold, if a single run has one, is looked up in
    /// `registry`; an environment that is not there has none.
    ///
    /// # Errors
    /// When it is neither an experiment nor a run, or a file of it is damaged. What is not there yet is
    /// no error.
    pub fn read(path: &Path, registry: &Registry) -> Result<Self, RunError> {
        if path.join(experiment_files::EXPERIMENT).exists() {
            Self::experiment(path)
        } else if path.join(files::CONFIG).exists() {
            Self::single(path, registry)
        } else {
            Err(RunError::NothingToReport { path: path.to_owned() })
        }
    }

    fn experiment(path: &Path) -> Result<Self, RunError> {
        let mut experiment = Experiment::read(path)?;
        let dir = |run: &SeedRun| path.join(format!("seed-{}", run.seed));
        let runs: Vec<PathBuf> = experiment.runs.iter().map(dir).collect();
        for (run, dir) in experiment.runs.iter_mut().zip(&runs) {
            if run.evaluation().is_none() {
                run.curve = so_far(dir)?;
            }
        }
        let mut settings = settings(&path.join(experiment_files::CONFIG))?;
        // Each seed has its own.
        settings.remove("seed");
        let health = runs.iter().map(|dir| Health::read(&dir.join(files::METRICS)));
        Ok(Self {
            name: String::new(),
            health: health.collect::<Result<_, _>>()?,
            experiment,
            runs,
            settings,
        })
    }

    fn single(path: &Path, registry: &Registry) -> Result<Self, RunError> {
        let settings = settings(&path.join(files::CONFIG))?;
        let said = |key: &str| settings.get(key).cloned().unwrap_or_default();
        let (env, algo) = (said("env"), said("algo"));
        if env.is_empty() || algo.is_empty() {
            return Err(RunError::NothingToReport { path: path.to_owned() });
        }
        let seed = said("seed").parse().unwrap_or_default();
        let file = path.join(files::RUN);
        let info: Option<crate::RunInfo> =
            if file.exists() { Some(read_json(&file)?) } else { None };
        let noted = |of: fn(&crate::RunInfo) -> &String| info.as_ref().map(of).cloned();
        let run = SeedRun { seed, curve: so_far(path)?, info: info.clone() };
        let experiment = Experiment {
            path: path.to_owned(),
            info: ExperimentInfo {
                version: noted(|info| &info.version).unwrap_or_else(|| "unknown".into()),
                commit: noted(|info| &info.commit).unwrap_or_else(|| "unknown".into()),
                threshold: registry.get(&env).ok().and_then(|entry| entry.threshold()),
                steps: said("steps").parse().unwrap_or_default(),
                env,
                algo,
                seeds: vec![seed],
            },
            runs: vec![run],
        };
        let health = vec![Health::read(&path.join(files::METRICS))?];
        let (name, runs) = (String::new(), vec![path.to_owned()]);
        Ok(Self { name, experiment, runs, health, settings })
    }

    /// The run to show a film of: the one whose final return is the median of the seeds' (the lower one
    /// of two), or else the first that has a policy. Its seed, and its directory.
    pub fn representative(&self) -> Option<(u64, &Path)> {
        let runs = || self.experiment.runs.iter().zip(&self.runs);
        let score = |run: &SeedRun| run.evaluation().map(|found| found.mean_return);
        let mut finished: Vec<_> =
            runs().filter_map(|(run, dir)| Some((score(run)?, run.seed, dir))).collect();
        finished.sort_by(|(a, ..), (b, ..)| a.total_cmp(b));
        let median = finished.get(finished.len().saturating_sub(1) / 2);
        let median = median.map(|(_, seed, dir)| (*seed, dir.as_path()));
        median.or_else(|| {
            let mut saved = runs().filter(|(_, dir)| dir.join(files::POLICY).exists());
            saved.next().map(|(run, dir)| (run.seed, dir.as_path()))
        })
    }

    /// The curves that stand for it: those of its finished runs, or else of all that have begun.
    pub(super) fn curves(&self) -> Vec<&Curve> {
        let finished: Vec<&Curve> = self.experiment.finished().map(|run| &run.curve).collect();
        if finished.is_empty() {
            let all = self.experiment.runs.iter().map(|run| &run.curve);
            all.filter(|curve| !curve.points().is_empty()).collect()
        } else {
            finished
        }
    }
}

/// Stands for the name of the algorithm in the settings of sources that have different ones.
pub(super) const OWN: &str = "‹algo›";

/// Where algorithms differ, the settings of each go by [`OWN`], so that those of the same name stand side
/// by side.
pub(super) fn align(sources: &mut [Source]) {
    let algos: Vec<String> = sources.iter().map(|it| it.experiment.info.algo.clone()).collect();
    if algos.windows(2).all(|pair| pair[0] == pair[1]) {
        return;
    }
    for (source, algo) in sources.iter_mut().zip(algos) {
        let renamed = |(key, value): (String, String)| match key.strip_prefix(&algo) {
            Some(rest) if rest.starts_with('.') => (format!("{OWN}{rest}"), value),
            _ => (key, value),
        };
        source.settings = std::mem::take(&mut source.settings).into_iter().map(renamed).collect();
    }
}

/// A name of its own for each path: its last part, or all of it where two have the same.
pub(super) fn names(paths: &[PathBuf]) -> Vec<String> {
    let short: Vec<String> = paths.iter().map(|path| last_part(path)).collect();
    let name = |(path, name): (&PathBuf, &String)| {
        let alone = short.iter().filter(|other| *other == name).count() == 1;
        if alone { name.clone() } else { path.display().to_string() }
    };
    paths.iter().zip(&short).map(name).collect()
}

/// The last part of a path, of `.` and `..` that of where they lead.
fn last_part(path: &Path) -> String {
    let whole = path.file_name().map_or_else(|| fs::canonicalize(path).ok(), |_| None);
    let path = whole.as_deref().unwrap_or(path);
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// The learning curve as far as it has been written; empty if nothing was.
fn so_far(dir: &Path) -> Result<Curve, RunError> {
    let file = dir.join(files::EPISODES);
    if file.exists() { Curve::read_so_far(&file) } else { Ok(Curve::default()) }
}

/// The values of a configuration file.
pub(super) fn settings(path: &Path) -> Result<BTreeMap<String, String>, RunError> {
    let text = fs::read_to_string(path).map_err(RunError::io(path))?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| RunError::Damaged {
        path: path.to_owned(),
        reason: error.message().to_owned(),
    })?;
    let said = |(key, value): (String, Value)| (key, said(&value));
    Ok(entries(&table).into_iter().map(said).collect())
}
