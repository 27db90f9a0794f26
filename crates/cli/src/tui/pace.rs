//! How often something is done that must not cost much.

use std::time::{Duration, Instant};

/// Of the time of one core, what may be spent: a two-hundredth.
const SHARE: u32 = 200;
/// Times of work that are remembered. The shortest of them counts: in the others the system may have had
/// something else to do.
const REMEMBERED: usize = 8;
/// However slow it is, once in this long there is a sign of life.
const SLOWEST: Duration = Duration::from_secs(2);

/// Does something at regular times, and less often where it turns out to be dear.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Instant,
    times: Vec<Duration>,
}

impl Pace {
    /// At most once an `interval`, the first time at once.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, next: Instant::now(), times: Vec::new() }
    }

    /// How long until it is time again.
    pub(super) fn left(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// It has just been done and took this long.
    pub(super) fn took(&mut self, time: Duration) {
        if self.times.len() == REMEMBERED {
            self.times.remove(0);
        }
        self.times.push(time);
        let cost = self.times.iter().min().copied().unwrap_or_default();
        self.next =
            Instant::now() + self.interval.max(SHARE * cost).min(SLOWEST.max(self.interval));
    }

    /// Makes it time at once.
    pub(super) fn now(&mut self) {
        self.next = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dear_is_done_less_often() {
        let interval = Duration::from_secs(1000);
        let mut pace = Pace::new(interval);
        assert_eq!(pace.left(), Duration::ZERO);
        pace.took(Duration::from_millis(1));
        assert!(pace.left() > interval / 2 && pace.left() <= interval);
        let mut pace = Pace::new(Duration::from_millis(1));
        // One slow time among quick ones is the system's doing.
        pace.took(Duration::from_nanos(1));
        pace.took(Duration::from_secs(3600));
        assert!(pace.left() <= Duration::from_millis(1));
        let mut pace = Pace::new(Duration::from_millis(1));
        pace.took(Duration::from_secs(3600));
        assert!(pace.left() > SLOWEST / 2 && pace.left() <= SLOWEST);
        pace.now();
        assert_eq!(pace.left(), Duration::ZERO);
    }
}
