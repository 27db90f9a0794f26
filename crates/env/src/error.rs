//! What can go wrong with an environment, in words that say what to do.

use std::error::Error;

/// Errors of environments, spaces and the registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvError {
    /// No environment of this name is registered.
    #[error("unknown environment `{id}`{}", nearest_names(.nearest))]
    UnknownEnv {
        /// What was asked for.
        id: String,
        /// Registered names, the most similar first.
        nearest: Vec<String>,
    },
    /// A second environment of the same name.
    #[error("an environment `{id}` is registered already: choose another name")]
    DuplicateEnv {
        /// The name.
        id: String,
    },
    /// The environment has no such option.
    #[error("{env} has no option `{option}`{}", known_names(.known))]
    UnknownOption {
        /// The environment.
        env: String,
        /// What was asked for.
        option: String,
        /// The options it has.
        known: Vec<String>,
    },
    /// The option exists, but not with this value.
    #[error("{env}: option `{option}` is {value}, but must be {expected}")]
    OptionValue {
        /// The environment.
        env: String,
        /// The option.
        option: String,
        /// What it was set to.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// An action of another kind than the space's: a continuous one for a discrete space, say.
    #[error("a {given} action, where the environment takes {expected} ones")]
    ActionKind {
        /// What was given.
        given: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// An action that is not in the space.
    #[error("action {action} is not in {space}")]
    ActionOutOfSpace {
        /// The action.
        action: String,
        /// The space.
        space: String,
    },
    /// A step without an episode to step in.
    #[error(
        "step was called without an episode under way: call reset first, and again after every ending"
    )]
    NotReset,
    /// The environment has no `save_state`.
    #[error("this environment can't save its state in the middle of an episode")]
    StateNotSupported,
    /// Bytes that are not a state of this environment.
    #[error("not a saved state of this environment: {0}")]
    BadState(String),
    /// A space with impossible bounds.
    #[error("space: {0}")]
    Space(String),
    /// A table of transitions, or a map of a grid, that makes no Markov decision process.
    #[error("transitions: {0}")]
    Transitions(String),
    /// A vector environment was put together wrongly.
    #[error("vector environment: {0}")]
    Vector(String),
    /// A slice of the wrong length.
    #[error("{what} has {given} entries where {expected} belong")]
    Length {
        /// Which slice.
        what: &'static str,
        /// Its length.
        given: usize,
        /// The length it should have.
        expected: usize,
    },
    /// The environment returned NaN or an infinity.
    #[error(
        "lane {lane}: the environment returned {value} as {what}; a finite number belongs there"
    )]
    NonFinite {
        /// The lane.
        lane: usize,
        /// `the reward`, or which entry of the observation.
        what: String,
        /// NaN or an infinity.
        value: f64,
    },
    /// The environment returned without having written all of an observation.
    #[error(
        "lane {lane}: the environment left entry {entry} of the observation as it was; `reset` and `step` both write all of them"
    )]
    NotWritten {
        /// The lane.
        lane: usize,
        /// Which entry.
        entry: usize,
    },
    /// An environment broke the contract of [`Env`](crate::Env), as
    /// [`Check`](crate::wrappers::Check) found.
    #[error("{0}")]
    Contract(crate::check::Violation),
    /// An error of the environment's own.
    #[error(transparent)]
    Custom(Box<dyn Error + Send + Sync>),
}

impl EnvError {
    /// An action that is not in `space`.
    #[cold]
    pub fn action_out_of_space(
        action: impl std::fmt::Debug,
        space: impl std::fmt::Display,
    ) -> Self {
        Self::ActionOutOfSpace { action: format!("{action:?}"), space: space.to_string() }
    }

    /// Whether a slice has the length it should have; `what` names it in the error.
    ///
    /// # Errors
    /// [`EnvError::Length`] when it doesn't.
    #[inline]
    pub fn check_length(what: &'static str, given: usize, expected: usize) -> Result<(), Self> {
        if given == expected { Ok(()) } else { Err(Self::Length { what, given, expected }) }
    }

    /// An error of an environment's own: any error type, or just a message.
    pub fn custom(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Custom(error.into())
    }
}

fn nearest_names(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("; did you mean `{one}`?"),
        several => format!("; did you mean one of {}?", several.join(", ")),
    }
}

fn known_names(names: &[String]) -> String {
    match names {
        [] => ": it has none".to_owned(),
        some => format!("; its options are {}", some.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_or_an_error_can_be_an_environments_own() {
        assert_eq!(EnvError::custom("the robot fell over").to_string(), "the robot fell over");
        let cause = "seven".parse::<u8>().unwrap_err();
        assert_eq!(EnvError::custom(cause.clone()).to_string(), cause.to_string());
    }

    #[test]
    fn names_that_are_near_are_offered() {
        let unknown = |nearest: &[&str]| {
            let nearest = nearest.iter().map(ToString::to_string).collect();
            EnvError::UnknownEnv { id: "x".into(), nearest }.to_string()
        };
        assert_eq!(unknown(&[]), "unknown environment `x`");
        assert_eq!(unknown(&["y"]), "unknown environment `x`; did you mean `y`?");
        assert_eq!(unknown(&["y", "z"]), "unknown environment `x`; did you mean one of y, z?");
    }
}
