//! What an environment step costs in training, from 1 to 65,536 lanes, as a table in Markdown and as a picture:
//!
//! `cargo run --release -p elegante-bench --bin lanes [SVG]`
//!
//! PPO on CartPole, two hidden layers of 64, four epochs, minibatches of a fixed size, one thread, processor time.
//! Every size is trained in turns and of each the quickest turn counts.
#![allow(clippy::print_stdout)]

use std::{hint::black_box, io::Write, time::Duration};

use anyhow::Context;
use elegante::{
    Trainer,
    env::{CartPole, TimeLimit},
    experiment::{COMMIT, Chart, Series},
    kernels::instruction_set,
    policy::{MlpConfig, write_atomic},
    trainer::{Algorithm, PpoConfig, RunConfig, TrainConfig},
};
use elegante_bench::cpu_time;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LANES: [usize; 9] = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536];
const MINIBATCHES: [usize; 2] = [256, 2048];
const EPOCHS: usize = 4;
/// Steps in a rollout at least; with more than 512 lanes it is four of each.
const ROLLOUT: usize = 2048;
const STEPS: usize = 4;
const TURNS: usize = 3;
/// Processor time of a turn, at least.
const TURN: Duration = Duration::from_millis(120);

fn env() -> TimeLimit<CartPole> {
    TimeLimit::new(CartPole::default(), 500).expect("500 steps")
}

fn trainer(lanes: usize, batch_size: usize) -> anyhow::Result<Trainer> {
    let config = TrainConfig {
        run: RunConfig { steps: u64::MAX >> 1, lanes, threads: 1, ..RunConfig::default() },
        network: MlpConfig { hidden: vec![64, 64], ..MlpConfig::default() },
        algorithm: Algorithm::Ppo(PpoConfig {
            n_steps: STEPS.max(ROLLOUT / lanes),
            batch_size,
            epochs: EPOCHS,
            ..PpoConfig::default()
        }),
        ..TrainConfig::default()
    };
    Ok(Trainer::new(config, env)?)
}

/// Seconds of processor time that an environment step takes in training, from its collection to the last epoch.
fn training(lanes: usize, batch_size: usize) -> anyhow::Result<f64> {
    let mut trainer = trainer(lanes, batch_size)?;
    // The first update finds no memory to use again.
    trainer.step()?;
    let (began, before) = (cpu_time(), trainer.progress().steps);
    while trainer.progress().steps == before || cpu_time() - began < TURN {
        trainer.step()?;
    }
    Ok((cpu_time() - began).as_secs_f64() / (trainer.progress().steps - before) as f64)
}

/// Bytes a second from and to memory, by a sum of two arrays that no cache holds.
fn bandwidth() -> f64 {
    let n = 1 << 25;
    let (a, b, mut c) = (vec![1.0f32; n], vec![2.0f32; n], vec![0.0f32; n]);
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let began = cpu_time();
        c.iter_mut().zip(a.iter().zip(&b)).for_each(|(c, (a, b))| *c = a + b);
        black_box(&mut c);
        best = best.min((cpu_time() - began).as_secs_f64());
    }
    // c is read before it is written.
    (4 * 4 * n) as f64 / best
}

/// Bytes that a step has to be moved by where the rollout is larger than the caches: its row is written once and read
/// once for advantages, and in every epoch a minibatch takes a line of the cache from each of six arrays.
const BYTES: f64 = (2 * 90 + EPOCHS * 6 * 64) as f64;

fn main() -> anyhow::Result<()> {
    let svg = std::env::args().nth(1);
    let memory = bandwidth();
    let least = 1e6 * BYTES / memory;
    let commit = COMMIT.get(..12).unwrap_or(COMMIT);
    println!(
        "{}, commit {commit}; microseconds of processor time for a step; memory: {:.1} GB/s, so that the \
         {BYTES} bytes of a step take {least:.2} at least\n",
        instruction_set(),
        memory / 1e9
    );
    let mut best = vec![[f64::INFINITY; MINIBATCHES.len()]; LANES.len()];
    for turn in 1..=TURNS {
        for (lanes, best) in LANES.into_iter().zip(&mut best) {
            for (best, batch_size) in best.iter_mut().zip(MINIBATCHES) {
                *best = best.min(training(lanes, batch_size)?);
            }
            eprint!("\rturn {turn} of {TURNS}, {lanes} lanes   ");
            std::io::stderr().flush()?;
        }
        // Who has seen enough may stop it after any turn.
        if let Some(path) = &svg {
            let picture = picture(&best, least, memory).to_svg();
            write_atomic(path.as_ref(), picture.as_bytes())
                .with_context(|| format!("{path} can't be written"))?;
        }
        println!("| lanes, turn {turn} | minibatches of 256 | of 2048 |");
        println!("|-|-|-|");
        for (lanes, times) in LANES.into_iter().zip(&best) {
            let cells: Vec<_> = times.iter().map(|time| format!("{:.2}", 1e6 * time)).collect();
            println!("| {lanes} | {} |", cells.join(" | "));
        }
        println!();
    }
    eprintln!();
    Ok(())
}

fn picture(best: &[[f64; MINIBATCHES.len()]], least: f64, memory: f64) -> Chart {
    let line = |column: usize| {
        let rows = LANES.into_iter().zip(best);
        rows.map(|(lanes, times)| (lanes as f64, 1e6 * times[column])).collect::<Vec<_>>()
    };
    let series = MINIBATCHES.iter().enumerate().map(|(i, rows)| Series {
        name: format!("minibatches of {rows}"),
        line: line(i),
        ..Series::default()
    });
    let top = best.iter().flat_map(|times| &times[..]).fold(0.0, |top: f64, t| top.max(1e6 * t));
    Chart {
        title: "An environment step of PPO on CartPole, one thread".into(),
        x_label: "lanes".into(),
        y_label: "µs of processor time".into(),
        x_powers: true,
        y_span: Some([0.0, (top * 1.15).ceil()]),
        rule: Some((least, format!("memory alone, at {:.0} GB/s", memory / 1e9))),
        series: series.collect(),
        ..Chart::default()
    }
}
