//! Every random number of a run comes from a stream with a purpose, all of them made from one seed.
//!
//! Two purposes, two lanes or two seeds never share a stream, and what one stream has drawn moves no
//! other: adding a lane or an evaluation leaves the rest of the run as it was.

use elegante_env::{EnvRng, SeedSequence};

/// What a stream is for. The numbers are part of what a seed means: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Initial weights of the policy.
    PolicyInit = 0,
    /// Initial weights of the value network.
    ValueInit = 1,
    /// Seeds of the training environments.
    TrainingEnv = 2,
    /// Actions drawn in a training lane.
    Action = 3,
    /// Seeds of evaluation episodes.
    EvaluationEnv = 4,
    /// Actions drawn in an evaluation episode.
    EvaluationAction = 5,
    /// The order of steps in minibatches.
    Shuffle = 6,
    /// Transitions drawn from a replay buffer.
    Replay = 7,
    /// Noise in what is learnt from replayed transitions: actions drawn anew, targets smoothed, weights
    /// disturbed.
    Noise = 8,
    /// Settings that a search for good ones draws.
    Search = 32,
}

/// The stream of `seed` for `purpose` and, where there are several, this `lane`.
pub fn stream(seed: u64, purpose: Purpose, lane: u64) -> EnvRng {
    EnvRng::from_entropy(&[seed, purpose as u64, lane])
}

/// Environment seeds of training have this bit clear, those of evaluation have it set.
const EVALUATION: u64 = 1 << 63;

/// Lane 0's environment seed; lane i takes this plus i, as in Gymnasium.
///
/// Runs with neighbouring seeds must not share environments, so it is a hash of the run's seed.
pub fn training_env_seed(seed: u64) -> u64 {
    // Two bits clear: adding a lane's number can't reach the evaluation bit.
    hash(seed, Purpose::TrainingEnv, 0) >> 2
}

/// The environment seed of evaluation episode `episode`; no training environment ever has it.
pub fn evaluation_seed(seed: u64, episode: u64) -> u64 {
    hash(seed, Purpose::EvaluationEnv, episode) | EVALUATION
}

fn hash(seed: u64, purpose: Purpose, index: u64) -> u64 {
    SeedSequence::from_entropy(&[seed, purpose as u64, index]).generate_u64(1)[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;
    use std::collections::HashSet;

    #[test]
    fn streams_differ_by_seed_purpose_and_lane() {
        let mut first = HashSet::new();
        for seed in [0, 1, u64::MAX] {
            for purpose in [Purpose::PolicyInit, Purpose::ValueInit, Purpose::Action] {
                for lane in [0, 1, 1 << 40] {
                    assert!(first.insert(stream(seed, purpose, lane).next_u64()));
                }
            }
        }
        assert_eq!(stream(5, Purpose::Action, 2), stream(5, Purpose::Action, 2));
    }

    #[test]
    fn evaluation_never_meets_training() {
        for seed in (0..1000).chain([u64::MAX]) {
            let last_lane = training_env_seed(seed).checked_add(65_536).unwrap();
            assert_eq!(last_lane & EVALUATION, 0);
            assert_ne!(evaluation_seed(seed, seed) & EVALUATION, 0);
        }
    }

    #[test]
    fn neighbouring_seeds_share_no_environment() {
        let lanes = 64;
        let mut seen = HashSet::new();
        for seed in 0..100 {
            for lane in 0..lanes {
                assert!(seen.insert(training_env_seed(seed) + lane));
            }
        }
    }
}
