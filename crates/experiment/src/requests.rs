//! What may be asked of a training while it goes on.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Asks a training for things while it goes on, from any thread: whoever clones it asks the same one. What
/// is asked for comes at the next update boundary, and changes no result.
///
/// [`Recorder::heed`](crate::Recorder::heed) is the other end.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Whether there is anything to look at: all that a training without requests ever reads.
    any: AtomicBool,
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

/// What is wanted and has not been given yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) checkpoint: bool,
    pub(crate) policy: bool,
    pub(crate) paused: bool,
}

impl Requests {
    /// Asks for a checkpoint; [`News::Checkpoint`](crate::News::Checkpoint) tells that it is written.
    pub fn checkpoint(&self) {
        self.want(|wanted| wanted.checkpoint = true);
    }

    /// Asks for the policy as it stands; it comes as [`News::Policy`](crate::News::Policy).
    pub fn policy(&self) {
        self.want(|wanted| wanted.policy = true);
    }

    /// Has the training wait between two updates, or go on. It answers other requests while it waits, and
    /// the seconds in which it does count nowhere as trained.
    pub fn pause(&self, paused: bool) {
        self.want(|wanted| wanted.paused = paused);
    }

    /// Whether the training is to wait.
    pub fn paused(&self) -> bool {
        self.lock().paused
    }

    /// Whether there is anything that was asked for.
    pub(crate) fn any(&self) -> bool {
        self.0.any.load(Ordering::Acquire)
    }

    /// What is wanted. A pause stays so until it is taken back, the rest is given now.
    pub(crate) fn take(&self) -> Wanted {
        let mut wanted = self.lock();
        let taken = *wanted;
        *wanted = Wanted { paused: taken.paused, ..Wanted::default() };
        self.0.any.store(taken.paused, Ordering::Release);
        taken
    }

    /// Waits until something else is asked for, but not longer than `most`.
    pub(crate) fn wait(&self, most: Duration) {
        let idle = |wanted: &mut Wanted| wanted.paused && !wanted.checkpoint && !wanted.policy;
        // A thread that panicked while it asked leaves nothing half asked.
        drop(self.0.changed.wait_timeout_while(self.lock(), most, idle));
    }

    fn want(&self, change: impl FnOnce(&mut Wanted)) {
        let mut wanted = self.lock();
        change(&mut wanted);
        self.0.any.store(true, Ordering::Release);
        self.0.changed.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Wanted> {
        self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
