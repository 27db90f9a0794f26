//! A trained policy in a program of your own: load it, look, act. Nothing here trains, and a program
//! that does only this needs the crates `elegante-policy` and (for its world) `elegante-env` alone.
//!
//! `cargo run --release -- train CartPole-v1 --out runs/cartpole`, then
//! `cargo run --release --example embed_policy -- runs/cartpole`.

use std::path::PathBuf;

use elegante_env::{CartPole, Env, Reset, TimeLimit};
use elegante_policy::{ActionBatch, DeviceChoice, Policy};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let run = std::env::args().nth(1).map(PathBuf::from).ok_or("which run? give its directory")?;
    let policy = Policy::load(run.join("policy.safetensors"), &DeviceChoice::Auto.open()?)?;

    // Your robot, game or plant stands here; CartPole stands in for it.
    let mut world = TimeLimit::new(CartPole::default(), 500)?;
    let mut observation = vec![0.0; policy.config().observation];
    world.reset(&Reset::seeded(2026), &mut observation)?;
    let mut total = 0.0;
    loop {
        let ActionBatch::Discrete(action) = policy.act(&observation)? else {
            return Err("this world wants a discrete action".into());
        };
        let step = world.step(&action[0], &mut observation)?;
        total += step.reward;
        if let Some(ending) = step.ending {
            println!("{ending:?} with a return of {total}");
            return Ok(());
        }
    }
}
