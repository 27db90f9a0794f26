//! Which trials are given up before their end.

use serde::{Deserialize, Serialize};

use super::{Reading, Trial, TrialState};
use crate::statistics::median;

/// Complete trials before the median says anything, as in Optuna.
const STARTUP: usize = 5;
/// One part in so many of a seed's training is not judged by the median, as in rl-baselines3-zoo.
const WARM_UP: u64 = 3;
/// Of so many trials that come to a rung one goes on.
const REDUCTION: u64 = 2;

/// How a trial is given up early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pruner {
    /// Every trial is trained to its end.
    None,
    /// The median stopping rule (Golovin et al., 2017: Google Vizier), as Optuna has it: a trial whose best
    /// evaluation so far is below the median of what the others had come to by then is given up; not
    /// before five trials are complete, and not in the first third of a training.
    #[default]
    Median,
    /// Asynchronous successive halving (Li et al., 2020: A system for massively parallel hyperparameter
    /// tuning): after 1, 2, 4, … evaluations a trial goes on if it is among the better half of those that
    /// have come so far.
    Halving,
}

impl Pruner {
    /// Whether the trial with the readings `mine` is to be given up now; `done` are the trials that are
    /// over, `running` the readings of the others under way, and a seed has `rungs` evaluations.
    pub(super) fn prunes(
        self,
        rungs: u64,
        mine: &[Reading],
        done: &[Trial],
        running: &[&[Reading]],
    ) -> bool {
        match self {
            Self::None => false,
            Self::Median => below_median(rungs, mine, done),
            Self::Halving => not_promoted(mine, done, running),
        }
    }
}

fn below_median(rungs: u64, mine: &[Reading], done: &[Trial]) -> bool {
    let Some(now) = mine.last() else { return false };
    let complete = done.iter().filter(|trial| trial.state == TrialState::Complete).count();
    // Of a further seed, what the seeds before it came to is in every reading.
    if complete < STARTUP || now.position * WARM_UP <= rungs {
        return false;
    }
    let others: Vec<f64> = done.iter().filter_map(|trial| by_then(trial, now.position)).collect();
    let of_seed = mine.iter().filter(|reading| reading.seed == now.seed);
    let best = of_seed.map(|reading| reading.value).fold(f64::NEG_INFINITY, f64::max);
    !others.is_empty() && best < median(&others)
}

/// What a trial had come to at `position`, if it got there: its last reading until then.
fn by_then(trial: &Trial, position: u64) -> Option<f64> {
    let there = trial.state == TrialState::Complete || trial.last().0 >= position;
    let until = trial.readings.iter().rfind(|reading| reading.position <= position);
    until.filter(|_| there).map(|reading| reading.value)
}

fn not_promoted(mine: &[Reading], done: &[Trial], running: &[&[Reading]]) -> bool {
    let Some((now, before)) = mine.split_last() else { return false };
    let Some(rung) = rung(before.last().map_or(0, |it| it.position), now.position) else {
        return false;
    };
    let done = done.iter().map(|trial| trial.readings.as_slice());
    let others = done.chain(running.iter().copied());
    // Long rollouts pass a rung by; what they came to next is what they came to.
    let at = others.filter_map(|readings| readings.iter().find(|it| it.position >= rung));
    let mut values: Vec<f64> = at.map(|reading| reading.value).chain([now.value]).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    let promoted = (values.len() / REDUCTION as usize).max(1);
    now.value < values[promoted - 1]
}

/// The last rung, 1, 2, 4, …, after `before` and not after `now`.
fn rung(before: u64, now: u64) -> Option<u64> {
    let rungs = std::iter::successors(Some(1), |rung: &u64| rung.checked_mul(REDUCTION));
    rungs.take_while(|rung| *rung <= now).last().filter(|rung| *rung > before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::testing::{complete, pruned, reading};

    const RUNGS: u64 = 8;

    fn readings(values: &[f64]) -> Vec<Reading> {
        (1..).zip(values).map(|(position, value)| reading(position, *value)).collect()
    }

    /// Complete trials of which the one with value v had come to v·position.
    fn done(values: &[f64]) -> Vec<Trial> {
        let of = |(number, value): (usize, &f64)| {
            let steps: Vec<f64> = (1..RUNGS).map(|position| value * position as f64).collect();
            Trial { readings: readings(&steps), ..complete(number as u64, 8.0 * value) }
        };
        values.iter().enumerate().map(of).collect()
    }

    #[test]
    fn the_median_gives_up_what_is_below_it_and_nothing_else() {
        let done = done(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        let prunes = |values: &[f64]| Pruner::Median.prunes(RUNGS, &readings(values), &done, &[]);
        // At the third evaluation the others had 3, 6, 9, 12 and 15.
        assert!(prunes(&[0.0, 0.0, 8.9]));
        assert!(!prunes(&[0.0, 0.0, 9.0]));
        assert!(!prunes(&[0.0, 9.5, 1.0]), "its best so far is what counts");
        assert!(!prunes(&[-9.0, -9.0]), "the first third is not judged");
        assert!(prunes(&[-9.0, -9.0, -9.0]));
    }

    #[test]
    fn the_median_waits_for_five_complete_trials() {
        let mut done = done(&[1.0, 2.0, 3.0, 4.0]);
        let prunes = |done: &[Trial]| {
            Pruner::Median.prunes(RUNGS, &readings(&[-1.0, -1.0, -1.0]), done, &[])
        };
        assert!(!prunes(&done));
        done.push(pruned(4, 3, 0.0));
        assert!(!prunes(&done), "one that was given up is not complete");
        done.push(complete(5, 0.0));
        assert!(prunes(&done));
    }

    #[test]
    fn the_median_takes_the_last_that_is_known_of_long_rollouts() {
        let mut done = done(&[1.0, 1.0, 1.0, 1.0, 1.0]);
        for trial in &mut done {
            trial.readings.retain(|reading| reading.position % 3 == 1);
        }
        let prunes = |value| {
            Pruner::Median.prunes(
                RUNGS,
                &readings(&[-1.0, -1.0, -1.0, -1.0, -1.0, value]),
                &done,
                &[],
            )
        };
        // At the sixth, what is known is the fourth.
        assert!(prunes(3.9) && !prunes(4.0));
    }

    #[test]
    fn halving_lets_the_better_half_go_on_at_each_rung() {
        let done = done(&[1.0, 2.0, 3.0]);
        let prunes = |values: &[f64]| Pruner::Halving.prunes(RUNGS, &readings(values), &done, &[]);
        // With this one four have come to the rung, and two of them go on.
        assert!(prunes(&[1.9]) && !prunes(&[2.0]));
        assert!(!prunes(&[9.0, 9.0, 0.0]), "three is no rung");
        assert!(prunes(&[9.0, 9.0, 9.0, 7.9]) && !prunes(&[9.0, 9.0, 9.0, 8.0]));
        let first = Pruner::Halving.prunes(RUNGS, &readings(&[-5.0]), &[], &[]);
        assert!(!first, "nobody is worse than nobody");
    }

    #[test]
    fn halving_counts_those_under_way() {
        let (fast, slow) = (readings(&[5.0]), readings(&[]));
        let running: [&[Reading]; 2] = [&fast, &slow];
        let prunes = |value| Pruner::Halving.prunes(RUNGS, &readings(&[value]), &[], &running);
        assert!(prunes(4.0) && !prunes(6.0));
    }

    #[test]
    fn a_rung_that_was_passed_by_is_judged_once() {
        assert_eq!(
            [(0, 1), (0, 3), (1, 2), (2, 3), (3, 9)].map(|(a, b)| rung(a, b)),
            [Some(1), Some(2), Some(2), None, Some(8)]
        );
    }

    #[test]
    fn without_a_pruner_nothing_is_given_up() {
        let done = done(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!(!Pruner::None.prunes(RUNGS, &readings(&[-1.0, -1.0, -1.0, -1.0]), &done, &[]));
    }
}
