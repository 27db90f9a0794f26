//! Does one of the hot loops so many times, for an instruction counter to look on:
//!
//! `instructions WORK CALLS`
//!
//! What starting and preparing costs is the same for every number of calls, so that the difference of two runs
//! is that of their calls. `benches/instructions.sh` does the arithmetic.
#![allow(clippy::print_stdout)]

use anyhow::{Context, bail};
use elegante::{
    DeviceChoice, Registry,
    experiment::{Driven, ExperimentConfig, Request},
    kernels::instruction_set,
    trainer::{
        Trainer,
        selfcheck::{Acting, Update},
    },
};
use elegante_bench::{Advantages, cartpole, yardstick::Yardstick};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What can be done; the last word is a size.
const WORK: [&str; 15] = [
    "env-1",
    "env-1024",
    "act-1",
    "act-64",
    "act-1024",
    "gae-2048",
    "update-64",
    "update-256",
    "update-2048",
    "train-256",
    "dqn-64",
    "sac-64",
    "hand-64",
    "hand-256",
    "hand-2048",
];

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [work, calls] = &args[..] else {
        // For the script: what there is, and what it is compiled for.
        println!("{}\n{}", instruction_set(), WORK.join("\n"));
        return Ok(());
    };
    if !WORK.contains(&work.as_str()) {
        bail!("there is no `{work}`: choose one of {}", WORK.join(", "));
    }
    let calls: usize = calls.parse().with_context(|| format!("`{calls}` is no number of calls"))?;
    let (kind, size) = work.split_once('-').context("every name has a size")?;
    let mut work = prepare(kind, size.parse()?)?;
    (0..calls).try_for_each(|_| work())
}

type Call = Box<dyn FnMut() -> anyhow::Result<()>>;

fn prepare(kind: &str, size: usize) -> anyhow::Result<Call> {
    Ok(match kind {
        "env" => {
            let env = Registry::standard().make_vec("CartPole-v1", size, &Default::default())?;
            let mut driven = Driven::new(env)?;
            Box::new(move || Ok(driven.step()?))
        }
        "act" => {
            let acting = Acting::new(DeviceChoice::Auto, &cartpole(size))?;
            Box::new(move || Ok(acting.run()?))
        }
        "update" => {
            let mut update = Update::new(DeviceChoice::Auto, &cartpole(size), 1)?;
            Box::new(move || Ok(update.run()?))
        }
        "hand" => {
            let (mut yardstick, batch) = Yardstick::example(size);
            Box::new(move || {
                std::hint::black_box(yardstick.update(&batch));
                Ok(())
            })
        }
        "gae" => {
            let rollout = Advantages::new(8, size / 8);
            Box::new(move || {
                std::hint::black_box(rollout.run());
                Ok(())
            })
        }
        "train" => training("CartPole-v1", "ppo", &[])?,
        _ => replaying(kind, size)?,
    })
}

/// Whole updates on an environment with its preset: of PPO rollouts of 256 steps, learnt from twenty times.
fn training(env: &str, algo: &str, sets: &[String]) -> anyhow::Result<Call> {
    let registry = Registry::standard();
    let (env, algo) = (Some(env.into()), Some(algo.into()));
    let request = Request { env, algo, sets: sets.to_vec(), ..Request::default() };
    let mut config = ExperimentConfig::resolve(&registry, &request)?;
    config.train.run.threads = 1;
    let mut trainer = Trainer::from_factory(config.train.clone(), config.env_factory(&registry)?)?;
    Ok(Box::new(move || {
        trainer.step()?;
        Ok(())
    }))
}

/// The same of what learns from replay: 64 steps, and eight minibatches of so many.
fn replaying(algo: &str, batch_size: usize) -> anyhow::Result<Call> {
    let env = if algo == "dqn" { "CartPole-v1" } else { "Pendulum-v1" };
    let settings = [
        ("learning_starts", 64),
        ("train_freq", 64),
        ("gradient_steps", 8),
        ("batch_size", batch_size),
    ];
    let sets = settings.map(|(key, value)| format!("{algo}.{key}={value}"));
    let mut update = training(env, algo, &sets)?;
    // The first only fills the buffer.
    update()?;
    Ok(update)
}
