//! The runs of an experiment, each in a process of its own.
//!
//! Not in threads: a run that crashes or is killed for its memory takes no other with it, burn's
//! autodiff has a lock that all threads of a process share, and so has Python, where environments come
//! from there. A run is then exactly what `train --seed N` makes.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread,
};

use super::Report;
use crate::{program::this_program, train::words};

/// Processes that have been started and are wanted: each ends when its standard input does.
#[derive(Clone)]
pub(crate) struct Leashes(Arc<Mutex<Option<Held>>>);

#[derive(Default)]
struct Held {
    inputs: HashMap<u64, ChildStdin>,
    /// Whether they are to wait, those too that are yet to be started.
    paused: bool,
}

impl Leashes {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(Held::default()))))
    }

    /// Lets the process of this number go with the others from now on; at once if they are gone.
    fn hold(&self, number: u64, mut input: ChildStdin) {
        self.with(|held| {
            if let Some(held) = held {
                if held.paused {
                    say(&mut input, words::PAUSE);
                }
                held.inputs.insert(number, input);
            }
        });
    }

    /// Asks the process of this number for a clean end, if it has not come to one.
    pub(crate) fn forget(&self, number: u64) {
        self.with(|held| held.as_mut().and_then(|held| held.inputs.remove(&number)));
    }

    /// Tells the process of this number a word; whether there is one.
    pub(crate) fn tell(&self, number: u64, word: &str) -> bool {
        self.with(|held| {
            let input = held.as_mut().and_then(|held| held.inputs.get_mut(&number));
            input.map(|input| say(input, word)).is_some()
        })
    }

    /// Tells all processes a word.
    pub(crate) fn tell_all(&self, word: &str) {
        self.with(|held| {
            let inputs = held.iter_mut().flat_map(|held| held.inputs.values_mut());
            inputs.for_each(|input| say(input, word));
        });
    }

    /// Has all processes wait, those too that are yet to be started, or go on.
    pub(crate) fn pause(&self, paused: bool) {
        self.with(|held| held.as_mut().map(|held| held.paused = paused));
        self.tell_all(if paused { words::PAUSE } else { words::GO_ON });
    }

    /// Asks all processes for a clean end; none is begun any more.
    pub(crate) fn let_go(&self) {
        self.with(Option::take);
    }

    pub(crate) fn closed(&self) -> bool {
        self.with(|held| held.is_none())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Option<Held>) -> T) -> T {
        // A panic elsewhere leaves the map as good as it was.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Tells a process a word. One that has ended has no use for it.
fn say(input: &mut ChildStdin, word: &str) {
    let _ = writeln!(input, "{word}").and_then(|()| input.flush());
}

/// The runs, and how each of them is started.
pub(crate) struct Task {
    /// Seeds, their directories and how they are started.
    pub(crate) runs: Vec<(u64, PathBuf, Start)>,
    /// Runs side by side.
    pub(crate) jobs: usize,
    /// The name that this program goes by.
    pub(crate) name: String,
    /// The environment.
    pub(crate) env: String,
    /// The resolved configuration.
    pub(crate) config: PathBuf,
    /// Threads for each run.
    pub(crate) threads: usize,
}

/// How a run is started.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// From its beginning; with `force` it may replace an older run.
    Train { force: bool },
    /// From where it was stopped, to this many steps in all.
    Resume { steps: u64 },
}

/// Starts the run of every seed and calls `on_report` with all that they say and, from time to time,
/// with nothing.
pub(crate) fn run(
    task: &Task,
    leashes: &Leashes,
    mut on_report: impl FnMut(Option<(u64, Report)>),
) {
    let (runs, jobs) = (&task.runs, task.jobs);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (reports, arriving) = channel();
        for _ in 0..jobs.min(runs.len()) {
            let (reports, next) = (reports.clone(), &next);
            scope.spawn(move || {
                while let Some(run) = runs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if leashes.closed() {
                        break;
                    }
                    let ended = follow(task, run, leashes, &reports);
                    // The receiver outlives this thread.
                    let _ = reports.send((run.0, Report::Ended(ended)));
                }
            });
        }
        drop(reports);
        loop {
            match arriving.recv_timeout(super::ATTENTION) {
                Ok(report) => on_report(Some(report)),
                Err(RecvTimeoutError::Timeout) => on_report(None),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    });
}

/// Runs one seed to its end. The error says why it did not get there.
fn follow(
    task: &Task,
    run: &(u64, PathBuf, Start),
    leashes: &Leashes,
    reports: &Sender<(u64, Report)>,
) -> Result<(), String> {
    attend(command(task, run), run.0, leashes, |report| {
        // The receiver outlives this thread.
        let _ = reports.send((run.0, report));
    })
}

/// Runs a process on the leash of this number to its end, and tells what it says. The error says why it
/// did not get there.
pub(crate) fn attend(
    command: io::Result<Command>,
    number: u64,
    leashes: &Leashes,
    mut tell: impl FnMut(Report),
) -> Result<(), String> {
    let mut child = command.and_then(|mut command| command.spawn());
    let child = child.as_mut().map_err(|error| format!("it can't be started: {error}"))?;
    let (Some(input), Some(lines), Some(mut remarks)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err("its process has no standard streams".into());
    };
    // Where it is not wanted any more, its input ends here.
    leashes.hold(number, input);
    tell(Report::Began);
    let said = thread::scope(|scope| {
        let said = scope.spawn(move || {
            let mut text = Vec::new();
            // What was said until an error is all that there is to tell.
            let _ = remarks.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        for line in BufReader::new(lines).lines().map_while(Result::ok) {
            tell(Report::Line(line));
        }
        said.join().unwrap_or_default()
    });
    for warning in said.lines().filter_map(|line| line.strip_prefix("warning: ")) {
        tell(Report::Warning(warning.to_owned()));
    }
    let status = child.wait();
    leashes.forget(number);
    match status {
        Ok(status) if status.success() || status.code() == Some(INTERRUPTED) => Ok(()),
        Ok(status) => Err(reason(&said, status)),
        Err(error) => Err(format!("its process is lost: {error}")),
    }
}

const INTERRUPTED: i32 = crate::exit::INTERRUPTED as i32;

/// The last thing that a failed process said, or else how it ended.
fn reason(said: &str, status: ExitStatus) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let told = |line: &&str| line.starts_with("error: ") || line.contains(" panicked at ");
    match lines.iter().rposition(told).or(lines.len().checked_sub(1)) {
        // Why a thread panicked is in the line after the one that says where.
        Some(at) if lines[at].contains(" panicked at ") => {
            lines[at..lines.len().min(at + 2)].join(" ")
        }
        Some(at) => lines[at].trim_start_matches("error: ").to_owned(),
        None => format!("its process ended without a word, {status}"),
    }
}

/// What trains a seed.
pub(crate) fn command(
    task: &Task,
    (seed, dir, start): &(u64, PathBuf, Start),
) -> io::Result<Command> {
    let mut command = this_program(&task.name)?;
    let (seed, threads) = (seed.to_string(), task.threads.to_string());
    match start {
        Start::Train { force } => {
            command.args(["train", &task.env, "--config"]).arg(&task.config);
            command.arg("--out").arg(dir).args(["--seed", &seed]);
            command.args(force.then_some("--force"));
        }
        Start::Resume { steps } => {
            command.arg("resume").arg(dir).args(["--steps", &steps.to_string()]);
        }
    }
    command.args(["--worker", &threads, "--json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn what_failed_is_told_with_its_reason() {
        let told = |said: &str| reason(said, ExitStatus::from_raw(1 << 8));
        assert_eq!(told("warning: slow\nerror: lane 0: NaN\n\nhint\n"), "lane 0: NaN");
        let panic = "\nthread 'main' (7) panicked at src/main.rs:49:109:\nindex out of bounds: the len is 0\nstack:\n";
        assert_eq!(
            told(panic),
            "thread 'main' (7) panicked at src/main.rs:49:109: index out of bounds: the len is 0"
        );
        assert_eq!(told("thread 'x' panicked at a.rs:1:1:"), "thread 'x' panicked at a.rs:1:1:");
        assert_eq!(told("something else\n"), "something else");
        assert!(told(" \n").starts_with("its process ended without a word"));
    }
}
