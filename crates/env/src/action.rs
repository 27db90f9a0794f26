//! Actions: typed for whoever writes an environment, erased for whoever drives many.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use crate::{BoxSpace, Discrete, EnvError, MultiBinary, MultiDiscrete, Space};

/// One action for an environment whose type is not known at compile time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action<'a> {
    /// The index of a discrete action.
    Discrete(usize),
    /// A vector of real numbers.
    Continuous(&'a [f32]),
    /// An index for each component.
    MultiDiscrete(&'a [usize]),
    /// A switch for each component.
    MultiBinary(&'a [bool]),
}

impl Action<'_> {
    fn kind(self) -> &'static str {
        match self {
            Self::Discrete(_) => "discrete",
            Self::Continuous(_) => "continuous",
            Self::MultiDiscrete(_) => "multi-discrete",
            Self::MultiBinary(_) => "multi-binary",
        }
    }
}

/// The bare index or list.
impl fmt::Display for Action<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discrete(index) => index.fmt(f),
            Self::Continuous(values) => fmt::Debug::fmt(values, f),
            Self::MultiDiscrete(indices) => fmt::Debug::fmt(indices, f),
            Self::MultiBinary(switches) => fmt::Debug::fmt(switches, f),
        }
    }
}

/// Actions for several lanes at once, a row each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Actions<'a> {
    /// `[lanes]` indices.
    Discrete(&'a [usize]),
    /// `[lanes × dims]` numbers, row by row.
    Continuous(&'a [f32]),
    /// `[lanes × components]` indices, row by row.
    MultiDiscrete(&'a [usize]),
    /// `[lanes × switches]`, row by row.
    MultiBinary(&'a [bool]),
}

impl<'a> Actions<'a> {
    /// The action in row `row`, where an action has `dims` entries
    /// ([`Space::action_len`]; a discrete one has a single entry).
    #[inline]
    pub fn row(self, row: usize, dims: usize) -> Action<'a> {
        let entries = row * dims..(row + 1) * dims;
        match self {
            Self::Discrete(indices) => Action::Discrete(indices[row]),
            Self::Continuous(values) => Action::Continuous(&values[entries]),
            Self::MultiDiscrete(indices) => Action::MultiDiscrete(&indices[entries]),
            Self::MultiBinary(switches) => Action::MultiBinary(&switches[entries]),
        }
    }

    /// Entries of all rows together, for a space of the same kind.
    ///
    /// # Errors
    /// [`EnvError::ActionKind`] when `space` is of another kind.
    pub fn entries_in(self, space: &Space) -> Result<usize, EnvError> {
        match (self, space) {
            (Self::Discrete(indices), Space::Discrete(_)) => Ok(indices.len()),
            (Self::Continuous(values), Space::Box(_)) => Ok(values.len()),
            (Self::MultiDiscrete(indices), Space::MultiDiscrete(_)) => Ok(indices.len()),
            (Self::MultiBinary(switches), Space::MultiBinary(_)) => Ok(switches.len()),
            _ => Err(EnvError::ActionKind { given: self.kind(), expected: space.action_kind() }),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Discrete(_) => "discrete",
            Self::Continuous(_) => "continuous",
            Self::MultiDiscrete(_) => "multi-discrete",
            Self::MultiBinary(_) => "multi-binary",
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
            Self::MultiDiscrete(indices) => {
                let (first, rest) = indices.split_at(rows * dims);
                (Self::MultiDiscrete(first), Self::MultiDiscrete(rest))
            }
            Self::MultiBinary(switches) => {
                let (first, rest) = switches.split_at(rows * dims);
                (Self::MultiBinary(first), Self::MultiBinary(rest))
            }
        }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for usize {}
    impl Sealed for [f32] {}
    impl Sealed for [usize] {}
    impl Sealed for [bool] {}
}

/// The kinds of action an [`Env`](crate::Env) can take: `usize` (discrete), `[f32]` (continuous),
/// `[usize]` (multi-discrete) or `[bool]` (multi-binary).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a kind of action",
    note = "an environment's `type Action` is `usize` (one of n), `[f32]` (a real vector), `[usize]` (several choices) or `[bool]` (several switches)"
)]
pub trait ActionKind:
    sealed::Sealed
    + fmt::Debug
    + PartialEq
    + ToOwned<Owned: Clone + Default + fmt::Debug + PartialEq + Send + Serialize + DeserializeOwned>
    + 'static
{
    /// What such actions are called in words.
    const NAME: &'static str;

    /// What a row of such actions is made of.
    type Item: Copy + Send + Sync + 'static;

    /// The space such actions come from.
    type Space: Into<Space> + Clone + fmt::Debug + fmt::Display + PartialEq + Send + Sync;

    /// The space again, if it is of this kind.
    fn space(space: &Space) -> Option<Self::Space>;

    /// The action with its type erased.
    fn erase(&self) -> Action<'_>;

    /// Hands this kind of action, taken out of an erased one, to `use_it`.
    ///
    /// # Errors
    /// When the erased action is of another kind.
    fn unerase<R>(action: Action<'_>, use_it: impl FnOnce(&Self) -> R) -> Result<R, EnvError>;

    /// The numbers of erased actions of this kind, row by row.
    ///
    /// # Errors
    /// When the erased actions are of another kind.
    fn items(actions: Actions<'_>) -> Result<&[Self::Item], EnvError>;
}

impl ActionKind for usize {
    const NAME: &'static str = "discrete";
    type Space = Discrete;
    type Item = Self;

    fn space(space: &Space) -> Option<Discrete> {
        if let Space::Discrete(space) = space { Some(*space) } else { None }
    }

    #[inline]
    fn erase(&self) -> Action<'_> {
        Action::Discrete(*self)
    }

    #[inline]
    fn unerase<R>(action: Action<'_>, use_it: impl FnOnce(&Self) -> R) -> Result<R, EnvError> {
        match action {
            Action::Discrete(index) => Ok(use_it(&index)),
            other => Err(EnvError::ActionKind { given: other.kind(), expected: Self::NAME }),
        }
    }

    #[inline]
    fn items(actions: Actions<'_>) -> Result<&[usize], EnvError> {
        match actions {
            Actions::Discrete(indices) => Ok(indices),
            other => Err(EnvError::ActionKind { given: other.kind(), expected: Self::NAME }),
        }
    }
}

macro_rules! slice_kind {
    ($entry:ty, $kind:ident, $words:literal, $space_kind:ident($space:ty)) => {
        impl ActionKind for [$entry] {
            const NAME: &'static str = $words;
            type Space = $space;
            type Item = $entry;

            fn space(space: &Space) -> Option<$space> {
                if let Space::$space_kind(space) = space { Some(space.clone()) } else { None }
            }

            #[inline]
            fn erase(&self) -> Action<'_> {
                Action::$kind(self)
            }

            #[inline]
            fn unerase<R>(
                action: Action<'_>,
                use_it: impl FnOnce(&Self) -> R,
            ) -> Result<R, EnvError> {
                match action {
                    Action::$kind(entries) => Ok(use_it(entries)),
                    other => {
                        Err(EnvError::ActionKind { given: other.kind(), expected: Self::NAME })
                    }
                }
            }

            #[inline]
            fn items(actions: Actions<'_>) -> Result<&[$entry], EnvError> {
                match actions {
                    Actions::$kind(entries) => Ok(entries),
                    other => {
                        Err(EnvError::ActionKind { given: other.kind(), expected: Self::NAME })
                    }
                }
            }
        }
    };
}

slice_kind!(f32, Continuous, "continuous", Box(BoxSpace));
slice_kind!(usize, MultiDiscrete, "multi-discrete", MultiDiscrete(MultiDiscrete));
slice_kind!(bool, MultiBinary, "multi-binary", MultiBinary(MultiBinary));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_by_their_dimensions() {
        let (numbers, indices) = ([0.0, 0.1, 0.2, 0.3], [0, 1, 2, 3]);
        let switches = [true, false, false, true];
        assert_eq!(Actions::Discrete(&indices).row(2, 1), Action::Discrete(2));
        assert_eq!(Actions::Continuous(&numbers).row(1, 2), Action::Continuous(&[0.2, 0.3]));
        assert_eq!(Actions::MultiDiscrete(&indices).row(1, 2), Action::MultiDiscrete(&[2, 3]));
        assert_eq!(Actions::MultiBinary(&switches).row(1, 2), Action::MultiBinary(&[false, true]));
    }

    #[test]
    fn an_action_is_taken_out_as_it_was_put_in_and_as_nothing_else() {
        fn round<A: ActionKind + ?Sized>(action: &A, all: &[Action<'_>]) {
            let mut matching = 0;
            for &other in all {
                match A::unerase(other, |taken| assert_eq!(taken, action)) {
                    Ok(()) => matching += 1,
                    Err(EnvError::ActionKind { given, expected }) => {
                        assert!(given == other.kind() && expected == action.erase().kind());
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            assert_eq!(matching, 1);
        }
        let (index, numbers, indices, switches) = (3, [0.5], [1, 2], [true]);
        let all = [index.erase(), numbers.erase(), indices.erase(), switches.erase()];
        round(&index, &all);
        round(numbers.as_slice(), &all);
        round(indices.as_slice(), &all);
        round(switches.as_slice(), &all);
    }

    #[test]
    fn a_space_is_of_one_kind() {
        let spaces: [Space; 4] = [
            Discrete::new(2).into(),
            BoxSpace::unbounded(2).into(),
            MultiDiscrete::new(vec![2]).unwrap().into(),
            MultiBinary::new(2).into(),
        ];
        for (i, space) in spaces.iter().enumerate() {
            let kinds = [
                usize::space(space).map(Space::from),
                <[f32]>::space(space).map(Space::from),
                <[usize]>::space(space).map(Space::from),
                <[bool]>::space(space).map(Space::from),
            ];
            for (k, kind) in kinds.iter().enumerate() {
                assert_eq!(kind.as_ref(), (i == k).then_some(space));
            }
        }
    }
}
