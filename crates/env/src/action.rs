//! Actions: typed for whoever writes an environment, erased for whoever drives many.

use crate::{BoxSpace, Discrete, EnvError, Space};

/// One action for an environment whose type is not known at compile time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action<'a> {
    /// The index of a discrete action.
    Discrete(usize),
    /// A vector of real numbers.
    Continuous(&'a [f32]),
}

/// Actions for several lanes at once, a row each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Actions<'a> {
    /// `[lanes]` indices.
    Discrete(&'a [usize]),
    /// `[lanes × dims]` numbers, row by row.
    Continuous(&'a [f32]),
}

impl<'a> Actions<'a> {
    /// The action in row `row`, where a continuous action has `dims` entries.
    pub fn row(self, row: usize, dims: usize) -> Action<'a> {
        match self {
            Self::Discrete(indices) => Action::Discrete(indices[row]),
            Self::Continuous(values) => Action::Continuous(&values[row * dims..(row + 1) * dims]),
        }
    }

    /// The first `rows` rows, and the rest.
    #[cfg(feature = "parallel")]
    pub(crate) fn split_at(self, rows: usize, dims: usize) -> (Self, Self) {
        match self {
            Self::Discrete(indices) => {
                let (first, rest) = indices.split_at(rows);
                (Self::Discrete(first), Self::Discrete(rest))
            }
            Self::Continuous(values) => {
                let (first, rest) = values.split_at(rows * dims);
                (Self::Continuous(first), Self::Continuous(rest))
            }
        }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for usize {}
    impl Sealed for [f32] {}
}

/// The kinds of action an [`Env`](crate::Env) can take: `usize` (discrete) or `[f32]` (continuous).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a kind of action",
    note = "an environment's `type Action` is `usize` (one of n) or `[f32]` (a real vector)"
)]
pub trait ActionKind: sealed::Sealed {
    /// The space such actions come from.
    type Space: Into<Space>;

    /// What a row of such actions is made of.
    type Item: Copy + Send + Sync + 'static;

    /// Hands this kind of action, taken out of an erased one, to `use_it`.
    ///
    /// # Errors
    /// When the erased action is of the other kind.
    fn unerase<R>(action: Action<'_>, use_it: impl FnOnce(&Self) -> R) -> Result<R, EnvError>;

    /// The numbers of erased actions of this kind, row by row.
    ///
    /// # Errors
    /// When the erased actions are of the other kind.
    fn items(actions: Actions<'_>) -> Result<&[Self::Item], EnvError>;
}

impl ActionKind for usize {
    type Space = Discrete;
    type Item = Self;

    #[inline]
    fn unerase<R>(action: Action<'_>, use_it: impl FnOnce(&Self) -> R) -> Result<R, EnvError> {
        match action {
            Action::Discrete(index) => Ok(use_it(&index)),
            Action::Continuous(_) => {
                Err(EnvError::ActionKind { given: "continuous", expected: "discrete" })
            }
        }
    }

    #[inline]
    fn items(actions: Actions<'_>) -> Result<&[usize], EnvError> {
        match actions {
            Actions::Discrete(indices) => Ok(indices),
            Actions::Continuous(_) => {
                Err(EnvError::ActionKind { given: "continuous", expected: "discrete" })
            }
        }
    }
}

impl ActionKind for [f32] {
    type Space = BoxSpace;
    type Item = f32;

    #[inline]
    fn unerase<R>(action: Action<'_>, use_it: impl FnOnce(&Self) -> R) -> Result<R, EnvError> {
        match action {
            Action::Continuous(values) => Ok(use_it(values)),
            Action::Discrete(_) => {
                Err(EnvError::ActionKind { given: "discrete", expected: "continuous" })
            }
        }
    }

    #[inline]
    fn items(actions: Actions<'_>) -> Result<&[f32], EnvError> {
        match actions {
            Actions::Continuous(values) => Ok(values),
            Actions::Discrete(_) => {
                Err(EnvError::ActionKind { given: "discrete", expected: "continuous" })
            }
        }
    }
}
