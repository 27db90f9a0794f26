//! An update under a magnifying glass: every number of every stage on record, to find the first one that
//! is not finite. Only an update that has gone wrong is watched, when it is made once more.

use std::collections::BTreeMap;

use elegante_policy::params::{self, Parameters};
use serde::{Deserialize, Serialize};

use crate::failure::{Bad, Stage};

/// Numbers as they are kept in a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Numbers {
    F32(Vec<f32>),
    F64(Vec<f64>),
    /// Flags, and other small numbers.
    U8(Vec<u8>),
    /// Indices.
    U64(Vec<u64>),
}

impl Numbers {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::F32(all) => all.len(),
            Self::F64(all) => all.len(),
            Self::U8(all) => all.len(),
            Self::U64(all) => all.len(),
        }
    }

    /// Each as an f64.
    fn iter(&self) -> Box<dyn Iterator<Item = f64> + '_> {
        match self {
            Self::F32(all) => Box::new(all.iter().map(|&x| f64::from(x))),
            Self::F64(all) => Box::new(all.iter().copied()),
            Self::U8(all) => Box::new(all.iter().map(|&x| f64::from(x))),
            Self::U64(all) => Box::new(all.iter().map(|&x| x as f64)),
        }
    }
}

impl From<Vec<f32>> for Numbers {
    fn from(all: Vec<f32>) -> Self {
        Self::F32(all)
    }
}

impl From<Vec<f64>> for Numbers {
    fn from(all: Vec<f64>) -> Self {
        Self::F64(all)
    }
}

impl From<&[bool]> for Numbers {
    fn from(all: &[bool]) -> Self {
        Self::U8(all.iter().map(|&flag| u8::from(flag)).collect())
    }
}

/// Numbers with a shape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) numbers: Numbers,
}

impl Array {
    /// A column.
    pub(crate) fn flat(numbers: impl Into<Numbers>) -> Self {
        let numbers = numbers.into();
        Self { shape: vec![numbers.len()], numbers }
    }

    /// Rows of `width` entries each.
    pub(crate) fn rows(numbers: impl Into<Numbers>, width: usize) -> Self {
        let numbers = numbers.into();
        Self { shape: vec![numbers.len() / width.max(1), width], numbers }
    }
}

impl Array {
    /// The rows of this, and then those of another of the same kind and width.
    pub(crate) fn then(mut self, other: Self) -> Self {
        match (&mut self.numbers, other.numbers) {
            (Numbers::F32(all), Numbers::F32(more)) => all.extend(more),
            (Numbers::F64(all), Numbers::F64(more)) => all.extend(more),
            (Numbers::U8(all), Numbers::U8(more)) => all.extend(more),
            (Numbers::U64(all), Numbers::U64(more)) => all.extend(more),
            _ => return self,
        }
        self.shape[0] += other.shape[0];
        self
    }
}

/// Arrays by name.
pub(crate) type Arrays = BTreeMap<String, Array>;

/// What a watched update has on record: the stages of its last minibatch, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    /// What stands before the names of parameters.
    scope: &'static str,
    /// How many minibatches have begun.
    minibatches: u64,
    stages: Vec<(String, Array)>,
}

impl Watch {
    /// Over a network whose parameters go by `scope` and their own names.
    pub(crate) fn over(scope: &'static str) -> Self {
        Self { scope, ..Self::default() }
    }

    /// Has what follows go by `scope`: the network that learns now.
    pub(crate) fn turn(&mut self, scope: &'static str) {
        self.scope = scope;
    }

    /// A minibatch begins; what was on record of the one before is forgotten.
    pub(crate) fn begin(&mut self) {
        self.minibatches += 1;
        self.stages.clear();
    }

    /// How many stages are on record.
    pub(crate) fn len(&self) -> usize {
        self.stages.len()
    }

    /// Forgets all but the first `n` stages.
    pub(crate) fn keep(&mut self, n: usize) {
        self.stages.truncate(n);
    }

    pub(crate) fn record(&mut self, stage: impl Into<String>, array: Array) {
        self.stages.push((stage.into(), array));
    }

    /// A stage that is a single number.
    pub(crate) fn number(&mut self, stage: &str, value: f64) {
        self.record(format!("{}{stage}", self.scope), Array::flat(vec![value]));
    }

    /// A number for every parameter of `module`, a stage for each of its tensors: `kind` of its name.
    pub(crate) fn parameters(&mut self, kind: &str, module: &impl Parameters, flat: &[f32]) {
        let mut rest = flat;
        for info in params::describe(module) {
            let count = info.shape.iter().product::<usize>().min(rest.len());
            let (mine, after) = rest.split_at(count);
            rest = after;
            let array = Array { shape: info.shape, numbers: mine.to_vec().into() };
            self.record(format!("{kind} {}{}", self.scope, info.name), array);
        }
    }

    /// What `later` has on record, after this.
    pub(crate) fn then(mut self, later: Self) -> Self {
        self.minibatches = self.minibatches.max(later.minibatches);
        self.stages.extend(later.stages);
        self
    }

    /// Which minibatch is on record, from 1.
    pub(crate) fn minibatch(&self) -> u64 {
        self.minibatches
    }

    /// Each stage in short.
    pub(crate) fn summary(&self) -> Vec<Stage> {
        self.stages.iter().map(|(name, array)| summary(name, array)).collect()
    }

    /// All that is on record, by the names of the stages.
    pub(crate) fn into_arrays(self) -> Arrays {
        self.stages.into_iter().collect()
    }
}

fn summary(name: &str, array: &Array) -> Stage {
    let bad = array.numbers.iter().enumerate().find(|(_, x)| !x.is_finite());
    let bad = bad.map(|(flat, value)| Bad::new(place(flat, &array.shape), value));
    let finite = array.numbers.iter().filter(|x| x.is_finite());
    let range = finite.fold(None, |range: Option<[f64; 2]>, x| match range {
        Some([low, high]) => Some([low.min(x), high.max(x)]),
        None => Some([x, x]),
    });
    Stage { name: name.to_owned(), count: array.numbers.len(), range, bad }
}

/// The indices of an entry, from its place in memory.
fn place(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut indices: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&n| {
            let index = flat % n.max(1);
            flat /= n.max(1);
            index
        })
        .collect();
    indices.reverse();
    indices
}

/// Whether an update was collecting or learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The policy was acting in its environments.
    Collecting,
    /// The networks were learning from what had been collected.
    Learning,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bad_number_is_found_with_its_place() {
        let mut watch = Watch::default();
        watch.begin();
        watch.record("old", Array::flat(vec![f64::NAN]));
        watch.begin();
        watch.record("fine", Array::flat(vec![-1.0, 3.0]));
        let inf = f32::INFINITY;
        watch.record("bad", Array::rows(vec![0.0, 1.0, 2.0, inf, 4.0, f32::NAN], 2));
        watch.number("later", f64::NAN);
        assert_eq!(watch.minibatch(), 2);
        let stages = watch.summary();
        let names: Vec<_> = stages.iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(names, ["fine", "bad", "later"], "an earlier minibatch is forgotten");
        assert_eq!((stages[0].range, &stages[0].bad), (Some([-1.0, 3.0]), &None));
        let bad = stages[1].bad.as_ref().unwrap();
        assert_eq!((bad.at.as_slice(), bad.value.as_str()), ([1, 1].as_slice(), "inf"));
        assert_eq!(stages[1].range, Some([0.0, 4.0]), "of what is finite");
        assert_eq!(stages[2].range, None);
    }

    #[test]
    fn places_count_from_the_last_dimension() {
        assert_eq!(place(0, &[2, 3]), [0, 0]);
        assert_eq!(place(5, &[2, 3]), [1, 2]);
        assert_eq!(place(7, &[12]), [7]);
        assert_eq!(place(0, &[]), Vec::<usize>::new());
    }
}
