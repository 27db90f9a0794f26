//! Spaces: what an observation or an action may be.

use std::fmt;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::EnvError;

/// One of n things, indexed from 0; `start` is the number that the first of them is called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discrete {
    n: usize,
    start: i64,
}

impl Discrete {
    /// {0, 1, …, n − 1}.
    pub const fn new(n: usize) -> Self {
        Self { n, start: 0 }
    }

    /// {start, …, start + n − 1}; actions are still indices from 0.
    pub const fn starting_at(n: usize, start: i64) -> Self {
        Self { n, start }
    }

    /// How many there are.
    pub const fn n(self) -> usize {
        self.n
    }

    /// What the first of them is called by.
    pub const fn start(self) -> i64 {
        self.start
    }

    /// Whether `index` is one of them.
    pub const fn contains(self, index: usize) -> bool {
        index < self.n
    }

    /// Any of them with the same probability.
    pub fn sample(self, rng: &mut impl Rng) -> usize {
        rng.random_range(0..self.n.max(1))
    }
}

impl fmt::Display for Discrete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.start {
            0 => write!(f, "Discrete({})", self.n),
            start => write!(f, "Discrete({}, start={start})", self.n),
        }
    }
}

/// A box in ℝⁿ: an interval for each entry, which may be unbounded on either side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Bounds")]
pub struct BoxSpace {
    low: Vec<f32>,
    high: Vec<f32>,
    shape: Vec<usize>,
}

/// A box as it is read, before its bounds are checked.
#[derive(Deserialize)]
struct Bounds {
    low: Vec<f32>,
    high: Vec<f32>,
    shape: Vec<usize>,
}

impl TryFrom<Bounds> for BoxSpace {
    type Error = EnvError;

    fn try_from(bounds: Bounds) -> Result<Self, EnvError> {
        Self::new(bounds.low, bounds.high)?.with_shape(bounds.shape)
    }
}

impl BoxSpace {
    /// A vector whose entry i lies between `low[i]` and `high[i]`, both included.
    ///
    /// # Errors
    /// When the lengths differ, a bound is NaN, or a lower bound lies above its upper one.
    pub fn new(low: Vec<f32>, high: Vec<f32>) -> Result<Self, EnvError> {
        if low.len() != high.len() {
            let reason = format!("{} lower bounds, but {} upper ones", low.len(), high.len());
            return Err(EnvError::Space(reason));
        }
        // `!(a <= b)` is also true of NaN.
        if let Some(i) = (0..low.len()).find(|&i| !matches!(low[i].partial_cmp(&high[i]), Some(o) if o.is_le())) {
            let reason = format!("entry {i} lies between {} and {}", low[i], high[i]);
            return Err(EnvError::Space(format!("{reason}: the lower bound must not exceed the upper one")));
        }
        let shape = vec![low.len()];
        Ok(Self { low, high, shape })
    }

    /// A vector of `len` numbers without bounds.
    pub fn unbounded(len: usize) -> Self {
        let (low, high) = (vec![f32::NEG_INFINITY; len], vec![f32::INFINITY; len]);
        Self { low, high, shape: vec![len] }
    }

    /// A vector whose entry i lies between −`high[i]` and `high[i]`; a NaN leaves it unbounded.
    pub fn symmetric(high: Vec<f32>) -> Self {
        let high: Vec<f32> = high.iter().map(|h| if h.is_nan() { f32::INFINITY } else { h.abs() }).collect();
        Self { low: high.iter().map(|h| -h).collect(), shape: vec![high.len()], high }
    }

    /// The same numbers seen as an array of this shape, row by row.
    ///
    /// # Errors
    /// When the shape has another number of entries.
    pub fn with_shape(mut self, shape: Vec<usize>) -> Result<Self, EnvError> {
        let entries = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
        if entries != Some(self.low.len()) {
            let reason = format!("shape {shape:?} does not have the {} entries of the bounds", self.low.len());
            return Err(EnvError::Space(reason));
        }
        self.shape = shape;
        Ok(self)
    }

    /// The lower bound of each entry; −∞ where there is none.
    pub fn low(&self) -> &[f32] {
        &self.low
    }

    /// The upper bound of each entry; ∞ where there is none.
    pub fn high(&self) -> &[f32] {
        &self.high
    }

    /// The shape of the array.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.low.len()
    }

    /// Whether there are no entries at all.
    pub fn is_empty(&self) -> bool {
        self.low.is_empty()
    }

    /// Whether `values` has the right length and every entry lies within its bounds.
    pub fn contains(&self, values: &[f32]) -> bool {
        let bounds = self.low.iter().zip(&self.high);
        values.len() == self.len() && values.iter().zip(bounds).all(|(x, (low, high))| low <= x && x <= high)
    }

    /// Entries drawn as Gymnasium draws them: uniform between two bounds, exponential away from one,
    /// normal where there is none.
    pub fn sample(&self, rng: &mut impl Rng) -> Vec<f32> {
        let bounds = self.low.iter().zip(&self.high);
        bounds.map(|(&low, &high)| sample_between(f64::from(low), f64::from(high), rng) as f32).collect()
    }
}

fn sample_between(low: f64, high: f64, rng: &mut impl Rng) -> f64 {
    // 1 − u lies in (0, 1], where the logarithm is finite.
    let mut exponential = || -(1.0 - rng.random::<f64>()).ln();
    match (low.is_finite(), high.is_finite()) {
        (true, true) => low + (high - low) * rng.random::<f64>(),
        (true, false) => low + exponential(),
        (false, true) => high - exponential(),
        // Box and Muller: √(2E) cos 2πu is normal for an exponential E.
        (false, false) => (2.0 * exponential()).sqrt() * (std::f64::consts::TAU * rng.random::<f64>()).cos(),
    }
}

impl fmt::Display for BoxSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Box({}, {}, {:?})", Short(&self.low), Short(&self.high), self.shape)
    }
}

/// A list of numbers, the middle left out when it is long.
struct Short<'a>(&'a [f32]);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |values: &[f32]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self.0 {
            [all @ ..] if all.len() <= 6 => write!(f, "[{}]", show(all)),
            [first, second, .., last] => write!(f, "[{first}, {second}, …, {last}]"),
            _ => Ok(()),
        }
    }
}

/// A space whose kind is known only at run time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Space {
    /// One of n.
    Discrete(Discrete),
    /// A box in ℝⁿ.
    Box(BoxSpace),
}

impl Space {
    /// Numbers in an observation from this space: one-hot for a discrete one.
    pub fn flat_len(&self) -> usize {
        match self {
            Self::Discrete(space) => space.n,
            Self::Box(space) => space.len(),
        }
    }
}

impl From<Discrete> for Space {
    fn from(space: Discrete) -> Self {
        Self::Discrete(space)
    }
}

impl From<BoxSpace> for Space {
    fn from(space: BoxSpace) -> Self {
        Self::Box(space)
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discrete(space) => space.fmt(f),
            Self::Box(space) => space.fmt(f),
        }
    }
}
