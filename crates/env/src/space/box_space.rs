//! A box in ℝⁿ.

use std::fmt;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::EnvError;

/// A box in ℝⁿ: an interval for each entry, which may be unbounded on either side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Bounds", try_from = "Bounds")]
pub struct BoxSpace {
    low: Vec<f32>,
    high: Vec<f32>,
    shape: Vec<usize>,
}

/// A box as it is written down, its bounds not yet checked when it is read back.
#[derive(Serialize, Deserialize)]
struct Bounds {
    low: Vec<Bound>,
    high: Vec<Bound>,
    shape: Vec<usize>,
}

/// JSON has no infinity, and CartPole's velocities have no bounds: those become words.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Bound {
    Number(f32),
    Word(Infinite),
}

#[derive(Serialize, Deserialize)]
enum Infinite {
    #[serde(rename = "inf")]
    Above,
    #[serde(rename = "-inf")]
    Below,
}

impl From<f32> for Bound {
    fn from(bound: f32) -> Self {
        match bound {
            f32::INFINITY => Self::Word(Infinite::Above),
            f32::NEG_INFINITY => Self::Word(Infinite::Below),
            number => Self::Number(number),
        }
    }
}

impl From<Bound> for f32 {
    fn from(bound: Bound) -> Self {
        match bound {
            Bound::Number(number) => number,
            Bound::Word(Infinite::Above) => Self::INFINITY,
            Bound::Word(Infinite::Below) => Self::NEG_INFINITY,
        }
    }
}

impl From<BoxSpace> for Bounds {
    fn from(space: BoxSpace) -> Self {
        let written = |bounds: Vec<f32>| bounds.into_iter().map(Bound::from).collect();
        Self { low: written(space.low), high: written(space.high), shape: space.shape }
    }
}

impl TryFrom<Bounds> for BoxSpace {
    type Error = EnvError;

    fn try_from(bounds: Bounds) -> Result<Self, EnvError> {
        let read = |bounds: Vec<Bound>| bounds.into_iter().map(f32::from).collect();
        Self::new(read(bounds.low), read(bounds.high))?.with_shape(bounds.shape)
    }
}

impl BoxSpace {
    /// A vector whose entry i lies between `low[i]` and `high[i]`, both included.
    ///
    /// # Errors
    /// When the lengths differ, a bound is NaN, a lower bound lies above its upper one, or no finite
    /// number lies between them.
    pub fn new(low: Vec<f32>, high: Vec<f32>) -> Result<Self, EnvError> {
        if low.len() != high.len() {
            let reason = format!("{} lower bounds, but {} upper ones", low.len(), high.len());
            return Err(EnvError::Space(reason));
        }
        // Comparisons with NaN are false, so that it is refused as well.
        let possible = |i: &usize| {
            low[*i] <= high[*i] && low[*i] < f32::INFINITY && high[*i] > f32::NEG_INFINITY
        };
        if let Some(i) = (0..low.len()).find(|i| !possible(i)) {
            return Err(EnvError::Space(format!(
                "no finite number lies between the bounds {} and {} of entry {i}",
                low[i], high[i]
            )));
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
        let high: Vec<f32> =
            high.iter().map(|h| if h.is_nan() { f32::INFINITY } else { h.abs() }).collect();
        Self { low: high.iter().map(|h| -h).collect(), shape: vec![high.len()], high }
    }

    /// The same numbers seen as an array of this shape, row by row.
    ///
    /// # Errors
    /// When the shape has another number of entries.
    pub fn with_shape(mut self, shape: Vec<usize>) -> Result<Self, EnvError> {
        let entries = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
        if entries != Some(self.low.len()) {
            let reason = format!(
                "shape {shape:?} does not have the {} entries of the bounds",
                self.low.len()
            );
            return Err(EnvError::Space(reason));
        }
        self.shape = shape;
        Ok(self)
    }

    /// The same numbers in the shape of `other`, if it has as many.
    pub(crate) fn shaped_like(mut self, other: &Self) -> Self {
        if self.len() == other.len() {
            self.shape.clone_from(&other.shape);
        }
        self
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
        values.len() == self.len()
            && values.iter().zip(bounds).all(|(x, (low, high))| low <= x && x <= high)
    }

    /// Entries drawn as Gymnasium draws them: uniform between two bounds, exponential away from one,
    /// normal where there is none.
    pub fn sample(&self, rng: &mut impl Rng) -> Vec<f32> {
        let bounds = self.low.iter().zip(&self.high);
        bounds.map(|(&low, &high)| sample_between(low, high, rng)).collect()
    }

    /// [`sample`](Self::sample) into memory of the caller's: `[len]`.
    ///
    /// # Errors
    /// When `values` has another length.
    pub fn sample_into(&self, values: &mut [f32], rng: &mut impl Rng) -> Result<(), EnvError> {
        EnvError::check_length("the sample", values.len(), self.len())?;
        for (value, (&low, &high)) in values.iter_mut().zip(self.low.iter().zip(&self.high)) {
            *value = sample_between(low, high, rng);
        }
        Ok(())
    }
}

fn sample_between(low: f32, high: f32, rng: &mut impl Rng) -> f32 {
    let (low, high) = (f64::from(low), f64::from(high));
    // 1 − u lies in (0, 1], where the logarithm is finite.
    let mut exponential = || -(1.0 - rng.random::<f64>()).ln();
    let sample = match (low.is_finite(), high.is_finite()) {
        (true, true) => low + (high - low) * rng.random::<f64>(),
        (true, false) => low + exponential(),
        (false, true) => high - exponential(),
        // Box and Muller: √(2E) cos 2πu is normal for an exponential E.
        (false, false) => {
            (2.0 * exponential()).sqrt() * (std::f64::consts::TAU * rng.random::<f64>()).cos()
        }
    };
    sample as f32
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
        let show =
            |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(", ");
        match self.0 {
            [first, second, .., last] if self.0.len() > 6 => {
                write!(f, "[{first}, {second}, …, {last}]")
            }
            few => write!(f, "[{}]", show(few)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EnvRng;

    const INF: f32 = f32::INFINITY;

    #[test]
    fn impossible_bounds_are_refused_and_named() {
        let refused = |low: &[f32], high: &[f32]| {
            BoxSpace::new(low.to_vec(), high.to_vec()).unwrap_err().to_string()
        };
        assert_eq!(refused(&[0.0], &[]), "space: 1 lower bounds, but 0 upper ones");
        let named = "space: no finite number lies between the bounds 2 and 1 of entry 1";
        assert_eq!(refused(&[0.0, 2.0], &[1.0, 1.0]), named);
        for (low, high) in [(f32::NAN, 1.0), (0.0, f32::NAN), (INF, INF), (-INF, -INF)] {
            refused(&[low], &[high]);
        }
        assert!(BoxSpace::new(vec![1.0], vec![1.0]).is_ok(), "a single point is a box");
    }

    #[test]
    fn shapes_have_as_many_entries_as_the_bounds() {
        let space = BoxSpace::unbounded(6).with_shape(vec![2, 3]).unwrap();
        assert_eq!((space.shape(), space.len()), ([2, 3].as_slice(), 6));
        assert!(space.clone().with_shape(vec![4]).is_err());
        assert!(space.with_shape(vec![usize::MAX, 2]).is_err(), "the product overflows");
    }

    #[test]
    fn a_box_contains_its_edges_and_nothing_beyond() {
        let space = BoxSpace::new(vec![-1.0, 0.0], vec![1.0, INF]).unwrap();
        assert!(space.contains(&[-1.0, 0.0]) && space.contains(&[1.0, 1e30]));
        for outside in [&[1.1, 0.0][..], &[0.0, -0.1], &[f32::NAN, 0.0], &[0.0], &[0.0; 3]] {
            assert!(!space.contains(outside), "{outside:?}");
        }
    }

    /// Mean and variance of each entry over many draws; every draw lies in the space.
    fn moments(space: &BoxSpace, draws: usize) -> Vec<(f64, f64)> {
        let mut rng = EnvRng::new(1);
        let mut sums = vec![(0.0, 0.0); space.len()];
        for _ in 0..draws {
            let sample = space.sample(&mut rng);
            assert!(space.contains(&sample), "{sample:?} lies outside {space}");
            for ((sum, squares), x) in sums.iter_mut().zip(sample.into_iter().map(f64::from)) {
                *sum += x;
                *squares += x * x;
            }
        }
        let n = draws as f64;
        sums.iter().map(|(sum, squares)| (sum / n, squares / n - (sum / n) * (sum / n))).collect()
    }

    #[test]
    fn samples_follow_gymnasiums_rule_for_each_kind_of_bound() {
        let low = vec![-1.0, 2.0, -INF, -INF];
        let high = vec![3.0, INF, 5.0, INF];
        let space = BoxSpace::new(low, high).unwrap();
        // Uniform on [−1, 3]; 2 + exponential; 5 − exponential; standard normal.
        let expected = [(1.0, 16.0 / 12.0), (3.0, 1.0), (4.0, 1.0), (0.0, 1.0)];
        for (i, (ours, theirs)) in moments(&space, 40_000).iter().zip(expected).enumerate() {
            // Five standard errors or more: 0.006 of the mean, 0.014 of an exponential's variance.
            let near = (ours.0 - theirs.0).abs() < 0.03 && (ours.1 - theirs.1).abs() < 0.08;
            assert!(near, "entry {i}: mean and variance {ours:?}, expected {theirs:?}");
        }
    }

    #[test]
    fn samples_in_the_callers_memory_are_the_same_ones() {
        let space = BoxSpace::new(vec![-1.0, -INF], vec![3.0, INF]).unwrap();
        let (mut a, mut b, mut values) = (EnvRng::new(4), EnvRng::new(4), [0.0; 2]);
        for _ in 0..5 {
            space.sample_into(&mut values, &mut a).unwrap();
            assert_eq!(values.as_slice(), space.sample(&mut b));
        }
        assert!(space.sample_into(&mut [0.0; 3], &mut a).is_err());
    }

    #[test]
    fn it_is_shown_as_gymnasium_shows_it() {
        let cartpole = BoxSpace::symmetric(vec![4.8, INF]);
        assert_eq!(cartpole.to_string(), "Box([-4.8, -inf], [4.8, inf], [2])");
        let long = BoxSpace::unbounded(100).to_string();
        assert_eq!(long, "Box([-inf, -inf, …, -inf], [inf, inf, …, inf], [100])");
        assert_eq!(BoxSpace::unbounded(0).to_string(), "Box([], [], [0])");
    }
}
