//! Threads that work side by side, and operations whose rows they share.

#[cfg(feature = "flex")]
use std::ops::Range;
use std::{
    cell::RefCell,
    fmt,
    rc::Rc,
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
    thread,
    time::{Duration, Instant},
};

type Job = Box<dyn FnOnce() + Send>;

/// What one thread is to do.
pub type Task<T> = Box<dyn FnOnce() -> T + Send>;

/// How long a thread looks for what it waits for before it sleeps. An update of a small network needs the
/// others every fraction of a millisecond, after a rollout that may take as long; waking them each time would
/// take as long as their part of the work.
const PATIENCE: Duration = Duration::from_millis(1);
/// Threads, at most.
const MOST: usize = 256;
/// Products that are worth a thread of their own: what a core does in a hundred microseconds. With half as
/// many, what the other threads have to fetch from the first one's cache takes as long as they save.
#[cfg(feature = "flex")]
const WORTH: usize = if cfg!(test) { 1 << 10 } else { 1 << 22 };

/// The calling thread, and others that wait for something to do.
#[derive(Clone)]
pub struct Team {
    /// What each of the other threads is to do. It ends when the last of these is dropped.
    mates: Vec<Sender<Job>>,
}

/// What comes out of a task that another thread may have begun.
pub enum Ahead<T> {
    /// Nobody has: the thread that wants to know does it.
    Later(Task<T>),
    /// Another thread has been sent it.
    Sent(Receiver<T>),
}

impl<T> Ahead<T> {
    /// What the task returns, as soon as it has.
    ///
    /// # Panics
    /// Where the task does.
    pub fn get(self) -> T {
        match self {
            Self::Later(task) => task(),
            Self::Sent(result) => receive(&result).expect("no other thread panicked"),
        }
    }
}

thread_local! {
    /// The team that this thread's operations may use.
    static LENT: RefCell<Option<Rc<Team>>> = const { RefCell::new(None) };
}

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Team of {}", self.threads())
    }
}

impl Team {
    /// The calling thread, and as many others as make `threads`, or as the system has to give.
    pub fn new(threads: usize) -> Self {
        Self { mates: (1..threads.min(MOST)).map_while(|_| mate()).collect() }
    }

    /// Threads, the calling one among them.
    pub fn threads(&self) -> usize {
        self.mates.len() + 1
    }

    /// Threads that the calling one's operations may use: those of the team that it is [lent](Self::lend), or itself.
    pub fn lent() -> usize {
        LENT.with_borrow(|team| team.as_ref().map_or(1, |team| team.threads()))
    }

    /// Does all of `tasks`, the first on the calling thread and each other one on a thread of its own, and
    /// returns what they return, in their order.
    ///
    /// # Panics
    /// Where one of them does, or when there are more of them than threads: that is a mistake in the caller.
    pub fn all<T: Send + 'static>(&self, tasks: Vec<Task<T>>) -> Vec<T> {
        assert!(tasks.len() <= self.threads(), "{} tasks for a {self:?}", tasks.len());
        let mut tasks = tasks.into_iter();
        let first = tasks.next();
        let others: Vec<_> = tasks.zip(&self.mates).map(|(task, mate)| send(mate, task)).collect();
        let first = first.map(|task| task());
        let others = others.iter().map(|result| receive(result).expect("no other thread panicked"));
        first.into_iter().chain(others).collect()
    }

    /// Has the last of the other threads do `task`, after all that it has been sent before, while the calling
    /// thread goes on. Without another thread it is done when somebody wants what it returns, and where that
    /// thread has died of a panic, at once.
    pub fn ahead<T: Send + 'static>(&self, task: Task<T>) -> Ahead<T> {
        match self.mates.last() {
            Some(mate) => Ahead::Sent(send(mate, task)),
            None => Ahead::Later(task),
        }
    }

    /// Does `work`, in which the rows of large layers are shared among these threads. The bits of what comes
    /// out are the same with any team, and with none.
    pub fn lend<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Return(Option<Rc<Team>>);
        impl Drop for Return {
            fn drop(&mut self) {
                LENT.set(self.0.take());
            }
        }
        let _return = Return(LENT.replace(Some(Rc::new(self.clone()))));
        work()
    }
}

/// The rows that `work` makes of `given` for each part of `rows`, one after the other: of all of them at once, or
/// on the threads of the team that has been lent if that is worth it for so many products.
#[cfg(feature = "flex")]
pub(crate) fn by_rows<T: Clone + Send + 'static>(
    rows: usize,
    products: usize,
    given: &T,
    work: impl Fn(&T, Range<usize>) -> Vec<f32> + Copy + Send + 'static,
) -> Vec<f32> {
    let parts = rows.min(products / WORTH);
    // Most layers are small, and don't look for a team.
    let team = if parts > 1 { LENT.with_borrow(Clone::clone) } else { None };
    let parts = parts.min(team.as_ref().map_or(1, |team| team.threads()));
    let Some(team) = team.filter(|_| parts > 1) else { return work(given, 0..rows) };
    let task = |part| -> Task<Vec<f32>> {
        let (given, part) = (given.clone(), part * rows / parts..(part + 1) * rows / parts);
        Box::new(move || work(&given, part))
    };
    team.all((0..parts).map(task).collect()).concat()
}

/// Has `mate` do `task`; what it returns comes through the channel.
fn send<T: Send + 'static>(mate: &Sender<Job>, task: Task<T>) -> Receiver<T> {
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

    fn ids(team: &Team) -> Vec<thread::ThreadId> {
        let id = || -> Task<_> { Box::new(|| thread::current().id()) };
        team.all((0..team.threads()).map(|_| id()).collect())
    }

    #[test]
    fn every_thread_does_one_task() {
        let team = Team::new(3);
        for _ in 0..100 {
            let ids = ids(&team);
            assert_eq!(ids[0], thread::current().id());
            assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[2] != ids[0]);
        }
        thread::sleep(3 * PATIENCE);
        assert_ne!(ids(&team)[1], thread::current().id(), "asleep, and awake again");
        assert_eq!([0, 1].map(|threads| Team::new(threads).threads()), [1, 1]);
    }

    #[test]
    fn a_panic_there_is_a_panic_here_and_work_goes_on_without() {
        let team = Team::new(2);
        let tasks: Vec<Task<u32>> = vec![Box::new(|| 1), Box::new(|| panic!("on purpose"))];
        let both = || team.all(tasks);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(both)).is_err());
        while team.mates[0].send(Box::new(|| {})).is_ok() {
            thread::yield_now();
        }
        assert_eq!(team.all(vec![Box::new(|| 0), Box::new(|| 1)]), [0, 1]);
        assert_eq!(team.ahead(Box::new(|| 2)).get(), 2);
    }

    #[test]
    fn what_is_begun_ahead_is_done_elsewhere_and_between_what_all_do() {
        let team = Team::new(2);
        let elsewhere = team.ahead(Box::new(|| thread::current().id()));
        let ids = ids(&team);
        assert_eq!(elsewhere.get(), ids[1]);
        let alone = Team::new(1).ahead(Box::new(|| thread::current().id()));
        assert_eq!(alone.get(), ids[0]);
        drop(team.ahead(Box::new(|| ids)));
        let panics = team.ahead(Box::new(|| panic!("on purpose")));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| panics.get())).is_err());
    }

    #[cfg(feature = "flex")]
    #[test]
    fn rows_are_shared_while_a_team_is_lent_and_come_back_in_order() {
        let caller = thread::current().id();
        // Each row is its own number, and whether it was made elsewhere.
        let work = move |first: &usize, rows: Range<usize>| -> Vec<f32> {
            let elsewhere = f32::from(u8::from(thread::current().id() != caller));
            rows.flat_map(|row| [(first + row) as f32, elsewhere]).collect()
        };
        let made = |rows, products| -> (Vec<f32>, f32) {
            let all = by_rows(rows, products, &0, work);
            let (numbers, elsewhere): (Vec<_>, Vec<_>) =
                all.as_chunks::<2>().0.iter().map(|[row, elsewhere]| (*row, *elsewhere)).unzip();
            (numbers, elsewhere.iter().sum())
        };
        let numbers: Vec<f32> = (0..10_u8).map(f32::from).collect();
        let team = Team::new(3);
        assert_eq!(made(10, 9 * WORTH), (numbers.clone(), 0.0), "no team has been lent");
        team.lend(|| {
            assert_eq!(made(10, 9 * WORTH), (numbers.clone(), 7.0));
            assert_eq!(made(10, 2 * WORTH), (numbers.clone(), 5.0));
            assert_eq!(made(10, 2 * WORTH - 1), (numbers.clone(), 0.0), "not worth it");
            assert_eq!(made(2, 9 * WORTH).1, 1.0, "a row cannot be divided");
            assert_eq!(made(0, 9 * WORTH), (Vec::new(), 0.0));
        });
        let lent = || team.lend(|| panic!("on purpose"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(lent)).is_err());
        assert_eq!(made(10, 9 * WORTH).1, 0.0, "given back");
    }
}
