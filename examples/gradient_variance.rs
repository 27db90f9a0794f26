//! The derivation's promise, measured: how much the policy gradient scatters under each of the three
//! estimators, at several stages of training.
//!
//! At each stage the policy is held still, 100 batches of 20 episodes are drawn from it, and each
//! batch gives three gradients, with r(τ), Gₜ and Gₜ − Vφ(sₜ) as weights (raw, not normalised; Vφ was
//! fitted to other episodes of the same policy). The variance is the trace of the covariance matrix
//! over batches. Run it with `cargo run --release --example gradient_variance`.

use burn::tensor::{Device, Tensor, TensorData};
use elegante::{
    env::{CartPole, Ending, Env, EnvRng, Reset, TimeLimit},
    policy::{ActionBatch, DeviceChoice, MlpConfig, Policy, ValueNet, params},
    trainer::{
        RunConfig, TrainConfig, Trainer, Trajectories,
        loss::{policy_gradient, value_mse},
        optim::Adam,
        returns::{mean_std, rewards_to_go, standardize, total_returns},
    },
};

type Anyhow<T> = Result<T, Box<dyn std::error::Error>>;

const BATCHES: usize = 100;
const EPISODES: usize = 20;
const STAGES: [u64; 5] = [0, 30_000, 60_000, 120_000, 240_000];

fn main() -> Anyhow<()> {
    let device = DeviceChoice::Auto.open()?.autodiff();
    let config = TrainConfig {
        run: RunConfig { steps: STAGES[4], ..RunConfig::default() },
        ..TrainConfig::default()
    };
    let mut trainer =
        Trainer::new(config, || TimeLimit::new(CartPole::default(), 500).expect("500"))?;
    println!(
        "| steps trained | mean return | total / to-go | to-go / baseline | tr Cov total | to-go | baseline |"
    );
    println!("|-|-|-|-|-|-|-|");
    for (stage, steps) in STAGES.into_iter().enumerate() {
        trainer.run_until(steps, |_| std::ops::ControlFlow::Continue(()))?;
        // The same weights twice: one copy acts, and only the other one's steps are recorded.
        let acting = trainer.policy();
        let policy = acting.train();
        let mut world = World::new(stage as u64, &acting)?;
        let value = fit(&world.play(3 * EPISODES)?, &device)?;
        let mut spread = [const { Spread::new() }; 3];
        let mut total_return = 0.0;
        for _ in 0..BATCHES {
            let batch = world.play(EPISODES)?;
            total_return += batch.returns().sum::<f64>();
            let to_go = rewards_to_go(&batch, 1.0);
            let advantage = to_go.iter().zip(value.at(&batch)).map(|(g, v)| g - v).collect();
            let weights = [total_returns(&batch, 1.0), to_go, advantage];
            for (spread, weights) in spread.iter_mut().zip(&weights) {
                spread.add(&gradient(&policy, &batch, weights, &device));
            }
        }
        let [total, to_go, baseline] = spread.map(|s| s.variance());
        println!(
            "| {} | {:.1} | {:.2} | {:.2} | {total:.3e} | {to_go:.3e} | {baseline:.3e} |",
            trainer.progress().steps,
            total_return / (BATCHES * EPISODES) as f64,
            total / to_go,
            to_go / baseline,
        );
    }
    Ok(())
}

/// CartPole with a policy that acts in it.
struct World<'a> {
    env: TimeLimit<CartPole>,
    policy: &'a Policy,
    rng: EnvRng,
    obs: [f32; 4],
}

impl<'a> World<'a> {
    fn new(stage: u64, policy: &'a Policy) -> Anyhow<Self> {
        let mut env = TimeLimit::new(CartPole::default(), 500)?;
        let mut obs = [0.0; 4];
        env.reset(&Reset::seeded(1_000 + stage), &mut obs)?;
        Ok(Self { env, policy, rng: EnvRng::new(stage), obs })
    }

    /// Whole episodes, τ ~ πθ.
    fn play(&mut self, episodes: usize) -> Anyhow<Trajectories> {
        let mut actions = Vec::new();
        let mut batch = Trajectories::new(ActionBatch::Discrete(Vec::new()));
        while batch.count() < episodes {
            let start = actions.len();
            let ending: Ending = loop {
                batch.observations.extend(self.obs);
                let ActionBatch::Discrete(action) = self.policy.sample(&self.obs, &mut self.rng)?
                else {
                    return Err("CartPole's actions are discrete".into());
                };
                actions.push(action[0]);
                let step = self.env.step(&action[0], &mut self.obs)?;
                batch.rewards.push(step.reward);
                if let Some(ending) = step.ending {
                    break ending;
                }
            };
            batch.lengths.push(actions.len() - start);
            batch.endings.push(ending);
            self.env.reset(&Reset::default(), &mut self.obs)?;
        }
        batch.actions = ActionBatch::Discrete(actions);
        Ok(batch)
    }
}

fn states(batch: &Trajectories, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(batch.observations.clone(), [batch.steps(), 4]), device)
}

fn column(values: &[f64], device: &Device) -> Tensor<1> {
    let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
    Tensor::from_data(values.as_slice(), device)
}

/// ∇θ of the surrogate, for one batch.
fn gradient(policy: &Policy, batch: &Trajectories, weights: &[f64], device: &Device) -> Vec<f32> {
    let π = policy.forward(states(batch, device), None);
    let log_prob = π.log_prob(batch.actions.to_tensor(device));
    let mut gradients =
        policy_gradient(log_prob, column(weights, device), batch.count()).backward();
    params::flatten_gradients(policy, &mut gradients)
}

/// Vφ with the scale of the returns that it learnt.
struct Value {
    net: ValueNet,
    scale: (f64, f64),
    device: Device,
}

impl Value {
    fn at(&self, batch: &Trajectories) -> Vec<f64> {
        let (mean, std) = self.scale;
        let values = self.net.forward(states(batch, &self.device)).into_data();
        values.iter::<f64>().map(|v| mean + std * v).collect()
    }
}

/// Fits Vφ to the returns of `batch`, until it has nothing more to learn from them.
fn fit(batch: &Trajectories, device: &Device) -> Anyhow<Value> {
    let mut targets = rewards_to_go(batch, 1.0);
    let scale = mean_std(&targets);
    standardize(&mut targets);
    let mut net = ValueNet::init(&MlpConfig::default(), 4, &mut EnvRng::new(9), device)?;
    let mut φ = params::flatten(&net);
    let mut adam = Adam::new(φ.len(), 1e-8);
    let (states, targets) = (states(batch, device), column(&targets, device));
    for _ in 0..150 {
        let mut gradients = value_mse(net.forward(states.clone()), targets.clone()).backward();
        adam.step(&mut φ, &params::flatten_gradients(&net, &mut gradients), 1e-2);
        net = params::unflatten(net, &φ);
    }
    Ok(Value { net, scale, device: device.clone() })
}

/// Running sums of gradients and of their squares.
struct Spread {
    n: f64,
    sum: Vec<f64>,
    squares: f64,
}

impl Spread {
    const fn new() -> Self {
        Self { n: 0.0, sum: Vec::new(), squares: 0.0 }
    }

    fn add(&mut self, gradient: &[f32]) {
        self.sum.resize(gradient.len(), 0.0);
        for (sum, &g) in self.sum.iter_mut().zip(gradient) {
            *sum += f64::from(g);
            self.squares += f64::from(g).powi(2);
        }
        self.n += 1.0;
    }

    /// tr Cov = E|g|² − |E g|², unbiased.
    fn variance(&self) -> f64 {
        let of_mean = self.sum.iter().map(|s| (s / self.n).powi(2)).sum::<f64>();
        (self.squares / self.n - of_mean) * self.n / (self.n - 1.0)
    }
}
