//! Millions of steps a second, as a table in Markdown, for several numbers of lanes:
//!
//! `cargo run --release -p elegante-env --features parallel --example throughput [ENV…] [LANES…]`
//!
//! Every number is the best of many short turns, taken in rotation, so that what else the machine does
//! hits all of them alike. Actions are drawn inside the measured loop.
#![allow(clippy::print_stdout)]

#[path = "../benches/bare/mod.rs"]
mod bare;

use std::time::{Duration, Instant};

use bare::{Bare, BareLoop, CartPole, Cheap, Driven, Pendulum};
use elegante_env::{Env, EnvError, Registry, Reset, TimeLimit, VecEnv, VectorEnv};

/// What is measured if nothing is named.
const IDS: [&str; 5] =
    ["CartPole-v1", "Pendulum-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Acrobot-v1"];

const TURNS: usize = 100;
/// How long a turn should take.
const TURN: Duration = Duration::from_millis(4);

/// Something that makes a step in all its lanes.
type Contestant<'a> = Box<dyn FnMut() -> Result<(), EnvError> + 'a>;

/// Steps a second of each contestant.
fn race(lanes: usize, contestants: &mut [Contestant<'_>]) -> Result<Vec<f64>, EnvError> {
    let mut best = vec![f64::INFINITY; contestants.len()];
    let mut counts = Vec::new();
    for contestant in contestants.iter_mut() {
        let (began, mut count) = (Instant::now(), 0);
        while began.elapsed() < TURN {
            contestant()?;
            count += 1;
        }
        counts.push(count);
    }
    for _ in 0..TURNS {
        for ((contestant, best), &count) in contestants.iter_mut().zip(&mut best).zip(&counts) {
            let began = Instant::now();
            (0..count).try_for_each(|_| contestant())?;
            *best = best.min(began.elapsed().as_secs_f64() / f64::from(count));
        }
    }
    Ok(best.into_iter().map(|seconds| lanes as f64 / seconds).collect())
}

/// Steps under actions drawn each time.
fn drawn<'a>(env: Box<dyn VectorEnv>) -> Result<Contestant<'a>, EnvError> {
    let mut driven = Driven::new(env)?;
    Ok(Box::new(move || driven.step()))
}

/// Steps under actions drawn before, so that nothing but stepping is measured.
fn replayed<'a>(env: Box<dyn VectorEnv>) -> Result<Contestant<'a>, EnvError> {
    let mut driven = Driven::new(env)?;
    Ok(Box::new(move || driven.replay()))
}

fn bare_loop<'a, B: Bare + 'a>(lanes: usize) -> Contestant<'a> {
    let mut lanes = BareLoop::<B>::new(lanes);
    Box::new(move || {
        lanes.step();
        Ok(())
    })
}

/// A row of the table.
fn row(id: &str, lanes: usize) -> Result<(), EnvError> {
    let (registry, none) = (Registry::standard(), toml::Table::new());
    let entry = registry.get(id)?;
    let boxed = (0..lanes).map(|_| entry.make(&none)).collect::<Result<Vec<_>, _>>()?;
    let mut contestants = vec![
        drawn(entry.make_vec(lanes, &none)?)?,
        drawn(Box::new(VecEnv::new(boxed)?))?,
        replayed(entry.make_vec(lanes, &none)?)?,
    ];
    match id {
        "CartPole-v1" => contestants.push(bare_loop::<CartPole>(lanes)),
        "Pendulum-v1" => contestants.push(bare_loop::<Pendulum>(lanes)),
        _ => {}
    }
    let speeds = race(lanes, &mut contestants)?;
    let millions = |speed: f64| format!("{:.1}", speed / 1e6);
    let bare = match speeds.get(3) {
        Some(bare) => format!("{} | {:.2}", millions(*bare), speeds[0] / bare),
        None => "– | –".into(),
    };
    let (native, single, replay) = (millions(speeds[0]), millions(speeds[1]), millions(speeds[2]));
    let threads = on_two_threads(id, lanes)?;
    println!("| {id} | {lanes} | {bare} | {native} | {replay} | {single} | {threads} |");
    Ok(())
}

/// How many times as fast two threads are as one, if they are woken for every step.
#[cfg(feature = "parallel")]
fn on_two_threads(id: &str, lanes: usize) -> Result<String, EnvError> {
    let (registry, none) = (Registry::standard(), toml::Table::new());
    let entry = registry.get(id)?;
    let two = Box::new(entry.make_parallel(lanes, 2, &none)?.wake_from(Duration::ZERO));
    let mut contestants = [replayed(entry.make_vec(lanes, &none)?)?, replayed(two)?];
    let speeds = race(lanes, &mut contestants)?;
    Ok(format!("×{:.2}", speeds[1] / speeds[0]))
}

#[cfg(not(feature = "parallel"))]
fn on_two_threads(_: &str, _: usize) -> Result<String, EnvError> {
    Ok("–".into())
}

/// One environment by itself.
fn alone() -> Result<f64, EnvError> {
    let mut env = TimeLimit::new(elegante_env::CartPole::default(), 500)?;
    let (mut obs, mut rng, anew) = ([0.0; 4], Cheap::new(), Reset::default());
    env.reset(&Reset::seeded(0), &mut obs)?;
    let step = move || {
        if env.step(&rng.choice(2), &mut obs)?.ending.is_some() {
            env.reset(&anew, &mut obs)?;
        }
        std::hint::black_box(&mut obs);
        Ok(())
    };
    let mut thousand: [Contestant<'_>; 1] = [{
        let mut step = step;
        Box::new(move || (0..1000).try_for_each(|_| step()))
    }];
    Ok(race(1000, &mut thousand)?[0])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut ids, mut lanes) = (Vec::new(), Vec::new());
    for arg in std::env::args().skip(1) {
        match arg.parse::<usize>() {
            Ok(count) => lanes.push(count),
            Err(_) => ids.push(arg),
        }
    }
    if ids.is_empty() {
        ids = IDS.map(String::from).to_vec();
    }
    if lanes.is_empty() {
        lanes = vec![1, 8, 64, 1024, 8192, 65536];
    }
    println!("TimeLimit<CartPole> through `Env`: {:.1} M steps/s\n", alone()? / 1e6);
    println!(
        "| environment | lanes | bare loop | native / bare | native | actions given | one by one | 2 threads |"
    );
    println!("|-|-|-|-|-|-|-|-|");
    for id in &ids {
        for &lanes in &lanes {
            row(id, lanes)?;
        }
    }
    Ok(())
}
