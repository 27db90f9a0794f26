//! The parts of an examination, each in a process of its own.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read},
    process::{Child, Stdio},
    str::FromStr,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::channel,
    },
    thread,
    time::{Duration, Instant},
};

use elegante::{DeviceChoice, Registry};
use serde_json::Value;

use super::{
    devices, environment,
    finding::{Finding, Tell},
    learning, reproducibility,
};
use crate::{exit::Misuse, program::this_program};

/// Something to be examined by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A device: does it compute, rightly, and how fast.
    Device(DeviceChoice),
    /// The same seed, the same bytes.
    Reproducibility,
    /// An algorithm, in worlds that are small enough to be learnt at once.
    Learning(String),
    /// An environment.
    Environment(String),
}

impl Part {
    /// What it is called, on the command line and in the report.
    fn name(&self) -> String {
        match self {
            Self::Device(device) => format!("device {device}"),
            Self::Reproducibility => "reproducibility".to_owned(),
            Self::Learning(algo) => format!("learning {algo}"),
            Self::Environment(env) => format!("environment {env}"),
        }
    }

    /// Does the examination, in this process.
    pub(super) fn examine(
        &self,
        registry: &Registry,
        quick: bool,
        sets: &[String],
        tell: Tell<'_>,
    ) -> anyhow::Result<()> {
        let name = self.name();
        match self {
            Self::Device(device) => devices::examine(&name, *device, quick, tell),
            Self::Reproducibility => reproducibility::examine(&name, tell),
            Self::Learning(algo) => learning::examine(&name, algo, quick, tell),
            Self::Environment(env) => {
                environment::examine(&name, (env, sets), registry, quick, tell)
            }
        }
    }
}

impl FromStr for Part {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        let (kind, of) = name.split_once(' ').unwrap_or((name, ""));
        Ok(match kind {
            "device" => Self::Device(of.parse()?),
            "reproducibility" => Self::Reproducibility,
            "learning" => Self::Learning(of.to_owned()),
            "environment" => Self::Environment(of.to_owned()),
            _ => return Err(Misuse(format!("`{name}` is no part of an examination")).into()),
        })
    }
}

/// What is to be examined, and how.
pub(super) struct Plan {
    pub(super) parts: Vec<Part>,
    /// Processes side by side.
    pub(super) jobs: usize,
    pub(super) quick: bool,
    /// Options of the environment.
    pub(super) sets: Vec<String>,
    /// How long a part may take.
    pub(super) patience: Duration,
}

impl Plan {
    /// Examines every part; `on_part` is told what was found in each, in the order of the parts.
    pub(super) fn run(
        &self,
        program: &str,
        mut on_part: impl FnMut(Vec<Finding>) -> io::Result<()>,
    ) -> io::Result<()> {
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            let (done, arriving) = channel();
            for _ in 0..self.jobs.clamp(1, self.parts.len().max(1)) {
                let (done, next) = (done.clone(), &next);
                scope.spawn(move || {
                    loop {
                        let i = next.fetch_add(1, Ordering::SeqCst);
                        let Some(part) = self.parts.get(i) else { break };
                        // Nobody listens any more where the report could not be printed.
                        if done.send((i, self.examine(program, part))).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(done);
            let (mut waiting, mut turn) = (BTreeMap::new(), 0);
            for (i, findings) in arriving {
                waiting.insert(i, findings);
                while let Some(findings) = waiting.remove(&turn) {
                    on_part(findings)?;
                    turn += 1;
                }
            }
            Ok(())
        })
    }

    /// What the process of a part says, and how it ended if that was not in good order.
    fn examine(&self, program: &str, part: &Part) -> Vec<Finding> {
        let name = part.name();
        let fix = "if it happens again, the last words of the process are the place to begin";
        let started = this_program(program).and_then(|mut command| {
            command.args(["doctor", "--json", "--part", &name]);
            command.args(self.quick.then_some("--quick"));
            if let Part::Environment(env) = part {
                // Named, since options are an environment's.
                command.arg(env).args(self.sets.iter().map(|pair| format!("--set={pair}")));
            }
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
        });
        let mut child = match started {
            Ok(child) => child,
            Err(error) => {
                let found = format!("its process can't be started: {error}");
                return vec![Finding::fail(&name, "process", found, fix)];
            }
        };
        let (mut findings, said, ended) = follow(&mut child, self.patience);
        let words = last_words(&said);
        match ended {
            Ended::Well => {}
            Ended::Badly(how) => {
                let found = format!("its process ended early, {how}{words}");
                findings.push(Finding::fail(&name, "process", found, fix));
            }
            Ended::Never => {
                let seconds = self.patience.as_secs();
                let found = format!("its process was ended after {seconds} seconds{words}");
                findings.push(Finding::fail(&name, "process", found, fix));
            }
        }
        findings
    }
}

enum Ended {
    Well,
    Badly(String),
    /// It had to be ended.
    Never,
}

/// Reads what a process finds until it ends, or is ended when it has taken too long.
fn follow(child: &mut Child, patience: Duration) -> (Vec<Finding>, String, Ended) {
    let began = Instant::now();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let findings = scope.spawn(move || {
            let lines = out.into_iter().flat_map(|out| BufReader::new(out).lines());
            lines.map_while(Result::ok).filter_map(|line| read(&line)).collect::<Vec<_>>()
        });
        let said = scope.spawn(move || {
            let mut text = Vec::new();
            // What was said until an error is all that there is to tell.
            err.into_iter().for_each(|mut err| drop(err.read_to_end(&mut text)));
            String::from_utf8_lossy(&text).into_owned()
        });
        let ended = wait(child, began, patience);
        (findings.join().unwrap_or_default(), said.join().unwrap_or_default(), ended)
    })
}

fn wait(child: &mut Child, began: Instant, patience: Duration) -> Ended {
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ended::Well,
            Ok(Some(status)) => return Ended::Badly(status.to_string()),
            Ok(None) if began.elapsed() < patience => thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                // It may have ended by itself this very moment.
                let _ = child.kill();
                let _ = child.wait();
                return Ended::Never;
            }
            Err(error) => return Ended::Badly(error.to_string()),
        }
    }
}

/// A finding as the process printed it.
fn read(line: &str) -> Option<Finding> {
    let value: Value = serde_json::from_str(line).ok()?;
    (value["event"] == "check").then(|| serde_json::from_value(value).ok())?
}

fn last_words(said: &str) -> String {
    let mut lines = said.lines().filter(|line| !line.trim().is_empty());
    let told = lines.rfind(|line| !line.starts_with("note: run with"));
    told.map_or_else(String::new, |line| format!("; its last words: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn parts_go_by_their_names() {
        let parts = [
            Part::Device(DeviceChoice::Cuda(1)),
            Part::Reproducibility,
            Part::Learning("ppo".into()),
            Part::Environment("my env".into()),
        ];
        for part in parts {
            assert_eq!(part.name().parse::<Part>().unwrap(), part);
        }
        assert!("soul".parse::<Part>().is_err());
    }

    #[cfg(unix)]
    fn shell(script: &str, patience: Duration) -> (Vec<Finding>, String, Ended) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        follow(&mut command.spawn().unwrap(), patience)
    }

    #[cfg(unix)]
    #[test]
    fn a_process_that_dies_or_hangs_is_a_finding() {
        let line = r#"{"event":"check","part":"p","name":"n","status":"pass","found":"f"}"#;
        let long = Duration::from_secs(60);
        let (findings, said, ended) = shell(&format!("echo '{line}'; echo nonsense"), long);
        assert!(matches!(ended, Ended::Well) && said.is_empty());
        assert_eq!(findings, [Finding::new("p", "n", super::super::Status::Pass, "f")]);

        let (findings, said, ended) =
            shell(&format!("echo '{line}'; echo why >&2; kill -9 $$"), long);
        assert_eq!((findings.len(), last_words(&said).as_str()), (1, "; its last words: why"));
        assert!(matches!(ended, Ended::Badly(how) if how.contains("signal: 9")));

        let (findings, _, ended) = shell("exec sleep 600", Duration::from_millis(50));
        assert!(findings.is_empty() && matches!(ended, Ended::Never));
    }
}
