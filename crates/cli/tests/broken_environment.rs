//! A program of somebody's own whose environments are broken, and what its `doctor` says of them.
//!
//! The doctor starts the program that it is part of, so this test is such a program: with arguments of the
//! command line it is one, without it examines itself.
#![allow(clippy::unwrap_used)] // a panic here is the report

use std::process::{Command, ExitCode};

use elegante::{
    Env, EnvError, Registry, Reset, Space, Step,
    env::{AnyEnv, BoxSpace, Discrete, Entry},
};
use serde_json::Value;

/// Breaks its contract, or everything.
struct Broken {
    aborts: bool,
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
        if self.aborts {
            eprintln!("the simulator has crashed");
            std::process::abort();
        }
        obs[0] = if self.steps.is_multiple_of(7) { f32::NAN } else { 0.5 };
        Ok(Step::going(1.0))
    }
}

fn registry() -> Registry {
    let mut registry = Registry::standard();
    for (id, aborts) in [("Broken-v0", false), ("Crashing-v0", true)] {
        let make = move |_: &_| Ok(AnyEnv::new(Broken { aborts, steps: 0 }));
        registry.register(Entry::new(id, "does what it should not", make)).unwrap();
    }
    registry
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("doctor") => elegante_cli::main_with(registry()),
        // What test runners ask before they run anything.
        Some("--list") => {
            if !args.any(|arg| arg == "--ignored") {
                println!("the_doctor_finds_them: test");
            }
            ExitCode::SUCCESS
        }
        _ => {
            the_doctor_finds_them();
            ExitCode::SUCCESS
        }
    }
}

fn the_doctor_finds_them() {
    let broken = failures("Broken-v0");
    let nan = broken.iter().find(|line| line["found"].as_str().unwrap().contains("NaN")).unwrap();
    assert!(nan["fix"].as_str().unwrap().contains("division by zero"), "{nan}");
    let unseeded = broken.iter().any(|line| line["fix"].as_str().unwrap().contains("`reset`"));
    assert!(unseeded, "{broken:?}");

    let crashed = failures("Crashing-v0");
    let words = crashed[0]["found"].as_str().unwrap();
    assert!(words.contains("ended early") && words.contains("simulator has crashed"), "{words}");
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
