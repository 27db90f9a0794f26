//! Dealing a rollout into minibatches.

use elegante_env::EnvRng;
use rand::seq::SliceRandom;

use crate::TrainError;

/// How a rollout is dealt: into minibatches of equal size, each step in exactly one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Minibatches {
    /// What is dealt: steps, or lanes where the networks have a memory.
    units: usize,
    /// In each minibatch.
    each: usize,
}

impl Minibatches {
    /// Minibatches of `batch_size` steps from a rollout of `steps` in each of `lanes` lanes; a size
    /// at least as large as the rollout is one minibatch of all of it. With networks that remember,
    /// whole lanes are dealt.
    ///
    /// # Errors
    /// When the size leaves a remainder; the error says which sizes do not.
    pub(crate) fn new(
        batch_size: usize,
        steps: usize,
        lanes: usize,
        remembering: bool,
    ) -> Result<Self, TrainError> {
        let total = steps * lanes;
        let (units, in_unit) = if remembering { (lanes, steps) } else { (total, 1) };
        if batch_size >= total {
            return Ok(Self { units, each: units });
        }
        if batch_size > 0 && total.is_multiple_of(batch_size) && batch_size.is_multiple_of(in_unit)
        {
            return Ok(Self { units, each: batch_size / in_unit });
        }
        let sizes =
            (1..=units).filter(|each| units.is_multiple_of(*each)).map(|each| each * in_unit);
        let (below, above): (Vec<_>, Vec<_>) = sizes.partition(|&size| size < batch_size);
        let near: Vec<_> = below.iter().rev().take(3).rev().chain(above.iter().take(3)).collect();
        let whole =
            if remembering { " in whole lanes, as networks with a memory need" } else { "" };
        Err(TrainError::Setting {
            name: "ppo.batch_size",
            value: batch_size.to_string(),
            expected: format!(
                "a size that divides the rollout of {steps} steps × {lanes} lanes = {total}{whole}, \
                 {near:?} for example, or {total} and more for all of it at once"
            ),
        })
    }

    /// The units of each minibatch, all of them shuffled anew.
    pub(crate) fn shuffled(self, rng: &mut EnvRng) -> Vec<Vec<usize>> {
        let mut units: Vec<usize> = (0..self.units).collect();
        units.shuffle(rng);
        units.chunks(self.each).map(<[usize]>::to_vec).collect()
    }
}

/// (Â − mean)/(std + 1e-8) with the unbiased standard deviation; a single advantage stays as it is,
/// since it has no spread to be measured by.
pub(crate) fn normalized(advantages: &[f64]) -> Vec<f64> {
    let n = advantages.len() as f64;
    if advantages.len() < 2 {
        return advantages.to_vec();
    }
    let mean = advantages.iter().sum::<f64>() / n;
    let variance = advantages.iter().map(|a| (a - mean).powi(2)).sum::<f64>() / (n - 1.0);
    advantages.iter().map(|a| (a - mean) / (variance.sqrt() + 1e-8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_in_one_minibatch_and_the_order_changes() {
        let deal = Minibatches::new(4, 6, 2, false).unwrap();
        let mut rng = EnvRng::new(1);
        let (first, second) = (deal.shuffled(&mut rng), deal.shuffled(&mut rng));
        assert_ne!(first, second, "each epoch is shuffled anew");
        for batches in [first, second] {
            assert!(batches.len() == 3 && batches.iter().all(|batch| batch.len() == 4));
            let mut all = batches.concat();
            all.sort_unstable();
            assert_eq!(all, (0..12).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_large_size_is_the_whole_rollout() {
        for size in [12, 13, 1 << 20] {
            let deal = Minibatches::new(size, 6, 2, false).unwrap();
            assert_eq!(deal.shuffled(&mut EnvRng::new(0)).len(), 1);
        }
    }

    #[test]
    fn lanes_stay_whole_where_networks_remember() {
        let deal = Minibatches::new(12, 6, 4, true).unwrap();
        let batches = deal.shuffled(&mut EnvRng::new(0));
        assert!(batches.len() == 2 && batches.iter().all(|lanes| lanes.len() == 2));
        let error = Minibatches::new(8, 6, 4, true).unwrap_err().to_string();
        assert!(error.contains("whole lanes") && error.contains("[6, 12, 24]"), "{error}");
    }

    #[test]
    fn a_remainder_is_refused_with_sizes_that_leave_none() {
        let error = Minibatches::new(100, 256, 8, false).unwrap_err().to_string();
        assert!(error.contains("256 steps × 8 lanes = 2048"), "{error}");
        assert!(error.contains("[16, 32, 64, 128, 256, 512]"), "{error}");
        assert!(Minibatches::new(0, 4, 4, false).is_err());
    }

    #[test]
    fn advantages_are_normalised_by_the_unbiased_deviation() {
        let ours = normalized(&[1.0, 2.0, 3.0, 6.0]);
        // Mean 3, sum of squares 14, deviation √(14/3).
        let std = (14.0f64 / 3.0).sqrt();
        for (ours, theirs) in ours.iter().zip([-2.0, -1.0, 0.0, 3.0]) {
            assert!((ours - theirs / std).abs() < 1e-7, "{ours}");
        }
        assert_eq!(normalized(&[5.0]), [5.0], "one advantage has no spread");
        assert_eq!(normalized(&[5.0; 4]), [0.0; 4], "nor have equal ones, and nothing is NaN");
    }
}
