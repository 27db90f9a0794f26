//! The best policy of each teaching world, written out, gets the return that its documentation states.
#![allow(clippy::unwrap_used)] // a panic here is the report

use elegante_env::{Action, AnyEnv, Ending, EnvError, GridWorld, Registry, Reset, Space};

/// An index for a discrete action, a number for a continuous one.
enum Choice {
    Index(usize),
    Number(f32),
}

/// Which of many the observation says.
fn index(obs: &[f32]) -> usize {
    obs.iter().position(|&x| x == 1.0).unwrap()
}

/// Mean and standard error of the returns of some episodes, and the last of their endings. The policy
/// sees the time and the observation.
fn returns(
    id: &str,
    episodes: usize,
    mut policy: impl FnMut(usize, &[f32]) -> Choice,
) -> (f64, f64, Ending) {
    let mut env = Registry::standard().make(id, &toml::Table::new()).unwrap();
    let mut obs = vec![0.0; env.observation_space().flat_len()];
    let (mut sum, mut squares, mut last) = (0.0, 0.0, Ending::Truncated);
    env.reset(&Reset::seeded(0), &mut obs).unwrap();
    for _ in 0..episodes {
        env.reset(&Reset::default(), &mut obs).unwrap();
        let (total, ending) = episode(&mut env, &mut obs, &mut policy);
        (sum, squares, last) = (sum + total, squares + total * total, ending);
    }
    let n = episodes as f64;
    let variance = (squares / n - (sum / n) * (sum / n)).max(0.0);
    (sum / n, (variance / n).sqrt(), last)
}

fn episode(
    env: &mut AnyEnv,
    obs: &mut [f32],
    policy: &mut impl FnMut(usize, &[f32]) -> Choice,
) -> (f64, Ending) {
    let mut total = 0.0;
    for t in 0..10_000 {
        let step = match policy(t, obs) {
            Choice::Index(index) => env.step(Action::Discrete(index), obs),
            Choice::Number(number) => env.step(Action::Continuous(&[number]), obs),
        };
        let step = step.unwrap();
        total += step.reward;
        if let Some(ending) = step.ending {
            return (total, ending);
        }
    }
    panic!("the episode does not end");
}

#[track_caller]
fn assert_expected((mean, error, _): (f64, f64, Ending), stated: f64) {
    // Five standard errors, and half of the last digit stated.
    assert!((mean - stated).abs() < 5.0 * error + 5e-4, "{mean} ± {error}, not {stated}");
    assert!(error < 0.03 * stated.abs().max(1.0), "too few episodes: ± {error}");
}

#[test]
fn bandit() {
    assert_expected(returns("Bandit-v0", 2000, |_, _| Choice::Index(4)), 0.9);
}

#[test]
fn identity() {
    let best = returns("Identity-v0", 3, |_, obs| Choice::Index(index(obs)));
    assert_eq!(best, (100.0, 0.0, Ending::Truncated));
}

#[test]
fn identity_continuous() {
    let best = returns("IdentityContinuous-v0", 3, |_, obs| Choice::Number(obs[0]));
    assert_eq!(best, (0.0, 0.0, Ending::Truncated));
}

#[test]
fn memory() {
    let mut cue = 0.0;
    let best = returns("Memory-v0", 50, |t, obs| {
        if t == 0 {
            cue = obs[0];
        }
        Choice::Index(if obs[1] == 0.0 {
            0
        } else if cue < 0.0 {
            1
        } else {
            2
        })
    });
    assert_eq!(best, (1.0, 0.0, Ending::Terminated));
    let guessing = returns("Memory-v0", 2000, |_, obs| Choice::Index(usize::from(obs[1] == 1.0)));
    assert_expected(guessing, 0.0);
}

#[test]
fn tabular() {
    assert_expected(returns("Tabular-v0", 50, |_, _| Choice::Index(1)), 3.0);
    assert_expected(returns("Tabular-v0", 50, |_, _| Choice::Index(0)), 1.0);
}

#[test]
fn grid_world() {
    // Up along the left, right along the top, and away from the hole; rows from the top.
    let best = [1, 1, 1, 0, 0, 0, 0, 0, 0, 3, 3, 3];
    assert_expected(returns("GridWorld-v0", 4000, |_, obs| Choice::Index(best[index(obs)])), 0.745);
}

#[test]
fn frozen_lake() {
    // Left, down, right, up: away from every hole, since ice leads anywhere but back.
    let small = [0, 3, 3, 3, 0, 0, 0, 0, 3, 1, 0, 0, 0, 2, 1, 0];
    let small = returns("FrozenLake-v1", 4000, |_, obs| Choice::Index(small[index(obs)]));
    assert_expected(small, 0.744);
    // On the larger map the best move depends on how much time is left.
    let lake = GridWorld::frozen_lake(&GridWorld::LAKE_8X8, Some(1.0 / 3.0), [1.0, 0.0, 0.0]);
    let lake = lake.unwrap();
    let best = |left| lake.mdp().greedy(&lake.mdp().optimal_values(1.0, left), 1.0);
    let large: Vec<_> = (0..200).rev().map(best).collect();
    let large = returns("FrozenLake8x8-v1", 4000, |t, obs| Choice::Index(large[t][index(obs)]));
    assert_expected(large, 0.913);
}

#[test]
fn cliff_walking() {
    let along = |t: usize| {
        if t == 0 {
            0
        } else if t < 12 {
            1
        } else {
            2
        }
    };
    let best = returns("CliffWalking-v1", 3, |t, _| Choice::Index(along(t)));
    assert_eq!(best, (-13.0, 0.0, Ending::Terminated));

    let mut env = Registry::standard().make("CliffWalking-v1", &toml::Table::new()).unwrap();
    let mut obs = [0.0; 48];
    env.reset(&Reset::default(), &mut obs).unwrap();
    episode(&mut env, &mut obs, &mut |t, _: &[f32]| Choice::Index(along(t)));
    let after = env.step(Action::Discrete(0), &mut obs);
    assert!(matches!(after, Err(EnvError::NotReset)));
}

#[test]
fn discrete_observations_are_one_hot() {
    let mut env = Registry::standard().make("CliffWalking-v1", &toml::Table::new()).unwrap();
    let mut obs = [f32::NAN; 48];
    env.reset(&Reset::default(), &mut obs).unwrap();
    assert!(matches!(env.observation_space(), Space::Discrete(space) if space.n() == 48));
    assert_eq!((index(&obs), obs.iter().sum::<f32>()), (36, 1.0), "Gymnasium's first state");
}
