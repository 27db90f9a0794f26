//! The backends compiled in against each other: the gradient of PPO's loss by every weight of a policy and a
//! value network, at one batch; and what the first updates of a training make of the weights.
//!
//! The CPU that `--device auto` takes is what the others are measured against, and `docs/backends.md` says
//! what came out on a GPU. Run it with
//! `cargo test -p elegante --features wgpu --test backends -- --nocapture`.

use burn::tensor::{Device, Int, Tensor, TensorData};
use elegante::{
    env::{CartPole, EnvRng, Pendulum, TimeLimit},
    policy::{
        ActionHead, ActionTensor, Activation, Cell, DeviceChoice, Init, MlpConfig, PolicyConfig,
        ValueNet, params,
    },
    trainer::{
        A2cConfig, Algorithm, DqnConfig, PpoConfig, ReinforceConfig, RunConfig, SacConfig,
        Td3Config, TrainConfig, Trainer,
        loss::{clipped_surrogate, value_mse},
    },
};

const OBSERVATION: usize = 8;
/// The surrogate's clipping range, and what the entropy and the value's loss count in the sum.
const CLIP: f64 = 0.2;
const ENTROPY: f32 = 0.01;
const VALUE: f32 = 0.5;

/// How far a gradient may be from the CPU's, as a share of its norm.
fn tolerance(backend: DeviceChoice) -> f64 {
    match backend {
        // burn multiplies f32 matrices on tensor cores there, which round factors to ten bits.
        DeviceChoice::Cuda(_) => 5e-3,
        _ => 1e-4,
    }
}

/// A network and the actions that its outputs stand for.
struct Case {
    name: &'static str,
    action: ActionHead,
    network: MlpConfig,
    rows: usize,
}

fn case(name: &'static str, action: ActionHead, hidden: usize, rows: usize) -> Case {
    let network =
        MlpConfig { hidden: vec![hidden; 2], init: Init::BurnDefault, ..MlpConfig::default() };
    Case { name, action, network, rows }
}

fn choice() -> ActionHead {
    ActionHead::Categorical { n: 3 }
}

/// Observations, what was done there, and what became of it.
struct Batch {
    observations: Vec<f32>,
    choices: Vec<i32>,
    vectors: Vec<f32>,
    /// log πθ(aₜ|sₜ) − log πold(aₜ|sₜ); none of them near a limit of the clipping, where a last bit would
    /// decide whether there is a gradient.
    shifts: Vec<f32>,
    advantages: Vec<f32>,
    returns: Vec<f32>,
}

impl Batch {
    fn new(rows: usize) -> Self {
        let mut rng = EnvRng::new(7);
        let mut uniform = |n: usize, bound: f64| -> Vec<f32> {
            (0..n).map(|_| rng.uniform(-bound, bound) as f32).collect()
        };
        Self {
            observations: uniform(rows * OBSERVATION, 1.0),
            choices: uniform(rows, 1.0).iter().map(|u| (1.5 * u).round() as i32 + 1).collect(),
            vectors: uniform(rows * 2, 2.0),
            shifts: uniform(rows, 1.0).iter().map(|u| (2.0 * u).round() * 0.35).collect(),
            advantages: uniform(rows, 2.0),
            returns: uniform(rows, 5.0),
        }
    }

    fn actions(&self, head: &ActionHead, device: &Device) -> ActionTensor {
        let rows = self.choices.len();
        match head {
            ActionHead::Categorical { .. } => {
                let choices = TensorData::new(self.choices.clone(), [rows]);
                ActionTensor::Discrete(Tensor::<1, Int>::from_data(choices, device))
            }
            _ => ActionTensor::Continuous(matrix(&self.vectors, 2, device)),
        }
    }
}

fn matrix(entries: &[f32], width: usize, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(entries.to_vec(), [entries.len() / width, width]), device)
}

fn vector(entries: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(entries, device)
}

/// The gradient of the policy's loss and of the value's, each by all of its network's weights.
fn gradients(case: &Case, batch: &Batch, backend: DeviceChoice) -> [Vec<f32>; 2] {
    let device = backend.open().expect("compiled in").autodiff();
    let mut rng = EnvRng::new(3);
    let config = PolicyConfig::new(OBSERVATION, case.action.clone(), case.network.clone());
    let policy = config.init(&mut rng, &device).expect("a sound policy");
    let value = ValueNet::init(&case.network, OBSERVATION, &mut rng, &device).expect("sound");

    let observations = matrix(&batch.observations, OBSERVATION, &device);
    let π = policy.forward(observations.clone(), None);
    let log_prob = π.log_prob(batch.actions(&case.action, &device));
    let old = log_prob.clone().detach() - vector(&batch.shifts, &device);
    let surrogate = clipped_surrogate(log_prob, old, vector(&batch.advantages, &device), CLIP);
    let squares = value_mse(value.forward(observations), vector(&batch.returns, &device));
    let loss = surrogate - π.entropy().mean() * ENTROPY + squares * VALUE;

    let mut gradients = loss.backward();
    [
        params::flatten_gradients(&policy, &mut gradients),
        params::flatten_gradients(&value, &mut gradients),
    ]
}

/// ‖a − b‖/‖b‖.
fn relative_error(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |entries: &mut dyn Iterator<Item = f64>| entries.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b)));
    let scale = norm(&mut b.iter().map(|&b| f64::from(b)));
    assert!(scale > 1e-3, "a gradient of nothing shows nothing: {scale}");
    difference / scale
}

/// The backend that the others are measured against, and those.
fn backends() -> Option<(DeviceChoice, Vec<DeviceChoice>)> {
    let cpu = [DeviceChoice::Flex, DeviceChoice::NdArray];
    let mut others = DeviceChoice::compiled_in();
    let Some(reference) = others.iter().position(|built| cpu.contains(built)) else {
        println!("no CPU backend is compiled in to compare with");
        return None;
    };
    Some((others.remove(reference), others))
}

#[test]
fn every_backend_finds_the_gradient_that_the_cpu_finds() {
    let Some((reference, others)) = backends() else { return };
    let gaussian =
        ActionHead::Gaussian { low: vec![None; 2], high: vec![None; 2], initial_log_std: -0.3 };
    let mut relu = case("a Gaussian, relu", gaussian, 64, 256);
    relu.network.activation = Activation::Relu;
    let mut gru = case("a choice, with a GRU", choice(), 64, 256);
    gru.network.recurrent = Cell::Gru;
    let narrow = case("a choice, tanh", choice(), 64, 256);
    let wide = case("a choice, tanh, wide", choice(), 512, 1024);
    for case in [narrow, relu, gru, wide] {
        let batch = Batch::new(case.rows);
        let expected = gradients(&case, &batch, reference);
        for &backend in &others {
            let [policy, value] = gradients(&case, &batch, backend);
            let errors = [(policy, &expected[0]), (value, &expected[1])]
                .map(|(found, expected)| relative_error(&found, expected));
            let [policy, value] = errors;
            println!(
                "{backend}, {}: the gradients are off {reference}'s by {policy:.1e} (policy) and {value:.1e} (value)",
                case.name
            );
            for error in errors {
                assert!(error < tolerance(backend), "{backend}, {}: {error:.1e}", case.name);
            }
        }
    }
}

/// A training that has just begun.
fn training(algorithm: &Algorithm, backend: DeviceChoice) -> Trainer {
    let config = TrainConfig {
        run: RunConfig { seed: 5, steps: 100_000, threads: 1, ..RunConfig::default() },
        network: MlpConfig { hidden: vec![32; 2], ..MlpConfig::default() },
        algorithm: algorithm.clone(),
        device: backend,
        ..TrainConfig::default()
    };
    let trainer = match algorithm {
        Algorithm::Sac(_) | Algorithm::Td3(_) => {
            Trainer::new(config, || TimeLimit::new(Pendulum::default(), 200).expect("200 steps"))
        }
        _ => Trainer::new(config, || TimeLimit::new(CartPole::default(), 500).expect("500 steps")),
    };
    trainer.expect("a sound configuration")
}

/// All weights of all networks that learn.
fn weights(trainer: &Trainer) -> Vec<f32> {
    trainer.inspect().into_iter().flat_map(|tensor| tensor.values).collect()
}

/// Each algorithm with updates as short as they can be and still say something.
fn algorithms() -> Vec<(&'static str, Algorithm)> {
    let ppo = PpoConfig { n_steps: 16, batch_size: 32, epochs: 2, ..PpoConfig::default() };
    let reinforce =
        ReinforceConfig { batch_steps: 64, value_epochs: 2, ..ReinforceConfig::default() };
    let (learning_starts, train_freq, batch_size) = (32, 4, 32);
    let dqn = DqnConfig {
        learning_starts,
        train_freq,
        batch_size,
        target_update_interval: 16,
        tau: 0.1,
        ..DqnConfig::default()
    };
    let sac = SacConfig { learning_starts, train_freq, batch_size, ..SacConfig::default() };
    let td3 = Td3Config { learning_starts, train_freq, batch_size, ..Td3Config::default() };
    vec![
        ("PPO", Algorithm::Ppo(ppo)),
        ("A2C", Algorithm::A2c(A2cConfig::default())),
        ("REINFORCE", Algorithm::Reinforce(reinforce)),
        ("DQN", Algorithm::Dqn(dqn)),
        ("SAC", Algorithm::Sac(sac)),
        ("TD3", Algorithm::Td3(td3)),
    ]
}

#[test]
fn the_first_updates_lead_to_the_same_weights_on_every_backend() {
    let Some((reference, others)) = backends() else { return };
    for (name, algorithm) in algorithms() {
        let begun = weights(&training(&algorithm, reference));
        let changes = |backend| {
            let mut trainer = training(&algorithm, backend);
            for _ in 0..2 {
                trainer.step().expect("an update");
            }
            let change = |(new, old): (f32, &f32)| new - old;
            weights(&trainer).into_iter().zip(&begun).map(change).collect::<Vec<_>>()
        };
        let expected = changes(reference);
        for &backend in &others {
            let error = relative_error(&changes(backend), &expected);
            println!("{backend}, {name}: the weights' way is off {reference}'s by {error:.1e}");
            // Adam's first steps have the same length whatever the gradient: where that is next to nothing,
            // its rounding decides which way they go.
            assert!(error < 40.0 * tolerance(backend), "{backend}, {name}: {error:.1e}");
        }
    }
}

#[test]
fn a_checkpoint_goes_on_where_it_was_made() {
    for backend in DeviceChoice::compiled_in() {
        for (name, algorithm) in algorithms() {
            let mut first = training(&algorithm, backend);
            first.step().expect("an update");
            let mut second = training(&algorithm, backend);
            second.restore(&first.checkpoint().expect("a checkpoint")).expect("its own");
            let [first, second] = [first, second].map(|mut trainer| {
                trainer.step().expect("an update");
                weights(&trainer)
            });
            assert!(relative_error(&second, &first) < 1e-5, "{backend}, {name}");
        }
    }
}
