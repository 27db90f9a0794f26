//! The `elegante` command.

use std::process::ExitCode;

use elegante::Registry;

fn main() -> ExitCode {
    elegante_cli::main_with(Registry::standard())
}
