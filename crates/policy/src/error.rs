//! What can go wrong with a policy, in words that say what to do.

use std::path::PathBuf;

/// Errors of policies, their files and the devices they live on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The name is not one of the devices that elegante knows.
    #[error("unknown device `{name}`: the devices are auto, flex, ndarray, wgpu and cuda (cuda:1 for the second card){}", suggestion(.nearest))]
    UnknownDevice {
        /// What was asked for.
        name: String,
        /// The known name nearest to it, if one is near.
        nearest: Option<&'static str>,
    },
    /// The device is known, but this program was built without it.
    #[error("device `{name}` is not compiled in (this build has {}): build with `--features {name}`", .compiled_in.join(", "))]
    DeviceNotCompiledIn {
        /// The Cargo feature that is missing.
        name: &'static str,
        /// The devices this build has.
        compiled_in: Vec<&'static str>,
    },
    /// The device is compiled in, but did not start on this machine.
    #[error("device `{name}` does not work on this machine: {reason}")]
    DeviceUnusable {
        /// The device that was asked for.
        name: String,
        /// What its driver said.
        reason: String,
    },
    /// A network or head was described with numbers that make no sense.
    #[error("{field} is {value}: {expected}")]
    Config {
        /// The setting, by its name in the configuration.
        field: &'static str,
        /// What it was set to.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// An observation of the wrong length.
    #[error("the policy takes observations of {expected} numbers, but was given {given}")]
    ObservationLength {
        /// Numbers in an observation of this policy.
        expected: usize,
        /// Numbers that were given.
        given: usize,
    },
    /// A policy with a memory was asked about a single observation.
    #[error(
        "this policy remembers earlier observations (it has a recurrent layer): act with an `Actor`, which keeps its memory from step to step"
    )]
    Remembers,
    /// An observation that no policy can act on.
    #[error("entry {index} of the observation is {value}: a policy can't act on it")]
    ObservationNotFinite {
        /// Which entry.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// The network computed NaN or an infinity, so no action can be drawn.
    #[error(
        "the policy's output for row {row} is not finite ({value}): its weights have diverged or are damaged; lower the learning rate or load an earlier checkpoint"
    )]
    OutputNotFinite {
        /// Row of the batch.
        row: usize,
        /// The first bad output.
        value: f32,
    },
    /// An action mask that leaves one part of an action nothing to choose.
    #[error(
        "the action mask for row {row} forbids every choice of component {component}: an environment must leave each at least one"
    )]
    NothingValidIn {
        /// Row of the batch.
        row: usize,
        /// Component of the action, from 0.
        component: usize,
    },
    /// An action mask of the wrong length.
    #[error("the action mask has {given} entries where the policy has {expected} actions")]
    MaskLength {
        /// Actions of this policy.
        expected: usize,
        /// Entries that were given.
        given: usize,
    },
    /// An action mask that leaves nothing to choose.
    #[error(
        "the action mask for row {row} forbids every action: an environment must leave at least one"
    )]
    NothingValid {
        /// Row of the batch.
        row: usize,
    },
    /// The file could not be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file was read, but is not a policy of this version.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
}

fn suggestion(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}
