//! In place of the live view, in a build without it.

use std::path::Path;

use elegante::experiment::{ExperimentConfig, ExperimentDir, Requests};

use crate::{
    exit::Misuse,
    interrupt::Interrupt,
    program::Program,
    progress::Progress,
    seeds::{Board, Leashes},
};

/// Refuses `--tui`.
pub(crate) fn check() -> anyhow::Result<()> {
    let words = "--tui: this build has no live view; it takes the feature `tui`, as in \
                 `cargo build --release --features tui`";
    Err(Misuse(words.into()).into())
}

/// Gives the terminal back, which nobody has taken.
pub(crate) fn leave() {}

/// The progress of a run.
pub(crate) fn of_run(
    _config: &ExperimentConfig,
    _path: &Path,
    _requests: Requests,
    _interrupt: &Interrupt,
    _program: &Program,
) -> anyhow::Result<Progress> {
    check().map(|()| Progress::Quiet)
}

/// The board of an experiment.
pub(crate) fn of_experiment(
    _config: &ExperimentConfig,
    _dir: &ExperimentDir,
    _seeds: &[u64],
    _leashes: &Leashes,
    _interrupt: &Interrupt,
    _program: &Program,
) -> anyhow::Result<Board> {
    check().map(|()| Board::new(false, true, 0, 0))
}
