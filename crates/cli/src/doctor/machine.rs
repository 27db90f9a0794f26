//! What machine this is, and what build.

use std::{env::consts, fs, io, thread};

use elegante::{
    DeviceChoice,
    experiment::{COMMIT, VERSION},
    kernels::instruction_set,
};

use super::finding::{Finding, Tell};

pub(super) fn examine(tell: Tell<'_>) -> io::Result<()> {
    let part = "machine";
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let file = |path| fs::read_to_string(path).unwrap_or_default();
    let cpu = cpu(&file("/proc/cpuinfo")).unwrap_or_else(|| "of unknown make".to_owned());
    let memory = memory(&file("/proc/meminfo")).map_or_else(
        || "unknown".to_owned(),
        |[total, available]| format!("{total:.1} GiB, {available:.1} GiB of it available"),
    );
    let built: Vec<_> =
        DeviceChoice::compiled_in().into_iter().map(DeviceChoice::feature).collect();
    let commit = COMMIT.get(..12).unwrap_or(COMMIT);
    let profile = if cfg!(debug_assertions) { ", a debug build" } else { "" };
    for (name, found) in [
        ("CPU", format!("{cpu}, {cores} core{}", if cores == 1 { "" } else { "s" })),
        ("instructions", format!("{} ({} on {})", instruction_set(), consts::ARCH, consts::OS)),
        ("memory", memory),
        ("elegante", format!("{VERSION}, commit {commit}{profile}")),
        ("features", built.join(", ")),
    ] {
        tell(Finding::info(part, name, found))?;
    }
    Ok(())
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
    fn linux_tells_cpu_and_memory() {
        let info = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n";
        assert_eq!(cpu(info).as_deref(), Some("Some CPU @ 2 GHz"));
        let info = "MemTotal:        4194304 kB\nMemFree: 1 kB\nMemAvailable:    1048576 kB\n";
        assert_eq!(memory(info), Some([4.0, 1.0]));
        assert_eq!((cpu(""), memory("MemTotal: much")), (None, None));
    }
}
