//! Lanes on several threads compute what they compute on one.
#![cfg(feature = "parallel")]
#![allow(clippy::unwrap_used)] // a panic here is the report

use std::{
    thread,
    time::{Duration, Instant},
};

use allocation_counter::measure;
use elegante_env::{
    Actions, BatchEnv, BoxSpace, CartPole, Discrete, Ending, Env, EnvError, FinishedEpisode,
    LaneState, ParallelEnv, Pendulum, Registry, Reset, Space, Step, StepOut, TimeLimit, VecEnv,
    VectorEnv,
};

/// What a step returned.
type Returned = (Vec<f32>, Vec<f32>, Vec<f64>, Vec<Option<Ending>>, Vec<FinishedEpisode>);

fn step(
    env: &mut dyn VectorEnv,
    active: Option<&[usize]>,
    act: impl Fn(usize) -> usize,
) -> Result<Returned, EnvError> {
    let rows = active.map_or(env.lanes(), <[usize]>::len);
    let lane = |row: usize| active.map_or(row, |active| active[row]);
    let actions: Vec<usize> = (0..rows).map(|row| act(lane(row))).collect();
    let width = env.observation_space().flat_len();
    let (mut obs, mut final_obs) = (vec![0.0; rows * width], vec![-7.0; rows * width]);
    let (mut rewards, mut endings) = (vec![0.0; rows], vec![None; rows]);
    let out = StepOut {
        obs: &mut obs,
        final_obs: &mut final_obs,
        rewards: &mut rewards,
        endings: &mut endings,
    };
    match active {
        None => env.step(Actions::Discrete(&actions), out)?,
        Some(active) => env.step_lanes(active, Actions::Discrete(&actions), out)?,
    }
    Ok((obs, final_obs, rewards, endings, env.finished().to_vec()))
}

fn vectors(lanes: usize) -> Vec<Box<dyn VectorEnv>> {
    let (registry, none) = (Registry::standard(), toml::Table::new());
    let entry = registry.get("CartPole-v1").unwrap();
    let scalar: Vec<_> =
        (0..lanes).map(|_| TimeLimit::new(CartPole::default(), 500).unwrap()).collect();
    vec![
        Box::new(BatchEnv::new(CartPole::default(), lanes, Some(500)).unwrap()),
        entry.make_vec(lanes, &none).unwrap(),
        Box::new(entry.make_parallel(lanes, 1, &none).unwrap()),
        Box::new(entry.make_parallel(lanes, 3, &none).unwrap()),
        Box::new(entry.make_parallel(lanes, 3, &none).unwrap().wake_from(Duration::ZERO)),
        Box::new(entry.make_parallel(lanes, 3, &none).unwrap().wake_from(Duration::MAX)),
        Box::new(ParallelEnv::from_scalar(scalar, 2).unwrap().wake_from(Duration::ZERO)),
    ]
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for lanes in [1, 2, 70, 300] {
        let mut vectors = vectors(lanes);
        let mut first = vec![vec![0.0; lanes * 4]; vectors.len()];
        for (env, obs) in vectors.iter_mut().zip(&mut first) {
            env.reset(u64::MAX - 1, obs).unwrap();
        }
        assert!(first.iter().all(|obs| *obs == first[0]));
        let mut ended = 0;
        for t in 0..120 {
            // All, some in order, some from the last to the first, and some here and there.
            let mut some: Vec<usize> = (0..lanes).filter(|lane| (lane * 31 + t) % 3 > 0).collect();
            match t % 4 {
                0 => some = (0..lanes).collect(),
                2 => some.reverse(),
                3 => some.sort_by_key(|lane| (lane * 7919 + t) % 307),
                _ => {}
            }
            let active = (t % 8 > 0).then_some(some.as_slice());
            let act = |lane: usize| (lane + t / 2) % 2;
            let returned: Vec<Returned> =
                vectors.iter_mut().map(|env| step(&mut **env, active, act).unwrap()).collect();
            for (k, other) in returned.iter().enumerate() {
                assert_eq!(*other, returned[0], "vector {k} of {lanes} lanes, step {t}");
            }
            ended += returned[0].4.len();
        }
        assert!(ended > 0);
        let states = |env: &dyn VectorEnv| -> Vec<Option<LaneState>> {
            (0..lanes).map(|lane| env.save_state(lane)).collect()
        };
        let expected = states(&*vectors[0]);
        assert!(vectors.iter().all(|env| states(&**env) == expected));
    }
}

/// Observes on which thread it is stepped, 1 for one of a pool's, and takes its time for action 1.
struct Where;

impl Env for Where {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(1).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(2)
    }

    fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        obs.fill(0.0);
        Ok(())
    }

    fn step(&mut self, &slow: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        if slow == 1 {
            let began = Instant::now();
            while began.elapsed() < Duration::from_micros(500) {}
        }
        let thread = thread::current();
        let pooled = thread.name().is_some_and(|name| name.starts_with("lanes-"));
        obs.fill(f32::from(u8::from(pooled)));
        Ok(Step::going(0.0))
    }
}

#[test]
fn threads_are_woken_for_what_takes_long() {
    let make = || ParallelEnv::from_scalar(vec![Where, Where], 2).unwrap();
    let [always, never] = [[1.0; 2], [0.0; 2]];
    let last = |env: &mut ParallelEnv, slow: usize, steps: usize| {
        (0..steps).map(|_| step(env, None, |_| slow).unwrap().0).last().unwrap()
    };
    assert_eq!(last(&mut make().wake_from(Duration::ZERO), 0, 1), always);
    assert_eq!(last(&mut make().wake_from(Duration::MAX), 1, 20), never);
    // By itself it finds out, within sixteen steps and a measurement that was disturbed.
    let mut env = make();
    for slow in [0, 1, 0, 1] {
        let found = (0..20).any(|_| last(&mut env, slow, 17) == [always, never][1 - slow]);
        assert!(found, "{slow}");
    }
}

#[test]
fn a_lane_is_reached_by_its_number() {
    let mut all = vectors(200);
    for env in &mut all {
        env.reset(0, &mut vec![0.0; 800]).unwrap();
        let mut obs = [0.0; 4];
        env.reset_lane(199, &Reset::seeded(7), &mut obs).unwrap();
        let state = env.save_state(199).unwrap();
        env.load_state(130, &state).unwrap();
        assert_eq!(env.save_state(130).unwrap(), state);
        assert_ne!(env.save_state(129).unwrap(), state);
        assert!(env.scene(130).is_some() && env.scene(200).is_none());
        assert!(env.action_mask(130).is_none() && env.save_state(200).is_none());
        assert!(env.reset_lane(200, &Reset::default(), &mut obs).is_err());
        assert!(env.load_state(200, &state).is_err());
    }
}

#[test]
fn errors_say_what_was_wrong_and_name_the_lane() {
    let none = toml::Table::new();
    let registry = Registry::standard();
    let entry = registry.get("CartPole-v1").unwrap();
    for (lanes, threads) in [(0, 1), (1, 0)] {
        let words = entry.make_parallel(lanes, threads, &none).unwrap_err().to_string();
        assert!(words.contains("some of both"), "{words}");
    }
    let mixed = ParallelEnv::new(2, 2, |theirs| match theirs.start {
        0 => Ok(Box::new(BatchEnv::new(CartPole::default(), 1, None)?)),
        _ => Ok(Box::new(BatchEnv::new(Pendulum::default(), 1, None)?)),
    });
    assert!(mixed.unwrap_err().to_string().contains("alike"));
    let short = ParallelEnv::new(4, 2, |_| Ok(Box::new(VecEnv::new(vec![CartPole::default()])?)));
    assert!(short.unwrap_err().to_string().contains("1 lanes were made"));

    let mut alone = CartPole::default();
    alone.set_state([0.0, 0.0, 0.1, 1e200]).unwrap();
    let mut wild = TimeLimit::new(alone, 500).unwrap();
    wild.load_state(&wild.save_state().unwrap()).unwrap();
    let env = wild.save_state().unwrap();
    let mut env_of_lanes = entry.make_parallel(300, 3, &none).unwrap();
    env_of_lanes.reset(0, &mut vec![0.0; 1200]).unwrap();
    env_of_lanes.load_state(290, &LaneState { env, episode_return: 0.0, length: 0 }).unwrap();
    let words = step(&mut env_of_lanes, None, |_| 0).unwrap_err().to_string();
    assert!(words.starts_with("lane 290: "), "{words}");
    let words = step(&mut env_of_lanes, Some(&[5, 5]), |_| 0).unwrap_err().to_string();
    assert!(words.contains("lane 5 is to step twice"), "{words}");
    let words = step(&mut env_of_lanes, Some(&[5]), |_| 2).unwrap_err().to_string();
    assert_eq!(words, "action 2 is not in Discrete(2)");
}

#[test]
fn threads_hardly_allocate() {
    let mut env = Registry::standard()
        .get("CartPole-v1")
        .unwrap()
        .make_parallel(100, 2, &toml::Table::new())
        .unwrap()
        .wake_from(Duration::ZERO);
    let (mut obs, mut final_obs) = (vec![0.0; 400], vec![0.0; 400]);
    let (mut rewards, mut endings) = (vec![0.0; 100], vec![None; 100]);
    env.reset(0, &mut obs).unwrap();
    let counted = measure(|| {
        for t in 0..2000 {
            let out = StepOut {
                obs: &mut obs,
                final_obs: &mut final_obs,
                rewards: &mut rewards,
                endings: &mut endings,
            };
            env.step(Actions::Discrete(&[t / 2 % 2; 100]), out).unwrap();
        }
    });
    // The queue through which work reaches the pool grows by a block for every 63 pieces.
    assert!(counted.count_total < 2000 / 30, "{} allocations", counted.count_total);
}
