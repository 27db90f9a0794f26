//! Where and when: for people who read about a run later.

use std::{env::consts, fs, time::SystemTime};

/// The machine in a line: system, architecture, cores, and the CPU's name where the system tells it.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let plural = if cores == 1 { "" } else { "s" };
    let cpu = cpu().map(|name| format!(", {name}")).unwrap_or_default();
    format!("{} {}, {cores} core{plural}{cpu}", consts::OS, consts::ARCH)
}

fn cpu() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    let name = line.split_once(':')?.1.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The time, to the second.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
