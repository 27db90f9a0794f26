//! Lanes side by side: each as if it were alone, episode after episode.
#![allow(clippy::unwrap_used)] // a panic here is the report

use elegante_env::{
    Action, Actions, AnyEnv, BoxSpace, CartPole, Discrete, Ending, Env, EnvError, LaneState,
    Registry, Reset, Space, Step, StepOut, TimeLimit, VecEnv, VectorEnv,
};

/// No state at all.
const NOTHING: LaneState = LaneState { env: Vec::new(), episode_return: 0.0, length: 0 };

/// The memory of one vector step.
struct Rows {
    obs: Vec<f32>,
    final_obs: Vec<f32>,
    rewards: Vec<f64>,
    endings: Vec<Option<Ending>>,
}

impl Rows {
    fn new(rows: usize, obs_len: usize) -> Self {
        Self {
            obs: vec![0.0; rows * obs_len],
            final_obs: vec![-7.0; rows * obs_len],
            rewards: vec![0.0; rows],
            endings: vec![None; rows],
        }
    }

    fn out(&mut self) -> StepOut<'_> {
        StepOut {
            obs: &mut self.obs,
            final_obs: &mut self.final_obs,
            rewards: &mut self.rewards,
            endings: &mut self.endings,
        }
    }
}

/// Steps lane `lane` for 150 steps in a vector of `lanes` and writes down all that it returns.
fn history(lanes: usize, lane: usize, seed: u64) -> Vec<(Vec<u32>, f64, Option<Ending>)> {
    let envs = (0..lanes).map(|_| TimeLimit::new(CartPole::default(), 25).unwrap()).collect();
    let mut vector = VecEnv::new(envs).unwrap();
    let mut rows = Rows::new(lanes, 4);
    vector.reset(seed, &mut rows.obs).unwrap();
    let mut seen = Vec::new();
    for t in 0..150 {
        // What the lane does depends on nothing but its own seed and the time.
        let action = |i: usize| (seed as usize + i + t / 2) % 2;
        let actions: Vec<usize> = (0..lanes).map(action).collect();
        vector.step(Actions::Discrete(&actions), rows.out()).unwrap();
        let mut bits: Vec<u32> = rows.obs[4 * lane..][..4].iter().map(|x| x.to_bits()).collect();
        if rows.endings[lane].is_some() {
            bits.extend(rows.final_obs[4 * lane..][..4].iter().map(|x| x.to_bits()));
        }
        seen.push((bits, rows.rewards[lane], rows.endings[lane]));
    }
    seen
}

#[test]
fn a_lane_does_not_notice_the_others() {
    // Lane i of seed s is the single lane of seed s + i.
    for lane in 0..3 {
        assert_eq!(history(3, lane, 10), history(1, 0, 10 + lane as u64), "lane {lane}");
    }
    assert_ne!(history(1, 0, 10), history(1, 0, 11));
}

#[test]
fn seeds_wrap_around_at_the_largest() {
    let mut vector = VecEnv::new(vec![CartPole::default(); 2]).unwrap();
    let (mut obs, mut zero) = ([0.0; 8], [0.0; 4]);
    vector.reset(u64::MAX, &mut obs).unwrap();
    vector.reset_lane(0, &Reset::seeded(0), &mut zero).unwrap();
    assert_eq!(obs[4..], zero);
}

#[test]
fn an_ending_step_returns_both_the_last_observation_and_the_next_first_one() {
    let mut vector = VecEnv::new(vec![CartPole::default(); 2]).unwrap();
    let mut alone = CartPole::default();
    let (mut rows, mut obs) = (Rows::new(2, 4), [0.0; 4]);
    vector.reset(3, &mut rows.obs).unwrap();
    alone.reset(&Reset::seeded(3), &mut obs).unwrap();
    loop {
        // Lane 1 goes left and right, so that lane 0 ends first.
        let there = usize::from(rows.obs[6] + rows.obs[7] > 0.0);
        vector.step(Actions::Discrete(&[0, there]), rows.out()).unwrap();
        let step = alone.step(&0, &mut obs).unwrap();
        assert_eq!((rows.rewards[0], rows.endings[0]), (step.reward, step.ending));
        if step.ending.is_some() {
            break;
        }
        assert_eq!(rows.obs[..4], obs);
        assert_eq!(rows.final_obs, [-7.0; 8], "written without an ending");
    }
    assert_eq!(rows.final_obs[..4], obs);
    assert_eq!(rows.final_obs[4..], [-7.0; 4], "the other lane goes on");
    alone.reset(&Reset::default(), &mut obs).unwrap();
    assert_eq!(rows.obs[..4], obs, "the generator runs on, it is not seeded again");
}

#[test]
fn only_the_active_lanes_step() {
    let mut vector = VecEnv::new(vec![CartPole::default(); 4]).unwrap();
    let mut all = Rows::new(4, 4);
    vector.reset(0, &mut all.obs).unwrap();
    let saved: Vec<_> = (0..4).map(|lane| vector.save_state(lane).unwrap()).collect();

    let mut rows = Rows::new(2, 4);
    vector.step_lanes(&[3, 1], Actions::Discrete(&[1, 0]), rows.out()).unwrap();
    let mut alone = VecEnv::new(vec![CartPole::default(); 2]).unwrap();
    alone.load_state(0, &saved[3]).unwrap();
    alone.load_state(1, &saved[1]).unwrap();
    let mut expected = Rows::new(2, 4);
    alone.step(Actions::Discrete(&[1, 0]), expected.out()).unwrap();
    assert_eq!(rows.obs, expected.obs);
    assert_eq!(vector.save_state(0).unwrap(), saved[0]);
    assert_eq!(vector.save_state(2).unwrap(), saved[2]);
    assert_ne!(vector.save_state(1).unwrap(), saved[1]);
}

#[test]
fn boxed_lanes_and_typed_ones_are_the_same() {
    let registry = Registry::standard();
    let boxed: Vec<AnyEnv> =
        (0..2).map(|_| registry.make("CartPole-v1", &toml::Table::new()).unwrap()).collect();
    let mut boxed = VecEnv::new(boxed).unwrap();
    let mut typed =
        VecEnv::new(vec![TimeLimit::new(CartPole::default(), 500).unwrap(); 2]).unwrap();
    let (mut a, mut b) = (Rows::new(2, 4), Rows::new(2, 4));
    boxed.reset(9, &mut a.obs).unwrap();
    typed.reset(9, &mut b.obs).unwrap();
    for t in 0..60 {
        boxed.step(Actions::Discrete(&[t % 2, 1]), a.out()).unwrap();
        typed.step(Actions::Discrete(&[t % 2, 1]), b.out()).unwrap();
        assert_eq!((&a.obs, &a.endings), (&b.obs, &b.endings));
    }
    // A state saved by one is a state of the other.
    typed.load_state(1, &boxed.save_state(1).unwrap()).unwrap();
}

#[test]
fn lengths_lanes_and_kinds_are_checked_before_anything_moves() {
    let mut vector = VecEnv::new(vec![CartPole::default(); 2]).unwrap();
    let mut rows = Rows::new(2, 4);
    vector.reset(0, &mut rows.obs).unwrap();
    let before = (vector.save_state(0), vector.save_state(1));

    let mut refused = |rows: &mut Rows, lanes: &[usize], actions: Actions<'_>, words: &str| {
        let error = vector.step_lanes(lanes, actions, rows.out()).unwrap_err().to_string();
        assert!(error.contains(words), "{error:?} does not say {words:?}");
    };
    let both = Actions::Discrete(&[0, 0]);
    refused(&mut rows, &[0, 1], Actions::Discrete(&[0]), "actions has 1 entries where 2 belong");
    refused(&mut rows, &[0], Actions::Discrete(&[0]), "obs has 8 entries where 4 belong");
    refused(&mut rows, &[0, 1], Actions::Continuous(&[0.0; 2]), "a continuous action");
    refused(&mut rows, &[2, 1], both, "no lane 2: they are numbered from 0 to 1");
    refused(&mut rows, &[1, 2], both, "no lane 2");
    refused(&mut rows, &[1, 1], both, "lane 1 is to step twice at once");
    let mut short = Rows::new(2, 4);
    short.final_obs.pop();
    refused(&mut short, &[0, 1], both, "final_obs has 7 entries where 8 belong");
    let mut short = Rows::new(2, 4);
    short.rewards.pop();
    refused(&mut short, &[0, 1], both, "rewards has 1 entries where 2 belong");
    let mut long = Rows::new(2, 4);
    long.endings.push(None);
    refused(&mut long, &[0, 1], both, "endings has 3 entries where 2 belong");
    let after = (vector.save_state(0), vector.save_state(1));
    assert_eq!(after, before, "a refused step moved a lane");
    assert!(vector.reset(0, &mut [0.0; 7]).is_err());
    assert!(vector.reset_lane(0, &Reset::default(), &mut [0.0; 5]).is_err());
    assert!(vector.reset_lane(2, &Reset::default(), &mut [0.0; 4]).is_err());
    assert!(vector.load_state(2, &NOTHING).is_err());
    assert!(vector.save_state(2).is_none() && vector.action_mask(2).is_none());
}

/// A point that goes where it is pushed, and reports what it is told to.
struct Reporter {
    space: BoxSpace,
    obs: f32,
    reward: f64,
    mask: Vec<bool>,
}

impl Reporter {
    fn new(obs: f32, reward: f64) -> Self {
        let space = BoxSpace::new(vec![-1.0; 2], vec![1.0; 2]).unwrap();
        Self { space, obs, reward, mask: vec![true, false] }
    }
}

impl Env for Reporter {
    type Action = [f32];

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(2).into()
    }

    fn action_space(&self) -> BoxSpace {
        self.space.clone()
    }

    fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        obs.fill(0.0);
        Ok(())
    }

    fn step(&mut self, action: &[f32], obs: &mut [f32]) -> Result<Step, EnvError> {
        if !self.space.contains(action) {
            return Err(EnvError::action_out_of_space(action, &self.space));
        }
        obs.copy_from_slice(&[action[0] + action[1], self.obs]);
        Ok(Step::going(self.reward))
    }

    fn action_mask(&self) -> Option<&[bool]> {
        Some(&self.mask)
    }
}

#[test]
fn continuous_actions_come_row_by_row() {
    let lanes = (0..2).map(|_| TimeLimit::new(Reporter::new(0.0, 1.0), 3).unwrap()).collect();
    let mut vector = VecEnv::new(lanes).unwrap();
    let mut rows = Rows::new(2, 2);
    vector.reset(0, &mut rows.obs).unwrap();
    vector.step(Actions::Continuous(&[0.25, 0.5, -1.0, 0.0]), rows.out()).unwrap();
    assert_eq!(rows.obs, [0.75, 0.0, -1.0, 0.0]);
    assert_eq!(vector.action_mask(1), Some([true, false].as_slice()), "masks pass the time limit");
    assert_eq!(vector.final_mask(0), None, "no episode has been cut off");
    for _ in 0..2 {
        vector.step(Actions::Continuous(&[0.0; 4]), rows.out()).unwrap();
    }
    assert_eq!(vector.final_mask(0), Some([true, false].as_slice()));
    assert_eq!(vector.final_mask(2), None);

    let error = vector.step(Actions::Discrete(&[0, 1]), rows.out()).unwrap_err();
    assert!(matches!(error, EnvError::ActionKind { given: "discrete", expected: "continuous" }));
    let error = vector.step(Actions::Continuous(&[2.0; 4]), rows.out()).unwrap_err().to_string();
    assert_eq!(error, "action [2.0, 2.0] is not in Box([-1, -1], [1, 1], [2])");
    assert!(vector.save_state(0).is_none(), "this environment can't be saved");
    assert!(matches!(vector.load_state(0, &NOTHING), Err(EnvError::BadState(_))));
    let mut plain = Reporter::new(0.0, 0.0);
    assert!(matches!(plain.load_state(&[]), Err(EnvError::StateNotSupported)));
}

#[test]
fn numbers_that_are_not_finite_name_their_lane() {
    let cases = [
        (f32::NAN, 0.0, "lane 1: the environment returned NaN as entry 1 of the observation"),
        (f32::NEG_INFINITY, 0.0, "lane 1: the environment returned -inf as entry 1"),
        (0.0, f64::INFINITY, "lane 1: the environment returned inf as the reward"),
    ];
    for (obs, reward, words) in cases {
        let lanes = vec![Reporter::new(0.0, 0.0), Reporter::new(obs, reward)];
        let mut vector = VecEnv::new(lanes).unwrap();
        let mut rows = Rows::new(2, 2);
        vector.reset(0, &mut rows.obs).unwrap();
        let error =
            vector.step(Actions::Continuous(&[0.0; 4]), rows.out()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// Writes no more than the first entry of an observation, from the call on that is named.
struct Forgetful {
    from: usize,
    calls: usize,
}

impl Forgetful {
    fn observe(&mut self, obs: &mut [f32]) {
        obs[0] = 1.0;
        if self.calls < self.from {
            obs[1] = 2.0;
        }
        self.calls += 1;
    }
}

impl Env for Forgetful {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(2).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(2)
    }

    fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.observe(obs);
        Ok(())
    }

    fn step(&mut self, &action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.observe(obs);
        Ok(if action == 1 { Step::terminated(0.0) } else { Step::going(0.0) })
    }
}

#[test]
fn an_observation_that_is_not_wholly_written_names_its_lane_and_entry() {
    // A reset, a step, and a step with the reset after it.
    for (from, good) in [(0, 0), (1, 1), (2, 2), (3, 2)] {
        let lanes = vec![Forgetful { from: 9, calls: 0 }, Forgetful { from, calls: 0 }];
        let (mut vector, mut rows) = (VecEnv::new(lanes).unwrap(), Rows::new(2, 2));
        let mut calls = 0;
        let error = loop {
            let called = match calls {
                0 => vector.reset(0, &mut rows.obs),
                n => vector.step(Actions::Discrete(&[0, n - 1]), rows.out()),
            };
            match called {
                Ok(()) => calls += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(calls, good, "{error}");
        assert!(matches!(error, EnvError::NotWritten { lane: 1, entry: 1 }), "{error}");
        assert!(error.to_string().starts_with("lane 1: the environment left entry 1 of the obs"));
    }
}

#[test]
fn lanes_must_exist_be_alike_and_have_something_to_do() {
    assert!(VecEnv::<CartPole>::new(Vec::new()).is_err());
    let mixed = vec![AnyEnv::new(CartPole::default()), AnyEnv::new(Reporter::new(0.0, 0.0))];
    let error = VecEnv::new(mixed).unwrap_err().to_string();
    assert!(error.contains("lane 1") && error.contains("alike"), "{error}");
    assert!(VecEnv::new(vec![Idle]).unwrap_err().to_string().contains("neither may be empty"));
}

/// Nothing can be done in it.
#[derive(Debug)]
struct Idle;

impl Env for Idle {
    type Action = usize;

    fn observation_space(&self) -> Space {
        Discrete::new(3).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(0)
    }

    fn reset(&mut self, _: &Reset, _: &mut [f32]) -> Result<(), EnvError> {
        Ok(())
    }

    fn step(&mut self, _: &usize, _: &mut [f32]) -> Result<Step, EnvError> {
        Err(EnvError::custom("nothing can be done"))
    }
}

#[test]
fn an_environments_own_error_keeps_its_words() {
    let mut env = AnyEnv::new(Idle);
    let error = env.step(Action::Discrete(0), &mut []).unwrap_err();
    assert_eq!(error.to_string(), "nothing can be done");
}
