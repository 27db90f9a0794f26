#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(clippy::print_stdout)]

mod algos;
mod args;
mod bench;
mod compare;
mod config;
mod doctor;
mod envs;
mod eval;
mod exit;
mod gif;
mod interrupt;
mod machine;
mod output;
mod play;
mod program;
mod progress;
mod replay;
mod report;
mod resume;
mod seeds;
mod text;
mod train;
mod tui;
mod tune;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::Instant,
};

use elegante::Registry;

use args::{Cli, Command};
use exit::Outcome;
use output::Output;
use program::Program;

/// Runs the command line that the process was started with, over the environments of `registry`: the
/// whole body of a `main`.
///
/// The program goes by the name that it was started under, in its help, its examples and its hints.
/// With `--help`, `--version` or arguments that make no sense it ends the process, as clap does.
#[must_use = "the exit code is what the caller of the program goes by"]
pub fn main_with(registry: Registry) -> ExitCode {
    let program = Program { began: Instant::now(), name: program::name(env::args_os()), registry };
    let cli = Cli::of(&program.name);
    let mut output = Output::new();
    // Nothing of what a panic leaves half done is looked at again.
    let Ok(result) = catch_unwind(AssertUnwindSafe(|| run(cli.command, &program, &mut output)))
    else {
        output.note(&after_a_panic(&program.name));
        return exit::PANICKED.into();
    };
    // What is still buffered may be the first to meet a full disk.
    let result = result.and_then(|outcome| Ok(output.flush().map(|()| outcome)?));
    match result {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            output.error(&error);
            if exit::blames_the_environment(&error) {
                output.note(&doctor(&program.name));
            }
            exit::code(&error)
        }
    }
}

/// How to find out what is wrong with an environment.
fn doctor(program: &str) -> String {
    format!("`{program} doctor <ENV>` tests an environment by itself, and says how to mend it")
}

/// What is said when the panic itself has been told.
fn after_a_panic(program: &str) -> String {
    let (doctor, issues) = (doctor(program), concat!(env!("CARGO_PKG_REPOSITORY"), "/issues"));
    format!("a panic ended this. {doctor}; a panic of elegante's own is a bug: {issues}")
}

fn run(command: Command, program: &Program, output: &mut Output) -> anyhow::Result<Outcome> {
    match command {
        Command::Train(args) => train::run(args, program, output),
        Command::Resume(args) => resume::run(args, program, output),
        Command::Tune(args) => tune::run(args, program, output),
        Command::Eval(args) => eval::run(&args, program, output),
        Command::Compare(args) => compare::run(&args, output),
        Command::Report(args) => report::run(&args, program, output),
        Command::Play(args) => play::run(&args, program, output),
        Command::Doctor(args) => doctor::run(args, program, output),
        Command::Bench(args) => bench::run(args, program, output),
        Command::Replay(args) => replay::run(&args, program, output),
        Command::Envs(args) => envs::run(args, program, output),
        Command::Algos(args) => algos::run(args, program, output),
        Command::Config(args) => config::run(args, program, output),
    }
}
