//! Seeding and random numbers against NumPy itself; `scripts/goldens_numpy.py` wrote what it returned.
#![allow(clippy::unwrap_used)] // a panic here is the report

use elegante_env::{EnvRng, SeedSequence};
use rand::Rng;
use serde::Deserialize;

#[derive(Deserialize)]
struct Goldens {
    streams: Vec<Stream>,
    sequences: Vec<Sequence>,
}

#[derive(Deserialize)]
struct Stream {
    seed: u64,
    sequence: Vec<u64>,
    raw: Vec<u64>,
    random: Vec<f64>,
    uniform: Vec<(f64, f64, f64)>,
}

#[derive(Deserialize)]
struct Sequence {
    words: Vec<u32>,
    sequence: Vec<u64>,
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("goldens/numpy.json")).unwrap()
}

#[test]
fn seed_sequences_spread_seeds_as_numpy_does() {
    for stream in goldens().streams {
        let ours = SeedSequence::new(stream.seed).generate_u64(4);
        assert_eq!(ours, stream.sequence, "seed {}", stream.seed);
    }
    for Sequence { words, sequence } in goldens().sequences {
        let ours = SeedSequence::from_words(&words).generate_u64(sequence.len());
        assert_eq!(ours, sequence, "words {words:?}");
    }
}

#[test]
fn raw_numbers_are_those_of_pcg64() {
    for stream in goldens().streams {
        let mut rng = EnvRng::new(stream.seed);
        let ours: Vec<u64> = stream.raw.iter().map(|_| rng.next_u64()).collect();
        assert_eq!(ours, stream.raw, "seed {}", stream.seed);
    }
}

#[test]
fn fractions_and_uniform_numbers_have_numpys_bits() {
    for stream in goldens().streams {
        let mut rng = EnvRng::new(stream.seed);
        let ours: Vec<f64> = stream.random.iter().map(|_| rng.random_f64()).collect();
        assert_eq!(ours, stream.random, "seed {}", stream.seed);

        let mut rng = EnvRng::new(stream.seed);
        for (low, high, expected) in stream.uniform {
            let ours = rng.uniform(low, high);
            assert_eq!(ours.to_bits(), expected.to_bits(), "seed {}: {ours}", stream.seed);
        }
    }
}

#[test]
fn named_streams_are_numpys_for_the_halves_of_their_names() {
    // Both halves count, also where the upper one is 0.
    let name = [7, 1 << 40, 3];
    let halves = [7, 0, 0, 1 << 8, 3, 0];
    let ours = SeedSequence::from_entropy(&name);
    assert_eq!(ours, SeedSequence::from_words(&halves));
    let mut streams = vec![EnvRng::from_entropy(&name)];
    for other in [[7, 1 << 40, 4], [7, 1 << 41, 3], [3, 1 << 40, 7], [7, 3, 1 << 40]] {
        streams.push(EnvRng::from_entropy(&other));
    }
    let mut first: Vec<u64> = streams.iter_mut().map(EnvRng::next_u64).collect();
    first.sort_unstable();
    first.dedup();
    assert_eq!(first.len(), 5, "two names gave the same stream");
}

#[test]
fn a_saved_generator_goes_on_where_it_was() {
    let mut rng = EnvRng::new(11);
    rng.next_u64();
    let mut as_json: EnvRng = serde_json::from_str(&serde_json::to_string(&rng).unwrap()).unwrap();
    let mut as_bytes: EnvRng =
        elegante_env::state::load(&elegante_env::state::save(&rng).unwrap()).unwrap();
    let next: Vec<u64> = (0..5).map(|_| rng.next_u64()).collect();
    assert_eq!((0..5).map(|_| as_json.next_u64()).collect::<Vec<_>>(), next);
    assert_eq!((0..5).map(|_| as_bytes.next_u64()).collect::<Vec<_>>(), next);
}
