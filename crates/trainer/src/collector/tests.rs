//! Rollouts: their values, their lanes, and what they are normalised by.

use super::*;
use crate::{crew::Task, lanes::Buffers};
use elegante_env::{
    Actions, BoxSpace, Discrete, Env, EnvError, Pendulum, Reset, Space, Step, TimeLimit, VecEnv,
    VectorEnv,
    wrappers::{NormalizeObservation, NormalizeReward},
};
use elegante_policy::{ActionHead, Cell, DeviceChoice, Init, MlpConfig};

const PLAIN: Options = Options {
    gamma: 0.9,
    normalize_observations: false,
    normalize_rewards: false,
    sde_sample_steps: 0,
};

/// Shows 1 and the time, which is the reward too, and never ends by itself; may allow only some of two actions.
struct Clock(f32, Option<[bool; 2]>);

impl Env for Clock {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(2).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(2)
    }

    fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.0 = 0.0;
        obs.copy_from_slice(&[1.0, 0.0]);
        Ok(())
    }

    fn step(&mut self, _: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.0 += 1.0;
        obs.copy_from_slice(&[1.0, self.0]);
        Ok(Step::going(f64::from(self.0)))
    }

    fn action_mask(&self) -> Option<&[bool]> {
        self.1.as_ref().map(<[bool; 2]>::as_slice)
    }
}

/// A clock that is cut off after 3 steps, and one after 4.
fn clocks() -> Vec<AnyEnv> {
    [3, 4].map(|limit| AnyEnv::new(TimeLimit::new(Clock(0.0, None), limit).unwrap())).into()
}

fn actor_critic(network: MlpConfig) -> ActorCritic {
    let shared = network.shared;
    let mut config = PolicyConfig::new(2, ActionHead::Categorical { n: 2 }, network);
    config.value_output = shared;
    let mut rng = EnvRng::new(3);
    let device = DeviceChoice::Auto.open().unwrap();
    ActorCritic::init(&config, &mut rng.clone(), &mut rng, &device).unwrap()
}

/// Vₜ and Vₜ₊₁ of every step of one lane whose episodes are cut after `limit` steps, one after the
/// other.
fn values(networks: &ActorCritic, steps: usize, limit: usize) -> Vec<(f64, f64)> {
    let device = networks.policy().device();
    let nothing = || matrix(vec![0.0; networks.memory().max(1)], networks.memory().max(1), &device);
    let look = |time: usize, memory| {
        let (said, memory) = networks.step(matrix(vec![1.0, time as f32], 2, &device), memory);
        (said.value().into_scalar::<f64>(), memory)
    };
    let (mut time, mut memory, mut all) = (0, nothing(), Vec::new());
    for _ in 0..steps {
        let (value, after) = look(time, memory);
        all.push((value, look(time + 1, after.clone()).0));
        (time, memory) = if time + 1 == limit { (0, nothing()) } else { (time + 1, after) };
    }
    all
}

#[test]
fn the_next_value_is_that_of_what_a_step_led_to_before_any_reset() {
    for recurrent in [Cell::None, Cell::Gru, Cell::Lstm] {
        for shared in [false, true] {
            let network = MlpConfig {
                hidden: vec![8],
                init: Init::BurnDefault,
                recurrent,
                recurrent_size: 5,
                shared,
                ..MlpConfig::default()
            };
            let networks = actor_critic(network);
            let mut collector = Collector::new(clocks(), 0, &networks, PLAIN).unwrap();
            // The second rollout begins and ends in the middle of episodes.
            let rollouts =
                [5, 6].map(|steps| collector.collect(&networks, steps, &Crew::alone()).unwrap().0);
            for (lane, limit) in [3, 4].into_iter().enumerate() {
                let of = |all: fn(&Rollout) -> &Vec<f64>| -> Vec<f64> {
                    let all = rollouts.iter().flat_map(|r| all(r).chunks_exact(2));
                    all.map(|row| row[lane]).collect()
                };
                let ours = of(|r| &r.values).into_iter().zip(of(|r| &r.next_values));
                let theirs = values(&networks, 11, limit);
                for (t, (ours, theirs)) in ours.zip(theirs).enumerate() {
                    let error = (ours.0 - theirs.0).abs().max((ours.1 - theirs.1).abs());
                    assert!(
                        error < 1e-5,
                        "{recurrent:?}, shared {shared}, lane {lane}, step {t}: {ours:?} and {theirs:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn lanes_that_act_one_part_after_the_other_do_what_they_would_together() {
    let networks = actor_critic(MlpConfig { hidden: vec![8], ..MlpConfig::default() });
    let allowed = |lane: usize| [[true, false], [false, true], [true, true]][lane % 3];
    let lanes = 2 * ACTING + 5;
    let envs = (0..lanes).map(|lane| AnyEnv::new(Clock(0.0, Some(allowed(lane))))).collect();
    let mut collector = Collector::new(envs, 0, &networks, PLAIN).unwrap();
    let mut streams = collector.streams.clone();
    let (rollout, _) = collector.collect(&networks, 2, &Crew::alone()).unwrap();
    let device = networks.policy().device();
    for t in 0..2 {
        let rows = t * lanes..(t + 1) * lanes;
        let seen = rollout.observations[2 * rows.start..2 * rows.end].to_vec();
        let valid: Vec<bool> = (0..lanes).flat_map(allowed).collect();
        assert_eq!(rollout.valid[2 * rows.start..2 * rows.end], valid);
        let said = networks.policy().forward(matrix(seen, 2, &device), mask(&valid, 2, &device));
        let together = said.sample(&mut streams).unwrap();
        let log_probs = said.log_prob_in_memory(&together);
        let mut drawn = collector.config.action.no_actions();
        drawn.extend_rows(&rollout.actions, &rows.clone().collect::<Vec<_>>());
        assert_eq!(drawn, together);
        let ours: Vec<f32> = rollout.log_probs[rows].iter().map(|x| *x as f32).collect();
        assert!(log_probs.is_none_or(|theirs| theirs == ours));
    }
}

#[test]
fn so_do_lanes_whose_actions_are_real_numbers() {
    let bounds = || (vec![Some(-2.0)], vec![Some(2.0)]);
    let heads = [
        ActionHead::Gaussian { low: bounds().0, high: bounds().1, initial_log_std: 0.3 },
        ActionHead::Gsde {
            low: bounds().0,
            high: bounds().1,
            initial_log_std: 0.3,
            learn_features: false,
            squash: false,
        },
    ];
    for head in heads {
        let network = MlpConfig { hidden: vec![8], ..MlpConfig::default() };
        let config = PolicyConfig::new(3, head, network);
        let mut rng = EnvRng::new(3);
        let device = DeviceChoice::Auto.open().unwrap();
        let networks = ActorCritic::init(&config, &mut rng.clone(), &mut rng, &device).unwrap();
        let lanes = 2 * ACTING + 5;
        let envs = (0..lanes).map(|_| AnyEnv::new(Pendulum::default())).collect();
        let mut collector = Collector::new(envs, 0, &networks, PLAIN).unwrap();
        let mut streams = collector.streams.clone();
        let mut explorations = collector.explorations.clone();
        let (rollout, _) = collector.collect(&networks, 1, &Crew::alone()).unwrap();
        for (exploration, stream) in explorations.iter_mut().zip(&mut streams) {
            exploration.redraw(stream);
        }
        let said = networks.policy().forward(matrix(rollout.observations, 3, &device), None);
        let together = said.explore(explorations.iter().zip(&mut streams)).unwrap();
        assert_eq!(rollout.actions, together);
        let theirs = said.log_prob(together.to_tensor(&device)).into_data();
        for (ours, theirs) in rollout.log_probs.iter().zip(theirs.iter::<f64>()) {
            assert!((ours - theirs).abs() < 1e-5, "{ours} and {theirs}");
        }
    }
}

#[test]
fn values_of_a_long_rollout_are_the_same_from_whatever_thread() {
    let together = Crew::new(2);
    together.all((0..2).map(|_| Box::new(|| ()) as Task<()>).collect());
    // Several parts of the value network's.
    let steps = 2500;
    for shared in [false, true] {
        let network = MlpConfig { hidden: vec![8], shared, ..MlpConfig::default() };
        let networks = actor_critic(network);
        let [one, two] = [&Crew::alone(), &together].map(|crew| {
            let mut collector = Collector::new(clocks(), 0, &networks, PLAIN).unwrap();
            collector.collect(&networks, steps, crew).unwrap().0
        });
        assert_eq!(one.values, two.values);
        assert_eq!(one.next_values, two.next_values);
        let device = networks.policy().device();
        let seen = matrix(one.observations.clone(), 2, &device);
        let values: Vec<f64> = networks.value(seen).into_data().iter::<f64>().collect();
        assert_eq!((one.values.len(), values.len()), (2 * steps, 2 * steps));
        for (t, (ours, theirs)) in one.values.iter().zip(values).enumerate() {
            assert!((ours - theirs).abs() < 1e-6, "row {t}: {ours} and {theirs}");
            let going = one.endings[t].is_none() && t + 2 < 2 * steps;
            assert!(!going || one.next_values[t] == one.values[t + 2], "row {t}");
        }
    }
}

#[test]
fn every_lane_is_normalised_as_the_wrappers_do_it() {
    let networks = actor_critic(MlpConfig { hidden: vec![8], ..MlpConfig::default() });
    let options = Options { normalize_observations: true, normalize_rewards: true, ..PLAIN };
    let mut collector = Collector::new(clocks(), 0, &networks, options).unwrap();
    let (rollout, _) = collector.collect(&networks, 12, &Crew::alone()).unwrap();

    let rewards = RewardNormalizer::new(2, 0.9).unwrap();
    let env = NormalizeReward::vector(VecEnv::new(clocks()).unwrap(), rewards);
    let mut env = NormalizeObservation::vector(env, None).unwrap();
    let mut out = Buffers::new(2, 2);
    env.reset(0, &mut out.observations).unwrap();
    for t in 0..12 {
        assert_eq!(rollout.observations[4 * t..4 * t + 4], out.observations, "step {t}");
        env.step(Actions::Discrete(&[0, 0]), out.rows(2, 2)).unwrap();
        assert_eq!(rollout.rewards[2 * t..2 * t + 2], out.rewards, "step {t}");
    }
}
