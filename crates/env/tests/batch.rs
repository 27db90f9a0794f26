//! Lanes on arrays compute what scalar environments compute, bit for bit.
#![allow(clippy::unwrap_used)] // a panic here is the report

use elegante_env::{
    Acrobot, AcrobotParams, Actions, Batch, BatchEnv, CartPole, Ending, Env, EnvError, EnvRng,
    FinishedEpisode, LaneState, MountainCar, MountainCarContinuous, Pendulum, Registry, Reset,
    Space, StepOut, TimeLimit, VecEnv, VectorEnv,
};

/// Observations, final observations, rewards and endings.
type Bits<'a> = (Vec<u32>, Vec<u32>, Vec<u64>, &'a [Option<Ending>]);

/// The memory of a vector step, its actions included.
struct Rows {
    indices: Vec<usize>,
    numbers: Vec<f32>,
    obs: Vec<f32>,
    final_obs: Vec<f32>,
    rewards: Vec<f64>,
    endings: Vec<Option<Ending>>,
}

impl Rows {
    fn new(rows: usize, env: &dyn VectorEnv) -> Self {
        let width = env.observation_space().flat_len();
        Self {
            indices: vec![0; rows],
            numbers: vec![0.0; rows],
            obs: vec![0.0; rows * width],
            final_obs: vec![-7.0; rows * width],
            rewards: vec![0.0; rows],
            endings: vec![None; rows],
        }
    }

    /// Steps the lanes in `active`, or all when there is no such list, and returns the episodes that
    /// ended.
    fn step(
        &mut self,
        env: &mut dyn VectorEnv,
        active: Option<&[usize]>,
    ) -> Result<Vec<FinishedEpisode>, EnvError> {
        let actions = match env.action_space() {
            Space::Discrete(_) => Actions::Discrete(&self.indices),
            _ => Actions::Continuous(&self.numbers),
        };
        let out = StepOut {
            obs: &mut self.obs,
            final_obs: &mut self.final_obs,
            rewards: &mut self.rewards,
            endings: &mut self.endings,
        };
        match active {
            None => env.step(actions, out)?,
            Some(active) => env.step_lanes(active, actions, out)?,
        }
        Ok(env.finished().to_vec())
    }

    /// All that a step returned, as bits.
    fn bits(&self) -> Bits<'_> {
        let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect();
        let rewards = self.rewards.iter().map(|x| x.to_bits()).collect();
        (bits(&self.obs), bits(&self.final_obs), rewards, &self.endings)
    }
}

/// Actions that now and then push at random, and otherwise as balances a pole or wins height.
struct Player {
    rng: EnvRng,
    /// One action in so many is drawn.
    whim: f64,
}

impl Player {
    fn act(&mut self, rows: &mut Rows, env: &dyn VectorEnv) {
        let width = env.observation_space().flat_len();
        let choices = match env.action_space() {
            Space::Discrete(space) => space.n(),
            _ => 0,
        };
        for (row, obs) in rows.obs.chunks_exact(width).enumerate() {
            let forth = obs.last().copied().unwrap_or_default() + obs[width / 2] > 0.0;
            let drawn = self.rng.random_f64() < self.whim;
            let u = self.rng.uniform(-2.5, 2.5);
            rows.indices[row] = match (drawn, forth) {
                (true, _) => ((u + 2.5) / 5.0 * choices as f64) as usize,
                (false, true) => choices.max(1) - 1,
                (false, false) => 0,
            };
            rows.numbers[row] =
                if drawn { u } else { f64::from(u8::from(forth)) * 2.0 - 1.0 } as f32;
        }
    }
}

/// Both kinds of vector environment of the same environment, with episodes of at most `limit` steps.
fn pair<E, const S: usize, const O: usize, const A: usize>(
    env: &E,
    lanes: usize,
    limit: usize,
) -> (VecEnv<TimeLimit<E>>, BatchEnv<E, S, O, A>)
where
    E: Batch<S, O, A>,
{
    let scalar = (0..lanes).map(|_| TimeLimit::new(env.clone(), limit).unwrap()).collect();
    let batch = BatchEnv::new(env.clone(), lanes, Some(limit)).unwrap();
    (VecEnv::new(scalar).unwrap(), batch)
}

/// Plays `steps` steps in both and compares all that they return; how many episodes ended either way.
fn play<E, const S: usize, const O: usize, const A: usize>(
    env: &E,
    lanes: usize,
    limit: usize,
    whim: f64,
    steps: usize,
) -> [usize; 2]
where
    E: Batch<S, O, A>,
{
    let (mut scalar, mut batch) = pair(env, lanes, limit);
    let (mut ours, mut theirs) = (Rows::new(lanes, &batch), Rows::new(lanes, &scalar));
    let mut players = [3, 3].map(|seed| Player { rng: EnvRng::new(seed), whim });
    batch.reset(11, &mut ours.obs).unwrap();
    scalar.reset(11, &mut theirs.obs).unwrap();
    assert_eq!(ours.bits(), theirs.bits());
    let mut ended = [0, 0];
    for t in 0..steps {
        players[0].act(&mut ours, &batch);
        players[1].act(&mut theirs, &scalar);
        let finished = ours.step(&mut batch, None).unwrap();
        assert_eq!(finished, theirs.step(&mut scalar, None).unwrap(), "{lanes} lanes, step {t}");
        assert_eq!(ours.bits(), theirs.bits(), "{lanes} lanes, step {t}");
        for episode in finished {
            ended[usize::from(episode.ending == Ending::Truncated)] += 1;
        }
    }
    ended
}

#[test]
fn a_lane_has_the_bits_of_a_scalar_environment() {
    let mut ended = [0, 0];
    for lanes in [1, 7, 8, 64, 75, 201] {
        let [terminated, truncated] = play(&CartPole::default(), lanes, 50, 0.4, 300);
        ended = [ended[0] + terminated, ended[1] + truncated];
    }
    assert!(ended[0] > 100 && ended[1] > 100, "{ended:?}");
    let [terminated, _] = play(&CartPole::new(true), 9, 500, 1.0, 400);
    assert!(terminated > 100);
}

/// What `play` says of lane counts with and without a remainder.
fn play_all<E, const S: usize, const O: usize, const A: usize>(env: &E, limit: usize) -> [usize; 2]
where
    E: Batch<S, O, A>,
{
    [1, 9, 64, 77].into_iter().fold([0, 0], |[terminated, truncated], lanes| {
        let more = play(env, lanes, limit, 0.1, 2 * limit + 50);
        [terminated + more[0], truncated + more[1]]
    })
}

#[test]
fn so_have_the_other_environments() {
    for g in [10.0, 3.7] {
        assert_eq!(play_all(&Pendulum::new(g), 200), [0, 302]);
    }
    for goal_velocity in [0.0, 0.02] {
        // The player gets there in about 120 steps.
        for (limit, which) in [(60, 1), (150, 0)] {
            let ended = play_all(&MountainCar::new(goal_velocity), limit);
            assert!(ended[which] > 50, "{ended:?} within {limit}");
            let ended = play_all(&MountainCarContinuous::new(goal_velocity), limit);
            assert!(ended[which] > 50, "{ended:?} within {limit}");
        }
    }
    for nips in [false, true] {
        let arm = Acrobot::new(AcrobotParams { nips, ..AcrobotParams::default() });
        for (limit, which) in [(40, 1), (500, 0)] {
            let ended = play_all(&arm, limit);
            assert!(ended[which] > 50, "{ended:?} within {limit}");
        }
    }
}

#[test]
fn an_arm_with_noise_is_stepped_one_by_one() {
    let noisy = AcrobotParams { torque_noise_max: 0.5, ..AcrobotParams::default() };
    let mut batch = BatchEnv::new(Acrobot::new(noisy), 2, None).unwrap();
    let mut rows = Rows::new(2, &batch);
    batch.reset(0, &mut rows.obs).unwrap();
    let error = rows.step(&mut batch, None).unwrap_err().to_string();
    assert!(error.contains("noise") && error.contains("VecEnv"), "{error}");

    let (registry, options) = (Registry::standard(), "torque_noise_max = 0.5".parse().unwrap());
    let mut lanes = registry.get("Acrobot-v1").unwrap().make_vec(2, &options).unwrap();
    let mut alone = Acrobot::new(noisy);
    lanes.reset(0, &mut rows.obs).unwrap();
    alone.reset(&Reset::seeded(1), &mut [0.0; 6]).unwrap();
    let mut obs = [0.0; 6];
    for _ in 0..50 {
        rows.step(&mut *lanes, None).unwrap();
        alone.step(&0, &mut obs).unwrap();
        assert_eq!(rows.obs[6..], obs);
    }
}

#[test]
fn an_arm_that_spins_beyond_numbers_names_its_lane() {
    let mut alone = Acrobot::default();
    alone.set_state([0.0, 0.0, 1e150, -1e150]).unwrap();
    let state = LaneState { env: alone.save_state().unwrap(), episode_return: 0.0, length: 0 };
    let mut batch = BatchEnv::new(Acrobot::default(), 67, None).unwrap();
    let mut rows = Rows::new(67, &batch);
    batch.reset(0, &mut rows.obs).unwrap();
    batch.load_state(65, &state).unwrap();
    let error = rows.step(&mut batch, None).unwrap_err().to_string();
    assert!(error.starts_with("lane 65: "), "{error}");
}

/// A state saved by the scalar environment comes back from a lane as it was, and goes on alike.
fn pass_on<E, const S: usize, const O: usize, const A: usize>(env: &E)
where
    E: Batch<S, O, A>,
{
    let (mut scalar, mut batch) = pair(env, 10, 40);
    let mut theirs = Rows::new(10, &scalar);
    scalar.reset(2, &mut theirs.obs).unwrap();
    let mut player = Player { rng: EnvRng::new(0), whim: 0.5 };
    for steps in [0, 1, 25, 30] {
        for _ in 0..steps {
            player.act(&mut theirs, &scalar);
            theirs.step(&mut scalar, None).unwrap();
        }
        for lane in 0..10 {
            let state = scalar.save_state(lane).unwrap();
            batch.load_state(lane, &state).unwrap();
            assert_eq!(batch.save_state(lane).unwrap(), state, "after {steps} steps more");
            assert_eq!(batch.scene(lane), scalar.scene(lane));
        }
        let mut ours = Rows::new(10, &batch);
        player.act(&mut theirs, &scalar);
        ours.indices.clone_from(&theirs.indices);
        ours.numbers.clone_from(&theirs.numbers);
        theirs.final_obs.fill(-7.0);
        let finished = ours.step(&mut batch, None).unwrap();
        assert_eq!(finished, theirs.step(&mut scalar, None).unwrap());
        assert_eq!(ours.bits(), theirs.bits());
    }
}

#[test]
fn every_kind_of_lane_can_be_passed_on() {
    pass_on(&CartPole::default());
    pass_on(&Pendulum::default());
    pass_on(&MountainCar::default());
    pass_on(&MountainCarContinuous::default());
    pass_on(&Acrobot::default());
}

#[test]
fn a_pendulum_that_has_turned_many_times_has_the_same_bits() {
    let (mut scalar, mut batch) = pair(&Pendulum::default(), 64, 30);
    let (mut ours, mut theirs) = (Rows::new(64, &batch), Rows::new(64, &scalar));
    for lane in 0..64 {
        // From −π to far beyond the 32 turns that are reckoned without a call.
        let far = format!("x_init = {:e}", 1.25f64.powi(lane as i32) * 4.0);
        let reset = Reset { seed: Some(lane as u64), options: far.parse().unwrap() };
        batch.reset_lane(lane, &reset, &mut ours.obs[3 * lane..][..3]).unwrap();
        scalar.reset_lane(lane, &reset, &mut theirs.obs[3 * lane..][..3]).unwrap();
    }
    for t in 0..29 {
        ours.numbers.fill(2.0);
        theirs.numbers.fill(2.0);
        ours.step(&mut batch, None).unwrap();
        theirs.step(&mut scalar, None).unwrap();
        assert_eq!(ours.bits(), theirs.bits(), "step {t}");
    }
}

#[test]
fn forces_that_are_no_numbers_are_refused() {
    let (_, mut batch) = pair(&Pendulum::default(), 70, 30);
    let mut rows = Rows::new(70, &batch);
    batch.reset(0, &mut rows.obs).unwrap();
    let before = batch.save_state(0);
    rows.numbers[67] = f32::NAN;
    let error = rows.step(&mut batch, None).unwrap_err().to_string();
    assert!(error.contains("NaN") && error.contains("Box"), "{error}");
    rows.numbers[67] = f32::INFINITY;
    assert!(rows.step(&mut batch, None).is_err());
    assert_eq!(batch.save_state(0), before);
    rows.numbers[67] = 1e30;
    rows.step(&mut batch, None).unwrap();
}

#[test]
fn whole_balanced_episodes_have_the_same_bits() {
    let [terminated, truncated] = play(&CartPole::default(), 100, 500, 0.1, 1000);
    assert!(truncated >= 100, "{truncated} of {} episodes were balanced", terminated + truncated);
}

#[test]
fn some_of_the_lanes_step_in_any_order() {
    let lanes = 150;
    let (mut scalar, mut batch) = pair(&CartPole::default(), lanes, 30);
    let (mut ours, mut theirs) = (Rows::new(lanes, &batch), Rows::new(lanes, &scalar));
    batch.reset(5, &mut ours.obs).unwrap();
    scalar.reset(5, &mut theirs.obs).unwrap();
    let mut rng = EnvRng::new(1);
    let mut ended = 0;
    for t in 0..200 {
        let mut active: Vec<usize> = (0..lanes).filter(|_| rng.random_f64() < 0.6).collect();
        if t % 2 == 0 {
            active.sort_by_key(|lane| (lane * 7919 + t) % 151);
        }
        let (mut ours, mut theirs) =
            (Rows::new(active.len(), &batch), Rows::new(active.len(), &scalar));
        for (row, &lane) in active.iter().enumerate() {
            ours.indices[row] = (lane + t / 3) % 2;
        }
        theirs.indices.clone_from(&ours.indices);
        let finished = ours.step(&mut batch, Some(&active)).unwrap();
        assert_eq!(finished, theirs.step(&mut scalar, Some(&active)).unwrap(), "step {t}");
        assert_eq!(ours.bits(), theirs.bits(), "step {t}");
        ended += finished.len();
    }
    assert!(ended > 500);
    for lane in 0..lanes {
        assert_eq!(batch.save_state(lane), scalar.save_state(lane), "lane {lane}");
    }
}

#[test]
fn either_goes_on_where_the_other_stopped() {
    let lanes = 70;
    let (mut scalar, mut batch) = pair(&CartPole::default(), lanes, 25);
    let mut rows = Rows::new(lanes, &scalar);
    scalar.reset(1, &mut rows.obs).unwrap();
    for t in 0..33 {
        rows.indices.iter_mut().enumerate().for_each(|(i, a)| *a = (i + t) / 2 % 2);
        rows.step(&mut scalar, None).unwrap();
    }
    // Lanes that have never begun can be loaded into, in any order.
    for lane in (0..lanes).rev() {
        batch.load_state(lane, &scalar.save_state(lane).unwrap()).unwrap();
    }
    let on = |env: &mut dyn VectorEnv| {
        let mut rows = Rows::new(lanes, env);
        let mut seen = Vec::new();
        for t in 0..60 {
            rows.indices.iter_mut().enumerate().for_each(|(i, a)| *a = (i + t) / 3 % 2);
            seen.push((rows.step(env, None).unwrap(), rows.bits().0));
        }
        seen
    };
    assert_eq!(on(&mut batch), on(&mut scalar));
    // And back again, into the scalar environment by itself.
    let LaneState { env, .. } = batch.save_state(69).unwrap();
    let mut alone = TimeLimit::new(CartPole::default(), 25).unwrap();
    alone.load_state(&env).unwrap();
    assert_eq!(alone.save_state().unwrap(), env);
    assert_eq!(scalar.save_state(69).unwrap().env, env);
}

#[test]
fn a_lane_is_reset_by_itself_with_its_options() {
    let (mut scalar, mut batch) = pair(&CartPole::default(), 3, 25);
    let (mut ours, mut theirs) = ([0.0; 4], [0.0; 4]);
    let far = Reset { seed: Some(4), options: "low = 0.1\nhigh = 0.2".parse().unwrap() };
    for reset in [far, Reset::default(), Reset::seeded(4)] {
        batch.reset_lane(1, &reset, &mut ours).unwrap();
        scalar.reset_lane(1, &reset, &mut theirs).unwrap();
        assert_eq!(ours, theirs);
        assert_eq!(batch.save_state(1), scalar.save_state(1));
    }
    let wrong = Reset { seed: None, options: "lo = 0.1".parse().unwrap() };
    assert!(batch.reset_lane(1, &wrong, &mut ours).is_err());
    assert_eq!(batch.save_state(1), scalar.save_state(1), "a refused reset changed something");
    assert!(matches!(batch.reset_lane(3, &Reset::default(), &mut ours), Err(EnvError::Vector(_))));
}

#[test]
fn lanes_without_an_episode_do_not_step() {
    let (_, mut batch) = pair(&CartPole::default(), 3, 2);
    let mut rows = Rows::new(3, &batch);
    assert!(matches!(rows.step(&mut batch, None), Err(EnvError::NotReset)));
    batch.reset_lane(2, &Reset::seeded(0), &mut [0.0; 4]).unwrap();
    assert!(matches!(rows.step(&mut batch, None), Err(EnvError::NotReset)));
    let mut two = Rows::new(2, &batch);
    assert!(matches!(two.step(&mut batch, Some(&[2, 1])), Err(EnvError::NotReset)));
    let mut one = Rows::new(1, &batch);
    one.step(&mut batch, Some(&[2])).unwrap();
    batch.reset_lane(0, &Reset::seeded(0), &mut [0.0; 4]).unwrap();
    batch.reset_lane(1, &Reset::seeded(1), &mut [0.0; 4]).unwrap();
    rows.step(&mut batch, None).unwrap();

    // A state from the time limit itself, where the scalar environment waits for a reset.
    let mut alone = TimeLimit::new(CartPole::default(), 2).unwrap();
    alone.reset(&Reset::seeded(0), &mut [0.0; 4]).unwrap();
    alone.step(&0, &mut [0.0; 4]).unwrap();
    alone.step(&0, &mut [0.0; 4]).unwrap();
    let env = alone.save_state().unwrap();
    let state = LaneState { env, episode_return: 2.0, length: 2 };
    batch.load_state(1, &state).unwrap();
    assert_eq!(batch.save_state(1).unwrap(), state);
    assert!(matches!(rows.step(&mut batch, None), Err(EnvError::NotReset)));
    batch.reset_lane(1, &Reset::default(), &mut [0.0; 4]).unwrap();
    rows.step(&mut batch, None).unwrap();
}

#[test]
fn mistakes_are_named_and_move_nothing() {
    let (_, mut batch) = pair(&CartPole::default(), 70, 9);
    let mut rows = Rows::new(70, &batch);
    batch.reset(0, &mut rows.obs).unwrap();
    let before: Vec<_> = (0..70).map(|lane| batch.save_state(lane)).collect();
    rows.indices[69] = 2;
    let error = rows.step(&mut batch, None).unwrap_err().to_string();
    assert_eq!(error, "action 2 is not in Discrete(2)");
    rows.indices[69] = usize::MAX;
    assert!(rows.step(&mut batch, None).is_err());
    let mut two = Rows::new(2, &batch);
    let error = two.step(&mut batch, Some(&[4, 4])).unwrap_err().to_string();
    assert!(error.contains("lane 4 is to step twice"), "{error}");
    let error = two.step(&mut batch, Some(&[4, 70])).unwrap_err().to_string();
    assert!(error.contains("no lane 70"), "{error}");
    two.indices.pop();
    assert!(two.step(&mut batch, Some(&[4, 5])).is_err());
    let after: Vec<_> = (0..70).map(|lane| batch.save_state(lane)).collect();
    assert_eq!(after, before);
    assert!(batch.save_state(70).is_none() && batch.scene(70).is_none());
    assert!(batch.scene(0).is_some());
    let none = BatchEnv::new(CartPole::default(), 0, None).unwrap_err().to_string();
    assert!(none.contains("at least one lane"), "{none}");
    assert!(BatchEnv::new(CartPole::default(), 1, Some(0)).is_err());
}

#[test]
fn states_of_other_environments_are_refused() {
    let (_, mut batch) = pair(&CartPole::default(), 2, 9);
    let mut rows = Rows::new(2, &batch);
    batch.reset(0, &mut rows.obs).unwrap();
    let mine = batch.save_state(0).unwrap();
    let (_, mut other) = pair(&CartPole::new(true), 2, 9);
    let error = other.load_state(0, &mine).unwrap_err().to_string();
    assert!(error.contains("other options"), "{error}");
    let error = batch.load_state(1, &LaneState { length: 3, ..mine.clone() }).unwrap_err();
    assert!(error.to_string().contains("3 steps"), "{error}");
    for cut in 0..mine.env.len() {
        let env = mine.env[..cut].to_vec();
        assert!(batch.load_state(1, &LaneState { env, ..mine.clone() }).is_err());
    }
    batch.load_state(1, &mine).unwrap();
    assert_eq!(batch.save_state(1).unwrap(), mine);
}

#[test]
fn without_a_limit_episodes_run_until_they_terminate() {
    let mut batch = BatchEnv::new(CartPole::default(), 2, None).unwrap();
    let mut alone = CartPole::default();
    let mut rows = Rows::new(2, &batch);
    batch.reset(0, &mut rows.obs).unwrap();
    alone.reset(&Reset::seeded(1), &mut [0.0; 4]).unwrap();
    assert_eq!(batch.save_state(1).unwrap().env, alone.save_state().unwrap());
    let finished = (0..).find_map(|_| {
        let finished = rows.step(&mut batch, None).unwrap();
        finished.into_iter().find(|episode| episode.lane == 1)
    });
    let mut length = 1;
    while alone.step(&0, &mut [0.0; 4]).unwrap().ending.is_none() {
        length += 1;
    }
    let expected = FinishedEpisode {
        lane: 1,
        episode_return: f64::from(length),
        length: length as usize,
        ending: Ending::Terminated,
    };
    assert_eq!(finished, Some(expected));
}

#[test]
fn numbers_that_are_not_finite_name_their_lane() {
    let mut alone = CartPole::default();
    alone.set_state([0.0, 0.0, 0.1, 1e200]).unwrap();
    let state = LaneState { env: alone.save_state().unwrap(), episode_return: 0.0, length: 0 };
    for lane in [3, 66] {
        let mut batch = BatchEnv::new(CartPole::default(), 67, None).unwrap();
        let mut rows = Rows::new(67, &batch);
        batch.reset(0, &mut rows.obs).unwrap();
        batch.load_state(lane, &state).unwrap();
        let error = rows.step(&mut batch, None).unwrap_err().to_string();
        assert!(error.starts_with(&format!("lane {lane}: ")), "{error}");
    }
}
