//! The `elegante` command: train, evaluate and watch neural policies from the terminal.
#![warn(clippy::print_stdout)]

mod algos;
mod args;
mod config;
mod envs;
mod eval;
mod exit;
mod gif;
mod interrupt;
mod output;
mod play;
mod progress;
mod text;
mod train;

use std::{process::ExitCode, time::Instant};

use clap::Parser;

use args::{Cli, Command};
use exit::Outcome;
use output::Output;

fn main() -> ExitCode {
    let began = Instant::now();
    let cli = Cli::parse();
    let mut output = Output::new();
    let result = run(cli.command, &mut output, began);
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

fn run(command: Command, output: &mut Output, began: Instant) -> anyhow::Result<Outcome> {
    match command {
        Command::Train(args) => train::run(args, output, began),
        Command::Eval(args) => eval::run(&args, output),
        Command::Play(args) => play::run(&args, output),
        Command::Envs(args) => envs::run(args, output),
        Command::Algos(args) => algos::run(args, output),
        Command::Config(args) => config::run(args, output),
    }
}
