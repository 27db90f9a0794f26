//! REINFORCE in about sixty lines: the equation
//!
//! ∇θ E[r(τ)] = E[ Σₜ ∇θ log πθ(aₜ|sₜ) · r(τ) ]
//!
//! on CartPole, against burn and elegante's three crates. Run it with
//! `cargo run --release --example reinforce`.

use burn::tensor::{Tensor, TensorData};
use elegante::{
    env::{CartPole, Env, EnvRng, Reset, TimeLimit},
    policy::{ActionBatch, ActionHead, DeviceChoice, MlpConfig, PolicyConfig, params},
    trainer::{loss::policy_gradient, optim::Adam},
};

const BATCH: usize = 2_000; // steps in a batch, at least
const UPDATES: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = DeviceChoice::Auto.open()?.autodiff();
    let mut rng = EnvRng::new(0);
    let mut env = TimeLimit::new(CartPole::default(), 500)?;
    let action = ActionHead::Categorical { n: 2 };
    let config = PolicyConfig::new(4, action, MlpConfig::default());
    let mut policy = config.init(&mut rng, &device)?;
    let mut θ = params::flatten(&policy);
    let mut adam = Adam::new(θ.len(), 1e-8);
    let mut obs = [0.0; 4];
    env.reset(&Reset::seeded(1), &mut obs)?;

    for update in 0..UPDATES {
        // τ₁ … τ_N ~ πθ: whole trajectories, each weighted with its own return r(τ).
        let (mut s, mut a, mut r) = (Vec::new(), Vec::new(), Vec::new());
        let mut trajectories = 0;
        while r.len() < BATCH {
            let (start, mut ending) = (a.len(), None);
            while ending.is_none() {
                let ActionBatch::Discrete(action) = policy.sample(&obs, &mut rng)? else {
                    unreachable!()
                };
                s.extend(obs);
                a.push(action[0]);
                ending = env.step(&action[0], &mut obs)?.ending;
            }
            let collected = (a.len() - start) as f32; // CartPole pays 1 for every step
            r.resize(a.len(), collected);
            trajectories += 1;
            env.reset(&Reset::default(), &mut obs)?;
        }

        // L(θ) = −(1/N) Σᵢ Σₜ log πθ(aₜ|sₜ) · r(τᵢ), and burn computes its gradient.
        let steps = r.len();
        let states = Tensor::from_data(TensorData::new(s, [steps, 4]), &device);
        let actions = ActionBatch::Discrete(a).to_tensor(&device);
        let weights = Tensor::from_data(TensorData::new(r, [steps]), &device);
        let log_prob = policy.forward(states, None).log_prob(actions);
        let mut gradients = policy_gradient(log_prob, weights, trajectories).backward();

        // θ ← Adam(θ, ∇θ L)
        let learning_rate = 1e-2 * (1.0 - update as f64 / UPDATES as f64);
        adam.step(&mut θ, &params::flatten_gradients(&policy, &mut gradients), learning_rate);
        policy = params::unflatten(policy, &θ);
        if update % 10 == 9 {
            println!(
                "update {:>3}   mean return {:>5.1}",
                update + 1,
                steps as f64 / trajectories as f64
            );
        }
    }
    Ok(())
}
