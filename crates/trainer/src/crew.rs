//! A second thread, for halves of an update that know nothing of each other.

use std::{
    cell::Cell,
    fmt,
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
    thread,
    time::{Duration, Instant},
};

type Job = Box<dyn FnOnce() + Send>;

/// How long a thread looks for what it waits for before it sleeps. An update of a small network needs the
/// other thread several times in a fraction of a millisecond; waking it each time would take as long as
/// its half of the work.
const PATIENCE: Duration = Duration::from_micros(200);

/// Calls of a trial.
const TRIAL: u32 = 8;
/// Calls until the next trial, at first; each trial that the second thread loses doubles them, so that it
/// costs nothing to speak of on a machine that has no thread to spare.
const SOON: u32 = 512;
/// Calls until the next trial, at most.
const LATE: u32 = 1 << 16;

/// One thread, or two where that is quicker, which is tried out from time to time: what comes out is the same
/// either way.
#[derive(Clone)]
pub(crate) struct Crew {
    /// What the second thread, if there is one, is to do. It ends when the last of these is dropped.
    jobs: Option<Sender<Job>>,
    pace: Cell<Pace>,
}

/// What is known about which is quicker.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pace {
    now: Phase,
    /// Calls left of this phase.
    left: u32,
    /// Time that this phase has taken, and that the trial of one thread took.
    taken: Duration,
    alone: Duration,
    /// Calls between trials.
    interval: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    TryOne,
    TryTwo,
    One,
    Two,
}

impl Pace {
    const START: Self = Self {
        now: Phase::TryOne,
        left: TRIAL,
        taken: Duration::ZERO,
        alone: Duration::ZERO,
        interval: SOON,
    };

    /// After a call that took so long.
    fn after(mut self, call: Duration) -> Self {
        (self.left, self.taken) = (self.left - 1, self.taken + call);
        let lost = self.now == Phase::TryTwo && self.taken > self.alone;
        if self.left > 0 && !lost {
            return self;
        }
        let (now, left) = match self.now {
            Phase::TryOne => (Phase::TryTwo, TRIAL),
            Phase::TryTwo if lost => {
                self.interval = LATE.min(2 * self.interval);
                (Phase::One, self.interval)
            }
            Phase::TryTwo => {
                self.interval = SOON;
                (Phase::Two, SOON)
            }
            Phase::One | Phase::Two => (Phase::TryOne, TRIAL),
        };
        if self.now == Phase::TryOne {
            self.alone = self.taken;
        }
        Self { now, left, taken: Duration::ZERO, ..self }
    }
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crew of {}", if self.jobs.is_some() { 2 } else { 1 })
    }
}

impl Crew {
    /// A second thread if there may be as many; none if the system has none to give.
    pub(crate) fn new(threads: usize) -> Self {
        if threads < 2 {
            return Self::alone();
        }
        let (jobs, todo) = channel::<Job>();
        let mate = thread::Builder::new().name("elegante-mate".into());
        let started = mate.spawn(move || {
            while let Some(job) = receive(&todo) {
                job();
            }
        });
        Self { jobs: started.ok().map(|_| jobs), pace: Cell::new(Pace::START) }
    }

    /// The calling thread by itself.
    pub(crate) fn alone() -> Self {
        Self { jobs: None, pace: Cell::new(Pace::START) }
    }

    /// Does both, `there` on the second thread if that is quicker.
    ///
    /// # Panics
    /// Where one of them does.
    pub(crate) fn both<A, B: Send + 'static>(
        &self,
        here: impl FnOnce() -> A,
        there: impl FnOnce() -> B + Send + 'static,
    ) -> (A, B) {
        let Some(jobs) = &self.jobs else { return (here(), there()) };
        let (began, pace) = (Instant::now(), self.pace.get());
        let both = match pace.now {
            Phase::TryOne | Phase::One => (here(), there()),
            Phase::TryTwo | Phase::Two => side_by_side(jobs, here, there),
        };
        self.pace.set(pace.after(began.elapsed()));
        both
    }
}

/// `there` on the thread that does the jobs.
fn side_by_side<A, B: Send + 'static>(
    jobs: &Sender<Job>,
    here: impl FnOnce() -> A,
    there: impl FnOnce() -> B + Send + 'static,
) -> (A, B) {
    let (done, result) = channel();
    let job: Job = Box::new(move || {
        // Nobody waits for the result any more where `here` has panicked.
        let _ = done.send(there());
    });
    if let Err(job) = jobs.send(job) {
        // The second thread has died of an earlier job's panic.
        job.0();
    }
    let here = here();
    (here, receive(&result).expect("the second thread did not panic"))
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

    fn ids(crew: &Crew) -> (thread::ThreadId, thread::ThreadId) {
        let jobs = crew.jobs.as_ref().expect("a second thread");
        side_by_side(jobs, || thread::current().id(), || thread::current().id())
    }

    #[test]
    fn two_threads_do_one_half_each() {
        let crew = Crew::new(2);
        for _ in 0..100 {
            let (here, there) = ids(&crew);
            assert_eq!(here, thread::current().id());
            assert_ne!(here, there);
        }
        thread::sleep(3 * PATIENCE);
        assert_ne!(ids(&crew).1, thread::current().id(), "asleep, and awake again");
        assert!(Crew::new(1).jobs.is_none());
    }

    #[test]
    fn both_halves_are_done_in_every_phase() {
        let crew = Crew::new(2);
        for i in 0..3 * SOON {
            assert_eq!(crew.both(|| i, move || i + 1), (i, i + 1));
        }
        assert_eq!(Crew::alone().both(|| 1, || 2), (1, 2));
    }

    /// Which phases follow, calls taking as long as `one` and `two` say: `(phase, calls)`.
    fn phases(one: u64, two: u64, n: usize) -> Vec<(Phase, u32)> {
        let mut pace = Pace::START;
        let mut seen = vec![(pace.now, 0)];
        while seen.len() <= n {
            let two_threads = matches!(pace.now, Phase::TryTwo | Phase::Two);
            let call = Duration::from_micros(if two_threads { two } else { one });
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
        use Phase::{One, TryOne, TryTwo, Two};
        let gain = phases(100, 60, 4);
        assert_eq!(gain, [(TryOne, TRIAL), (TryTwo, TRIAL), (Two, SOON), (TryOne, TRIAL)]);
        // A thread that has to be waited for is given up at the call that shows it.
        let loss = phases(100, 900, 6);
        let (first, second) = ((One, 2 * SOON), (One, 4 * SOON));
        assert_eq!(
            loss,
            [(TryOne, TRIAL), (TryTwo, 1), first, (TryOne, TRIAL), (TryTwo, 1), second]
        );
        assert_eq!(phases(100, 900, 60)[59], (One, LATE));
    }

    #[test]
    fn a_panic_there_is_a_panic_here_and_work_goes_on_alone() {
        let crew = Crew::new(2);
        let jobs = crew.jobs.as_ref().expect("a second thread");
        let both = || side_by_side(jobs, || 1, || -> i32 { panic!("on purpose") });
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(both)).is_err());
        while jobs.send(Box::new(|| {})).is_ok() {
            thread::yield_now();
        }
        assert_eq!(side_by_side(jobs, || 1, || 2), (1, 2));
    }
}
