//! What machine this is, and what build.

use std::{env::consts, fs, thread};

use elegante::{
    DeviceChoice,
    experiment::{COMMIT, VERSION},
    kernels::instruction_set,
};
use serde::Serialize;

/// A machine and a build, as far as the system tells.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// The CPU's name.
    pub(crate) cpu: Option<String>,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// What the fused operations are compiled for.
    pub(crate) instructions: &'static str,
    pub(crate) arch: &'static str,
    pub(crate) os: &'static str,
    /// All memory and what of it can be had, in GiB.
    pub(crate) memory_gib: Option<[f64; 2]>,
    pub(crate) version: &'static str,
    pub(crate) commit: &'static str,
    /// Whether the compiler has optimised this build.
    pub(crate) optimised: bool,
    pub(crate) features: Vec<&'static str>,
}

impl Machine {
    /// This one. [`set_instructions`](elegante::kernels::set_instructions) should have been called before.
    pub(crate) fn here() -> Self {
        let file = |path| fs::read_to_string(path).unwrap_or_default();
        let features = DeviceChoice::compiled_in().into_iter().map(DeviceChoice::feature);
        Self {
            cpu: cpu(&file("/proc/cpuinfo")),
            cores: thread::available_parallelism().map_or(1, usize::from),
            instructions: instruction_set(),
            arch: consts::ARCH,
            os: consts::OS,
            memory_gib: memory(&file("/proc/meminfo")),
            version: VERSION,
            commit: COMMIT,
            optimised: !cfg!(debug_assertions),
            features: features.collect(),
        }
    }

    /// CPU and cores in words.
    pub(crate) fn processor(&self) -> String {
        let cpu = self.cpu.as_deref().unwrap_or("of unknown make");
        format!("{cpu}, {} core{}", self.cores, if self.cores == 1 { "" } else { "s" })
    }

    /// Instructions in words.
    pub(crate) fn instructions(&self) -> String {
        format!("{} ({} on {})", self.instructions, self.arch, self.os)
    }

    /// The build in words.
    pub(crate) fn build(&self) -> String {
        let commit = self.commit.get(..12).unwrap_or(self.commit);
        let profile = if self.optimised { "" } else { ", a debug build" };
        format!("{}, commit {commit}{profile}", self.version)
    }
}

/// Processes that want to compute, on average over the last minute, where Linux tells it.
pub(crate) fn load() -> Option<f64> {
    load_in(&fs::read_to_string("/proc/loadavg").ok()?)
}

fn load_in(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// The CPU's name, where Linux tells it.
fn cpu(info: &str) -> Option<String> {
    let named = info.lines().find(|line| line.starts_with("model name"))?;
    named.split_once(':').map(|(_, name)| name.trim().to_owned())
}

/// All memory and what of it can be had, in GiB, where Linux tells it.
fn memory(info: &str) -> Option<[f64; 2]> {
    let find = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(kib / f64::from(1 << 20))
    };
    Some([find("MemTotal:")?, find("MemAvailable:")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_tells_cpu_memory_and_load() {
        let info = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n";
        assert_eq!(cpu(info).as_deref(), Some("Some CPU @ 2 GHz"));
        let info = "MemTotal:        4194304 kB\nMemFree: 1 kB\nMemAvailable:    1048576 kB\n";
        assert_eq!(memory(info), Some([4.0, 1.0]));
        assert_eq!((cpu(""), memory("MemTotal: much")), (None, None));
        assert_eq!((load_in("1.25 0.75 0.5 2/345 6789\n"), load_in("")), (Some(1.25), None));
    }
}
