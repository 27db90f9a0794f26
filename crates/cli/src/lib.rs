#![doc = include_str!("../README.md")]
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

use std::{env, process::ExitCode, time::Instant};

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
    let result = run(cli.command, &program, &mut output);
    // What is still buffered may be the first to meet a full disk.
    let result = result.and_then(|outcome| Ok(output.flush().map(|()| outcome)?));
    match result {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            output.error(&error);
            exit::code(&error)
        }
    }
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
