//! Networks of somebody's own, in every algorithm.

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::{
    module::{Module, Param},
    nn::Linear,
    tensor::{Device, Tensor, TensorData},
};
use elegante_env::EnvRng;
use elegante_kernels::Team;
use elegante_policy::{AnyNetwork, DeviceChoice, Network, Policy, tanh};
use elegante_trainer::{Algorithm, Continuous, DqnConfig, RunConfig, TrainConfig, Trainer};

use crate::worlds::{Range, a2c, cartpole, config, finish, ppo};

/// Two linear layers, and the inputs beside the features of the second.
#[derive(Module, Debug)]
struct Wide {
    inner: Linear,
    out: Linear,
}

impl Network for Wide {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.out.forward(Tensor::cat(vec![x.clone(), tanh(self.inner.forward(x))], 1))
    }
}

fn linear([rows, cols]: [usize; 2], rng: &mut EnvRng, device: &Device) -> Linear {
    let mut draw = |n| -> Vec<f32> { (0..n).map(|_| rng.uniform(-0.3, 0.3) as f32).collect() };
    Linear {
        weight: Param::from_data(TensorData::new(draw(rows * cols), [rows, cols]), device),
        bias: Some(Param::from_data(TensorData::new(draw(cols), [cols]), device)),
    }
}

fn wide(inputs: usize, outputs: usize, rng: &mut EnvRng, device: &Device) -> AnyNetwork {
    let inner = linear([inputs, 6], rng, device);
    AnyNetwork::new(Wide { inner, out: linear([inputs + 6, outputs], rng, device) })
}

/// Remembers the sum of what it has seen.
#[derive(Module, Debug)]
struct Sum {
    net: Wide,
}

impl Network for Sum {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.net.forward(x)
    }

    fn memory(&self) -> usize {
        4
    }

    fn step(&self, x: Tensor<2>, memory: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let sum = x + memory;
        (self.net.forward(sum.clone()), sum)
    }
}

fn sum(inputs: usize, outputs: usize, rng: &mut EnvRng, device: &Device) -> AnyNetwork {
    let inner = linear([inputs, 6], rng, device);
    let out = linear([inputs + 6, outputs], rng, device);
    AnyNetwork::new(Sum { net: Wide { inner, out } })
}

type Build = fn(usize, usize, &mut EnvRng, &Device) -> AnyNetwork;

fn runs() -> Vec<(TrainConfig, Build)> {
    let shared = |mut config: TrainConfig| {
        config.network.shared = true;
        config
    };
    vec![
        (config(|_, _| {}), wide),
        (a2c(|_| {}), wide),
        (ppo(|_| {}), wide),
        (shared(ppo(|_| {})), wide),
        (shared(a2c(|_| {})), sum),
        (ppo(|ppo| ppo.batch_size = 64), sum),
    ]
}

#[test]
fn a_network_of_ones_own_learns_resumes_and_is_saved_in_every_algorithm() {
    let device = DeviceChoice::Auto.open().unwrap();
    for (config, build) in runs() {
        let begin = || Trainer::with_networks(config.clone(), cartpole, build).unwrap();
        let mut first = begin();
        assert_eq!(first.policy().to_safetensors(), begin().policy().to_safetensors());
        let before = first.policy().to_safetensors().unwrap();
        first.step().unwrap();
        let saved = first.checkpoint().unwrap();
        let told = finish(&mut first);
        assert_ne!(told.policy, before, "{config:?}: nothing was learnt");

        let mut second = begin();
        second.restore(&saved).unwrap();
        assert_eq!(finish(&mut second).policy, told.policy, "{config:?}");

        let error = Policy::from_safetensors(&told.policy, &device).unwrap_err();
        assert!(error.contains("a network of somebody's own"), "{error}");
        let outputs = 2 + usize::from(config.network.shared);
        let net = build(4, outputs, &mut EnvRng::new(99), &device);
        let loaded = Policy::from_safetensors_with(&told.policy, net, &device).unwrap();
        assert_eq!(loaded.to_safetensors().unwrap(), told.policy);
        let other = wide(5, outputs, &mut EnvRng::new(99), &device);
        assert!(Policy::from_safetensors_with(&told.policy, other, &device).is_err());
    }
}

/// The most threads that any of the next ones was told to use.
static LENT: AtomicUsize = AtomicUsize::new(0);

/// Notes how many threads its layers may use.
#[derive(Module, Debug)]
struct Noting {
    net: Wide,
}

impl Network for Noting {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        LENT.fetch_max(Team::lent(), Ordering::Relaxed);
        self.net.forward(x)
    }
}

fn noting(inputs: usize, outputs: usize, rng: &mut EnvRng, device: &Device) -> AnyNetwork {
    let inner = linear([inputs, 6], rng, device);
    AnyNetwork::new(Noting { net: Wide { inner, out: linear([inputs + 6, outputs], rng, device) } })
}

#[test]
fn what_learns_from_replay_has_as_many_threads_as_the_run() {
    let dqn = DqnConfig {
        learning_starts: 10,
        train_freq: 1,
        gradient_steps: 1,
        batch_size: 8,
        ..DqnConfig::default()
    };
    for threads in [1, 3] {
        LENT.store(0, Ordering::Relaxed);
        let run = RunConfig { steps: 100, lanes: 1, threads, ..RunConfig::default() };
        let algorithm = Algorithm::Dqn(dqn.clone());
        let config = TrainConfig { run, algorithm, ..TrainConfig::default() };
        finish(&mut Trainer::with_networks(config, cartpole, noting).unwrap());
        assert_eq!(LENT.load(Ordering::Relaxed), threads);
    }
}

#[test]
fn networks_that_do_not_fit_are_refused_in_words() {
    let refused = |config: TrainConfig, build: Build| {
        let Err(error) = Trainer::with_networks(config, cartpole, build) else { panic!() };
        error.to_string()
    };
    let narrow: Build = |inputs, _, rng, device| wide(inputs, 7, rng, device);
    let error = refused(ppo(|_| {}), narrow);
    assert!(error.contains("4 inputs and 2 outputs was asked for"), "{error}");
    assert!(error.contains("[2, 7]"), "{error}");

    let error = refused(config(|_, _| {}), sum);
    assert!(error.contains("REINFORCE works with networks that have no memory"), "{error}");
    // Half a lane is no sequence.
    let error = refused(ppo(|_| {}), sum);
    assert!(error.contains("in whole lanes"), "{error}");

    let gsde = ppo(|ppo| ppo.distribution = Continuous::Gsde);
    let Err(error) = Trainer::with_networks(gsde, Range::new, wide) else { panic!() };
    assert!(error.to_string().contains("implements `Network::features`"), "{error}");
}
