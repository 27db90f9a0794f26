//! Runs the binary in a directory of its own and reads what it left.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

/// The files of a run.
pub(crate) const FILES: [&str; 8] = [
    ".lock",
    "checkpoints",
    "config.toml",
    "episodes.csv",
    "metrics.jsonl",
    "policy.safetensors",
    "run.json",
    "sessions.jsonl",
];

/// A directory to run the command in; it is gone at the end of the test.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command in this directory, ready to start.
    pub(crate) fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_elegante"));
        command.args(args.split_whitespace()).current_dir(self.0.path());
        command
    }

    /// Runs `elegante` with these arguments, which no space is part of.
    pub(crate) fn run(&self, args: &str) -> Ran {
        Ran::new(args, self.command(args).output().unwrap())
    }

    /// The same, and it must succeed.
    pub(crate) fn ok(&self, args: &str) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "elegante {args}: {}", ran.err);
        ran
    }

    /// A short run in `name`, with these further arguments.
    pub(crate) fn train(&self, name: &str, more: &str) -> Ran {
        self.ok(&format!("train CartPole-v1 --out {name} --set eval_episodes=10 --quiet {more}"))
    }

    pub(crate) fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    pub(crate) fn text(&self, file: &str) -> String {
        String::from_utf8(self.bytes(file)).unwrap()
    }

    pub(crate) fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(file), bytes).unwrap();
    }

    /// `run.json` of a run.
    pub(crate) fn run_json(&self, run: &str) -> Value {
        serde_json::from_str(&self.text(&format!("{run}/run.json"))).unwrap()
    }

    /// The lines of a run's `metrics.jsonl`.
    pub(crate) fn metrics(&self, run: &str) -> Vec<Value> {
        lines(&self.text(&format!("{run}/metrics.jsonl")))
    }

    /// The rows of a run's `episodes.csv`, without the heading.
    pub(crate) fn episodes(&self, run: &str) -> Vec<Vec<String>> {
        let text = self.text(&format!("{run}/episodes.csv"));
        let mut rows = text.lines();
        assert_eq!(rows.next(), Some("episode,steps,lane,return,length,ending"));
        rows.map(|row| row.split(',').map(str::to_owned).collect()).collect()
    }

    /// The names in a directory, sorted.
    pub(crate) fn names(&self, dir: &str) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<String> = fs::read_dir(self.path(dir))
            .unwrap()
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Takes the output apart. A panic is a failure of the test whatever was expected.
    pub(crate) fn new(args: &str, output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran =
            Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        let died = ran.code.is_none_or(|code| code == 101) || ran.err.contains("panicked");
        assert!(!died, "elegante {args} did not end in good order: {ran:?}");
        ran
    }

    /// Each line of the standard output as JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        lines(&self.out)
    }
}

fn lines(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line}"));
    text.lines().map(parse).collect()
}

/// The lines without what the clock says.
pub(crate) fn timeless(mut lines: Vec<Value>) -> Vec<Value> {
    for line in &mut lines {
        let fields = line.as_object_mut().unwrap();
        fields.retain(|key, _| !key.contains("second"));
    }
    lines
}

/// The lines that tell of `event`.
pub(crate) fn events<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

/// The whole names of all files in a directory with their bytes.
pub(crate) fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.is_file());
    let mut all: Vec<_> = files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    all.sort();
    all
}
