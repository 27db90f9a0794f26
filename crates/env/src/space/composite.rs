//! Observations made of parts: by position, or by name.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Space;
use crate::EnvError;

/// Parts one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TupleSpace {
    spaces: Vec<Space>,
}

impl TupleSpace {
    /// A part from each of `spaces`.
    pub const fn new(spaces: Vec<Space>) -> Self {
        Self { spaces }
    }

    /// The spaces of the parts.
    pub fn spaces(&self) -> &[Space] {
        &self.spaces
    }
}

impl fmt::Display for TupleSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tuple(")?;
        for (i, space) in self.spaces.iter().enumerate() {
            write!(f, "{}{space}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str(")")
    }
}

/// Parts with names. Flat, they lie in the order in which they are listed; Gymnasium sorts the keys of
/// a plain Python dict, so list them sorted to have its layout.
///
/// ```
/// use elegante_env::{BoxSpace, DictSpace, Discrete, Space};
///
/// let space = Space::from(DictSpace::new([
///     ("door", Discrete::new(3).into()),
///     ("position", BoxSpace::unbounded(2).into()),
/// ])?);
/// assert_eq!(space.flat_len(), 5);
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct DictSpace {
    parts: Vec<Part>,
}

/// What was written down, not yet checked.
#[derive(Deserialize)]
struct Written {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Part {
    name: String,
    space: Space,
}

impl TryFrom<Written> for DictSpace {
    type Error = EnvError;

    fn try_from(written: Written) -> Result<Self, EnvError> {
        Self::new(written.parts.into_iter().map(|part| (part.name, part.space)))
    }
}

impl DictSpace {
    /// A part of each name from its space.
    ///
    /// # Errors
    /// When two parts have the same name.
    pub fn new<N: Into<String>>(
        parts: impl IntoIterator<Item = (N, Space)>,
    ) -> Result<Self, EnvError> {
        let mut named: Vec<Part> = Vec::new();
        for (name, space) in parts {
            let name = name.into();
            if named.iter().any(|part| part.name == name) {
                return Err(EnvError::Space(format!("two parts have the name {name:?}")));
            }
            named.push(Part { name, space });
        }
        Ok(Self { parts: named })
    }

    /// Names and spaces in the order in which the parts lie in a flat observation.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = (&str, &Space)> {
        self.parts.iter().map(|part| (part.name.as_str(), &part.space))
    }

    /// The space of the part of this name.
    pub fn get(&self, name: &str) -> Option<&Space> {
        self.parts().find(|(known, _)| *known == name).map(|(_, space)| space)
    }
}

impl fmt::Display for DictSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dict(")?;
        for (i, (name, space)) in self.parts().enumerate() {
            write!(f, "{}'{name}': {space}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Discrete, MultiBinary};

    #[test]
    fn a_name_belongs_to_one_part() {
        let (two, three) = (Space::from(Discrete::new(2)), Space::from(Discrete::new(3)));
        let error = DictSpace::new([("a", two.clone()), ("a", three.clone())]).unwrap_err();
        assert_eq!(error.to_string(), "space: two parts have the name \"a\"");
        let space = DictSpace::new([("b", two.clone()), ("a", three.clone())]).unwrap();
        assert_eq!((space.get("a"), space.get("c")), (Some(&three), None));
        let names: Vec<&str> = space.parts().map(|(name, _)| name).collect();
        assert_eq!(names, ["b", "a"], "the order is the caller's");
        let twice = serde_json::to_string(&space).unwrap().replace("\"b\"", "\"a\"");
        assert!(serde_json::from_str::<DictSpace>(&twice).is_err(), "checked on reading");
    }

    #[test]
    fn they_are_shown_as_gymnasium_shows_them() {
        let tuple = TupleSpace::new(vec![Discrete::new(2).into(), MultiBinary::new(3).into()]);
        assert_eq!(tuple.to_string(), "Tuple(Discrete(2), MultiBinary(3))");
        assert_eq!(TupleSpace::new(Vec::new()).to_string(), "Tuple()");
        let dict = DictSpace::new([("x", tuple.into()), ("y", Discrete::new(4).into())]).unwrap();
        let shown = "Dict('x': Tuple(Discrete(2), MultiBinary(3)), 'y': Discrete(4))";
        assert_eq!(dict.to_string(), shown);
    }
}
