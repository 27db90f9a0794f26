//! NumPy's seeding and NumPy's generator, so that a seed means here what it means in Gymnasium.

use rand::{Rng, TryRng, rand_core::Infallible};
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

/// NumPy's `SeedSequence`: spreads a seed of any quality over as many bits as a generator needs
/// (M. E. O'Neill's `seed_seq_fe`, with NumPy's constants).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedSequence {
    pool: [u32; POOL],
}

const POOL: usize = 4;
const INIT_A: u32 = 0x43b0_d7e5;
const MULT_A: u32 = 0x931e_8875;
const INIT_B: u32 = 0x8b51_f9dd;
const MULT_B: u32 = 0x58f3_8ded;
const MIX_LEFT: u32 = 0xca01_f9dd;
const MIX_RIGHT: u32 = 0x4973_f715;
const SHIFT: u32 = 16;

impl SeedSequence {
    /// `SeedSequence(seed)`.
    pub fn new(seed: u64) -> Self {
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        // NumPy takes a small seed as one word; with so few, an upper word of 0 changes nothing.
        Self::from_words(&[low, high])
    }

    /// A sequence of several numbers, such as a seed, a purpose and a lane; each counts in full, so
    /// that no two lists of the same length give the same words.
    pub fn from_entropy(entropy: &[u64]) -> Self {
        let words: Vec<u32> = entropy.iter().flat_map(|&e| [e as u32, (e >> 32) as u32]).collect();
        Self::from_words(&words)
    }

    /// `SeedSequence([w₀, w₁, …])` of 32-bit words.
    pub fn from_words(words: &[u32]) -> Self {
        let mut hash = Hash { constant: INIT_A, multiplier: MULT_A };
        let mut pool = [0; POOL];
        for (i, slot) in pool.iter_mut().enumerate() {
            *slot = hash.next(words.get(i).copied().unwrap_or(0));
        }
        for from in 0..POOL {
            for to in (0..POOL).filter(|&to| to != from) {
                pool[to] = mix(pool[to], hash.next(pool[from]));
            }
        }
        for &word in words.iter().skip(POOL) {
            for slot in &mut pool {
                *slot = mix(*slot, hash.next(word));
            }
        }
        Self { pool }
    }

    /// `generate_state(n, numpy.uint64)`.
    pub fn generate_u64(&self, n: usize) -> Vec<u64> {
        let mut hash = Hash { constant: INIT_B, multiplier: MULT_B };
        let mut words = (0..2 * n).map(|i| u64::from(hash.next(self.pool[i % POOL])));
        let mut next = || words.next().unwrap_or_default();
        (0..n).map(|_| next() | next() << 32).collect()
    }
}

struct Hash {
    constant: u32,
    multiplier: u32,
}

impl Hash {
    fn next(&mut self, word: u32) -> u32 {
        let word = word ^ self.constant;
        self.constant = self.constant.wrapping_mul(self.multiplier);
        let word = word.wrapping_mul(self.constant);
        word ^ word >> SHIFT
    }
}

fn mix(x: u32, y: u32) -> u32 {
    let mixed = x.wrapping_mul(MIX_LEFT).wrapping_sub(y.wrapping_mul(MIX_RIGHT));
    mixed ^ mixed >> SHIFT
}

/// NumPy's default generator, PCG64 (XSL-RR 128/64), as Gymnasium seeds it. Its whole state can be
/// written down with serde.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvRng(Pcg64);

impl EnvRng {
    /// `numpy.random.default_rng(seed)`.
    pub fn new(seed: u64) -> Self {
        Self::from_sequence(&SeedSequence::new(seed))
    }

    /// A stream named by several numbers; see [`SeedSequence::from_entropy`].
    pub fn from_entropy(entropy: &[u64]) -> Self {
        Self::from_sequence(&SeedSequence::from_entropy(entropy))
    }

    fn from_sequence(sequence: &SeedSequence) -> Self {
        let words = sequence.generate_u64(4);
        let wide = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
        Self(Pcg64::new(wide(words[0], words[1]), wide(words[2], words[3])))
    }

    /// `Generator.random()`: uniform in [0, 1), 53 bits.
    #[inline]
    pub fn random_f64(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// `Generator.uniform(low, high)`: low + (high − low)·u.
    #[inline]
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.random_f64()
    }
}

/// Feeds rand's distributions. NumPy keeps half of a 64-bit number for a second 32-bit one; this does
/// not, so only 64-bit draws agree with it.
impl TryRng for EnvRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(dest);
        Ok(())
    }
}
