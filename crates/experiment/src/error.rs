//! What can be wrong with a configuration or a run directory, in words that say what to do.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use elegante_env::EnvError;
use elegante_policy::PolicyError;
use elegante_trainer::TrainError;

use crate::Request;

/// Where a setting was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the preset for the environment and the algorithm.
    Preset,
    /// In a configuration file.
    File(PathBuf),
    /// As a `key=value` pair.
    Set,
    /// By a flag of its own, `--steps` for example.
    Flag(String),
    /// In the search space that is part of the program.
    Space,
    /// Nowhere: it is the default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preset => f.write_str("the preset"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Set => f.write_str("--set"),
            Self::Flag(flag) => f.write_str(flag),
            Self::Space => f.write_str("the usual search space"),
            Self::Default => f.write_str("the defaults"),
        }
    }
}

/// Errors of reading a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{}: not valid TOML: {message}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// A pair that is not of the form `key=value`.
    #[error("`{given}` is not a setting: write key=value, for example ppo.gamma=0.99")]
    Pair {
        /// What was given.
        given: String,
    },
    /// No such setting.
    #[error("{origin}: unknown key `{key}`; the nearest are {}", .nearest.join(", "))]
    UnknownKey {
        /// The key.
        key: String,
        /// The known keys nearest to it, the nearest first.
        nearest: Vec<String>,
        /// Where it was given.
        origin: Origin,
    },
    /// A setting of an algorithm that is not the one in use.
    #[error(
        "{origin}: `{key}` is a setting of {of}, and this is {algo}: ask for --algo {of}, or write algo = \"{of}\" in the file"
    )]
    OtherAlgorithm {
        /// The key.
        key: String,
        /// The algorithm that has such settings.
        of: &'static str,
        /// The algorithm in use.
        algo: &'static str,
        /// Where it was given.
        origin: Origin,
    },
    /// A value of the wrong type or out of range.
    #[error("{origin}: {key} = {value}: it must be {expected}")]
    Value {
        /// The key.
        key: String,
        /// What it was set to, as TOML.
        value: String,
        /// What it may be.
        expected: String,
        /// Where it was given.
        origin: Origin,
    },
    /// A search space that makes no sense.
    #[error("{origin}: {key}: {reason}")]
    Space {
        /// The setting.
        key: String,
        /// What is wrong with its values, and what would do.
        reason: String,
        /// Where it was given.
        origin: Origin,
    },
    /// An algorithm whose settings nobody has laid out for a search.
    #[error(
        "no search space for {algo} is part of the program: write one and give it with --space, a line for each setting, such as {algo}.gamma = {{ low = 0.9, high = 0.999 }}"
    )]
    NoSpace {
        /// The algorithm.
        algo: String,
    },
    /// No such algorithm.
    #[error("unknown algorithm `{name}`; the nearest are {}", .nearest.join(", "))]
    UnknownAlgorithm {
        /// What was asked for.
        name: String,
        /// The known names nearest to it.
        nearest: Vec<String>,
    },
    /// A configuration file for something else than the command names.
    #[error("{}: this configuration is for {what} `{file}`, but `{asked}` was asked for: ask for `{file}`, or change `{what}` in the file", .path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// `env` or `algo`.
        what: &'static str,
        /// What the file says.
        file: String,
        /// What the command says.
        asked: String,
    },
    /// Nothing says which environment to train on.
    #[error("{}no environment is named: set `env`, for example env = \"CartPole-v1\"", .path.as_ref().map(|p| format!("{}: ", p.display())).unwrap_or_default())]
    NoEnv {
        /// The configuration file, if there is one.
        path: Option<PathBuf>,
    },
    /// Something else that is wrong with a configuration file.
    #[error("{}: {source}", .path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<ConfigError>,
    },
    /// A configuration made in Rust that TOML has no words for.
    #[error(
        "the configuration can't be written as TOML ({reason}): its seed must be below 2⁶³, for example"
    )]
    NotToml {
        /// What the TOML writer said.
        reason: String,
    },
    /// The environment is unknown, or does not take its options.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The device is unknown.
    #[error("{origin}: {source}")]
    Device {
        /// What the policy crate says of it.
        source: PolicyError,
        /// Where it was given.
        origin: Origin,
    },
}

impl ConfigError {
    /// The same with the name of the file, where a file is all that was asked for and the error does not
    /// name it.
    pub(crate) fn within(self, request: &Request) -> Self {
        let Request { env: None, algo: None, file: Some(path), sets, flags } = request else {
            return self;
        };
        let named = self.to_string().contains(&path.display().to_string());
        if named || !sets.is_empty() || !flags.is_empty() {
            return self;
        }
        Self::InFile { path: path.clone(), source: Box::new(self) }
    }
}

/// Errors of run directories.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The directory holds something already.
    #[error("{} is not empty: {}", .path.display(), instead(.path, *.ours))]
    Occupied {
        /// The directory.
        path: PathBuf,
        /// Whether that is a run of ours, or an experiment where one was to be made.
        ours: bool,
    },
    /// Another process is training in the directory.
    #[error("another process is at work on {}: wait for it or end it; two of them would spoil each other's files", .path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// A run with checkpoints of which none can be used.
    #[error("{}: none of its checkpoints can be used ({}): train anew with `train --config {}` and another directory", .path.display(), .reasons.join("; "), .path.join("config.toml").display())]
    NoCheckpoint {
        /// The run directory.
        path: PathBuf,
        /// What is wrong with each of them, the newest first.
        reasons: Vec<String>,
    },
    /// A run can't be given another number of steps.
    #[error("{}: {reason}", .path.display())]
    Steps {
        /// The run directory.
        path: PathBuf,
        /// Why, and what can be done.
        reason: String,
    },
    /// The directory holds something that is no run of ours, so nothing there is removed.
    #[error("{} is not empty and does not hold a run of elegante, so --force does not touch it: give another directory", .path.display())]
    NotARun {
        /// The directory.
        path: PathBuf,
    },
    /// The directory holds something that is no experiment of ours, so nothing there is removed.
    #[error("{} is not empty and does not hold an experiment of elegante, so --force does not touch it: give another directory", .path.display())]
    NotAnExperiment {
        /// The directory.
        path: PathBuf,
    },
    /// There is no experiment.
    #[error("{}: no such experiment: an experiment is a directory that `train --seeds` made, with experiment.json in it", .path.display())]
    NoExperiment {
        /// What was asked for.
        path: PathBuf,
    },
    /// A file is not what was written.
    #[error("{}: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// The run directory does not exist.
    #[error("{}: no such run: a run is a directory that `train` made, with config.toml and policy.safetensors in it", .path.display())]
    Missing {
        /// What was asked for.
        path: PathBuf,
    },
    /// A directory without a failed update in it.
    #[error("{} has no record of a failed update: failure.safetensors is in it where a number was not finite, or passed a limit of [guard]", .path.display())]
    NoFailure {
        /// The directory.
        path: PathBuf,
    },
    /// A run directory lacks a file.
    #[error("{} has no {file}: its training was cut off before the first save, or it is not a run of elegante", .path.display())]
    Incomplete {
        /// The run directory.
        path: PathBuf,
        /// The file that is missing.
        file: &'static str,
    },
    /// The policy of a run is missing or damaged, and there are checkpoints that know it.
    #[error("{source}: `resume {}` makes it anew from the last checkpoint", .path.display())]
    LostPolicy {
        /// The run directory.
        path: PathBuf,
        /// What is wrong with the file.
        source: PolicyError,
    },
    /// A file or directory can't be read, made or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no experiment, no run and no search.
    #[error("{}: neither a run nor an experiment nor a search: these are directories that `train` and `tune` made, with config.toml, experiment.json or tune.json in them", .path.display())]
    NothingToReport {
        /// What was asked for.
        path: PathBuf,
    },
    /// A report has the same thing twice.
    #[error("{} is given twice: a report has each run, experiment or search once", .path.display())]
    Twice {
        /// What was given again.
        path: PathBuf,
    },
    /// The directory of a new search holds something else.
    #[error("{} is not empty and does not hold a search of elegante: give another directory", .path.display())]
    NotAStudy {
        /// The directory.
        path: PathBuf,
    },
    /// There is no search.
    #[error("{}: no such search: a search is a directory that `tune` made, with tune.json in it", .path.display())]
    NoStudy {
        /// What was asked for.
        path: PathBuf,
    },
    /// Another search than the one in the directory was asked for.
    #[error("{} holds a search that was begun otherwise: {differs}: give another directory, or go on with it as it is with --resume", .path.display())]
    OtherStudy {
        /// The directory.
        path: PathBuf,
        /// What is not the same.
        differs: &'static str,
    },
    /// No configuration of a search space could be used.
    #[error("{}: none of {attempts} configurations drawn from it can be used: {reason}", .path.display())]
    NoProposal {
        /// The space.
        path: PathBuf,
        /// How many were drawn.
        attempts: u64,
        /// What was wrong with the last.
        reason: String,
    },
    /// A figure can't be drawn as pixels.
    #[error("the figure `{title}` can't be written as PNG: {reason}")]
    Picture {
        /// The figure's title.
        title: String,
        /// Why.
        reason: String,
    },
    /// The run's configuration can't be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The policy file is damaged, or the device can't be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The policy was trained for other spaces than its configuration's environment has.
    #[error("{}: the policy takes {policy}, but {env} has {spaces}: the file belongs to another run", .path.display())]
    Unfit {
        /// The policy file.
        path: PathBuf,
        /// What the policy takes and gives.
        policy: String,
        /// The environment.
        env: String,
        /// What the environment gives and takes.
        spaces: String,
    },
    /// Training, evaluation or the environment failed.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// What can be done where a new run is to be made, and something is there.
fn instead(path: &Path, ours: bool) -> String {
    let path = path.display();
    if !ours {
        return "give another directory".to_owned();
    }
    format!(
        "`resume {path}` goes on with what is in it, --force replaces it, and another directory leaves it as it is"
    )
}

impl From<EnvError> for RunError {
    fn from(error: EnvError) -> Self {
        Self::Train(error.into())
    }
}

impl RunError {
    /// Whether a disk, a quota or a limit left no room for what was to be written: that may be over
    /// soon, and what has been written is as good as ever.
    pub fn no_room(&self) -> bool {
        let (Self::Io { source, .. } | Self::Policy(PolicyError::Io { source, .. })) = self else {
            return false;
        };
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge)
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Io { path, source }
    }
}
