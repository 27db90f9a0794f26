//! One line of the doctor's report.

use std::{collections::BTreeMap, io};

use serde::{Deserialize, Serialize};

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// As it should be.
    Pass,
    /// Not as it should be.
    Fail,
    /// A fact, neither good nor bad.
    Info,
    /// Not looked at, for the reason given.
    Skip,
}

/// A check, or a fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Finding {
    /// The part of the examination that it belongs to.
    pub(super) part: String,
    /// What was looked at.
    pub(super) name: String,
    pub(super) status: Status,
    /// What was seen.
    pub(super) found: String,
    /// What to do about it, where it is not as it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
    /// What was measured, for machines.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) values: BTreeMap<String, f64>,
}

impl Finding {
    pub(super) fn new(part: &str, name: &str, status: Status, found: impl Into<String>) -> Self {
        let (part, name, found) = (part.to_owned(), name.to_owned(), found.into());
        Self { part, name, status, found, fix: None, values: BTreeMap::new() }
    }

    pub(super) fn info(part: &str, name: &str, found: impl Into<String>) -> Self {
        Self::new(part, name, Status::Info, found)
    }

    pub(super) fn skip(part: &str, name: &str, found: impl Into<String>) -> Self {
        Self::new(part, name, Status::Skip, found)
    }

    pub(super) fn fail(part: &str, name: &str, found: impl Into<String>, fix: &str) -> Self {
        Self { fix: Some(fix.to_owned()), ..Self::new(part, name, Status::Fail, found) }
    }

    /// A check that was passed or not; only then there is something to do.
    pub(super) fn check(
        part: &str,
        name: &str,
        passed: bool,
        found: impl Into<String>,
        fix: &str,
    ) -> Self {
        match passed {
            true => Self::new(part, name, Status::Pass, found),
            false => Self::fail(part, name, found, fix),
        }
    }

    pub(super) fn with(mut self, value: &str, measured: f64) -> Self {
        self.values.insert(value.to_owned(), measured);
        self
    }
}

/// Where findings go.
pub(super) type Tell<'a> = &'a mut dyn FnMut(Finding) -> io::Result<()>;
