//! A program of somebody's own whose environments are broken, and what its `doctor` says of them, and its
//! live view does.
//!
//! The doctor starts the program that it is part of, so this test is such a program: with arguments of the
//! command line it is one, without it examines itself.
#![allow(clippy::unwrap_used)] // a panic here is the report

use std::process::{Command, ExitCode};

use elegante::{
    Env, EnvError, Registry, Reset, Space, Step,
    env::{AnyEnv, BoxSpace, CartPole, Discrete, Entry},
};
use serde_json::Value;
use toml::Table;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// It breaks its contract.
    Nan,
    /// It takes the process with it, at once.
    Aborts,
    /// It panics after a while.
    Panics,
}

/// Breaks its contract, or everything.
struct Broken {
    fault: Fault,
    steps: usize,
}

impl Env for Broken {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(1).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(2)
    }

    fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        obs.fill(0.0);
        Ok(())
    }

    fn step(&mut self, _: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.steps += 1;
        if self.fault == Fault::Aborts {
            eprintln!("the simulator has crashed");
            std::process::abort();
        }
        assert!(
            self.fault != Fault::Panics || self.steps < 500,
            "the simulator is out of its mind"
        );
        let odd = self.fault == Fault::Nan && self.steps.is_multiple_of(7);
        obs[0] = if odd { f32::NAN } else { 0.5 };
        Ok(Step::going(1.0))
    }
}

fn registry() -> Registry {
    let mut registry = Registry::standard();
    let faults = [
        ("Broken-v0", Fault::Nan),
        ("Crashing-v0", Fault::Aborts),
        ("Panicking-v0", Fault::Panics),
    ];
    for (id, fault) in faults {
        let make = move |_: &_| Ok(AnyEnv::new(Broken { fault, steps: 0 }));
        registry.register(Entry::new(id, "does what it should not", make)).unwrap();
    }
    let make = |options: &Table| {
        Ok(match options.get("mended") {
            Some(_) => AnyEnv::new(CartPole::default()),
            None => AnyEnv::new(Broken { fault: Fault::Nan, steps: 0 }),
        })
    };
    let entry = Entry::new("Mendable-v0", "does as it is told", make);
    registry.register(entry.option("mended", false, "do what it should")).unwrap();
    registry
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("doctor" | "train") => elegante_cli::main_with(registry()),
        // What test runners ask before they run anything.
        Some("--list") => {
            if !args.any(|arg| arg == "--ignored") {
                println!("the_doctor_finds_them: test");
            }
            ExitCode::SUCCESS
        }
        _ => {
            the_doctor_finds_them();
            training_says_how_to_find_out();
            #[cfg(target_os = "linux")]
            a_panic_leaves_the_terminal_in_order();
            ExitCode::SUCCESS
        }
    }
}

/// On a terminal of `script`'s, of util-linux: what the panic says comes after the view's screen is given back,
/// and keys are echoed and line feeds are line feeds again.
#[cfg(target_os = "linux")]
fn a_panic_leaves_the_terminal_in_order() {
    use std::process::Stdio;

    let place = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let line = format!(
        "stty cols 80 rows 24; {} train Panicking-v0 --tui --out run; echo code=$?; stty -a",
        program.display()
    );
    let mut script = Command::new("script");
    script.args(["--quiet", "--flush", "--command", &line, "/dev/null"]);
    script.current_dir(place.path()).env("TERM", "xterm-256color");
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = script.spawn().expect("`script` of util-linux is needed for this test");
    // The keyboard stays where it is until the end.
    let keyboard = child.stdin.take();
    let shown = String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned();
    drop(keyboard);
    let (drawn, after) = shown.split_once("\x1b[?1049l").expect("the screen is given back");
    assert!(drawn.contains("\x1b[?1049h"), "{shown}");
    assert!(!drawn.contains("out of its mind"), "it is said on a screen that is lost: {shown}");
    assert!(after.contains("out of its mind") && after.contains("code=101\r\n"), "{after}");
    for mode in ["icanon", "isig", "echo", "opost"] {
        let on = after.split_whitespace().any(|word| word.trim_end_matches(';') == mode);
        assert!(on, "{mode} is off: {after}");
    }
}

fn the_doctor_finds_them() {
    let broken = failures("Broken-v0");
    let nan = broken.iter().find(|line| line["found"].as_str().unwrap().contains("NaN")).unwrap();
    assert!(nan["fix"].as_str().unwrap().contains("division by zero"), "{nan}");
    let unseeded = broken.iter().any(|line| line["fix"].as_str().unwrap().contains("`reset`"));
    assert!(unseeded, "{broken:?}");

    assert!(!failures("Mendable-v0").is_empty());
    let mut doctor = Command::new(std::env::current_exe().unwrap());
    doctor.args(["doctor", "Mendable-v0", "--quick", "--set", "env_options.mended=true"]);
    let mended = doctor.output().unwrap();
    assert!(mended.status.success(), "{}", String::from_utf8_lossy(&mended.stdout));

    let crashed = failures("Crashing-v0");
    let words = crashed[0]["found"].as_str().unwrap();
    assert!(words.contains("ended early") && words.contains("simulator has crashed"), "{words}");
}

fn training_says_how_to_find_out() {
    let place = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let name = program.file_name().unwrap().to_str().unwrap();
    let hint = format!("`{name} doctor <ENV>` tests an environment by itself");
    for (env, code, words) in
        [("Broken-v0", 1, "returned NaN as entry 0"), ("Panicking-v0", 101, "out of its mind")]
    {
        let mut train = Command::new(&program);
        let ran = train.args(["train", env]).current_dir(place.path()).output().unwrap();
        let text = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(code), "{text}");
        let (before, after) = text.split_once(words).expect(&text);
        assert!(after.contains(&hint) && !before.contains(&hint), "{text}");
    }
}

/// What fails in the examination of an environment: nothing else, and so does the command.
fn failures(env: &str) -> Vec<Value> {
    let program = std::env::current_exe().unwrap();
    let ran = Command::new(program).args(["doctor", env, "--quick", "--json"]).output().unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{text}");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let failed: Vec<_> = lines.filter(|line| line["status"] == "fail").collect();
    assert!(!failed.is_empty(), "{text}");
    for line in &failed {
        assert_eq!(line["part"], format!("environment {env}"), "{line}");
    }
    failed
}
