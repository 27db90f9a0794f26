//! Benchmarks of elegante: `cargo bench -p elegante-bench`, and the programs behind sections of
//! `docs/performance.md`: `yardstick`, `lanes` and `instructions`.

#![forbid(unsafe_code)]

pub mod yardstick;

use std::time::{Duration, SystemTime};

use elegante::{
    env::Ending,
    trainer::{
        advantages::{Segment, discounts, gae, traces},
        selfcheck::Work,
    },
};

/// Processor time that the first thread of this process has used, which Linux tells to a few milliseconds; elsewhere
/// the time of day.
pub fn cpu_time() -> Duration {
    let told = std::fs::read_to_string("/proc/self/schedstat").ok();
    let nanoseconds = told.and_then(|told| told.split_whitespace().next()?.parse().ok());
    nanoseconds
        .map_or_else(|| SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default(), Duration::from_nanos)
}

/// What a policy for CartPole, of two hidden layers of 64, is asked for in one call.
pub fn cartpole(rows: usize) -> Work {
    Work::choice(4, 2, &[64, 64], rows)
}

/// What a rollout leaves to estimate advantages from.
#[derive(Clone, Debug)]
pub struct Advantages {
    lanes: usize,
    numbers: Vec<f64>,
    endings: Vec<Option<Ending>>,
}

impl Advantages {
    /// A rollout of so many steps in each lane, with an episode's end in every forty-first.
    pub fn new(lanes: usize, steps: usize) -> Self {
        let n = lanes * steps;
        let ending = |i: usize| i.is_multiple_of(41).then_some(Ending::Terminated);
        Self {
            lanes,
            numbers: (0..n).map(|i| (i % 97) as f64 / 97.0).collect(),
            endings: (0..n).map(ending).collect(),
        }
    }

    /// Âₜ of all steps by GAE(0.98, 0.8).
    pub fn run(&self) -> Vec<f64> {
        gae(&Segment {
            rewards: &self.numbers,
            values: &self.numbers,
            next_values: &self.numbers,
            discounts: &discounts(&self.endings, 0.98),
            traces: &traces(&self.endings, 0.8),
            lanes: self.lanes,
        })
    }
}
