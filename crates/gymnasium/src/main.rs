//! The `elegante-gymnasium` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    elegante_cli::main_with(elegante_gymnasium::registry())
}
