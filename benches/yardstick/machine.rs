//! The same source compiled for each instruction set, and the best one chosen when the program runs.

/// Arithmetic that is compiled for every kind of machine.
pub(super) trait Work: Sized {
    type Output;

    /// Does it in panels of `WIDE` columns; with `FMA`, a product and a sum are rounded once.
    fn run<const WIDE: usize, const FMA: bool>(self) -> Self::Output;
}

/// Does `work` with the best instructions of this CPU.
pub(super) fn best<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        struct Panels<W, const WIDE: usize>(W);
        impl<W: Work, const WIDE: usize> pulp::NullaryFnOnce for Panels<W, WIDE> {
            type Output = W::Output;

            #[inline(always)]
            fn call(self) -> W::Output {
                self.0.run::<WIDE, true>()
            }
        }
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

/// a·b + c.
#[inline(always)]
pub(super) fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}
