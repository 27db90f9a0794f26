//! Choices that hold for the whole program.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

static COMPOSED: AtomicBool = AtomicBool::new(false);
static PORTABLE: AtomicBool = AtomicBool::new(false);

/// Whether operations are fused where they can be; off, all of them are composed of burn's own, to see
/// what fusing gains. A program should choose before it computes anything.
pub fn set_fused(on: bool) {
    COMPOSED.store(!on, Ordering::Relaxed);
}

/// What [`set_fused`] chose: true, if it chose nothing.
pub fn fused() -> bool {
    !COMPOSED.load(Ordering::Relaxed)
}

/// How the fused operations round products and sums. There are two ways, and a program that is to give the
/// same bits on every machine must stay with the portable one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Instructions {
    /// Fused multiply-add in the widest registers that the CPU has: AVX-512 or AVX2 on x86-64 (with the
    /// same bits), NEON on aarch64. Elsewhere the portable ones.
    #[default]
    Fastest,
    /// Those of every CPU: products and sums are rounded one by one.
    Portable,
}

/// Chooses the instructions of the whole program, which should do so before it computes anything.
pub fn set_instructions(instructions: Instructions) {
    PORTABLE.store(instructions == Instructions::Portable, Ordering::Relaxed);
}

/// What [`set_instructions`] chose.
pub fn instructions() -> Instructions {
    if PORTABLE.load(Ordering::Relaxed) { Instructions::Portable } else { Instructions::Fastest }
}
