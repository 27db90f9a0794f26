//! One of n things.

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

    /// Whether all of these are among them.
    ///
    /// # Errors
    /// When one is not.
    pub(crate) fn check(self, indices: &[usize]) -> Result<(), EnvError> {
        // All their bits together make a number no smaller than any, and are quicker to find.
        if indices.iter().fold(0, |bits, i| bits | i) < self.n {
            return Ok(());
        }
        match indices.iter().find(|&&i| !self.contains(i)) {
            Some(wrong) => Err(EnvError::action_out_of_space(wrong, self)),
            None => Ok(()),
        }
    }

    /// Any of them with the same probability.
    pub fn sample(self, rng: &mut impl Rng) -> usize {
        rng.random_range(0..self.n.max(1))
    }

    /// Any of those that `mask` calls valid (`[n]`) with the same probability; `None` when none is.
    pub fn sample_masked(self, mask: &[bool], rng: &mut impl Rng) -> Option<usize> {
        nth_valid(mask, rng)
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

/// The index of any valid entry with the same probability; `None` when none is valid.
pub(super) fn nth_valid(mask: &[bool], rng: &mut impl Rng) -> Option<usize> {
    let valid = mask.iter().filter(|&&valid| valid).count();
    // Nothing is drawn where there is nothing to choose from.
    let chosen = (valid > 0).then(|| rng.random_range(0..valid))?;
    mask.iter().enumerate().filter(|&(_, &valid)| valid).nth(chosen).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EnvRng;

    #[test]
    fn samples_are_uniform() {
        let (space, mut rng) = (Discrete::starting_at(4, -2), EnvRng::new(2));
        let mut counts = [0; 4];
        (0..8000).for_each(|_| counts[space.sample(&mut rng)] += 1);
        // The standard deviation of a count is 39.
        assert!(counts.iter().all(|count| (1800..2200).contains(count)), "{counts:?}");
    }

    #[test]
    fn masked_samples_are_uniform_over_what_is_valid() {
        let (space, mut rng) = (Discrete::new(5), EnvRng::new(3));
        let mask = [false, true, false, true, true];
        let mut counts = [0; 5];
        (0..6000).for_each(|_| counts[space.sample_masked(&mask, &mut rng).unwrap()] += 1);
        // The standard deviation of a count is 37.
        let near = |i: usize| (1800..2200).contains(&counts[i]) == mask[i];
        assert!((0..5).all(near) && counts[0] + counts[2] == 0, "{counts:?}");
        assert_eq!(space.sample_masked(&[false; 5], &mut rng), None);
    }

    #[test]
    fn the_edge_is_outside() {
        assert!(Discrete::new(2).contains(1) && !Discrete::new(2).contains(2));
    }

    #[test]
    fn it_is_shown_as_gymnasium_shows_it() {
        assert_eq!(Discrete::new(2).to_string(), "Discrete(2)");
        assert_eq!(Discrete::starting_at(3, -1).to_string(), "Discrete(3, start=-1)");
    }
}
