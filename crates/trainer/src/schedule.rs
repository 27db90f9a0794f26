//! Step sizes as functions of the fraction of the run that is left.

use serde::{Deserialize, Serialize};

/// How a step size changes over a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// The same all along.
    Constant,
    /// In proportion to the steps that are left, down to 0.
    #[default]
    Linear,
}

impl Schedule {
    /// The step size when `left` ∈ [0, 1] of the run is still to come.
    pub fn at(self, start: f64, left: f64) -> f64 {
        match self {
            Self::Constant => start,
            Self::Linear => start * left,
        }
    }
}

/// How far a run has come when an update begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub(crate) steps: u64,
    pub(crate) of: u64,
}

impl Left {
    /// The fraction of the run that is still to come after `more` steps.
    pub(crate) fn after(self, more: usize) -> f64 {
        (1.0 - (self.steps as f64 + more as f64) / self.of as f64).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_a_fraction_of_the_run_and_never_below_zero() {
        let left = Left { steps: 25, of: 100 };
        assert_eq!([left.after(0), left.after(50), left.after(75)], [0.75, 0.25, 0.0]);
        assert_eq!(left.after(90), 0.0);
    }

    #[test]
    fn linear_ends_at_zero_and_constant_stays() {
        assert_eq!(Schedule::Linear.at(0.4, 1.0), 0.4);
        assert_eq!(Schedule::Linear.at(0.4, 0.25), 0.1);
        assert_eq!(Schedule::Linear.at(0.4, 0.0), 0.0);
        assert_eq!(Schedule::Constant.at(0.4, 0.0), 0.4);
    }
}
