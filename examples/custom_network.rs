//! A network of your own: a small convolutional one, which learns to cross a grid.
//!
//! The world shows where the walker is, and where it was a step ago, as two planes of a picture. Any
//! burn module that turns a batch of observations into outputs can be policy and value function; the
//! one trait that it needs is `Network`. Run it with
//! `cargo run --release --example custom_network`.

use std::ops::ControlFlow;

use burn::{
    module::Module,
    nn::{
        Linear, LinearConfig, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::{Device, Tensor, activation::relu},
};
use elegante::{
    env::{EnvRng, GridRewards, GridWorld, TimeLimit, wrappers::FrameStack},
    policy::{AnyNetwork, DeviceChoice, Network, Policy, params},
    trainer::{Algorithm, Event, PpoConfig, RunConfig, TrainConfig, Trainer},
};

const MAP: [&str; 5] = ["S..#.", ".#..H", ".#.#.", "...#.", "H#..G"];
const FRAMES: usize = 2;
const SIDE: usize = 5;
const CHANNELS: usize = 8;

/// A 3 × 3 convolution over the last frames, and a linear layer on what it found.
#[derive(Module, Debug)]
struct Cnn {
    conv: Conv2d,
    out: Linear,
}

impl Network for Cnn {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let rows = x.dims()[0];
        let frames = x.reshape([rows, FRAMES, SIDE, SIDE]);
        let found = relu(self.conv.forward(frames));
        self.out.forward(found.reshape([rows, CHANNELS * SIDE * SIDE]))
    }
}

impl Cnn {
    /// Weights come from `rng`, so that a run is a function of its seed.
    fn new(outputs: usize, rng: &mut EnvRng, device: &Device) -> Self {
        let conv = Conv2dConfig::new([FRAMES, CHANNELS], [3, 3])
            .with_padding(PaddingConfig2d::Same)
            .init(device);
        let out = LinearConfig::new(CHANNELS * SIDE * SIDE, outputs).init(device);
        let net = Self { conv, out };

        let mut weights = Vec::new();
        for parameter in params::describe(&net) {
            // Convolutions are [outputs, inputs, 3, 3], linear layers [inputs, outputs].
            let bound = match parameter.shape[..] {
                [_, inputs, height, width] => 1.0 / ((inputs * height * width) as f64).sqrt(),
                [inputs, _] => 1.0 / (inputs as f64).sqrt(),
                _ => 0.0, // biases
            };
            let count = parameter.shape.iter().product();
            weights.extend((0..count).map(|_| rng.uniform(-bound, bound) as f32));
        }
        params::unflatten(net, &weights)
    }
}

fn grid() -> TimeLimit<FrameStack<GridWorld>> {
    let world = GridWorld::new(&MAP, 1.0, GridRewards::default()).expect("a map with a start");
    let stacked = FrameStack::new(world, FRAMES).expect("two frames");
    TimeLimit::new(stacked, 50).expect("50 steps")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = TrainConfig {
        run: RunConfig { seed: 1, steps: 40_000, lanes: 8, ..RunConfig::default() },
        algorithm: Algorithm::Ppo(PpoConfig {
            n_steps: 64,
            batch_size: 128,
            epochs: 4,
            learning_rate: 2e-3,
            entropy_coef: 0.01,
            ..PpoConfig::default()
        }),
        ..TrainConfig::default()
    };
    // Asked twice: for the policy, and for the value function with its one output.
    let build = |_inputs: usize, outputs: usize, rng: &mut EnvRng, device: &Device| {
        AnyNetwork::new(Cnn::new(outputs, rng, device))
    };
    let mut trainer = Trainer::with_networks(config, grid, build)?;
    trainer.run(|event| {
        if let Event::Update(m) = event
            && m.update % 10 == 0
        {
            println!("{:6} steps: mean return {:.2}", m.steps, m.mean_return_100);
        }
        ControlFlow::Continue(())
    })?;
    let world = GridWorld::new(&MAP, 1.0, GridRewards::default())?;
    let best = world.mdp().optimal_return(1.0, 50);
    let reached = trainer.evaluate()?.mean_return;
    println!("return {reached:.2}; no policy gets more than {best:.2}");

    // The file has the weights, and only the program knows the network they belong to.
    let path = std::env::temp_dir().join("elegante-cnn.safetensors");
    trainer.policy().save(&path)?;
    let device = DeviceChoice::Auto.open()?;
    let net = AnyNetwork::new(Cnn::new(4, &mut EnvRng::new(0), &device));
    let loaded = Policy::from_safetensors_with(&std::fs::read(&path)?, net, &device)?;
    assert_eq!(loaded.to_safetensors()?, trainer.policy().to_safetensors()?);
    println!("saved and read again: {}", path.display());
    Ok(())
}
