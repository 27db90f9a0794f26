//! Values of spaces, typed and flat.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Space;
use crate::{Action, EnvError};

/// A value from a [`Space`], with the structure that a flat observation has lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// An index from 0, whatever the space's `start`.
    Discrete(usize),
    /// Numbers, row by row.
    Box(Vec<f32>),
    /// Indices from 0.
    MultiDiscrete(Vec<usize>),
    /// Switches.
    MultiBinary(Vec<bool>),
    /// Parts by position.
    Tuple(Vec<Value>),
    /// Parts by name.
    Dict(BTreeMap<String, Value>),
}

impl Value {
    /// The value as an action; `None` for tuples and dicts.
    pub fn as_action(&self) -> Option<Action<'_>> {
        match self {
            Self::Discrete(index) => Some(Action::Discrete(*index)),
            Self::Box(values) => Some(Action::Continuous(values)),
            Self::MultiDiscrete(indices) => Some(Action::MultiDiscrete(indices)),
            Self::MultiBinary(switches) => Some(Action::MultiBinary(switches)),
            Self::Tuple(_) | Self::Dict(_) => None,
        }
    }
}

impl From<Action<'_>> for Value {
    fn from(action: Action<'_>) -> Self {
        match action {
            Action::Discrete(index) => Self::Discrete(index),
            Action::Continuous(values) => Self::Box(values.to_vec()),
            Action::MultiDiscrete(indices) => Self::MultiDiscrete(indices.to_vec()),
            Action::MultiBinary(switches) => Self::MultiBinary(switches.to_vec()),
        }
    }
}

impl Space {
    /// Writes a value flat, as Gymnasium's `flatten` does: an index as a one-hot row, a switch as 0
    /// or 1, the numbers of a box as they are, parts one after the other. `flat`: `[flat_len]`.
    ///
    /// # Errors
    /// When the value is not in this space or `flat` has the wrong length.
    pub fn flatten(&self, value: &Value, flat: &mut [f32]) -> Result<(), EnvError> {
        if !self.contains(value) {
            return Err(EnvError::Space(format!("{value:?} is not in {self}")));
        }
        EnvError::check_length("the flat value", flat.len(), self.flat_len())?;
        flat.fill(0.0);
        self.write(value, &mut { flat });
        Ok(())
    }

    /// Writes a value that lies in this space over the zeros at the beginning of `rest`, and leaves
    /// what comes after it.
    fn write(&self, value: &Value, rest: &mut &mut [f32]) {
        let mut next = |len: usize| rest.split_off_mut(..len).unwrap_or_default();
        match (self, value) {
            (Self::Discrete(space), &Value::Discrete(index)) => set_one(next(space.n()), index),
            (Self::Box(_), Value::Box(values)) => next(values.len()).copy_from_slice(values),
            (Self::MultiDiscrete(space), Value::MultiDiscrete(indices)) => {
                let components = space.nvec().iter().zip(indices);
                components.for_each(|(&n, &index)| set_one(next(n), index));
            }
            (Self::MultiBinary(space), Value::MultiBinary(switches)) => {
                let entries = next(space.n()).iter_mut().zip(switches);
                entries.for_each(|(entry, &on)| *entry = f32::from(on));
            }
            (Self::Tuple(space), Value::Tuple(values)) => {
                let parts = space.spaces().iter().zip(values);
                parts.for_each(|(space, value)| space.write(value, rest));
            }
            (Self::Dict(space), Value::Dict(values)) => {
                let parts =
                    space.parts().filter_map(|(name, space)| Some((space, values.get(name)?)));
                parts.for_each(|(space, value)| space.write(value, rest));
            }
            // `contains` has refused every other pair.
            _ => {}
        }
    }

    /// The value that [`flatten`](Self::flatten) wrote.
    ///
    /// # Errors
    /// When no value of this space is written so.
    pub fn unflatten(&self, flat: &[f32]) -> Result<Value, EnvError> {
        self.check_flat(flat)?;
        Ok(self.read(&mut { flat }))
    }

    /// Reads a value, found right by `check_flat`, from the beginning of `rest`.
    fn read(&self, rest: &mut &[f32]) -> Value {
        let mut next = |len: usize| rest.split_off(..len).unwrap_or_default();
        match self {
            Self::Discrete(space) => Value::Discrete(one_hot(next(space.n())).unwrap_or_default()),
            Self::Box(space) => Value::Box(next(space.len()).to_vec()),
            Self::MultiDiscrete(space) => {
                let index = |&n: &usize| one_hot(next(n)).unwrap_or_default();
                Value::MultiDiscrete(space.nvec().iter().map(index).collect())
            }
            Self::MultiBinary(space) => {
                Value::MultiBinary(next(space.n()).iter().map(|&x| x == 1.0).collect())
            }
            Self::Tuple(space) => {
                Value::Tuple(space.spaces().iter().map(|space| space.read(rest)).collect())
            }
            Self::Dict(space) => {
                let part = |(name, space): (&str, &Self)| (name.to_owned(), space.read(rest));
                Value::Dict(space.parts().map(part).collect())
            }
        }
    }

    /// Whether `flat` is a value of this space written flat. Allocates nothing when it is.
    pub fn contains_flat(&self, flat: &[f32]) -> bool {
        self.check_flat(flat).is_ok()
    }

    /// As [`contains_flat`](Self::contains_flat), with words for what is wrong.
    ///
    /// # Errors
    /// When no value of this space is written so.
    pub fn check_flat(&self, flat: &[f32]) -> Result<(), EnvError> {
        EnvError::check_length("the flat value", flat.len(), self.flat_len())?;
        let mut first = None;
        self.each_outside(flat, 0, &mut |_, reason| {
            first.get_or_insert(reason);
        });
        first.map_or(Ok(()), |reason| Err(EnvError::Space(reason)))
    }

    /// Hands every entry of `flat` (`[flat_len]`) that is wrong to `found`, with words for what is
    /// wrong with it. Entries are counted from `start`, where this is a part of a larger space.
    pub(crate) fn each_outside(
        &self,
        flat: &[f32],
        start: usize,
        found: &mut dyn FnMut(usize, String),
    ) {
        let mut at = 0;
        let mut next = |len: usize| {
            at += len;
            (&flat[at - len..at], start + at - len)
        };
        match self {
            Self::Discrete(_) => not_one_hot(flat, start, found),
            Self::Box(space) => {
                let bounds = space.low().iter().zip(space.high());
                for (i, (x, (low, high))) in flat.iter().zip(bounds).enumerate() {
                    if !(low <= x && x <= high) {
                        let i = start + i;
                        found(i, format!("entry {i} is {x}, outside its bounds {low} and {high}"));
                    }
                }
            }
            Self::MultiDiscrete(space) => space.nvec().iter().for_each(|&n| {
                let (part, start) = next(n);
                not_one_hot(part, start, found);
            }),
            Self::MultiBinary(_) => {
                for (i, &x) in flat.iter().enumerate().filter(|(_, x)| ![0.0, 1.0].contains(*x)) {
                    let i = start + i;
                    found(i, format!("entry {i} is {x}, where a switch is 0 or 1"));
                }
            }
            Self::Tuple(space) => space.spaces().iter().for_each(|space| {
                let (part, start) = next(space.flat_len());
                space.each_outside(part, start, found);
            }),
            Self::Dict(space) => space.parts().for_each(|(_, space)| {
                let (part, start) = next(space.flat_len());
                space.each_outside(part, start, found);
            }),
        }
    }
}

fn set_one(row: &mut [f32], index: usize) {
    if let Some(entry) = row.get_mut(index) {
        *entry = 1.0;
    }
}

/// The index that a one-hot row stands for.
fn one_hot(row: &[f32]) -> Option<usize> {
    let one = row.iter().position(|&x| x == 1.0)?;
    row.iter().enumerate().all(|(i, &x)| i == one || x == 0.0).then_some(one)
}

fn not_one_hot(row: &[f32], start: usize, found: &mut dyn FnMut(usize, String)) {
    if one_hot(row).is_none() {
        let end = start + row.len().max(1) - 1;
        found(start, format!("entries {start} to {end} must be one 1 among zeros"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        BoxSpace, DictSpace, Discrete, EnvRng, MultiBinary, MultiDiscrete, TupleSpace,
        space::tests::any_space,
    };

    #[test]
    fn what_is_flattened_comes_back() {
        let mut rng = EnvRng::new(12);
        let mut lengths = 0;
        for _ in 0..1000 {
            let space = any_space(2, &mut rng);
            let value = space.sample(&mut rng);
            let mut flat = vec![f32::NAN; space.flat_len()];
            space.flatten(&value, &mut flat).unwrap();
            assert!(space.contains_flat(&flat), "{flat:?} is not in {space}");
            assert_eq!(space.unflatten(&flat).unwrap(), value, "{space}");
            let json = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value, "{json}");
            flat.push(0.0);
            assert!(!space.contains_flat(&flat) && space.unflatten(&flat).is_err());
            assert!(space.flatten(&value, &mut flat).is_err());
            lengths += flat.len();
        }
        assert!(lengths > 2000, "the spaces are too small to try much");
    }

    fn everything() -> Space {
        let parts = [
            ("room", Discrete::starting_at(3, 5).into()),
            ("keys", MultiBinary::new(2).into()),
            ("dials", MultiDiscrete::new(vec![2, 3]).unwrap().into()),
            ("at", TupleSpace::new(vec![BoxSpace::symmetric(vec![1.0, 2.0]).into()]).into()),
        ];
        DictSpace::new(parts).unwrap().into()
    }

    #[test]
    fn the_layout_is_gymnasiums() {
        let value = Value::Dict(BTreeMap::from([
            ("room".into(), Value::Discrete(2)),
            ("keys".into(), Value::MultiBinary(vec![true, false])),
            ("dials".into(), Value::MultiDiscrete(vec![1, 0])),
            ("at".into(), Value::Tuple(vec![Value::Box(vec![-0.5, 2.0])])),
        ]));
        let mut flat = [f32::NAN; 12];
        everything().flatten(&value, &mut flat).unwrap();
        assert_eq!(flat, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, -0.5, 2.0]);
    }

    #[test]
    fn what_no_value_is_written_as_is_refused_by_entry() {
        let good = [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, -0.5, 2.0];
        let space = everything();
        assert!(space.contains_flat(&good));
        let cases = [
            (1, 1.0, "entries 0 to 2 must be one 1 among zeros"),
            (2, 0.0, "entries 0 to 2 must be"),
            (2, 0.5, "entries 0 to 2 must be"),
            (4, 2.0, "entry 4 is 2, where a switch is 0 or 1"),
            (6, 0.0, "entries 5 to 6 must be"),
            (9, 1.0, "entries 7 to 9 must be"),
            (10, 1.5, "entry 10 is 1.5, outside its bounds -1 and 1"),
            (11, f32::NAN, "entry 11 is NaN, outside its bounds -2 and 2"),
        ];
        for (entry, x, words) in cases {
            let mut bad = good;
            bad[entry] = x;
            let error = space.unflatten(&bad).unwrap_err().to_string();
            assert!(error.contains(words) && !space.contains_flat(&bad), "{error}");
        }
        let error = Space::from(Discrete::new(2)).flatten(&Value::Discrete(2), &mut [0.0; 2]);
        assert_eq!(error.unwrap_err().to_string(), "space: Discrete(2) is not in Discrete(2)");
    }
}
