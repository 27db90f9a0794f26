//! Which instructions the arithmetic is compiled for: the same source several times over, and the best
//! one chosen when the program runs.

use crate::{Instructions, instructions};

/// Arithmetic that is compiled for every kind of machine.
pub(crate) trait Work {
    type Output;

    /// Does it in panels of `WIDE` columns; with `FMA`, a product and a sum are rounded once.
    fn run<const WIDE: usize, const FMA: bool>(self) -> Self::Output;
}

/// Does `work` with the instructions of the program.
pub(crate) fn best<W: Work>(work: W) -> W::Output {
    if instructions() == Instructions::Portable {
        return work.run::<8, false>();
    }
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(v4) = pulp::x86::V4::try_new() {
            return v4.vectorize(Panels::<_, 64>(work));
        }
        if let Some(v3) = pulp::x86::V3::try_new() {
            return v3.vectorize(Panels::<_, 16>(work));
        }
    }
    if cfg!(target_arch = "aarch64") {
        return work.run::<16, true>();
    }
    work.run::<8, false>()
}

/// The name of the instructions that the fused operations use in this program on this machine, once
/// [`set_instructions`](crate::set_instructions) has been obeyed: "AVX-512", "AVX2", "NEON" or "portable".
pub fn instruction_set() -> &'static str {
    if instructions() == Instructions::Portable {
        return "portable";
    }
    #[cfg(target_arch = "x86_64")]
    {
        if pulp::x86::V4::try_new().is_some() {
            return "AVX-512";
        }
        if pulp::x86::V3::try_new().is_some() {
            return "AVX2 and FMA";
        }
    }
    if cfg!(target_arch = "aarch64") { "NEON" } else { "portable" }
}

/// `W` in panels of a width, for pulp to compile with more instructions.
#[cfg(target_arch = "x86_64")]
struct Panels<W, const WIDE: usize>(W);

#[cfg(target_arch = "x86_64")]
impl<W: Work, const WIDE: usize> pulp::NullaryFnOnce for Panels<W, WIDE> {
    type Output = W::Output;

    #[inline(always)]
    fn call(self) -> W::Output {
        self.0.run::<WIDE, true>()
    }
}

/// a·b + c.
#[cfg(feature = "flex")]
#[inline(always)]
pub(crate) fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Every way that this machine can do `work`, by name.
#[cfg(all(test, feature = "flex"))]
pub(crate) fn every_way<W: Work + Clone>(work: &W) -> Vec<(&'static str, W::Output)> {
    let mut ways = vec![("portable", work.clone().run::<8, false>())];
    #[cfg(target_arch = "x86_64")]
    {
        let v3 = pulp::x86::V3::try_new();
        ways.extend(v3.map(|v3| ("AVX2", v3.vectorize(Panels::<_, 16>(work.clone())))));
        let v4 = pulp::x86::V4::try_new();
        ways.extend(v4.map(|v4| ("AVX-512", v4.vectorize(Panels::<_, 64>(work.clone())))));
    }
    ways
}
