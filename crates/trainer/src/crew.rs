//! Further threads, for parts of an update that know nothing of each other.

use std::{
    cell::Cell,
    fmt,
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
    thread,
    time::{Duration, Instant},
};

type Job = Box<dyn FnOnce() + Send>;

/// What one thread is to do.
pub(crate) type Task<T> = Box<dyn FnOnce() -> T + Send>;

/// How long a thread looks for what it waits for before it sleeps. An update of a small network needs the
/// others every fraction of a millisecond; waking them each time would take as long as their part of the
/// work.
const PATIENCE: Duration = Duration::from_micros(200);

/// Calls of a trial.
const TRIAL: u32 = 8;
/// Calls until the next trial, at first; each trial that the other threads lose doubles them, so that it
/// costs nothing to speak of on a machine that has no thread to spare.
const SOON: u32 = 512;
/// Calls until the next trial, at most.
const LATE: u32 = 1 << 16;
/// Threads, at most.
const MOST: usize = 256;

/// One thread, or several where that is quicker, which is tried out from time to time: what comes out is the
/// same either way.
#[derive(Clone)]
pub(crate) struct Crew {
    /// What each of the other threads is to do. It ends when the last of these is dropped.
    mates: Vec<Sender<Job>>,
    pace: Cell<Pace>,
}

/// What is known about which is quicker.
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
    const START: Self = Self {
        now: Phase::TryOne,
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

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crew of {}", self.threads())
    }
}

impl Crew {
    /// The calling thread, and as many others as make `threads`, or as the system has to give.
    pub(crate) fn new(threads: usize) -> Self {
        let mates = (1..threads.min(MOST)).map_while(|_| mate()).collect();
        Self { mates, pace: Cell::new(Pace::START) }
    }

    /// The calling thread by itself.
    pub(crate) fn alone() -> Self {
        Self::new(1)
    }

    /// Threads, the calling one among them.
    pub(crate) fn threads(&self) -> usize {
        self.mates.len() + 1
    }

    /// Does all of `tasks`, each on a thread of its own if that is quicker, and returns what they return,
    /// in their order.
    ///
    /// # Panics
    /// Where one of them does, or when there are more of them than threads: that is a mistake in the caller.
    pub(crate) fn all<T: Send + 'static>(&self, tasks: Vec<Task<T>>) -> Vec<T> {
        assert!(tasks.len() <= self.threads(), "{} tasks for {self:?}", tasks.len());
        let one_by_one = |tasks: Vec<Task<T>>| tasks.into_iter().map(|task| task()).collect();
        if tasks.len() < 2 {
            return one_by_one(tasks);
        }
        let (began, pace) = (Instant::now(), self.pace.get());
        let results = match pace.now {
            Phase::TryOne | Phase::One => one_by_one(tasks),
            Phase::TryAll | Phase::All => side_by_side(&self.mates, tasks),
        };
        self.pace.set(pace.after(began.elapsed()));
        results
    }
}

/// A thread that does what it is sent.
fn mate() -> Option<Sender<Job>> {
    let (sender, jobs) = channel::<Job>();
    let mate = thread::Builder::new().name("elegante-mate".into());
    let started = mate.spawn(move || {
        while let Some(job) = receive(&jobs) {
            job();
        }
    });
    started.ok().map(|_| sender)
}

/// The first task on the calling thread, each other one on one of the `mates`.
fn side_by_side<T: Send + 'static>(mates: &[Sender<Job>], tasks: Vec<Task<T>>) -> Vec<T> {
    let mut tasks = tasks.into_iter();
    let first = tasks.next();
    let others: Vec<_> = tasks
        .zip(mates)
        .map(|(task, mate)| {
            let (done, result) = channel();
            let job: Job = Box::new(move || {
                // Nobody waits for the result any more where another task has panicked.
                let _ = done.send(task());
            });
            if let Err(job) = mate.send(job) {
                // That thread has died of an earlier job's panic.
                job.0();
            }
            result
        })
        .collect();
    let first = first.map(|task| task());
    let others = others.iter().map(|result| receive(result).expect("no other thread panicked"));
    first.into_iter().chain(others).collect()
}

/// The next message, or `None` when there will be none.
fn receive<T>(from: &Receiver<T>) -> Option<T> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        for _ in 0..64 {
            match from.try_recv() {
                Ok(message) => return Some(message),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => std::hint::spin_loop(),
            }
        }
        // Whoever has something to do comes first.
        thread::yield_now();
    }
    from.recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(crew: &Crew) -> Vec<thread::ThreadId> {
        let id = || -> Task<_> { Box::new(|| thread::current().id()) };
        side_by_side(&crew.mates, (0..crew.threads()).map(|_| id()).collect())
    }

    #[test]
    fn every_thread_does_one_task() {
        let crew = Crew::new(3);
        for _ in 0..100 {
            let ids = ids(&crew);
            assert_eq!(ids[0], thread::current().id());
            assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[2] != ids[0]);
        }
        thread::sleep(3 * PATIENCE);
        assert_ne!(ids(&crew)[1], thread::current().id(), "asleep, and awake again");
        assert_eq!([0, 1].map(|threads| Crew::new(threads).threads()), [1, 1]);
    }

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
        let gain = phases(100, 60, 4);
        assert_eq!(gain, [(TryOne, TRIAL), (TryAll, TRIAL), (All, SOON), (TryOne, TRIAL)]);
        // A thread that has to be waited for is given up at the second call that shows it.
        let loss = phases(100, 900, 6);
        let (first, second) = ((One, 2 * SOON), (One, 4 * SOON));
        assert_eq!(
            loss,
            [(TryOne, TRIAL), (TryAll, 2), first, (TryOne, TRIAL), (TryAll, 2), second]
        );
        assert_eq!(phases(100, 900, 60)[59], (One, LATE));
    }

    #[test]
    fn one_slow_call_decides_nothing() {
        for slow in 0..2 * TRIAL {
            let mut pace = Pace::START;
            for call in 0..2 * TRIAL {
                let usual = if call < TRIAL { 100 } else { 60 };
                pace = pace.after(Duration::from_micros(if call == slow { 9_000 } else { usual }));
            }
            assert_eq!((pace.now, pace.left), (Phase::All, SOON), "call {slow}");
        }
    }

    #[test]
    fn a_panic_there_is_a_panic_here_and_work_goes_on_without() {
        let crew = Crew::new(2);
        let tasks: Vec<Task<u32>> = vec![Box::new(|| 1), Box::new(|| panic!("on purpose"))];
        let both = || side_by_side(&crew.mates, tasks);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(both)).is_err());
        while crew.mates[0].send(Box::new(|| {})).is_ok() {
            thread::yield_now();
        }
        assert_eq!(side_by_side(&crew.mates, numbers(2)), [0, 1]);
    }
}
