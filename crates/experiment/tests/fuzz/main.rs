//! Damaged files of every kind, by the thousand: reading them is an error that names the file, or harmless.
//! Never is it a panic, and never does it take more memory than the file has any claim to.
//!
//! The same mutations every time. For more of them than a test has time for:
//!
//! ```sh
//! ELEGANTE_MUTATIONS=1000000 cargo test --workspace --test fuzz -- --nocapture
//! ```
#![allow(clippy::unwrap_used)] // a panic here is the report

mod corpus;
mod draw;
mod tensors;
mod text;

use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use corpus::Sample;
use draw::Draw;

/// Mutations of a test run; enough to meet every class of them many times.
const FEW: usize = 6_000;

/// Bytes that reading any file may take …
const AT_LEAST: u64 = 8 << 20;
/// … and those for each byte of the file.
const PER_BYTE: u64 = 200;

/// How often each class of mutation was refused and how often it did no harm.
#[derive(Default)]
struct Tally(BTreeMap<(&'static str, &'static str), [usize; 2]>);

#[test]
fn damaged_files_are_errors_that_name_them() {
    let mutations = std::env::var("ELEGANTE_MUTATIONS").map_or(FEW, |n| n.parse().unwrap());
    let samples = corpus::samples();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let tallies: Vec<(Tally, u64)> = std::thread::scope(|scope| {
        let worker = || {
            let dir = tempfile::tempdir().unwrap();
            let (mut tally, mut peak) = (Tally::default(), 0);
            let mut readers: Vec<_> = samples.iter().map(Sample::reader).collect();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= mutations {
                    return (tally, peak);
                }
                let which = number % samples.len();
                let took =
                    one(number, &samples[which], &mut readers[which], dir.path(), &mut tally);
                peak = peak.max(took);
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    report(tallies, mutations);
}

/// One mutation of `sample`; returns the memory that reading it took.
fn one(
    number: usize,
    sample: &Sample,
    read: &mut corpus::Reader,
    dir: &Path,
    tally: &mut Tally,
) -> u64 {
    let (class, bytes) = sample.mutated(&mut Draw::new(number as u64));
    let path = dir.join(sample.file);
    fs::write(&path, &bytes).unwrap();
    let mut outcome = None;
    let memory = allocation_counter::measure(|| {
        outcome = Some(catch_unwind(AssertUnwindSafe(|| read(&path))));
    });
    let told = format!("mutation {number}, {class} of {}", sample.name);
    let outcome = outcome.unwrap().unwrap_or_else(|_| panic!("{told}: a panic"));
    if let Err(error) = &outcome {
        let name = path.display().to_string();
        assert!(error.contains(&name), "{told}: the error does not name the file: {error}");
    }
    let limit = AT_LEAST + PER_BYTE * bytes.len() as u64;
    assert!(memory.bytes_max <= limit, "{told}: {} bytes of memory", memory.bytes_max);
    tally.0.entry((sample.kind(), class)).or_default()[usize::from(outcome.is_ok())] += 1;
    memory.bytes_max
}

/// Prints what was done; every class must have been met, and refused now and then.
fn report(tallies: Vec<(Tally, u64)>, mutations: usize) {
    let mut all = Tally::default();
    let mut peak = 0;
    for (tally, took) in tallies {
        peak = peak.max(took);
        for (key, [refused, harmless]) in tally.0 {
            let sums = all.0.entry(key).or_default();
            sums[0] += refused;
            sums[1] += harmless;
        }
    }
    println!("{mutations} mutations, at most {:.1} MB of memory for one", peak as f64 / 1e6);
    for ((kind, class), [refused, harmless]) in &all.0 {
        println!("{kind:<11} {class:<28} {refused:>7} refused {harmless:>7} harmless");
        assert!(refused + harmless > 0);
    }
    let refused: usize = all.0.values().map(|[refused, _]| refused).sum();
    assert!(refused > mutations / 4, "only {refused} of {mutations} mutations did any damage");
    assert!(all.0.len() >= 20, "{} classes", all.0.len());
}

#[test]
fn what_is_taken_apart_and_put_together_again_is_read() {
    // Otherwise the mutations of headers would all end at a checksum.
    let dir = tempfile::tempdir().unwrap();
    for sample in corpus::samples() {
        let path = dir.path().join(sample.file);
        let mut read = sample.reader();
        for bytes in [sample.bytes.clone(), sample.put_together()] {
            fs::write(&path, bytes).unwrap();
            read(&path).unwrap_or_else(|error| panic!("{}: {error}", sample.name));
        }
    }
}
