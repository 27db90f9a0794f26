//! How much memory there is for experience.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use sysinfo::System;

use crate::TrainError;

/// How often a buffer is in memory at most: itself, and twice in a checkpoint that is being written, as
/// numbers and as bytes of a file.
pub(crate) const COPIES: u64 = 3;

/// Bytes that a program may still take, as far as the operating system tells: what is free or can be freed
/// at once, within the limit of the container if there is one.
fn available() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    let limit = system.cgroup_limits().map(|limits| limits.free_memory);
    Some(system.available_memory())
        .filter(|bytes| *bytes > 0)
        .map(|free| free.min(limit.unwrap_or(free)))
}

/// What buffers may still come to take: they fill while they are used, long after somebody looked at how much
/// is free.
#[derive(Debug)]
struct Promises(Mutex<Vec<Weak<AtomicU64>>>);

/// Those of this process.
static PROMISES: Promises = Promises(Mutex::new(Vec::new()));

impl Promises {
    /// Speaks for so much, if there is so much of what is free for which nobody else has.
    fn make(&self, whole: u64, free: impl FnOnce() -> Option<u64>) -> Result<Promise, u64> {
        // A list of numbers is in order whoever panicked.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spoken_for = 0u64;
        all.retain(|promise| {
            let left = promise.upgrade();
            let bytes = left.as_ref().map_or(0, |left| left.load(Ordering::Relaxed));
            spoken_for = spoken_for.saturating_add(bytes);
            left.is_some()
        });
        match free().map(|free| free.saturating_sub(spoken_for)) {
            Some(free) if whole > free => Err(free),
            _ => {
                let left = Arc::new(AtomicU64::new(whole));
                all.push(Arc::downgrade(&left));
                Ok(Promise { whole, left })
            }
        }
    }
}

/// Memory that is spoken for as long as this lives.
#[derive(Debug)]
pub(crate) struct Promise {
    whole: u64,
    left: Arc<AtomicU64>,
}

impl Promise {
    /// So much of it has been taken.
    pub(crate) fn taken(&self, bytes: u64) {
        self.left.store(self.whole.saturating_sub(bytes), Ordering::Relaxed);
    }
}

/// What an algorithm wants to keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The setting that says how much, and what it says.
    pub(crate) setting: (&'static str, usize),
    /// How many it would come to hold.
    pub(crate) transitions: usize,
    /// What they take.
    pub(crate) bytes: u64,
    /// What the minibatches of an update take beside them.
    pub(crate) minibatches: u64,
    /// What a setting allows, in bytes.
    pub(crate) allowed: Option<u64>,
}

impl Wanted {
    /// Speaks for the memory.
    ///
    /// # Errors
    /// [`TrainError::ReplayMemory`] when it is more than is allowed, or than the machine has.
    pub(crate) fn promise(self) -> Result<Promise, TrainError> {
        if let Some(allowed) = self.allowed.filter(|allowed| self.bytes > *allowed) {
            return Err(self.refused(allowed, true));
        }
        let whole = self.bytes.saturating_mul(COPIES).saturating_add(self.minibatches);
        PROMISES.make(whole, available).map_err(|free| self.refused(free, false))
    }

    /// That there is not so much memory.
    fn refused(self, limit: u64, by_setting: bool) -> TrainError {
        let Self { setting: (setting, capacity), transitions, bytes, minibatches, .. } = self;
        let each = (bytes / transitions.max(1) as u64).max(1);
        let fit = match by_setting {
            true => limit / each,
            false => limit.saturating_sub(minibatches) / each.saturating_mul(COPIES),
        };
        let refused = ReplayMemory {
            setting,
            capacity,
            transitions,
            bytes,
            minibatches,
            limit,
            by_setting,
            fit,
        };
        TrainError::ReplayMemory(refused)
    }
}

/// A replay buffer that would not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayMemory {
    /// The setting that says how many transitions are kept.
    pub setting: &'static str,
    /// How many it says.
    pub capacity: usize,
    /// How many it would come to hold: no more than the run has steps.
    pub transitions: usize,
    /// What they take, not counting what a checkpoint does.
    pub bytes: u64,
    /// What all minibatches of an update take, which are kept until it is done.
    pub minibatches: u64,
    /// What there is, in bytes.
    pub limit: u64,
    /// Whether a setting says so; else the machine has no more.
    pub by_setting: bool,
    /// How many would fit.
    pub fit: u64,
}

impl fmt::Display for ReplayMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, capacity, transitions, bytes, minibatches, .. } = self;
        let (takes, limit, table) = (size(*bytes), size(self.limit), table(setting));
        let steps = if transitions < capacity { ", one for each step of the run," } else { "" };
        write!(
            f,
            "{setting} = {capacity}: a replay buffer of {transitions} transitions{steps} takes {takes}, and "
        )?;
        if self.by_setting {
            write!(f, "{table}.buffer_memory allows {limit}: ")?;
        } else {
            let copies = size(bytes.saturating_mul(COPIES));
            write!(f, "{copies} while a checkpoint of it is written; ")?;
            // Where they are no small part of it.
            if minibatches / 10 > *bytes {
                let all = size(*minibatches);
                write!(f, "the minibatches of an update take {all} ({table}.batch_size, ")?;
                write!(f, "{table}.gradient_steps); ")?;
            }
            write!(f, "the machine has {limit} to spare: ")?;
        }
        match self.fit {
            0 => f.write_str("not one of them would fit"),
            fit => write!(f, "at most {fit} transitions fit"),
        }
    }
}

/// The table that a setting is in.
pub(crate) fn table(setting: &str) -> &str {
    setting.split('.').next().unwrap_or_default()
}

/// Bytes for people: "1.5 GiB".
pub(crate) fn size(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = (bytes.max(1).ilog2() / 10) as usize;
    match unit {
        0 => format!("{bytes} bytes"),
        unit => format!("{:.1} {}", bytes as f64 / 1024f64.powi(unit as i32), units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(bytes: u64, allowed: Option<u64>) -> Wanted {
        let (setting, minibatches) = (("dqn.buffer_size", 1_000), 0);
        Wanted { setting, transitions: 1_000, bytes, minibatches, allowed }
    }

    #[test]
    fn more_than_there_is_or_may_be_is_refused_with_the_size_and_what_would_fit() {
        wanted(10_000, Some(10_000)).promise().unwrap();
        wanted(10_000, None).promise().unwrap();
        let refused = |wanted: Wanted| wanted.promise().unwrap_err().to_string();
        let error = refused(wanted(10_001, Some(5_000)));
        assert!(error.contains("9.8 KiB") && error.contains("at most 500"), "{error}");
        assert!(error.contains("dqn.buffer_memory allows 4.9 KiB"), "{error}");
        let error = refused(wanted(1 << 60, None));
        assert!(error.contains("1.0 EiB") && error.contains("dqn.buffer_size = 1000"), "{error}");
        assert!(error.contains("3.0 EiB while a checkpoint"), "{error}");
        let error = refused(wanted(10_001, Some(5)));
        assert!(error.ends_with("not one of them would fit"), "{error}");
    }

    #[test]
    fn a_setting_does_not_make_the_machine_larger() {
        let error = wanted(1 << 60, Some(u64::MAX)).promise().unwrap_err().to_string();
        assert!(error.contains("the machine has"), "{error}");
    }

    #[test]
    fn minibatches_need_room_too_and_are_named_where_they_take_it() {
        let wanted = |minibatches| Wanted { minibatches, ..wanted(10_000, None) };
        wanted(1 << 20).promise().unwrap();
        let error = wanted(1 << 60).promise().unwrap_err().to_string();
        assert!(error.contains("the minibatches of an update take 1.0 EiB"), "{error}");
        assert!(error.contains("(dqn.batch_size, dqn.gradient_steps)"), "{error}");
        assert!(error.ends_with("not one of them would fit"), "{error}");
        // Not a setting's business, which is the buffer's by itself.
        let allowed = Wanted { allowed: Some(10_000), ..wanted(1 << 20) };
        allowed.promise().unwrap();
    }

    #[test]
    fn a_shorter_run_is_said_to_be_the_reason() {
        let wanted = Wanted { transitions: 400, ..wanted(1 << 60, None) };
        let error = wanted.promise().unwrap_err().to_string();
        assert!(error.contains("400 transitions, one for each step of the run,"), "{error}");
    }

    #[test]
    fn what_is_promised_is_not_there_for_others_until_it_is_given_back() {
        let promises = Promises(Mutex::new(Vec::new()));
        let first = promises.make(60, || Some(100)).unwrap();
        assert_eq!(promises.make(41, || Some(100)).unwrap_err(), 40);
        let second = promises.make(40, || Some(100)).unwrap();
        // What has been taken is missing from what is free, and would be counted twice.
        first.taken(50);
        assert_eq!(promises.make(1, || Some(50)).unwrap_err(), 0);
        drop(second);
        drop(promises.make(40, || Some(50)).unwrap());
        drop(first);
        promises.make(100, || Some(100)).unwrap();
        // Who does not know what there is refuses nothing.
        promises.make(u64::MAX, || None).unwrap();
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(u64::MAX), "16.0 EiB");
    }
}
