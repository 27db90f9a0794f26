//! Which instructions the arithmetic is compiled for: the same source several times over, and the best
//! one chosen when the program runs.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m256;

#[cfg(target_arch = "x86_64")]
use pulp::{
    Simd, cast,
    x86::{V3, V4},
};

use crate::{Instructions, instructions};

/// Arithmetic that is compiled for every kind of machine.
pub(crate) trait Work {
    type Output;

    /// Does it with the registers of a machine; matrix products in tiles of `HIGH` rows and `ACROSS`
    /// registers of columns.
    fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, machine: M) -> Self::Output;
}

/// A kind of machine.
pub(crate) trait Machine: Copy {
    /// Its widest registers.
    type Wide: Lanes;
    /// Its registers of eight numbers.
    type Eight: Lanes;
    /// Whether a product and a sum are rounded once.
    const FMA: bool;

    fn wide(self) -> Self::Wide;
    fn eight(self) -> Self::Eight;

    /// The same numbers, with rows for columns.
    #[inline(always)]
    fn turned(self, square: Square) -> Square {
        let mut turned = square;
        for (i, row) in square.iter().enumerate() {
            for j in 0..row.len() {
                turned[j][i] = row[j];
            }
        }
        turned
    }

    /// Of eight numbers those that `order` names, all of it below 8, with the bits that `mask` has.
    #[inline(always)]
    fn permuted(self, x: &[f32; SIDE], order: &[u32; SIDE], mask: &[u32; SIDE]) -> [f32; SIDE] {
        let mut permuted = [0.0; SIDE];
        for i in 0..SIDE {
            permuted[i] = f32::from_bits(x[order[i] as usize % SIDE].to_bits() & mask[i]);
        }
        permuted
    }
}

/// Rows and columns of a square that is turned at once.
pub(crate) const SIDE: usize = 8;

/// Eight rows of eight numbers.
pub(crate) type Square = [[f32; SIDE]; SIDE];

/// Registers of several numbers. The compiler is told of them where it does not find them by itself.
pub(crate) trait Lanes: Copy {
    type Register: Copy;
    /// Numbers in a register.
    const COUNT: usize;

    fn splat(self, x: f32) -> Self::Register;
    /// a·b + c.
    fn multiply_add(
        self,
        a: Self::Register,
        b: Self::Register,
        c: Self::Register,
    ) -> Self::Register;
    /// As many whole registers as there are.
    fn registers(self, x: &[f32]) -> &[Self::Register];
    fn registers_mut(self, x: &mut [f32]) -> &mut [Self::Register];
}

/// What every CPU has, and what the compiler makes of it: N numbers at a time.
#[derive(Clone, Copy)]
pub(crate) struct Plain<const FMA: bool, const N: usize = 8>;

impl<const FMA: bool, const N: usize> Machine for Plain<FMA, N> {
    type Wide = Self;
    type Eight = Plain<FMA>;
    const FMA: bool = FMA;

    #[inline(always)]
    fn wide(self) -> Self {
        self
    }

    #[inline(always)]
    fn eight(self) -> Plain<FMA> {
        Plain
    }
}

impl<const FMA: bool, const N: usize> Lanes for Plain<FMA, N> {
    type Register = [f32; N];
    const COUNT: usize = N;

    #[inline(always)]
    fn splat(self, x: f32) -> [f32; N] {
        [x; N]
    }

    #[inline(always)]
    fn multiply_add(self, a: [f32; N], b: [f32; N], mut c: [f32; N]) -> [f32; N] {
        for i in 0..N {
            c[i] = multiply_add::<Self>(a[i], b[i], c[i]);
        }
        c
    }

    #[inline(always)]
    fn registers(self, x: &[f32]) -> &[[f32; N]] {
        x.as_chunks().0
    }

    #[inline(always)]
    fn registers_mut(self, x: &mut [f32]) -> &mut [[f32; N]] {
        x.as_chunks_mut().0
    }
}

#[cfg(target_arch = "x86_64")]
impl Machine for V3 {
    type Wide = V3;
    type Eight = V3;
    const FMA: bool = true;

    #[inline(always)]
    fn wide(self) -> V3 {
        self
    }

    #[inline(always)]
    fn eight(self) -> V3 {
        self
    }

    #[inline(always)]
    fn turned(self, square: Square) -> Square {
        // Not by closures, which the compiler leaves as calls.
        let (x, rows): (_, [__m256; 8]) = (self.avx, cast(square));
        let [a, b, c, d, e, f, g, h] = rows;
        // Pairs of numbers, then fours of them, then halves of registers change places.
        let low = [
            x._mm256_unpacklo_ps(a, b),
            x._mm256_unpacklo_ps(c, d),
            x._mm256_unpacklo_ps(e, f),
            x._mm256_unpacklo_ps(g, h),
        ];
        let high = [
            x._mm256_unpackhi_ps(a, b),
            x._mm256_unpackhi_ps(c, d),
            x._mm256_unpackhi_ps(e, f),
            x._mm256_unpackhi_ps(g, h),
        ];
        let above = [
            x._mm256_shuffle_ps::<0x44>(low[0], low[1]),
            x._mm256_shuffle_ps::<0xee>(low[0], low[1]),
            x._mm256_shuffle_ps::<0x44>(high[0], high[1]),
            x._mm256_shuffle_ps::<0xee>(high[0], high[1]),
        ];
        let below = [
            x._mm256_shuffle_ps::<0x44>(low[2], low[3]),
            x._mm256_shuffle_ps::<0xee>(low[2], low[3]),
            x._mm256_shuffle_ps::<0x44>(high[2], high[3]),
            x._mm256_shuffle_ps::<0xee>(high[2], high[3]),
        ];
        let turned = [
            x._mm256_permute2f128_ps::<0x20>(above[0], below[0]),
            x._mm256_permute2f128_ps::<0x20>(above[1], below[1]),
            x._mm256_permute2f128_ps::<0x20>(above[2], below[2]),
            x._mm256_permute2f128_ps::<0x20>(above[3], below[3]),
            x._mm256_permute2f128_ps::<0x31>(above[0], below[0]),
            x._mm256_permute2f128_ps::<0x31>(above[1], below[1]),
            x._mm256_permute2f128_ps::<0x31>(above[2], below[2]),
            x._mm256_permute2f128_ps::<0x31>(above[3], below[3]),
        ];
        cast(turned)
    }

    #[inline(always)]
    fn permuted(self, x: &[f32; SIDE], order: &[u32; SIDE], mask: &[u32; SIDE]) -> [f32; SIDE] {
        let permuted = self.avx2._mm256_permutevar8x32_ps(cast(*x), cast(*order));
        cast(self.avx._mm256_and_ps(permuted, cast(*mask)))
    }
}

#[cfg(target_arch = "x86_64")]
impl Machine for V4 {
    type Wide = V4;
    type Eight = V3;
    const FMA: bool = true;

    #[inline(always)]
    fn wide(self) -> V4 {
        self
    }

    #[inline(always)]
    fn eight(self) -> V3 {
        *self
    }

    #[inline(always)]
    fn turned(self, square: Square) -> Square {
        self.eight().turned(square)
    }

    #[inline(always)]
    fn permuted(self, x: &[f32; SIDE], order: &[u32; SIDE], mask: &[u32; SIDE]) -> [f32; SIDE] {
        self.eight().permuted(x, order, mask)
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! lanes {
    ($($machine:ty),*) => {$(
        impl Lanes for $machine {
            type Register = <$machine as Simd>::f32s;
            const COUNT: usize = <$machine as Simd>::F32_LANES;

            #[inline(always)]
            fn splat(self, x: f32) -> Self::Register {
                self.splat_f32s(x)
            }

            #[inline(always)]
            fn multiply_add(
                self,
                a: Self::Register,
                b: Self::Register,
                c: Self::Register,
            ) -> Self::Register {
                self.mul_add_f32s(a, b, c)
            }

            #[inline(always)]
            fn registers(self, x: &[f32]) -> &[Self::Register] {
                Self::as_simd_f32s(x).0
            }

            #[inline(always)]
            fn registers_mut(self, x: &mut [f32]) -> &mut [Self::Register] {
                Self::as_mut_simd_f32s(x).0
            }
        }
    )*};
}

#[cfg(target_arch = "x86_64")]
lanes!(V3, V4);

/// Does `work` with the instructions of the program.
pub(crate) fn best<W: Work>(work: W) -> W::Output {
    if instructions() == Instructions::Portable {
        return portable(work);
    }
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(v4) = V4::try_new() {
            return avx512(v4, work);
        }
        if let Some(v3) = V3::try_new() {
            return avx2(v3, work);
        }
    }
    if cfg!(target_arch = "aarch64") {
        return work.run::<_, 4, 2>(Plain::<true>);
    }
    portable(work)
}

fn portable<W: Work>(work: W) -> W::Output {
    work.run::<_, 4, 1>(Plain::<false>)
}

/// With 12 of 16 registers for the sums of a tile, the least that keeps both multipliers busy.
#[cfg(target_arch = "x86_64")]
fn avx2<W: Work>(v3: V3, work: W) -> W::Output {
    v3.vectorize(Tiles::<_, _, 6, 2>(v3, work))
}

/// With 16 of 32 registers for the sums of a tile.
#[cfg(target_arch = "x86_64")]
fn avx512<W: Work>(v4: V4, work: W) -> W::Output {
    v4.vectorize(Tiles::<_, _, 4, 4>(v4, work))
}

/// The name of the instructions that the fused operations use in this program on this machine, once
/// [`set_instructions`](crate::set_instructions) has been obeyed: "AVX-512", "AVX2", "NEON" or "portable".
pub fn instruction_set() -> &'static str {
    if instructions() == Instructions::Portable {
        return "portable";
    }
    #[cfg(target_arch = "x86_64")]
    {
        if V4::try_new().is_some() {
            return "AVX-512";
        }
        if V3::try_new().is_some() {
            return "AVX2 and FMA";
        }
    }
    if cfg!(target_arch = "aarch64") { "NEON" } else { "portable" }
}

/// `W` in tiles of a size, for pulp to compile with more instructions.
#[cfg(target_arch = "x86_64")]
struct Tiles<M, W, const HIGH: usize, const ACROSS: usize>(M, W);

#[cfg(target_arch = "x86_64")]
impl<M: Machine, W: Work, const HIGH: usize, const ACROSS: usize> pulp::NullaryFnOnce
    for Tiles<M, W, HIGH, ACROSS>
{
    type Output = W::Output;

    #[inline(always)]
    fn call(self) -> W::Output {
        self.1.run::<M, HIGH, ACROSS>(self.0)
    }
}

/// a·b + c.
#[inline(always)]
pub(crate) fn multiply_add<M: Machine>(a: f32, b: f32, c: f32) -> f32 {
    if M::FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Every way that this machine can do `work`, by name.
#[cfg(all(test, feature = "flex"))]
pub(crate) fn every_way<W: Work + Clone>(work: &W) -> Vec<(&'static str, W::Output)> {
    // The shape of AVX-512's products, wherever the test runs.
    let sixteen = work.clone().run::<_, 4, 4>(Plain::<false, 16>);
    let mut ways = vec![("portable", portable(work.clone())), ("sixteen at a time", sixteen)];
    #[cfg(target_arch = "x86_64")]
    {
        ways.extend(V3::try_new().map(|v3| ("AVX2", avx2(v3, work.clone()))));
        ways.extend(V4::try_new().map(|v4| ("AVX-512", avx512(v4, work.clone()))));
    }
    ways
}
