//! Training from Rust: the trainer is a library, and the command line only one of its clients.
//!
//! Steps through a few updates by hand, then lets the run go on with a callback until CartPole is
//! solved, and saves the policy. Run it with `cargo run --release --example train_from_code`.

use std::ops::ControlFlow;

use elegante::{
    env::{CartPole, TimeLimit},
    trainer::{Algorithm, Estimator, Event, ReinforceConfig, RunConfig, TrainConfig, Trainer},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = TrainConfig {
        run: RunConfig {
            seed: 7,
            steps: 300_000,
            eval_every: 50_000,
            stop_at: Some(475.0), // by an evaluation, since there are some
            ..RunConfig::default()
        },
        algorithm: Algorithm::Reinforce(ReinforceConfig {
            estimator: Estimator::Baseline,
            ..ReinforceConfig::default()
        }),
        ..TrainConfig::default()
    };
    let mut trainer =
        Trainer::new(config, || TimeLimit::new(CartPole::default(), 500).expect("500 steps"))?;

    // One update at a time, with everything it measured …
    for _ in 0..3 {
        let m = trainer.step()?;
        println!(
            "update {}: {} episodes, mean return {:.1}, gradient norm {:.3}",
            m.update, m.batch_episodes, m.batch_return, m.grad_norm
        );
    }

    // … or all of them, with a callback that sees every episode, update and evaluation.
    let mut longest = 0;
    let stop = trainer.run(|event| {
        match event {
            Event::Episode(episode) => longest = longest.max(episode.length),
            Event::Evaluation(e) => {
                println!("evaluation: {:.1} ± {:.1}", e.mean_return, e.std_return);
            }
            _ => {}
        }
        ControlFlow::Continue(()) // Break would stop at this update
    })?;

    let steps = trainer.progress().steps;
    println!("{stop:?} after {steps} steps; the longest episode had {longest}");
    let path = std::env::temp_dir().join("elegante-cartpole.safetensors");
    trainer.policy().save(&path)?;
    println!("saved {}", path.display());
    Ok(())
}
