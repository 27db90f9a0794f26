//! The hand-written update is the same update: the loss, the gradient and the step of elegante's.
#![allow(clippy::unwrap_used)] // a panic here is the report

use burn::tensor::{Int, Tensor, TensorData};
use elegante::{
    policy::{
        ActionHead, ActionTensor, ActorCritic, DeviceChoice, MlpConfig, PolicyConfig, params,
    },
    trainer::{
        Purpose,
        loss::{clipped_surrogate, value_mse},
        optim::{Adam, clip_global_norm},
        stream,
    },
};
use elegante_bench::yardstick::{
    ACTIONS, BLOCK, Batch, HIDDEN, INPUTS, PARAMETERS, Settings, Yardstick,
};

const SETTINGS: Settings = Settings {
    clip_range: 0.2,
    entropy_coef: 0.01,
    value_coef: 0.5,
    max_grad_norm: 0.5,
    learning_rate: 1e-3,
};

/// Numbers that look random, in (−1, 1).
fn numbers(n: usize, salt: u32) -> Vec<f32> {
    let mut state = salt.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn batch(rows: usize) -> Batch {
    Batch {
        observations: numbers(rows * INPUTS, 1),
        actions: numbers(rows, 2).iter().map(|x| u32::from(*x > 0.0)).collect(),
        // Some ratios lie within the clip range and some without.
        old_log_probs: numbers(rows, 3).iter().map(|x| -0.69 + 0.5 * x).collect(),
        advantages: numbers(rows, 4),
        returns: numbers(rows, 5).iter().map(|x| 3.0 * x).collect(),
    }
}

/// The loss and its gradient, by burn's autodiff.
fn elegantes(networks: &ActorCritic, batch: &Batch) -> (f64, Vec<f32>) {
    let device = networks.policy().device();
    let rows = batch.actions.len();
    let column = |x: &[f32]| Tensor::<1>::from_data(TensorData::new(x.to_vec(), [rows]), &device);
    let shape = [rows, INPUTS];
    let x = Tensor::<2>::from_data(TensorData::new(batch.observations.clone(), shape), &device);
    let actions: Vec<i32> = batch.actions.iter().map(|&a| a as i32).collect();
    let actions = Tensor::<1, Int>::from_data(TensorData::new(actions, [rows]), &device);
    let said = networks.say(x);
    let π = networks.distribution(&said, None);
    let log_prob = π.log_prob(ActionTensor::Discrete(actions));
    let (old, advantage) = (column(&batch.old_log_probs), column(&batch.advantages));
    let loss = clipped_surrogate(log_prob, old, advantage, f64::from(SETTINGS.clip_range))
        - π.entropy().mean() * SETTINGS.entropy_coef
        + value_mse(said.value(), column(&batch.returns)) * SETTINGS.value_coef;
    let mut gradients = loss.backward();
    (loss.into_scalar::<f64>(), params::flatten_gradients(networks, &mut gradients))
}

#[test]
fn loss_gradient_and_step_are_elegantes() {
    let network = MlpConfig { hidden: vec![HIDDEN, HIDDEN], ..MlpConfig::default() };
    let config = PolicyConfig::new(INPUTS, ActionHead::Categorical { n: ACTIONS }, network);
    let device = DeviceChoice::Auto.open().unwrap().autodiff();
    let mut streams = [Purpose::PolicyInit, Purpose::ValueInit].map(|p| stream(0, p, 0));
    let [policy, value] = &mut streams;
    let networks = ActorCritic::init(&config, policy, value, &device).unwrap();
    // Logits of some size, so that no term of the loss is nearly nothing.
    let drawn = params::flatten(&networks);
    let noisy = drawn.iter().zip(numbers(PARAMETERS, 6)).map(|(θ, noise)| θ + 0.1 * noise);
    let θ: Vec<f32> = noisy.collect();
    let mut networks = params::unflatten(networks, &θ);
    let batch = batch(3 * BLOCK);

    let mut by_hand = Yardstick::new(θ.clone(), SETTINGS);
    let (mut adam, mut theirs) = (Adam::new(PARAMETERS, 1e-5), θ);
    for step in 0..3 {
        let (loss, mut gradient) = elegantes(&networks, &batch);
        let ours = f64::from(by_hand.update(&batch));
        assert!((ours - loss).abs() < 1e-5 * loss.abs(), "step {step}: {ours}, not {loss}");
        let largest = gradient.iter().fold(0f32, |largest, g| largest.max(g.abs()));
        for (i, (ours, theirs)) in by_hand.gradient.iter().zip(&gradient).enumerate() {
            let error = (ours - theirs).abs();
            assert!(error < 2e-5 * largest, "step {step}, entry {i}: {ours}, not {theirs}");
        }
        let norm = clip_global_norm(&mut gradient, f64::from(SETTINGS.max_grad_norm));
        assert!(norm > 0.5, "clipping is part of what is compared: {norm}");
        adam.step(&mut theirs, &gradient, f64::from(SETTINGS.learning_rate));
        // Adam's first steps go by signs: where a gradient is next to nothing they are anybody's guess.
        let far = by_hand.parameters.iter().zip(&theirs).filter(|(a, b)| (*a - *b).abs() > 1e-5);
        let far = far.count();
        assert!(far < PARAMETERS / 100, "step {step}: {far} parameters are elsewhere");
        by_hand.parameters.copy_from_slice(&theirs);
        networks = params::unflatten(networks, &theirs);
    }
}

#[test]
fn looking_at_the_clock_changes_nothing() {
    let θ: Vec<f32> = numbers(PARAMETERS, 1).iter().map(|x| 0.2 * x).collect();
    let mut plain = Yardstick::new(θ.clone(), SETTINGS);
    let mut timed = Yardstick::new(θ, SETTINGS);
    let batch = batch(BLOCK);
    plain.update(&batch);
    let stages = timed.stages(&batch);
    assert_eq!(plain.parameters, timed.parameters);
    assert!(!stages.forward.is_zero() && !stages.backward.is_zero());
}
