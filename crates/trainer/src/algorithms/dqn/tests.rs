//! What noisy networks act and learn with.

use elegante_policy::{DeviceChoice, MlpConfig, PolicyConfig};

use super::*;

const LANES: usize = 3;
const WIDTH: usize = 2;

fn agent(change: impl FnOnce(&mut DqnConfig)) -> Dqn {
    let mut config = DqnConfig { noisy: true, learning_starts: 10, ..DqnConfig::default() };
    change(&mut config);
    let values = ActionValues { n: 4, dueling: false, quantiles: 1 };
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
