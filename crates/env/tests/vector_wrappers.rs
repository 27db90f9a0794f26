//! Around lanes a wrapper does what it does around each lane by itself.
#![allow(clippy::unwrap_used)] // a panic here is the report

mod common;

use allocation_counter::measure;
use common::{Clock, Pushed, Rows};
use elegante_env::{
    Actions, BoxSpace, Env, EnvError, LaneState, Reset, TimeLimit, VecEnv, VectorEnv,
    check::Rule,
    wrappers::{
        Check, ClipAction, EpisodeStatistics, FrameStack, NormalizeObservation, NormalizeReward,
        ObsNormalizer, RescaleAction, RewardNormalizer, RunningMeanStd, TransformObservation,
        TransformReward,
    },
};

const LANES: usize = 3;

fn clock() -> TimeLimit<Clock> {
    TimeLimit::new(Clock::default(), 5).unwrap()
}

fn lanes<E: Env>(make: impl Fn() -> E) -> VecEnv<E> {
    VecEnv::new((0..LANES).map(|_| make()).collect()).unwrap()
}

/// Which lanes step at time `t`: all, or two in another order.
fn active(t: usize) -> &'static [usize] {
    [&[0, 1, 2][..], &[2, 0], &[1]][t % 3]
}

/// Plays both with the same actions (`action(t, entry)`) and compares everything bit by bit; returns
/// the endings seen. Where a lane did not end, `final_obs` must be left alone.
fn alike<'a, A: Copy>(
    a: &'a mut dyn VectorEnv,
    b: &'a mut dyn VectorEnv,
    action: impl Fn(usize, usize) -> A,
    dims: usize,
    erase: fn(&[A]) -> Actions<'_>,
) -> usize {
    let space = a.observation_space();
    assert_eq!(
        (&space, a.action_space(), a.lanes()),
        (&b.observation_space(), b.action_space(), b.lanes())
    );
    let width = space.flat_len();
    let (mut first, mut second) = (Rows::new(LANES, width), Rows::new(LANES, width));
    a.reset(7, &mut first.obs).unwrap();
    b.reset(7, &mut second.obs).unwrap();
    assert_eq!(first, second);
    let mut endings = 0;
    for t in 0..60 {
        let active = active(t);
        let (mut first, mut second) =
            (Rows::new(active.len(), width), Rows::new(active.len(), width));
        let actions: Vec<A> = (0..active.len() * dims).map(|i| action(t, i)).collect();
        for (vector, rows) in [(&mut *a, &mut first), (&mut *b, &mut second)] {
            match active.len() {
                LANES => vector.step(erase(&actions), rows.out()).unwrap(),
                _ => vector.step_lanes(active, erase(&actions), rows.out()).unwrap(),
            }
        }
        assert_eq!(first, second, "step {t}");
        for (row, ending) in first.endings.iter().enumerate() {
            endings += usize::from(ending.is_some());
            let untouched = first.final_obs[row * width..(row + 1) * width] == vec![-7.0; width];
            assert_eq!(untouched, ending.is_none());
        }
        for lane in 0..LANES {
            assert_eq!(a.action_mask(lane), b.action_mask(lane));
            assert_eq!(a.scene(lane), b.scene(lane));
        }
        if t % 20 == 19 {
            let (lane, reset) = (t / 20 % LANES, Reset::seeded(t as u64));
            let (mut first, mut second) = (vec![0.0; width], vec![0.0; width]);
            a.reset_lane(lane, &reset, &mut first).unwrap();
            b.reset_lane(lane, &reset, &mut second).unwrap();
            assert_eq!(first, second, "lane {lane} reset");
        }
    }
    endings
}

/// What `vector` makes of clocks is what `scalar` makes of each of them.
fn clocks<E: Env, V: VectorEnv>(
    scalar: impl Fn(TimeLimit<Clock>) -> E,
    vector: impl Fn(VecEnv<TimeLimit<Clock>>) -> V,
) {
    let (mut a, mut b) = (lanes(|| scalar(clock())), vector(lanes(clock)));
    let endings = alike(&mut a, &mut b, |t, i| 2 * ((t + i) % 2), 1, |a| Actions::Discrete(a));
    assert!(endings > 20, "{endings}");
    restores(|| vector(lanes(clock)));
}

/// A saved state of every lane, loaded into a fresh vector, goes on in the same way.
fn restores<V: VectorEnv>(make: impl Fn() -> V) {
    let (mut a, mut b) = (make(), make());
    let width = a.observation_space().flat_len();
    let (mut first, mut second) = (Rows::new(LANES, width), Rows::new(LANES, width));
    a.reset(3, &mut first.obs).unwrap();
    b.reset(4, &mut second.obs).unwrap();
    (0..7).for_each(|_| a.step(Actions::Discrete(&[0, 2, 0]), first.out()).unwrap());
    for lane in 0..LANES {
        b.load_state(lane, &a.save_state(lane).unwrap()).unwrap();
    }
    let nothing = LaneState { env: Vec::new(), episode_return: 0.0, length: 0 };
    assert!(b.load_state(0, &nothing).is_err() && b.save_state(LANES).is_none());
    for t in 0..20 {
        a.step(Actions::Discrete(&[2, 0, 0]), first.out()).unwrap();
        b.step(Actions::Discrete(&[2, 0, 0]), second.out()).unwrap();
        assert_eq!((&first.obs, &first.rewards), (&second.obs, &second.rewards), "step {t}");
        assert_eq!(a.finished(), b.finished(), "step {t}");
        assert_eq!(first.endings, second.endings);
    }
}

#[test]
fn wrappers_of_lanes_are_wrappers_of_each() {
    clocks(|env| FrameStack::new(env, 3).unwrap(), |env| FrameStack::vector(env, 3).unwrap());
    clocks(|env| TransformReward::new(env, |r| -r), |env| TransformReward::vector(env, |r| -r));
    let sum = |from: &[f32], to: &mut [f32]| to[0] = from[0] + from[1];
    let space = || BoxSpace::unbounded(1);
    clocks(
        move |env| TransformObservation::new(env, space(), sum),
        move |env| TransformObservation::vector(env, space(), sum),
    );
    clocks(EpisodeStatistics::new, EpisodeStatistics::vector);
    clocks(Check::new, Check::vector);
    // Frozen, for what is learnt is shared among lanes.
    let mut normalizer = ObsNormalizer::new(2);
    normalizer.update(&[0.0, 0.0, 3.0, 0.5]).unwrap();
    normalizer.freeze();
    clocks(
        |env| NormalizeObservation::new(env, Some(normalizer.clone())).unwrap(),
        |env| NormalizeObservation::vector(env, Some(normalizer.clone())).unwrap(),
    );
    let mut normalizer = RewardNormalizer::new(1, 0.9).unwrap();
    [1.0, 5.0].iter().for_each(|&r| normalizer.update(0, r, None).unwrap());
    normalizer.freeze();
    clocks(
        |env| NormalizeReward::new(env, normalizer.clone()),
        |env| NormalizeReward::vector(env, normalizer.clone()),
    );
}

#[test]
fn continuous_actions_are_changed_row_by_row() {
    let (mut a, mut b) = (
        lanes(|| ClipAction::new(Pushed::default())),
        ClipAction::vector(lanes(Pushed::default)).unwrap(),
    );
    let action = |t: usize, i: usize| ((t * 7 + i * 3) % 11) as f32 - 5.0;
    assert!(alike(&mut a, &mut b, action, 2, |a| Actions::Continuous(a)) > 20);
    let (mut a, mut b) = (
        lanes(|| RescaleAction::new(Pushed::default()).unwrap()),
        RescaleAction::vector(lanes(Pushed::default)).unwrap(),
    );
    let action = |t: usize, i: usize| ((t * 7 + i * 3) % 11) as f32 / 5.0 - 1.0;
    assert!(alike(&mut a, &mut b, action, 2, |a| Actions::Continuous(a)) > 20);
    let mut rows = Rows::new(LANES, 2);
    for wrong in
        [Actions::Continuous(&[0.0; 5]), Actions::Continuous(&[0.0; 8]), Actions::Discrete(&[0; 3])]
    {
        assert!(a.step(wrong, rows.out()).is_err() && b.step(wrong, rows.out()).is_err());
    }
    let outside = Actions::Continuous(&[0.0, 0.0, 0.0, 1.5, 0.0, 0.0]);
    let error = b.step(outside, rows.out()).unwrap_err().to_string();
    assert_eq!(error, "action [0.0, 1.5] is not in Box([-1, -1], [1, 1], [2])");
    assert!(
        ClipAction::vector(lanes(clock)).is_err() && RescaleAction::vector(lanes(clock)).is_err()
    );
}

#[test]
fn lanes_share_one_statistic_of_observations() {
    let mut env = NormalizeObservation::vector(lanes(clock), None).unwrap();
    let mut plain = lanes(clock);
    let (mut rows, mut raw) = (Rows::new(LANES, 2), Rows::new(LANES, 2));
    env.reset(1, &mut rows.obs).unwrap();
    plain.reset(1, &mut raw.obs).unwrap();
    let mut normalizer = ObsNormalizer::new(2);
    let mut endings = 0;
    for _ in 0..12 {
        normalizer.update(&raw.obs).unwrap();
        let mut expected = raw.obs.clone();
        normalizer.normalize(&mut expected).unwrap();
        assert_eq!(rows.obs, expected);
        for lane in (0..LANES).filter(|&lane| raw.endings[lane].is_some()) {
            let mut last = raw.final_obs[2 * lane..2 * lane + 2].to_vec();
            normalizer.normalize(&mut last).unwrap();
            assert_eq!(rows.final_obs[2 * lane..2 * lane + 2], last);
            endings += 1;
        }
        env.step(Actions::Discrete(&[0; LANES]), rows.out()).unwrap();
        plain.step(Actions::Discrete(&[0; LANES]), raw.out()).unwrap();
    }
    assert!(endings > 5);
    restores(|| NormalizeObservation::vector(lanes(clock), None).unwrap());
}

#[test]
fn lanes_share_one_statistic_of_returns() {
    let mut env = NormalizeReward::vector(lanes(clock), RewardNormalizer::new(9, 0.5).unwrap());
    assert_eq!(env.normalizer().lanes(), LANES);
    let mut rows = Rows::new(LANES, 2);
    env.reset(1, &mut rows.obs).unwrap();
    let mut returns = RunningMeanStd::new(1);
    let mut discounted = [0.0; LANES];
    for t in 0..12 {
        let actions = [0, 2, 2 * (t % 2)];
        env.step(Actions::Discrete(&actions), rows.out()).unwrap();
        let raw = actions.map(|action| (t % 5 + 1) as f64 + action as f64 / 10.0);
        discounted.iter_mut().zip(raw).for_each(|(g, reward)| *g = 0.5 * *g + reward);
        returns.update(&discounted).unwrap();
        let deviation = (returns.variance(0) + 1e-8).sqrt();
        assert_eq!(rows.rewards, raw.map(|reward| (reward / deviation).min(10.0)));
        if t % 5 == 4 {
            assert!(rows.endings.iter().all(Option::is_some));
            discounted = [0.0; LANES];
        }
    }
    assert_eq!(env.normalizer().statistics(), &returns);
    restores(|| NormalizeReward::vector(lanes(clock), RewardNormalizer::new(1, 0.5).unwrap()));
}

#[test]
fn every_lane_counts_its_own_episodes() {
    let mut env = EpisodeStatistics::vector(lanes(clock));
    let mut rows = Rows::new(LANES, 2);
    env.reset(0, &mut rows.obs).unwrap();
    (0..6).for_each(|_| env.step(Actions::Discrete(&[0, 2, 0]), rows.out()).unwrap());
    let mut one = Rows::new(1, 2);
    (0..4).for_each(|_| env.step_lanes(&[2], Actions::Discrete(&[0]), one.out()).unwrap());
    let seen: Vec<_> = env
        .lane_statistics()
        .iter()
        .map(|lane| (lane.episodes, lane.length, lane.episode_return, lane.last.unwrap().length))
        .collect();
    assert_eq!(seen, [(1, 1, 1.0, 5), (1, 1, 1.2, 5), (2, 0, 0.0, 5)]);
    assert_eq!(env.lane_statistics()[1].last.unwrap().episode_return, 1.2 + 2.2 + 3.2 + 4.2 + 5.2);
    // Given up, alone and all together: nothing is counted.
    env.reset_lane(1, &Reset::default(), &mut one.obs).unwrap();
    let under_way = |env: &EpisodeStatistics<VecEnv<TimeLimit<Clock>>>| {
        let lanes = env.lane_statistics();
        [0, 1].map(|lane| (lanes[lane].episodes, lanes[lane].length, lanes[lane].episode_return))
    };
    assert_eq!(under_way(&env), [(1, 1, 1.0), (1, 0, 0.0)]);
    env.reset(0, &mut rows.obs).unwrap();
    assert_eq!(under_way(&env), [(1, 0, 0.0); 2]);
}

#[test]
fn stepping_in_wrappers_of_lanes_allocates_nothing() {
    let env = NormalizeObservation::vector(Check::vector(lanes(clock)), None).unwrap();
    let env = FrameStack::vector(env, 2).unwrap();
    let env = NormalizeReward::vector(env, RewardNormalizer::new(1, 0.9).unwrap());
    let mut env = TransformReward::vector(EpisodeStatistics::vector(env), |r| r + 1.0);
    let mut rows = Rows::new(LANES, 4);
    env.reset(0, &mut rows.obs).unwrap();
    let counted = measure(|| {
        for _ in 0..50 {
            env.step(Actions::Discrete(&[0, 2, 0]), rows.out()).unwrap();
        }
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn wrong_lengths_are_refused_before_anything_moves() {
    let mut env = FrameStack::vector(lanes(clock), 2).unwrap();
    let mut rows = Rows::new(LANES, 4);
    env.reset(0, &mut rows.obs).unwrap();
    let before: Vec<_> = (0..LANES).map(|lane| env.save_state(lane)).collect();
    let all = Actions::Discrete(&[0; LANES]);
    for width in [2, 5] {
        assert!(env.step(all, Rows::new(LANES, width).out()).is_err());
    }
    let four = Actions::Discrete(&[0; LANES + 1]);
    let mut long = Rows::new(LANES + 1, 4);
    assert!(env.step_lanes(&[0, 1, 2, 2], four, long.out()).is_err());
    assert!(env.reset(0, &mut [0.0; 6]).is_err());
    assert!(env.reset_lane(LANES, &Reset::default(), &mut [0.0; 4]).is_err());
    let after: Vec<_> = (0..LANES).map(|lane| env.save_state(lane)).collect();
    assert_eq!(before, after);
}

#[test]
fn what_a_function_makes_must_be_finite() {
    let mut env = TransformReward::vector(lanes(clock), |r| if r > 1.1 { f64::NAN } else { r });
    let mut rows = Rows::new(LANES, 2);
    env.reset(0, &mut rows.obs).unwrap();
    let error = env.step(Actions::Discrete(&[0, 0, 2]), rows.out()).unwrap_err().to_string();
    assert!(error.contains("lane 2") && error.contains("the transformed reward"), "{error}");
    let spoil =
        |from: &[f32], to: &mut [f32]| to.copy_from_slice(&[from[0], 1.0 / (from[0] - 5.0)]);
    let mut env = TransformObservation::vector(lanes(clock), BoxSpace::unbounded(2), spoil);
    env.reset(0, &mut rows.obs).unwrap();
    let mut run = || (0..5).try_for_each(|_| env.step(Actions::Discrete(&[0; 3]), rows.out()));
    let error = run().unwrap_err().to_string();
    let words = "entry 1 of the transformed final observation";
    assert!(error.contains("lane 0") && error.contains(words), "{error}");
}

#[test]
fn a_witness_of_lanes_tells_the_callers_mistakes() {
    let mut env = Check::vector(lanes(clock));
    let mut rows = Rows::new(LANES, 2);
    let error = env.step(Actions::Discrete(&[0; LANES]), rows.out()).unwrap_err();
    assert!(matches!(error, EnvError::NotReset));
    env.reset(0, &mut rows.obs).unwrap();
    let mut refused = |actions: &[usize]| {
        env.step(Actions::Discrete(actions), rows.out()).unwrap_err().to_string()
    };
    assert_eq!(refused(&[0, 3, 0]), "action 3 is not in Discrete(3)");
    assert_eq!(refused(&[0, 0]), "actions has 2 entries where 3 belong");
    env.step(Actions::Discrete(&[0; LANES]), rows.out()).unwrap();
    let error = env.step(Actions::Discrete(&[0, 0, 1]), rows.out()).unwrap_err().to_string();
    assert!(error.contains("action 1 is not valid in this state"), "{error}");
    let mut two = Rows::new(2, 2);
    let error = env.step_lanes(&[1, 1], Actions::Discrete(&[0, 0]), two.out()).unwrap_err();
    assert!(error.to_string().contains("lane 1 is to step twice"), "{error}");
}

#[test]
fn a_witness_of_lanes_looks_at_final_observations_too() {
    // Time 5 is out of bounds, and only final observations show it.
    let space = BoxSpace::new(vec![0.0; 2], vec![4.0, 1.0]).unwrap();
    let copy = |from: &[f32], to: &mut [f32]| to.copy_from_slice(from);
    let mut env = Check::vector(TransformObservation::vector(lanes(clock), space, copy));
    let mut rows = Rows::new(LANES, 2);
    env.reset(0, &mut rows.obs).unwrap();
    for _ in 0..4 {
        env.step(Actions::Discrete(&[0; LANES]), rows.out()).unwrap();
    }
    let error = env.step(Actions::Discrete(&[0; LANES]), rows.out()).unwrap_err();
    let EnvError::Contract(violation) = error else { panic!("{error}") };
    assert_eq!(violation.rule, Rule::ObservationInSpace);
    assert!(violation.found.contains("entry 0 is 5, outside its bounds 0 and 4"), "{violation}");
}
