//! What machine this is, and what build.

use std::io;

use super::finding::{Finding, Tell};
use crate::machine::Machine;

pub(super) fn examine(tell: Tell<'_>) -> io::Result<()> {
    let machine = Machine::here();
    let memory = machine.memory_gib.map_or_else(
        || "unknown".to_owned(),
        |[total, available]| format!("{total:.1} GiB, {available:.1} GiB of it available"),
    );
    for (name, found) in [
        ("CPU", machine.processor()),
        ("instructions", machine.instructions()),
        ("memory", memory),
        ("elegante", machine.build()),
        ("features", machine.features.join(", ")),
    ] {
        tell(Finding::info("machine", name, found))?;
    }
    Ok(())
}
