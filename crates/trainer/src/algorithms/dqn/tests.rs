//! What networks act and learn with, noisy ones above all.

use elegante_policy::{DeviceChoice, MlpConfig, PolicyConfig};

use super::*;

const LANES: usize = 3;
const WIDTH: usize = 2;

fn agent(change: impl FnOnce(&mut DqnConfig)) -> Dqn {
    quantile_agent(1, change)
}

fn quantile_agent(quantiles: usize, change: impl FnOnce(&mut DqnConfig)) -> Dqn {
    let mut config = DqnConfig { noisy: true, learning_starts: 10, ..DqnConfig::default() };
    change(&mut config);
    let values = ActionValues { n: 4, dueling: false, quantiles };
    let head = ActionHead::EpsilonGreedy { values, epsilon: 0.0 };
    let policy = PolicyConfig::new(WIDTH, head, MlpConfig::default());
    let device = DeviceChoice::Auto.open().unwrap().autodiff();
    let policy = policy.init(&mut EnvRng::new(0), &device).unwrap();
    Dqn::new(&config, policy, EnvRng::new(1)).unwrap()
}

fn streams() -> Vec<EnvRng> {
    (0..LANES as u64).map(|lane| stream(0, Purpose::Action, lane)).collect()
}

/// Acts once, so many steps after the last minibatch; returns the actions.
fn act(dqn: &mut Dqn, since: usize, steps: u64, streams: &mut [EnvRng]) -> Vec<usize> {
    let policy = dqn.policy();
    let seen = Seen { observations: &[0.5; LANES * WIDTH], valid: &[], since };
    match dqn.act(&policy, seen, Left { steps, of: 1_000 }, streams).unwrap() {
        ActionBatch::Discrete(actions) => actions,
        other => panic!("{other:?}"),
    }
}

fn weights(policies: &[Policy]) -> Vec<Vec<f32>> {
    policies.iter().map(params::flatten).collect()
}

fn batch() -> Transitions {
    Transitions {
        steps: 20,
        rows: vec![0, 1],
        observations: vec![0.5, -1.0, 0.1, 2.0],
        valid: Vec::new(),
        actions: ActionBatch::Discrete(vec![1, 3]),
        rewards: vec![1.0, 0.0],
        next_observations: vec![0.1, 2.0, -1.0, 0.3],
        next_valid: Vec::new(),
        discounts: vec![0.9, 0.9],
        weights: Vec::new(),
    }
}

#[test]
fn every_network_has_noise_of_its_own_in_every_minibatch() {
    let mut dqn = agent(|dqn| dqn.double = true);
    let (first, second) = (dqn.draw(), dqn.draw());
    let all = [&first, &second].map(|noise| [&noise.online, &noise.target, &noise.chooser]);
    let all = all.concat();
    for (i, noise) in all.iter().enumerate() {
        assert!(all[..i].iter().all(|other| other != noise), "{i} repeats another");
        assert_ne!(**noise, WeightNoise::default());
    }
    assert_eq!(agent(|_| {}).draw().chooser, WeightNoise::default(), "nothing chooses for it");

    let mut quiet = agent(|dqn| (dqn.noisy, dqn.double) = (false, true));
    let before = quiet.noise.clone();
    assert_eq!(quiet.draw(), Disturbance::default());
    assert_eq!(quiet.noise, before);
}

#[test]
fn the_same_minibatch_is_seen_with_other_noise() {
    let losses = |change: fn(&mut DqnConfig)| {
        let mut dqn = agent(change);
        let mut learn = || {
            let mut means = Means::default();
            let at = Moment { left: Left { steps: 20, of: 1_000 }, update: 1 };
            dqn.learn(&batch(), at, &mut means).unwrap();
            means.take("loss")
        };
        [learn(), learn()]
    };
    // A step so small that the weights stay what they are.
    let [first, second] = losses(|dqn| dqn.learning_rate = 1e-30);
    assert_ne!(first, second);
    let [first, second] = losses(|dqn| (dqn.learning_rate, dqn.noisy) = (1e-30, false));
    assert_eq!(first, second);
}

#[test]
fn every_lane_explores_with_noise_of_its_own_until_there_is_something_learnt() {
    let (mut dqn, mut streams) = (agent(|_| {}), streams());
    act(&mut dqn, 0, 10, &mut streams);
    let first = weights(&dqn.explorers);
    assert_eq!(first.len(), LANES);
    assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
    assert!(first.iter().all(|it| *it != params::flatten(dqn.online.module.mean())));
    act(&mut dqn, 1, 13, &mut streams);
    assert_eq!(weights(&dqn.explorers), first);
    act(&mut dqn, 0, 16, &mut streams);
    let second = weights(&dqn.explorers);
    assert!(first.iter().zip(&second).all(|(first, second)| first != second));
}

#[test]
fn a_lane_does_what_its_own_network_thinks_best() {
    let (mut dqn, mut streams) = (agent(|dqn| dqn.noisy_std = 5.0), streams());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let actions = act(&mut dqn, 0, 10, &mut streams);
        let best = dqn.explorers.iter().map(|policy| policy.act(&[0.5; WIDTH]).unwrap());
        let best: Vec<_> = best.collect();
        let done = actions.iter().map(|&action| ActionBatch::Discrete(vec![action]));
        assert_eq!(done.collect::<Vec<_>>(), best);
        seen.extend(actions);
    }
    assert!(seen.len() > 1, "noise that changes nothing: {seen:?}");
}

#[test]
fn actions_are_drawn_evenly_until_the_learning_starts_and_by_noise_alone_from_then_on() {
    let mut dqn = agent(|_| {});
    let at = |steps| Left { steps, of: 1_000 };
    assert_eq!([dqn.epsilon(at(9)), dqn.epsilon(at(10)), dqn.epsilon(at(999))], [1.0, 0.0, 0.0]);
    let mut streams = streams();
    act(&mut dqn, 0, 9, &mut streams);
    assert!(dqn.explorers.is_empty());
    // In the middle of a round there are none yet that it could have begun with.
    act(&mut dqn, 5, 12, &mut streams);
    assert_eq!(dqn.explorers.len(), LANES);
}

#[test]
fn what_is_shown_and_saved_is_the_network_without_noise() {
    let mut dqn = agent(|_| {});
    let at = Moment { left: Left { steps: 20, of: 1_000 }, update: 1 };
    dqn.learn(&batch(), at, &mut Means::default()).unwrap();
    let policy = dqn.policy();
    let flat = params::flatten(&dqn.online.module);
    let (mean, spread) = flat.split_at(flat.len() / 2);
    assert_eq!(params::flatten(&policy), mean);
    assert!(spread.iter().any(|it| *it != spread[0]), "σ has learnt something");

    let bytes = policy.to_safetensors().unwrap();
    let device = DeviceChoice::Auto.open().unwrap();
    let loaded = Policy::from_safetensors(&bytes, &device).unwrap();
    assert_eq!(params::flatten(&loaded), mean);
    assert_eq!(loaded.act(&[0.5, 1.0]).unwrap(), policy.act(&[0.5, 1.0]).unwrap());
}

#[test]
fn the_chance_of_a_random_action_falls_in_a_line_and_then_stays() {
    let at = |steps| Left { steps, of: 1_000 };
    let change = |dqn: &mut DqnConfig| {
        dqn.noisy = false;
        (dqn.exploration_initial, dqn.exploration_final) = (0.8, 0.2);
        dqn.exploration_fraction = 0.5;
    };
    let dqn = agent(change);
    for (steps, expected) in
        [(0, 1.0), (9, 1.0), (10, 0.788), (250, 0.5), (500, 0.2), (501, 0.2), (1_000, 0.2)]
    {
        let ε = dqn.epsilon(at(steps));
        assert!((ε - expected).abs() < 1e-12, "{ε} after {steps} steps");
    }
    let constant = agent(|dqn| {
        change(dqn);
        dqn.exploration_fraction = 0.0;
    });
    assert!([10, 500, 999].iter().all(|&steps| (constant.epsilon(at(steps)) - 0.2).abs() < 1e-12));
}

/// What a network says of the actions in two states.
fn said(policy: &Policy, observations: &[f32]) -> Vec<f32> {
    let observations = matrix(observations.to_vec(), WIDTH, &policy.device());
    policy.outputs(observations).into_data().iter::<f32>().collect()
}

#[test]
fn what_is_not_allowed_is_never_bootstrapped_from() {
    for double in [false, true] {
        let mut dqn = agent(|dqn| (dqn.noisy, dqn.double) = (false, double));
        let mut batch = batch();
        let next = said(dqn.target.module.mean(), &batch.next_observations);
        // Of the best two of every state the better one is forbidden.
        let mut expected = Vec::new();
        for (row, q) in next.chunks_exact(4).enumerate() {
            let mut order = [0, 1, 2, 3];
            order.sort_by(|&a, &b| q[b].total_cmp(&q[a]));
            batch.next_valid.extend((0..4).map(|action| action != order[0]));
            expected.push(batch.rewards[row] + batch.discounts[row] * q[order[1]]);
            assert!(q[order[0]] - q[order[1]] > 1e-3, "they would not be told apart: {q:?}");
        }
        let noise = dqn.draw();
        let targets: Vec<f32> = dqn.targets(&batch, &noise).into_data().iter::<f32>().collect();
        assert!(
            targets.iter().zip(&expected).all(|(is, it)| (is - it).abs() < 1e-6),
            "{targets:?}"
        );
    }
}

#[test]
fn an_error_is_how_far_the_target_is_above_the_value() {
    for quantiles in [1, 3] {
        let mut dqn = quantile_agent(quantiles, |dqn| (dqn.noisy, dqn.prioritized) = (false, true));
        let (batch, noise) = (batch(), dqn.draw());
        let average = |all: Vec<f32>| -> Vec<f32> {
            all.chunks_exact(quantiles)
                .map(|row| row.iter().sum::<f32>() / row.len() as f32)
                .collect()
        };
        let targets = average(dqn.targets(&batch, &noise).into_data().iter::<f32>().collect());
        let q = average(said(&dqn.policy(), &batch.observations));
        let at = Moment { left: Left { steps: 20, of: 1_000 }, update: 1 };
        let errors = dqn.improve(&batch, &noise, at, &mut Means::default()).unwrap();
        for (row, action) in [1, 3].into_iter().enumerate() {
            let expected = targets[row] - q[row * 4 + action];
            assert!((errors[row] - expected).abs() < 1e-5, "{errors:?}, {expected} in row {row}");
        }
    }
}

#[test]
fn the_target_network_follows_as_often_as_is_due() {
    let mut dqn = agent(|dqn| {
        (dqn.noisy, dqn.target_update_interval, dqn.tau) = (false, 100, 0.5);
    });
    let first = params::flatten(&dqn.target.module);
    let at = Moment { left: Left { steps: 20, of: 1_000 }, update: 1 };
    dqn.learn(&batch(), at, &mut Means::default()).unwrap();
    let learnt = params::flatten(&dqn.online.module);
    assert_ne!(first, learnt);
    // Lanes that step together pass a multiple of the interval without being at one.
    for (steps, kept) in [(99, 1.0), (104, 0.5), (196, 0.5), (204, 0.25), (504, 0.03125)] {
        dqn.follow(steps);
        let target = params::flatten(&dqn.target.module);
        let way = first.iter().zip(&learnt).map(|(a, b)| kept * a + (1.0 - kept) * b);
        for (is, should) in target.iter().zip(way) {
            assert!((is - should).abs() < 1e-6, "{is}, not {should}, after {steps} steps");
        }
    }
}
