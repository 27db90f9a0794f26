//! Does an environment keep its contract? [`check_env`] plays it for a while and reports everything
//! that is wrong, with words on how to put it right.
//!
//! ```
//! use elegante_env::{CartPole, check_env};
//!
//! let report = check_env(&mut CartPole::default());
//! assert!(report.is_clean(), "{report}");
//! ```
//!
//! [`EnvChecker::check_factory`] makes several of the environment and so finds more: steps before the
//! first reset, spaces or episodes that differ from one instance to the next, a saved state that only
//! the environment that wrote it can read. To watch an environment at work, wrap it in
//! [`Check`](crate::wrappers::Check).

mod player;
mod probe;
mod violation;

use std::fmt;

use crate::{DynEnv, EnvError};
use probe::Probe;
pub use violation::{Rule, Violation};
pub(crate) use violation::{UNWRITTEN, mask, observation};

/// Checks one environment with the default effort: [`EnvChecker::check`].
pub fn check_env<E: DynEnv + ?Sized>(env: &mut E) -> Report {
    EnvChecker::default().check(env)
}

/// Where a rule was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In an entry of an observation.
    Entry(usize),
    /// In a situation with a name.
    In(&'static str),
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Report {
    /// Each with the place it was found in: the same rule broken elsewhere is another violation.
    violations: Vec<(Violation, Place)>,
    notes: Vec<String>,
}

impl Report {
    /// The rules that were broken, each once for every place where it is: an entry of an observation,
    /// a kind of wrong action, a method that panics.
    pub fn violations(&self) -> impl ExactSizeIterator<Item = &Violation> {
        self.violations.iter().map(|(violation, _)| violation)
    }

    /// What could not be checked, and why.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether no rule was broken.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// Whether this rule was broken.
    pub fn breaks(&self, rule: Rule) -> bool {
        self.violations().any(|violation| violation.rule == rule)
    }

    fn add(&mut self, rule: Rule, place: Place, found: impl Into<String>) {
        let known = |(known, at): &&mut (Violation, Place)| known.rule == rule && *at == place;
        match self.violations.iter_mut().find(known) {
            Some((violation, _)) => violation.times += 1,
            None => self.violations.push((Violation::new(rule, found), place)),
        }
    }

    fn note(&mut self, note: &str) {
        if !self.notes.iter().any(|known| known == note) {
            self.notes.push(note.to_owned());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.violations.len() {
            0 => write!(f, "the environment keeps the contract")?,
            1 => write!(f, "the environment breaks the contract in one way:")?,
            n => write!(f, "the environment breaks the contract in {n} ways:")?,
        }
        for (i, violation) in self.violations().enumerate() {
            write!(f, "\n{}. {violation}", i + 1)?;
        }
        for note in &self.notes {
            write!(f, "\nnote: {note}")?;
        }
        Ok(())
    }
}

/// How much to try; the default takes a few thousand steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvChecker {
    /// Seeds to begin from, at least one.
    pub seeds: Vec<u64>,
    /// Steps to take from each seed, episode after episode.
    pub steps: usize,
}

impl Default for EnvChecker {
    fn default() -> Self {
        Self { seeds: vec![0, 1, 42], steps: 500 }
    }
}

impl EnvChecker {
    /// Plays `env` and reports everything that is wrong with it.
    ///
    /// Panics of the environment are caught and reported; the program's panic hook still prints them.
    /// The environment is left in some state or other: reset it.
    pub fn check<E: DynEnv + ?Sized>(&self, env: &mut E) -> Report {
        Probe::new(self, env).check(env)
    }

    /// Does the same with fresh environments, and compares them with each other.
    ///
    /// # Errors
    /// When `make` fails.
    pub fn check_factory<E: DynEnv>(
        &self,
        mut make: impl FnMut() -> Result<E, EnvError>,
    ) -> Result<Report, EnvError> {
        let (mut first, mut second) = (make()?, make()?);
        Ok(Probe::new(self, &first).check_pair(&mut first, &mut second))
    }
}
