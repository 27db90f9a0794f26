//! Several choices at once: each among several, or each yes or no.

use std::fmt;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::discrete::nth_valid;
use crate::EnvError;

/// Several things chosen at once: component i is one of `nvec[i]`, indexed from 0, the first of which
/// is called `start[i]`.
///
/// ```
/// use elegante_env::MultiDiscrete;
///
/// let gamepad = MultiDiscrete::new(vec![5, 2, 2])?;
/// assert!(gamepad.contains(&[4, 0, 1]) && !gamepad.contains(&[5, 0, 1]));
/// assert_eq!(gamepad.to_string(), "MultiDiscrete([5, 2, 2])");
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct MultiDiscrete {
    nvec: Vec<usize>,
    start: Vec<i64>,
}

/// What was written down, not yet checked.
#[derive(Deserialize)]
struct Written {
    nvec: Vec<usize>,
    start: Vec<i64>,
}

impl TryFrom<Written> for MultiDiscrete {
    type Error = EnvError;

    fn try_from(written: Written) -> Result<Self, EnvError> {
        Self::starting_at(written.nvec, written.start)
    }
}

impl MultiDiscrete {
    /// Component i is one of {0, …, `nvec[i]` − 1}.
    ///
    /// # Errors
    /// When a component has nothing to choose from, or there are more choices in all than memory.
    pub fn new(nvec: Vec<usize>) -> Result<Self, EnvError> {
        let start = vec![0; nvec.len()];
        Self::starting_at(nvec, start)
    }

    /// Component i is one of {`start[i]`, …, `start[i]` + `nvec[i]` − 1}; actions are still indices
    /// from 0.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when the lengths differ.
    pub fn starting_at(nvec: Vec<usize>, start: Vec<i64>) -> Result<Self, EnvError> {
        if nvec.len() != start.len() {
            let reason = format!("{} components, but {} starts", nvec.len(), start.len());
            return Err(EnvError::Space(reason));
        }
        if let Some(i) = nvec.iter().position(|&n| n == 0) {
            return Err(EnvError::Space(format!("component {i} has nothing to choose from")));
        }
        // Masks and flat observations have a number for every choice.
        match nvec.iter().try_fold(0usize, |sum, &n| sum.checked_add(n)) {
            Some(_) => Ok(Self { nvec, start }),
            None => Err(EnvError::Space("more choices than memory".into())),
        }
    }

    /// How many things each component is one of.
    pub fn nvec(&self) -> &[usize] {
        &self.nvec
    }

    /// What the first of each component is called by.
    pub fn start(&self) -> &[i64] {
        &self.start
    }

    /// Number of components.
    pub fn len(&self) -> usize {
        self.nvec.len()
    }

    /// Whether there are no components at all.
    pub fn is_empty(&self) -> bool {
        self.nvec.is_empty()
    }

    /// Choices of all components together: the length of a mask.
    pub fn choices(&self) -> usize {
        self.nvec.iter().sum()
    }

    /// Whether `indices` has the right length and every index exists.
    pub fn contains(&self, indices: &[usize]) -> bool {
        indices.len() == self.len() && indices.iter().zip(&self.nvec).all(|(index, n)| index < n)
    }

    /// Each component any of its choices with the same probability.
    pub fn sample(&self, rng: &mut impl Rng) -> Vec<usize> {
        self.nvec.iter().map(|&n| rng.random_range(0..n)).collect()
    }

    /// [`sample`](Self::sample) into memory of the caller's: `[len]`.
    ///
    /// # Errors
    /// When `indices` has another length.
    pub fn sample_into(&self, indices: &mut [usize], rng: &mut impl Rng) -> Result<(), EnvError> {
        EnvError::check_length("the sample", indices.len(), self.len())?;
        for (index, &n) in indices.iter_mut().zip(&self.nvec) {
            *index = rng.random_range(0..n);
        }
        Ok(())
    }

    /// Each component any of its valid choices with the same probability, where `mask` holds the
    /// components' masks one after the other: `[choices]`. `None` when a component has no valid
    /// choice, or the mask another length.
    pub fn sample_masked(&self, mask: &[bool], rng: &mut impl Rng) -> Option<Vec<usize>> {
        self.masks(mask)?.map(|mask| nth_valid(mask, rng)).collect()
    }

    /// The mask of each component, cut out of the whole one; `None` when that has another length.
    pub fn masks<'a>(&'a self, mask: &'a [bool]) -> Option<impl Iterator<Item = &'a [bool]>> {
        let mut rest = mask;
        let cut = move |&n: &usize| {
            let (mine, others) = rest.split_at(n);
            rest = others;
            mine
        };
        (mask.len() == self.choices()).then(|| self.nvec.iter().map(cut))
    }
}

impl fmt::Display for MultiDiscrete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MultiDiscrete({:?}", self.nvec)?;
        if self.start.iter().any(|&start| start != 0) {
            write!(f, ", start={:?}", self.start)?;
        }
        f.write_str(")")
    }
}

/// n switches, each on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiBinary {
    n: usize,
}

impl MultiBinary {
    /// {off, on}ⁿ.
    pub const fn new(n: usize) -> Self {
        Self { n }
    }

    /// How many switches.
    pub const fn n(self) -> usize {
        self.n
    }

    /// Whether there are as many switches.
    pub const fn contains(self, switches: &[bool]) -> bool {
        switches.len() == self.n
    }

    /// Each switch on or off with the same probability.
    pub fn sample(self, rng: &mut impl Rng) -> Vec<bool> {
        (0..self.n).map(|_| rng.random()).collect()
    }

    /// [`sample`](Self::sample) into memory of the caller's: `[n]`.
    ///
    /// # Errors
    /// When `switches` has another length.
    pub fn sample_into(self, switches: &mut [bool], rng: &mut impl Rng) -> Result<(), EnvError> {
        EnvError::check_length("the sample", switches.len(), self.n)?;
        switches.iter_mut().for_each(|switch| *switch = rng.random());
        Ok(())
    }
}

impl fmt::Display for MultiBinary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MultiBinary({})", self.n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EnvRng;

    #[test]
    fn impossible_components_are_refused_and_named() {
        let refused = |nvec: &[usize], start: &[i64]| {
            MultiDiscrete::starting_at(nvec.to_vec(), start.to_vec()).unwrap_err().to_string()
        };
        assert_eq!(refused(&[2, 0], &[0; 2]), "space: component 1 has nothing to choose from");
        assert_eq!(refused(&[2], &[0; 2]), "space: 1 components, but 2 starts");
        assert_eq!(refused(&[usize::MAX, 1], &[0; 2]), "space: more choices than memory");
        assert!(MultiDiscrete::new(Vec::new()).unwrap().is_empty());
        let written = r#"{"nvec":[3,0],"start":[0,0]}"#;
        assert!(serde_json::from_str::<MultiDiscrete>(written).is_err(), "checked on reading");
    }

    #[test]
    fn every_component_must_be_there_and_exist() {
        let space = MultiDiscrete::new(vec![3, 1]).unwrap();
        assert!(space.contains(&[2, 0]));
        for outside in [&[3, 0][..], &[0, 1], &[0], &[0, 0, 0]] {
            assert!(!space.contains(outside), "{outside:?}");
        }
        let space = MultiBinary::new(2);
        assert!(space.contains(&[true, false]) && !space.contains(&[true]));
    }

    #[test]
    fn components_are_uniform_and_independent() {
        let (space, mut rng) = (MultiDiscrete::new(vec![2, 3]).unwrap(), EnvRng::new(5));
        let mut counts = [[0; 3]; 2];
        let mut sample = [0; 2];
        for _ in 0..3000 {
            space.sample_into(&mut sample, &mut rng).unwrap();
            counts[sample[0]][sample[1]] += 1;
            let [a, b] = space.sample(&mut rng).try_into().unwrap();
            counts[a][b] += 1;
        }
        // 6000 draws over 6 pairs: a standard deviation of 29.
        assert!(counts.as_flattened().iter().all(|n| (850..1150).contains(n)), "{counts:?}");
        assert!(space.sample_into(&mut [0; 3], &mut rng).is_err());
    }

    #[test]
    fn switches_are_fair() {
        let (space, mut rng) = (MultiBinary::new(3), EnvRng::new(6));
        let (mut on, mut sample) = ([0; 3], [false; 3]);
        for _ in 0..2000 {
            space.sample_into(&mut sample, &mut rng).unwrap();
            for drawn in [&sample[..], &space.sample(&mut rng)] {
                on.iter_mut().zip(drawn).for_each(|(on, &drawn)| *on += usize::from(drawn));
            }
        }
        // The standard deviation of a count is 32.
        assert!(on.iter().all(|on| (1850..2150).contains(on)), "{on:?}");
        assert!(space.sample_into(&mut [false; 2], &mut rng).is_err());
    }

    #[test]
    fn a_mask_is_the_masks_of_the_components_one_after_the_other() {
        let (space, mut rng) = (MultiDiscrete::new(vec![2, 3]).unwrap(), EnvRng::new(7));
        let mask = [false, true, true, false, true];
        let cut: Vec<&[bool]> = space.masks(&mask).unwrap().collect();
        assert_eq!(cut, [&mask[..2], &mask[2..]]);
        let mut seen = [0; 3];
        for _ in 0..200 {
            let sample = space.sample_masked(&mask, &mut rng).unwrap();
            assert_eq!(sample[0], 1);
            seen[sample[1]] += 1;
        }
        assert!(seen[0] > 50 && seen[1] == 0 && seen[2] > 50, "{seen:?}");
        assert_eq!(space.sample_masked(&[true; 4], &mut rng), None, "too short");
        let nothing = [true, true, false, false, false];
        assert_eq!(space.sample_masked(&nothing, &mut rng), None, "nothing valid in component 1");
    }

    #[test]
    fn they_are_shown_as_gymnasium_shows_them() {
        let space = MultiDiscrete::starting_at(vec![3, 2], vec![-1, 0]).unwrap();
        assert_eq!(space.to_string(), "MultiDiscrete([3, 2], start=[-1, 0])");
        assert_eq!(MultiBinary::new(4).to_string(), "MultiBinary(4)");
    }
}
