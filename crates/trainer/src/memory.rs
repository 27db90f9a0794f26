//! How much memory there is for experience.

use sysinfo::System;

use crate::TrainError;

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

/// What an algorithm wants to keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The setting that says how much.
    pub(crate) setting: &'static str,
    pub(crate) transitions: usize,
    pub(crate) bytes: u64,
    /// What a setting allows, in bytes.
    pub(crate) allowed: Option<u64>,
}

impl Wanted {
    /// # Errors
    /// [`TrainError::ReplayMemory`] when it is more than is allowed, or than the machine has.
    pub(crate) fn check(self) -> Result<(), TrainError> {
        let Self { setting, transitions, bytes, allowed } = self;
        match allowed.or_else(available) {
            Some(limit) if bytes > limit => {
                let each = (bytes / transitions.max(1) as u64).max(1);
                let fit = limit / each;
                Err(TrainError::ReplayMemory { setting, transitions, bytes, limit, fit })
            }
            _ => Ok(()),
        }
    }
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
        Wanted { setting: "dqn.buffer_size", transitions: 1_000, bytes, allowed }
    }

    #[test]
    fn more_than_there_is_or_may_be_is_refused_with_the_size_and_what_would_fit() {
        wanted(10_000, Some(10_000)).check().unwrap();
        wanted(10_000, None).check().unwrap();
        let error = wanted(10_001, Some(5_000)).check().unwrap_err().to_string();
        assert!(error.contains("9.8 KiB") && error.contains("at most 500"), "{error}");
        let error = wanted(1 << 60, None).check().unwrap_err().to_string();
        assert!(error.contains("1.0 EiB") && error.contains("dqn.buffer_size"), "{error}");
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(u64::MAX), "16.0 EiB");
    }
}
