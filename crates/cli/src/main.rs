//! The `elegante` command.

use std::process::ExitCode;

use elegante::Registry;
use mimalloc::MiMalloc;

/// A small network's tensors come and go by the thousand each second; the C library's allocator hands
/// their memory back to the system and asks for it again, which takes a third of the time of training.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    elegante_cli::main_with(Registry::standard())
}
