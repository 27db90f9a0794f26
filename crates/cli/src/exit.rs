//! Exit codes: 0 for success, 2 when the command asks for something that does not exist or makes no
//! sense, 1 when something failed on the way, 130 after Ctrl-C.

use std::{io, process::ExitCode};

use elegante::{
    EnvError, PolicyError, TrainError,
    experiment::{ConfigError, RunError},
};

/// How a command that met no error ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did what was asked.
    Complete,
    /// A part of it failed, as has been reported, and the rest is done.
    Partial,
    /// Ctrl-C ended it early.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Complete => Self::SUCCESS,
            Outcome::Partial => Self::FAILURE,
            Outcome::Interrupted => Self::from(INTERRUPTED),
        }
    }
}

/// The command makes no sense, as these words say.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(pub(crate) String);

/// What Rust's programs return after a panic.
pub(crate) const PANICKED: u8 = 101;

/// 128 + SIGINT, as shells report it.
pub(crate) const INTERRUPTED: u8 = 130;

/// The exit code for an error.
pub(crate) fn code(error: &anyhow::Error) -> ExitCode {
    let asked_wrongly = error
        .downcast_ref::<RunError>()
        .map(run)
        .or_else(|| error.downcast_ref::<ConfigError>().map(config))
        .or_else(|| error.downcast_ref::<TrainError>().map(train))
        .or_else(|| error.downcast_ref::<EnvError>().map(env))
        .or_else(|| error.downcast_ref::<PolicyError>().map(policy))
        .or_else(|| error.downcast_ref::<Misuse>().map(|_| true));
    ExitCode::from(if asked_wrongly == Some(true) { 2 } else { 1 })
}

fn run(error: &RunError) -> bool {
    match error {
        RunError::Occupied { .. } | RunError::NotARun { .. } | RunError::Missing { .. } => true,
        RunError::Busy { .. } | RunError::Steps { .. } => true,
        RunError::NotAnExperiment { .. } | RunError::NoExperiment { .. } => true,
        RunError::NoFailure { .. } => true,
        RunError::NotAStudy { .. } | RunError::NoStudy { .. } => true,
        RunError::OtherStudy { .. } | RunError::NoProposal { .. } => true,
        RunError::NothingToReport { .. } | RunError::Twice { .. } => true,
        RunError::Config(error) => config(error),
        RunError::Policy(error) => policy(error),
        RunError::Train(error) => train(error),
        _ => false,
    }
}

fn config(error: &ConfigError) -> bool {
    match error {
        ConfigError::Read { source, .. } => source.kind() == io::ErrorKind::NotFound,
        ConfigError::Env(error) => env(error),
        ConfigError::InFile { source, .. } => config(source),
        _ => true,
    }
}

/// Whether an environment did what none may do, of which a check of it by itself would tell more.
pub(crate) fn blames_the_environment(error: &anyhow::Error) -> bool {
    let train = |error: &TrainError| match error {
        TrainError::Env(error) => broken(error),
        // Masks come from nowhere else.
        TrainError::Policy(error) => matches!(
            error,
            PolicyError::NothingValid { .. }
                | PolicyError::NothingValidIn { .. }
                | PolicyError::MaskLength { .. }
        ),
        _ => false,
    };
    match error.downcast_ref::<RunError>() {
        Some(RunError::Train(error)) => train(error),
        Some(_) => false,
        None => {
            error.downcast_ref::<TrainError>().is_some_and(train)
                || error.downcast_ref::<EnvError>().is_some_and(broken)
        }
    }
}

fn broken(error: &EnvError) -> bool {
    matches!(
        error,
        EnvError::NonFinite { .. }
            | EnvError::NotWritten { .. }
            | EnvError::Length { .. }
            | EnvError::NotReset
            | EnvError::Contract(_)
    )
}

fn train(error: &TrainError) -> bool {
    match error {
        TrainError::Setting { .. } | TrainError::ReplayMemory(_) => true,
        TrainError::Unsupported(_) => true,
        TrainError::Env(error) => env(error),
        TrainError::Policy(error) => policy(error),
        _ => false,
    }
}

fn env(error: &EnvError) -> bool {
    matches!(
        error,
        EnvError::UnknownEnv { .. }
            | EnvError::UnknownOption { .. }
            | EnvError::OptionValue { .. }
            | EnvError::Transitions(_)
    )
}

fn policy(error: &PolicyError) -> bool {
    matches!(
        error,
        PolicyError::UnknownDevice { .. }
            | PolicyError::DeviceNotCompiledIn { .. }
            | PolicyError::DeviceUnusable { .. }
            | PolicyError::Config { .. }
    )
}
