//! Spaces: what an observation or an action may be.
//!
//! An observation travels flat, as [`Space::flat_len`] numbers; [`Space::flatten`] and
//! [`Space::unflatten`] turn a typed [`Value`] into them and back.
//!
//! ```
//! use elegante_env::{BoxSpace, Discrete, Space, TupleSpace, Value};
//!
//! let room = Discrete::new(3).into();
//! let position = BoxSpace::new(vec![0.0], vec![9.0])?.into();
//! let space = Space::from(TupleSpace::new(vec![room, position]));
//! let value = Value::Tuple(vec![Value::Discrete(1), Value::Box(vec![2.5])]);
//! let mut flat = [0.0; 4];
//! space.flatten(&value, &mut flat)?;
//! assert_eq!(flat, [0.0, 1.0, 0.0, 2.5]);
//! assert_eq!(space.unflatten(&flat)?, value);
//! # Ok::<(), elegante_env::EnvError>(())
//! ```

mod box_space;
mod composite;
mod discrete;
mod multi;
mod value;

use std::fmt;

use rand::Rng;
use serde::{Deserialize, Serialize};

pub use box_space::BoxSpace;
pub use composite::{DictSpace, TupleSpace};
pub use discrete::Discrete;
pub use multi::{MultiBinary, MultiDiscrete};
pub use value::Value;

use crate::Action;

/// A space whose kind is known only at run time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Space {
    /// One of n.
    Discrete(Discrete),
    /// A box in ℝⁿ.
    Box(BoxSpace),
    /// Several choices at once.
    MultiDiscrete(MultiDiscrete),
    /// Several switches.
    MultiBinary(MultiBinary),
    /// Parts by position; for observations.
    Tuple(TupleSpace),
    /// Parts by name; for observations.
    Dict(DictSpace),
}

impl Space {
    /// Numbers in an observation from this space: one-hot for discrete parts, the parts of a tuple or
    /// a dict one after the other.
    pub fn flat_len(&self) -> usize {
        match self {
            Self::Discrete(space) => space.n(),
            Self::Box(space) => space.len(),
            Self::MultiDiscrete(space) => space.choices(),
            Self::MultiBinary(space) => space.n(),
            Self::Tuple(space) => space.spaces().iter().map(Self::flat_len).sum(),
            Self::Dict(space) => space.parts().map(|(_, space)| space.flat_len()).sum(),
        }
    }

    /// Whether the value is of this space's kind and lies in it.
    pub fn contains(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Tuple(space), Value::Tuple(values)) => {
                values.len() == space.spaces().len()
                    && space.spaces().iter().zip(values).all(|(space, v)| space.contains(v))
            }
            (Self::Dict(space), Value::Dict(values)) => {
                let part = |(name, space): (&str, &Self)| {
                    values.get(name).is_some_and(|value| space.contains(value))
                };
                values.len() == space.parts().len() && space.parts().all(part)
            }
            _ => value.as_action().is_some_and(|value| self.contains_action(value)),
        }
    }

    /// Any value, each part as its own space draws it. An empty [`Discrete`] gives index 0, which it
    /// does not contain.
    pub fn sample(&self, rng: &mut impl Rng) -> Value {
        match self {
            Self::Discrete(space) => Value::Discrete(space.sample(rng)),
            Self::Box(space) => Value::Box(space.sample(rng)),
            Self::MultiDiscrete(space) => Value::MultiDiscrete(space.sample(rng)),
            Self::MultiBinary(space) => Value::MultiBinary(space.sample(rng)),
            Self::Tuple(space) => {
                Value::Tuple(space.spaces().iter().map(|space| space.sample(rng)).collect())
            }
            Self::Dict(space) => {
                let part = |(name, space): (&str, &Self)| (name.to_owned(), space.sample(rng));
                Value::Dict(space.parts().map(part).collect())
            }
        }
    }

    /// Any value that an environment's [`action_mask`](crate::Env::action_mask) calls valid; `None`
    /// when there is none, or the mask doesn't fit this space.
    pub fn sample_masked(&self, mask: Option<&[bool]>, rng: &mut impl Rng) -> Option<Value> {
        match (self, mask) {
            (_, None) => Some(self.sample(rng)),
            (Self::Discrete(space), Some(mask)) if mask.len() == space.n() => {
                space.sample_masked(mask, rng).map(Value::Discrete)
            }
            (Self::MultiDiscrete(space), Some(mask)) => {
                space.sample_masked(mask, rng).map(Value::MultiDiscrete)
            }
            _ => None,
        }
    }

    /// Entries of one action; `None` for tuples and dicts, which are no actions.
    pub fn action_len(&self) -> Option<usize> {
        match self {
            Self::Discrete(_) => Some(1),
            Self::Box(space) => Some(space.len()),
            Self::MultiDiscrete(space) => Some(space.len()),
            Self::MultiBinary(space) => Some(space.n()),
            Self::Tuple(_) | Self::Dict(_) => None,
        }
    }

    /// Length of an action mask: n for a discrete space, the components' n one after the other for
    /// a multi-discrete one; `None` where nothing can be masked.
    pub fn mask_len(&self) -> Option<usize> {
        match self {
            Self::Discrete(space) => Some(space.n()),
            Self::MultiDiscrete(space) => Some(space.choices()),
            _ => None,
        }
    }

    /// Whether the action is of this space's kind and lies in it.
    pub fn contains_action(&self, action: Action<'_>) -> bool {
        match (self, action) {
            (Self::Discrete(space), Action::Discrete(index)) => space.contains(index),
            (Self::Box(space), Action::Continuous(values)) => space.contains(values),
            (Self::MultiDiscrete(space), Action::MultiDiscrete(indices)) => space.contains(indices),
            (Self::MultiBinary(space), Action::MultiBinary(switches)) => space.contains(switches),
            _ => false,
        }
    }

    /// Whether the mask calls the action valid; one that doesn't fit this space allows nothing.
    pub fn allows(&self, action: Action<'_>, mask: Option<&[bool]>) -> bool {
        let Some(mask) = mask else { return true };
        match (self, action) {
            (Self::Discrete(space), Action::Discrete(index)) => {
                mask.len() == space.n() && mask.get(index) == Some(&true)
            }
            (Self::MultiDiscrete(space), Action::MultiDiscrete(indices)) => {
                space.masks(mask).is_some_and(|masks| {
                    indices.len() == space.len()
                        && masks.zip(indices).all(|(mask, &index)| mask.get(index) == Some(&true))
                })
            }
            _ => false,
        }
    }

    /// What kind of action comes from here, in a word.
    pub(crate) fn action_kind(&self) -> &'static str {
        match self {
            Self::Discrete(_) => "discrete",
            Self::Box(_) => "continuous",
            Self::MultiDiscrete(_) => "multi-discrete",
            Self::MultiBinary(_) => "multi-binary",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
        }
    }
}

macro_rules! from {
    ($($kind:ident($space:ty)),*) => {
        $(impl From<$space> for Space {
            fn from(space: $space) -> Self {
                Self::$kind(space)
            }
        })*
    };
}

from!(
    Discrete(Discrete),
    Box(BoxSpace),
    MultiDiscrete(MultiDiscrete),
    MultiBinary(MultiBinary),
    Tuple(TupleSpace),
    Dict(DictSpace)
);

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discrete(space) => space.fmt(f),
            Self::Box(space) => space.fmt(f),
            Self::MultiDiscrete(space) => space.fmt(f),
            Self::MultiBinary(space) => space.fmt(f),
            Self::Tuple(space) => space.fmt(f),
            Self::Dict(space) => space.fmt(f),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::EnvRng;
    use rand::RngExt;

    /// Any space at all, three levels deep at most.
    pub(crate) fn any_space(depth: usize, rng: &mut EnvRng) -> Space {
        let kinds = if depth == 0 { 4 } else { 6 };
        let few = rng.random_range(0..4);
        match rng.random_range(0..kinds) {
            0 => Discrete::starting_at(few + 1, rng.random_range(-3..3)).into(),
            1 => any_box(few, rng).into(),
            2 => {
                let nvec = (0..few).map(|_| rng.random_range(1..4)).collect();
                let start = (0..few).map(|_| rng.random_range(-2..2)).collect();
                MultiDiscrete::starting_at(nvec, start).unwrap().into()
            }
            3 => MultiBinary::new(few).into(),
            4 => TupleSpace::new((0..few).map(|_| any_space(depth - 1, rng)).collect()).into(),
            _ => {
                let part = |i: usize| (format!("part {}", 7 * i % 4), any_space(depth - 1, rng));
                DictSpace::new((0..few).map(part).collect::<Vec<_>>()).unwrap().into()
            }
        }
    }

    fn any_box(len: usize, rng: &mut EnvRng) -> BoxSpace {
        let mut bound = |sign: f32| {
            if rng.random::<bool>() { sign * rng.random::<f32>() } else { sign * f32::INFINITY }
        };
        let low = (0..len).map(|_| bound(-1.0)).collect();
        BoxSpace::new(low, (0..len).map(|_| bound(1.0)).collect()).unwrap()
    }

    #[test]
    fn spaces_read_back_as_written_infinities_included() {
        let mut rng = EnvRng::new(8);
        for _ in 0..300 {
            let space = any_space(2, &mut rng);
            let json = serde_json::to_string(&space).unwrap();
            assert_eq!(serde_json::from_str::<Space>(&json).unwrap(), space, "{json}");
            let text = toml::to_string(&space).unwrap();
            assert_eq!(toml::from_str::<Space>(&text).unwrap(), space, "{text}");
        }
        let crossed = r#"{"kind":"box","low":[1.0],"high":["-inf"],"shape":[1]}"#;
        assert!(serde_json::from_str::<Space>(crossed).is_err(), "bounds are checked on reading");
    }

    #[test]
    fn a_space_contains_what_it_draws_and_no_other_kind() {
        let mut rng = EnvRng::new(9);
        for _ in 0..300 {
            let space = any_space(2, &mut rng);
            let value = space.sample(&mut rng);
            assert!(space.contains(&value), "{value:?} is not in {space}");
            let other = Space::from(TupleSpace::new(vec![space.clone()]));
            assert!(!other.contains(&value) && !space.contains(&Value::Tuple(vec![value])));
        }
    }

    #[test]
    fn names_of_a_dict_are_all_needed_and_no_others() {
        let space = DictSpace::new([("a", Discrete::new(2).into())]).unwrap().into();
        let value = |parts: &[(&str, usize)]| {
            let part = |&(name, index): &(&str, usize)| (name.to_owned(), Value::Discrete(index));
            Value::Dict(parts.iter().map(part).collect())
        };
        let contains = |parts: &[(&str, usize)]| Space::contains(&space, &value(parts));
        assert!(contains(&[("a", 1)]));
        for outside in [&[][..], &[("b", 1)], &[("a", 2)], &[("a", 1), ("b", 1)]] {
            assert!(!contains(outside), "{outside:?}");
        }
    }

    #[test]
    fn a_mask_allows_what_can_be_drawn_under_it() {
        let mut rng = EnvRng::new(10);
        let spaces =
            [Space::from(Discrete::new(4)), MultiDiscrete::new(vec![2, 3]).unwrap().into()];
        for space in spaces {
            let mut refused = 0;
            for _ in 0..100 {
                let mask: Vec<bool> =
                    (0..space.mask_len().unwrap()).map(|_| rng.random()).collect();
                let any = space.sample(&mut rng);
                refused += usize::from(!space.allows(any.as_action().unwrap(), Some(&mask)));
                if let Some(value) = space.sample_masked(Some(&mask), &mut rng) {
                    assert!(space.allows(value.as_action().unwrap(), Some(&mask)));
                }
            }
            assert!((20..95).contains(&refused), "{refused}");
            let any = space.sample(&mut rng);
            assert!(space.allows(any.as_action().unwrap(), None));
            assert!(!space.allows(any.as_action().unwrap(), Some(&[true; 9])), "too long");
            assert_eq!(space.sample_masked(Some(&[true; 9]), &mut rng), None);
        }
        let space = Space::from(BoxSpace::unbounded(2));
        assert!(
            !space.allows(Action::Continuous(&[0.0; 2]), Some(&[true; 2])),
            "no box has a mask"
        );
    }

    #[test]
    fn actions_have_as_many_entries_as_their_space_says() {
        let mut rng = EnvRng::new(11);
        for _ in 0..100 {
            let space = any_space(1, &mut rng);
            let value = space.sample(&mut rng);
            let entries = value.as_action().map(|action| match action {
                Action::Discrete(_) => 1,
                Action::Continuous(values) => values.len(),
                Action::MultiDiscrete(indices) => indices.len(),
                Action::MultiBinary(switches) => switches.len(),
            });
            assert_eq!(space.action_len(), entries, "{space}");
        }
    }
}
