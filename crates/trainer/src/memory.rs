//! How much memory there is for experience.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicU64, Ordering},
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
        let whole = self.bytes.saturating_mul(COPIES);
        PROMISES.make(whole, available).map_err(|free| self.refused(free, false))
    }

    /// That there is not so much memory.
    fn refused(self, limit: u64, by_setting: bool) -> TrainError {
        let Self { setting: (setting, capacity), transitions, bytes, .. } = self;
        let each = (bytes / transitions.max(1) as u64).max(1);
        let fit = limit / if by_setting { each } else { each.saturating_mul(COPIES) };
        TrainError::ReplayMemory { setting, capacity, transitions, bytes, limit, by_setting, fit }
    }
}

/// What [`TrainError::ReplayMemory`] says.
pub(crate) fn refusal(
    (setting, capacity, transitions): (&str, usize, usize),
    (bytes, limit, by_setting, fit): (u64, u64, bool, u64),
) -> String {
    let (takes, limit) = (size(bytes), size(limit));
    let steps = if transitions < capacity { ", one for each step of the run," } else { "" };
    let table = setting.split('.').next().unwrap_or_default();
    let why = match by_setting {
        true => format!("and {table}.buffer_memory allows {limit}"),
        false => format!(
            "and {} while a checkpoint of it is written; the machine has {limit} to spare",
            size(bytes.saturating_mul(COPIES))
        ),
    };
    let advice = match fit {
        0 => "not one of them would fit".to_owned(),
        fit => format!("at most {fit} transitions fit"),
    };
    format!(
        "{setting} = {capacity}: a replay buffer of {transitions} transitions{steps} takes {takes}, {why}: {advice}"
    )
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
        Wanted { setting: ("dqn.buffer_size", 1_000), transitions: 1_000, bytes, allowed }
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
