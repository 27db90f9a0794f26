//! How long something takes.

use std::time::{Duration, Instant};

/// How long a call took, in turns of many calls each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// Seconds of a call: the median over the turns.
    pub seconds: f64,
    /// Seconds of a call in the quickest turn, which is the one that was disturbed least.
    pub least: f64,
    /// The middle half of the turns, from its shortest to its longest, as a share of the median.
    pub spread: f64,
    /// Turns.
    pub turns: usize,
    /// Calls in a turn.
    pub calls: usize,
}

/// Turns at least, where each is of several calls.
const FEWEST: usize = 3;
/// Turns that `time` aims at.
const TURNS: u32 = 12;

impl Timing {
    /// From the seconds of a call in each turn of `calls`; NaN without any.
    pub fn of(mut turns: Vec<f64>, calls: usize) -> Self {
        if turns.is_empty() {
            return Self { seconds: f64::NAN, least: f64::NAN, spread: f64::NAN, turns: 0, calls };
        }
        turns.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * (turns.len() - 1) as f64;
            let (below, above) = (turns[place.floor() as usize], turns[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        let seconds = at(0.5);
        let spread = (at(0.75) - at(0.25)) / seconds;
        Self { seconds, least: turns[0], spread, turns: turns.len(), calls }
    }
}

/// Times `work` by the clock on the wall, for about `budget`. The first call does not count, unless it is beyond
/// the budget by itself: then there is no other.
///
/// # Errors
/// The first that `work` returns.
pub fn time<E>(budget: Duration, mut work: impl FnMut() -> Result<(), E>) -> Result<Timing, E> {
    let mut turn = |calls: usize| {
        let began = Instant::now();
        (0..calls).try_for_each(|_| work())?;
        // What takes no time at all takes one tick of the clock.
        Ok(began.elapsed().max(Duration::from_nanos(1)).as_secs_f64())
    };
    let (began, wanted) = (Instant::now(), (budget / TURNS).as_secs_f64());
    let first = turn(1)?;
    if first > budget.as_secs_f64() {
        return Ok(Timing::of(vec![first], 1));
    }
    let mut calls = 1;
    let second = turn(calls)?;
    // Either of them may have been disturbed.
    let mut took = first.min(second);
    while took < wanted / 2.0 && calls < 1 << 40 {
        calls *= 2;
        took = turn(calls)?;
    }
    calls = (calls as f64 * wanted / took).round().max(1.0) as usize;
    // What takes so long that every call is a turn has had one, and may have no time for another.
    let (mut turns, fewest) = if calls == 1 { (vec![second], 1) } else { (Vec::new(), FEWEST) };
    let expected = |turns: &[f64]| {
        Duration::from_secs_f64(turns.last().map_or(0.0, |last| last * calls as f64))
    };
    while turns.len() < fewest || began.elapsed() + expected(&turns) <= budget {
        turns.push(turn(calls)? / calls as f64);
    }
    Ok(Timing::of(turns, calls))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn median_and_spread_are_those_of_the_turns() {
        let timing = Timing::of(vec![5.0, 1.0, 2.0, 4.0, 3.0], 7);
        let expected = Timing { seconds: 3.0, least: 1.0, spread: 2.0 / 3.0, turns: 5, calls: 7 };
        assert_eq!(timing, expected);
        assert_eq!(Timing::of(vec![1.0, 2.0], 1).seconds, 1.5);
        assert!(Timing::of(Vec::new(), 1).seconds.is_nan());
    }

    #[test]
    fn quick_work_is_done_many_times_in_a_turn_and_slow_work_once_or_twice_in_all() {
        let mut done = 0usize;
        let count = |done: &mut usize| {
            *done += 1;
            Ok::<(), Infallible>(())
        };
        let Ok(quick) = time(Duration::from_millis(20), || count(&mut done));
        assert!(quick.calls > 100 && quick.seconds > 0.0 && quick.least <= quick.seconds);
        assert!(quick.turns >= FEWEST && done >= quick.calls * quick.turns);
        // Nothing can be done within no time.
        let mut done = 0usize;
        let Ok(slow) = time(Duration::ZERO, || count(&mut done));
        assert_eq!((slow.calls, slow.turns, done), (1, 1, 1));
        // The first of two calls does not count where both fit; a third does not.
        let (mut done, nap) = (0usize, Duration::from_millis(20));
        let Ok(slow) = time(2 * nap, || {
            std::thread::sleep(nap);
            count(&mut done)
        });
        assert_eq!((slow.calls, slow.turns), (1, 1));
        assert!(done <= 2 && slow.seconds >= nap.as_secs_f64(), "{done} calls, {slow:?}");
    }

    #[test]
    fn an_error_ends_it() {
        let mut left = 10;
        let failing = || {
            left -= 1;
            if left == 0 { Err("over") } else { Ok(()) }
        };
        assert_eq!(time(Duration::from_secs(60), failing), Err("over"));
    }
}
