//! An update of PPO against one that is written by hand, stage by stage, as tables in Markdown:
//!
//! `cargo run --release -p elegante-bench --bin yardstick`
//!
//! Both are repeated in turns, a few milliseconds of each, and of every stage the quickest call counts: what else the
//! machine does makes a call longer and never shorter, and all calls do the same.
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use elegante::{
    DeviceChoice,
    experiment::COMMIT,
    kernels::{instruction_set, set_fused},
    trainer::selfcheck::{Stages, Update},
};
use elegante_bench::{
    cartpole,
    yardstick::{ACTIONS, Batch, HIDDEN, INPUTS, Yardstick},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROWS: [usize; 3] = [64, 256, 2048];
/// Turns of everything.
const TURNS: usize = 60;
/// How long a turn of one of them takes.
const TURN: Duration = Duration::from_millis(20);

const NAMES: [&str; 6] = ["gather", "forward", "loss", "backward", "step", "whole update"];
/// Seconds of each of [`NAMES`].
type Times = [f64; NAMES.len()];

/// Keeps what was quicker, stage by stage.
fn keep(best: &mut Times, times: Times) {
    best.iter_mut().zip(times).for_each(|(best, time)| *best = best.min(time));
}

/// The quickest calls of a turn: of the stages, and of the whole without clocks in it.
fn turn(
    mut stages: impl FnMut() -> anyhow::Result<[Duration; NAMES.len() - 1]>,
    mut whole: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Times> {
    let (mut best, began) = ([f64::INFINITY; NAMES.len()], Instant::now());
    while began.elapsed() < TURN {
        let [gather, forward, loss, backward, step] = stages()?;
        let start = Instant::now();
        whole()?;
        let times = [gather, forward, loss, backward, step, start.elapsed()];
        keep(&mut best, times.map(|time| time.as_secs_f64()));
    }
    Ok(best)
}

/// A turn of elegante's.
fn elegantes(update: &mut Update) -> anyhow::Result<Times> {
    // Two closures can't borrow it at once, so that the whole comes from a copy.
    let mut copy = update.clone();
    let stages = || {
        let Stages { gather, forward, loss, backward, step } = update.stages()?;
        Ok([gather, forward, loss, backward, step])
    };
    turn(stages, || Ok(copy.run()?))
}

/// A turn of what is written by hand.
fn by_hand(yardstick: &mut Yardstick, batch: &Batch) -> anyhow::Result<Times> {
    let mut copy = yardstick.clone();
    let stages = || {
        let took = yardstick.stages(batch);
        Ok([Duration::ZERO, took.forward, took.loss, took.backward, took.step])
    };
    turn(stages, || {
        std::hint::black_box(copy.update(batch));
        Ok(())
    })
}

/// Floating-point operations of the layers' products in an update, forward and backward.
fn operations(rows: usize) -> f64 {
    let layers = |outputs: usize| (INPUTS + HIDDEN + outputs) * HIDDEN;
    // Forward, dW and dx, which the first layer does not need.
    let products = 3 * (layers(ACTIONS) + layers(1)) - 2 * INPUTS * HIDDEN;
    (2 * rows * products) as f64
}

fn main() -> anyhow::Result<()> {
    println!(
        "{}, commit {}; microseconds, the quickest calls of {TURNS} turns\n",
        instruction_set(),
        COMMIT.get(..12).unwrap_or(COMMIT)
    );
    for rows in ROWS {
        let (mut hand, batch) = Yardstick::example(rows);
        let mut update = Update::new(DeviceChoice::Auto, &cartpole(rows), 1)?;
        let mut best = [[f64::INFINITY; NAMES.len()]; 3];
        for _ in 0..TURNS {
            keep(&mut best[0], by_hand(&mut hand, &batch)?);
            set_fused(true);
            keep(&mut best[1], elegantes(&mut update)?);
            set_fused(false);
            keep(&mut best[2], elegantes(&mut update)?);
        }
        set_fused(true);
        print(rows, &best);
    }
    Ok(())
}

fn print(rows: usize, [hand, fused, composed]: &[Times; 3]) {
    println!("| {rows} rows | by hand | elegante | ratio | fused operations off | ratio |");
    println!("|-|-|-|-|-|-|");
    let micro = |seconds: f64| format!("{:.1}", 1e6 * seconds);
    for (i, name) in NAMES.iter().enumerate() {
        let ratio = |of: f64| match hand[i] {
            0.0 => "–".to_owned(),
            hand => format!("{:.2}", of / hand),
        };
        let by_hand = if hand[i] == 0.0 { "–".to_owned() } else { micro(hand[i]) };
        let (f, c) = (fused[i], composed[i]);
        println!(
            "| {name} | {by_hand} | {} | {} | {} | {} |",
            micro(f),
            ratio(f),
            micro(c),
            ratio(c)
        );
    }
    let whole = NAMES.len() - 1;
    let speed = |times: &Times| operations(rows) / times[whole] / 1e9;
    println!(
        "\n{:.1} million operations in products: {:.0} GFLOP/s by hand, {:.0} here\n",
        operations(rows) / 1e6,
        speed(hand),
        speed(fused)
    );
}
