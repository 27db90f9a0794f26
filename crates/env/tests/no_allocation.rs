//! Stepping allocates nothing, neither alone nor in lanes, and not where an episode ends either.
#![allow(clippy::unwrap_used)] // a panic here is the report

use allocation_counter::{AllocationInfo, measure};
use elegante_env::{
    Action, Actions, AnyEnv, BatchEnv, CartPole, EnvRng, Registry, Reset, Space, StepOut,
    TimeLimit, VecEnv, VectorEnv,
};

const LANES: usize = 77;
const STEPS: usize = 2000;

/// Allocations of `STEPS` vector steps, and the episodes that ended in them.
fn in_lanes(vector: &mut dyn VectorEnv, active: &[usize]) -> (AllocationInfo, usize) {
    let (mut obs, mut final_obs) = (vec![0.0; LANES * 4], vec![0.0; LANES * 4]);
    let (mut rewards, mut endings) = (vec![0.0; LANES], vec![None; LANES]);
    vector.reset(0, &mut obs).unwrap();
    let rows = active.len();
    let mut episodes = 0;
    let counted = measure(|| {
        for t in 0..STEPS {
            let actions = [t / 2 % 2; LANES];
            let out = StepOut {
                obs: &mut obs[..4 * rows],
                final_obs: &mut final_obs[..4 * rows],
                rewards: &mut rewards[..rows],
                endings: &mut endings[..rows],
            };
            let actions = Actions::Discrete(&actions[..rows]);
            if rows == LANES {
                vector.step(actions, out).unwrap();
            } else {
                vector.step_lanes(active, actions, out).unwrap();
            }
            episodes += vector.finished().len();
        }
    });
    (counted, episodes)
}

#[test]
fn the_counter_counts() {
    assert!(measure(|| drop(std::hint::black_box(vec![0u8; 100]))).count_total > 0);
}

#[test]
fn lanes_step_without_allocating() {
    let typed = vec![TimeLimit::new(CartPole::default(), 20).unwrap(); LANES];
    let boxed: Vec<AnyEnv> = (0..LANES)
        .map(|_| Registry::standard().make("CartPole-v1", &toml::Table::new()).unwrap())
        .collect();
    let (mut typed, mut boxed) = (VecEnv::new(typed).unwrap(), VecEnv::new(boxed).unwrap());
    let mut batch = BatchEnv::new(CartPole::default(), LANES, Some(20)).unwrap();
    let all: Vec<usize> = (0..LANES).collect();
    for vector in [&mut typed as &mut dyn VectorEnv, &mut boxed, &mut batch] {
        for active in [all.as_slice(), &[75, 2]] {
            let (counted, episodes) = in_lanes(vector, active);
            assert!(episodes > 10, "too few episodes ended: {episodes}");
            assert_eq!(counted.count_total, 0, "{} bytes in all", counted.bytes_total);
        }
    }
}

/// Indices and numbers to act with: those that the space is not made of stay unused.
fn actions(space: &Space) -> Vec<(usize, Vec<f32>)> {
    let mut rng = EnvRng::new(0);
    let mut draw = || match space {
        Space::Discrete(space) => (space.sample(&mut rng), Vec::new()),
        Space::Box(space) => (0, space.sample(&mut rng)),
        other => panic!("no such action space yet: {other}"),
    };
    (0..STEPS).map(|_| draw()).collect()
}

#[test]
fn every_environment_steps_and_resets_without_allocating() {
    for entry in Registry::standard().iter() {
        let mut env = entry.make(&toml::Table::new()).unwrap();
        let (actions, reset) = (actions(&env.action_space()), Reset::default());
        let discrete = matches!(env.action_space(), Space::Discrete(_));
        let mut obs = vec![0.0; env.observation_space().flat_len()];
        env.reset(&Reset::seeded(0), &mut obs).unwrap();
        let counted = measure(|| {
            for (index, numbers) in &actions {
                let action =
                    if discrete { Action::Discrete(*index) } else { Action::Continuous(numbers) };
                if env.step(action, &mut obs).unwrap().ending.is_some() {
                    env.reset(&reset, &mut obs).unwrap();
                }
            }
        });
        assert_eq!(counted.count_total, 0, "{}: {} bytes", entry.id(), counted.bytes_total);
    }
}
