//! Whether several threads are quicker than one, which is tried out while they work.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use elegante_kernels::Team;

pub(crate) use elegante_kernels::{Ahead, Task};

/// Calls of a trial.
const TRIAL: u32 = 8;
/// Calls until the next trial, at first; each trial that the other threads lose doubles them, so that it
/// costs nothing to speak of on a machine that has no thread to spare.
const SOON: u32 = 512;
/// Calls until the next trial, at most.
const LATE: u32 = 1 << 16;

/// One thread, or several where that is quicker, which is tried out from time to time: what comes out is the
/// same either way.
#[derive(Clone, Debug)]
pub(crate) struct Crew {
    team: Team,
    pace: Cell<Pace>,
}

/// What is known about which is quicker. What has been begun ahead is part of the calls of several threads and not
/// of those of one, so that several have to be quicker by more than that.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pace {
    now: Phase,
    /// Calls left of this phase.
    left: u32,
    /// Time that this phase has taken, and its slowest call.
    taken: Duration,
    slowest: Duration,
    /// What the trial of one thread took, without its slowest call.
    alone: Duration,
    /// Calls between trials.
    interval: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    TryOne,
    TryAll,
    One,
    All,
}

impl Pace {
    /// With calls of all threads, which have to start and to get memory of their own: those decide nothing.
    const START: Self = Self {
        now: Phase::All,
        left: TRIAL,
        taken: Duration::ZERO,
        slowest: Duration::ZERO,
        alone: Duration::ZERO,
        interval: SOON,
    };

    /// After a call that took so long.
    fn after(mut self, call: Duration) -> Self {
        (self.left, self.taken) = (self.left - 1, self.taken + call);
        self.slowest = self.slowest.max(call);
        // One call that something came in between of, or that had to wake the others, decides nothing.
        let usual = self.taken - self.slowest;
        let lost = self.now == Phase::TryAll && usual > self.alone;
        if self.left > 0 && !lost {
            return self;
        }
        let (now, left) = match self.now {
            Phase::TryOne => (Phase::TryAll, TRIAL),
            Phase::TryAll if lost => {
                self.interval = LATE.min(2 * self.interval);
                (Phase::One, self.interval)
            }
            Phase::TryAll => {
                self.interval = SOON;
                (Phase::All, SOON)
            }
            Phase::One | Phase::All => (Phase::TryOne, TRIAL),
        };
        if self.now == Phase::TryOne {
            self.alone = usual;
        }
        Self { now, left, taken: Duration::ZERO, slowest: Duration::ZERO, ..self }
    }
}

impl Crew {
    /// The calling thread, and as many others as make `threads`, or as the system has to give.
    pub(crate) fn new(threads: usize) -> Self {
        Self { team: Team::new(threads), pace: Cell::new(Pace::START) }
    }

    /// The calling thread by itself.
    pub(crate) fn alone() -> Self {
        Self::new(1)
    }

    /// Threads, the calling one among them.
    pub(crate) fn threads(&self) -> usize {
        self.team.threads()
    }

    /// Does all of `tasks`, each on a thread of its own if that is quicker, and returns what they return,
    /// in their order.
    ///
    /// # Panics
    /// Where one of them does, or when there are more of them than threads: that is a mistake in the caller.
    pub(crate) fn all<T: Send + 'static>(&self, tasks: Vec<Task<T>>) -> Vec<T> {
        if tasks.len() < 2 {
            return one_by_one(tasks);
        }
        self.paced(|team| match team {
            Some(team) => team.all(tasks),
            None => one_by_one(tasks),
        })
    }

    /// Begins `task` on another thread, while the threads work together; otherwise it is done when somebody wants
    /// what it returns. A crew that has never had anything to share does not keep another thread awake for this.
    pub(crate) fn ahead<T: Send + 'static>(&self, task: Task<T>) -> Ahead<T> {
        match self.pace.get() {
            Pace::START => Ahead::Later(task),
            Pace { now: Phase::TryAll | Phase::All, .. } => self.team.ahead(task),
            _ => Ahead::Later(task),
        }
    }

    /// Does `work`, with the rows of large layers shared among the threads if that is quicker.
    pub(crate) fn lend<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.threads() == 1 {
            return work();
        }
        self.paced(|team| match team {
            Some(team) => team.lend(work),
            None => work(),
        })
    }

    /// Does `work`, with the team if that is quicker, and notes how long it took.
    fn paced<T>(&self, work: impl FnOnce(Option<&Team>) -> T) -> T {
        let (began, pace) = (Instant::now(), self.pace.get());
        let result = match pace.now {
            Phase::TryOne | Phase::One => work(None),
            Phase::TryAll | Phase::All => work(Some(&self.team)),
        };
        self.pace.set(pace.after(began.elapsed()));
        result
    }
}

fn one_by_one<T>(tasks: Vec<Task<T>>) -> Vec<T> {
    tasks.into_iter().map(|task| task()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: u32) -> Vec<Task<u32>> {
        (0..n).map(|i| Box::new(move || i) as Task<u32>).collect()
    }

    #[test]
    fn all_is_done_in_order_in_every_phase() {
        let crew = Crew::new(3);
        for i in 0..3 * SOON {
            let n = i % 4;
            assert_eq!(crew.all(numbers(n)), (0..n).collect::<Vec<_>>());
        }
        assert_eq!(Crew::alone().all(numbers(1)), [0]);
    }

    #[test]
    fn the_team_is_lent_where_several_are_tried_or_quicker() {
        let crew = Crew::new(3);
        for _ in 0..3 * SOON {
            let pace = crew.pace.get();
            let several = matches!(pace.now, Phase::TryAll | Phase::All);
            let caller = std::thread::current().id();
            let ahead = crew.ahead(Box::new(|| std::thread::current().id()));
            assert_eq!(ahead.get() != caller, several && pace != Pace::START);
            assert_eq!(crew.lend(Team::lent), if several { 3 } else { 1 });
        }
        assert_eq!(Crew::alone().lend(Team::lent), 1);
    }

    /// Which phases follow, calls taking as long as `one` and `all` say: `(phase, calls)`.
    fn phases(one: u64, all: u64, n: usize) -> Vec<(Phase, u32)> {
        let mut pace = Pace::START;
        let mut seen = vec![(pace.now, 0)];
        while seen.len() <= n {
            let several = matches!(pace.now, Phase::TryAll | Phase::All);
            let call = Duration::from_micros(if several { all } else { one });
            seen.last_mut().expect("never empty").1 += 1;
            let before = pace.now;
            pace = pace.after(call);
            if pace.now != before {
                seen.push((pace.now, 0));
            }
        }
        seen.truncate(n);
        seen
    }

    #[test]
    fn the_quicker_way_is_kept_and_tried_again() {
        use Phase::{All, One, TryAll, TryOne};
        let (begins, tried) = ((All, TRIAL), (TryOne, TRIAL));
        let gain = phases(100, 60, 5);
        assert_eq!(gain, [begins, tried, (TryAll, TRIAL), (All, SOON), tried]);
        // A thread that has to be waited for is given up at the second call that shows it.
        let loss = phases(100, 900, 7);
        let (first, second) = ((One, 2 * SOON), (One, 4 * SOON));
        assert_eq!(loss, [begins, tried, (TryAll, 2), first, tried, (TryAll, 2), second]);
        assert_eq!(phases(100, 900, 61)[60], (One, LATE));
    }

    #[test]
    fn one_slow_call_decides_nothing() {
        for slow in 0..2 * TRIAL {
            let mut pace = Pace { now: Phase::TryOne, ..Pace::START };
            for call in 0..2 * TRIAL {
                let usual = if call < TRIAL { 100 } else { 60 };
                pace = pace.after(Duration::from_micros(if call == slow { 9_000 } else { usual }));
            }
            assert_eq!((pace.now, pace.left), (Phase::All, SOON), "call {slow}");
        }
    }
}
