//! Each wrapper changes its one thing, and passes the rest on.
#![allow(clippy::unwrap_used)] // a panic here is the report

mod common;

use allocation_counter::measure;
use common::{Clock, Pushed};
use elegante_env::{
    AnyEnv, Ending, Env, EnvError, Registry, Reset, TimeLimit,
    check::{EnvChecker, Rule},
    wrappers::{
        Check, ClipAction, EpisodeStatistics, FrameStack, NormalizeObservation, NormalizeReward,
        ObsNormalizer, RepeatAction, RescaleAction, RewardNormalizer, StickyActions,
        TransformObservation, TransformReward, Wrap,
    },
};

type Clocks = TimeLimit<Clock>;

fn clock() -> Clocks {
    TimeLimit::new(Clock::default(), 5).unwrap()
}

fn returns(gamma: f64) -> RewardNormalizer {
    RewardNormalizer::new(1, gamma).unwrap()
}

fn options(text: &str) -> Reset {
    Reset { seed: Some(1), options: text.parse().unwrap() }
}

/// All that a wrapper must leave alone, seen from outside.
fn passes_everything_on<E: Env<Action = usize>>(make: impl Fn() -> E, repeats: usize) {
    // State, generator, masks, refusals, options: the checker makes several and compares. Running
    // statistics go on after a reset with the same seed, as they should.
    let report = EnvChecker::default().check_factory(|| Ok(make())).unwrap();
    let broken: Vec<_> = report.violations().filter(|v| v.rule != Rule::Reproducible).collect();
    assert!(broken.is_empty() && report.notes().is_empty(), "{report}");

    let mut env = make();
    let mut obs = vec![0.0; env.observation_space().flat_len()];
    env.reset(&options(""), &mut obs).unwrap();
    let before = env.scene().unwrap();
    assert_eq!(env.action_mask(), Some([true; 3].as_slice()));
    env.step(&0, &mut obs).unwrap();
    assert_ne!(env.scene().unwrap(), before);
    assert_eq!(env.action_mask(), Some([true, repeats.is_multiple_of(2), true].as_slice()));

    let mut episode = |reset: &Reset| {
        env.reset(reset, &mut obs).unwrap();
        (1..).find_map(|t| Some((t, env.step(&0, &mut obs).unwrap().ending?))).unwrap()
    };
    assert_eq!(episode(&options("")), (5usize.div_ceil(repeats), Ending::Truncated));
    assert_eq!(episode(&options("length = 3")), (3usize.div_ceil(repeats), Ending::Terminated));
    assert!(
        env.reset(&options("breadth = 3"), &mut obs).is_err(),
        "the option did not get through"
    );
    assert!(env.load_state(&[]).is_err());
}

#[test]
fn what_a_wrapper_does_not_change_passes_through_it() {
    passes_everything_on(clock, 1);
    passes_everything_on(|| NormalizeObservation::new(clock(), None).unwrap(), 1);
    passes_everything_on(|| NormalizeReward::new(clock(), returns(0.9)), 1);
    passes_everything_on(|| TransformReward::new(clock(), |r| r - 3.0), 1);
    passes_everything_on(
        || {
            let space = Clock::default().observation_space();
            TransformObservation::new(clock(), space, |from, to| to.copy_from_slice(from))
        },
        1,
    );
    passes_everything_on(|| FrameStack::new(clock(), 3).unwrap(), 1);
    passes_everything_on(|| StickyActions::new(clock(), 0.5).unwrap(), 1);
    passes_everything_on(|| RepeatAction::new(clock(), 2).unwrap(), 2);
    passes_everything_on(|| EpisodeStatistics::new(clock()), 1);
    passes_everything_on(|| Check::new(clock()), 1);
    passes_everything_on(
        || FrameStack::new(StickyActions::new(clock(), 0.5).unwrap(), 2).unwrap(),
        1,
    );
}

#[test]
fn stepping_in_wrappers_allocates_nothing() {
    let inner = NormalizeObservation::new(Check::new(clock()), None).unwrap();
    let middle = StickyActions::new(FrameStack::new(inner, 3).unwrap(), 0.3).unwrap();
    let middle = EpisodeStatistics::new(RepeatAction::new(middle, 2).unwrap());
    let mut env = TransformReward::new(NormalizeReward::new(middle, returns(0.9)), |r| 2.0 * r);
    let (mut obs, reset) = (vec![0.0; 6], Reset::default());
    let mut run = || {
        for _ in 0..20 {
            env.reset(&reset, &mut obs).unwrap();
            while env.step(&0, &mut obs).unwrap().ending.is_none() {}
        }
    };
    run();
    assert_eq!(measure(run).count_total, 0);

    let space = Pushed::default().observation_space();
    let scaled = RescaleAction::new(Check::new(Pushed::default())).unwrap();
    let copied = TransformObservation::new(scaled, space, |from, to| to.copy_from_slice(from));
    let mut env = StickyActions::new(ClipAction::new(copied), 0.5).unwrap();
    let mut obs = [0.0; 2];
    let mut run = || {
        env.reset(&reset, &mut obs).unwrap();
        while env.step(&[3.0, -3.0], &mut obs).unwrap().ending.is_none() {}
    };
    run();
    // The point's own space is made anew in every step: two slices and a shape.
    let bare = measure(|| {
        let mut env = Pushed::default();
        env.reset(&reset, &mut [0.0; 2]).unwrap();
        while env.step(&[0.0; 2], &mut [0.0; 2]).unwrap().ending.is_none() {}
    });
    assert_eq!(measure(run).count_total, bare.count_total);
}

#[test]
fn observations_are_normalised_by_statistics_that_have_seen_them() {
    let mut env = NormalizeObservation::new(clock(), None).unwrap();
    let mut plain = clock();
    let (mut obs, mut raw) = ([0.0; 2], [0.0; 2]);
    let mut normalizer = ObsNormalizer::new(2);
    for episode in 0..4 {
        env.reset(&Reset::seeded(episode), &mut obs).unwrap();
        plain.reset(&Reset::seeded(episode), &mut raw).unwrap();
        loop {
            normalizer.update(&raw).unwrap();
            let mut expected = raw;
            normalizer.normalize(&mut expected).unwrap();
            assert_eq!(obs, expected);
            let (step, raw_step) =
                (env.step(&0, &mut obs).unwrap(), plain.step(&0, &mut raw).unwrap());
            assert_eq!(step, raw_step);
            if step.ending.is_some() {
                normalizer.update(&raw).unwrap();
                break;
            }
        }
    }
    assert_eq!(env.normalizer(), &normalizer);
    assert_eq!(normalizer.statistics().count(), 4 * 6, "every observation once");
    assert_eq!(env.observation_space().to_string(), "Box([-10, -10], [10, 10], [2])");
    assert!(NormalizeObservation::new(clock(), Some(ObsNormalizer::new(3))).is_err());
}

#[test]
fn rewards_are_scaled_by_the_discounted_returns_deviation() {
    let mut env = NormalizeReward::new(clock(), returns(0.5));
    let mut obs = [0.0; 2];
    // Rewards of an episode: 1, 2, 3, 4, 5; its discounted returns:
    let discounted = [1.0, 2.5, 4.25, 6.125, 8.0625];
    let mut seen: Vec<f64> = Vec::new();
    for _ in 0..3 {
        env.reset(&Reset::default(), &mut obs).unwrap();
        for (t, g) in discounted.iter().enumerate() {
            seen.push(*g);
            // With the beginning's 1e-4 of a row, of mean 0 and variance 1.
            let (n, reward) = (seen.len() as f64 + 1e-4, (t + 1) as f64);
            let mean = seen.iter().sum::<f64>() / n;
            let squares = seen.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>();
            let variance = (squares + 1e-4 * (1.0 + mean * mean)) / n;
            let step = env.step(&0, &mut obs).unwrap();
            let expected = (reward / (variance + 1e-8).sqrt()).min(10.0);
            assert!((step.reward / expected - 1.0).abs() < 1e-12, "{} not {expected}", step.reward);
        }
    }
    // Frozen and carried over, it scales as before and learns nothing.
    let mut normalizer = env.normalizer().clone();
    normalizer.freeze();
    let mut other = NormalizeReward::new(clock(), normalizer.clone());
    other.reset(&Reset::default(), &mut obs).unwrap();
    assert_eq!(other.step(&0, &mut obs).unwrap().reward, normalizer.normalize(1.0));
    assert_eq!(other.normalizer().statistics(), normalizer.statistics());
    assert!(RewardNormalizer::new(1, f64::NAN).is_err());
}

#[test]
fn any_real_action_is_clipped_into_the_space() {
    let mut env = ClipAction::new(Pushed::default());
    let mut obs = [0.0; 2];
    env.reset(&Reset::default(), &mut obs).unwrap();
    env.step(&[7.0, -7.0], &mut obs).unwrap();
    assert_eq!(obs, [1.0, 0.0]);
    env.step(&[-0.5, f32::INFINITY], &mut obs).unwrap();
    assert_eq!(obs, [0.5, 4.0]);
    assert_eq!(env.action_space().to_string(), "Box([-inf, -inf], [inf, inf], [2])");
    for wrong in [&[f32::NAN, 0.0][..], &[0.0], &[0.0; 3]] {
        let error = env.step(wrong, &mut obs).unwrap_err();
        assert!(matches!(error, EnvError::ActionOutOfSpace { .. }), "{error}");
    }
    let report = elegante_env::check_env(&mut env);
    assert!(report.is_clean(), "{report}");
}

#[test]
fn actions_between_minus_one_and_one_are_stretched_over_the_space() {
    let mut env = RescaleAction::new(Pushed::default()).unwrap();
    let mut obs = [0.0; 2];
    for (action, expected) in
        [([-1.0, -1.0], [-1.0, 0.0]), ([1.0, 1.0], [1.0, 4.0]), ([0.5, -0.5], [0.5, 1.0])]
    {
        env.reset(&Reset::default(), &mut obs).unwrap();
        env.step(&action, &mut obs).unwrap();
        assert_eq!(obs, expected);
    }
    let error = env.step(&[1.5, 0.0], &mut obs).unwrap_err().to_string();
    assert_eq!(error, "action [1.5, 0.0] is not in Box([-1, -1], [1, 1], [2])");
    let report = elegante_env::check_env(&mut env);
    assert!(report.is_clean(), "{report}");
    let error = RescaleAction::new(ClipAction::new(Pushed::default())).unwrap_err().to_string();
    assert!(error.contains("must be bounded on both sides"), "{error}");
}

#[test]
fn a_stack_begins_with_the_first_frame_and_shows_the_oldest_first() {
    let mut env = FrameStack::new(clock(), 3).unwrap();
    let mut obs = [0.0; 6];
    for _ in 0..2 {
        env.reset(&Reset::default(), &mut obs).unwrap();
        let times = |obs: &[f32; 6]| [obs[0], obs[2], obs[4]];
        assert_eq!(times(&obs), [0.0; 3], "a frame of the episode before");
        assert_eq!(obs[..2], obs[2..4]);
        for expected in [[0.0, 0.0, 1.0], [0.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]] {
            env.step(&0, &mut obs).unwrap();
            assert_eq!(times(&obs), expected);
        }
    }
    let shown = env.observation_space().to_string();
    assert_eq!(shown, "Box([0, 0, 0, 0, 0, 0], [1000, 1, 1000, 1, 1000, 1], [3, 2])");
    assert!(FrameStack::new(clock(), 0).is_err());
    assert!(env.reset(&Reset::default(), &mut [0.0; 4]).is_err());
}

#[test]
fn an_action_sticks_as_often_as_it_should() {
    let mut env = StickyActions::new(Clock::default(), 0.25).unwrap();
    let mut obs = [0.0; 2];
    let (mut stuck, mut chances) = (0, 0);
    for episode in 0..2000 {
        // Only the first is seeded: the stream runs on.
        let seed = (episode == 0).then_some(1);
        env.reset(&Reset { seed, ..Reset::default() }, &mut obs).unwrap();
        let mut last = 0;
        for t in 0..6usize {
            // 0, 2, 0, 2, …: both are always valid.
            let action = 2 * (t % 2);
            let step = env.step(&action, &mut obs).unwrap();
            let taken = ((step.reward - (t + 1) as f64) * 10.0).round() as usize;
            assert!(taken == action || (t > 0 && taken == last), "step {t} took {taken}");
            // Where the last action taken is the same as the new one nothing can be seen.
            if t > 0 && last != action {
                chances += 1;
                stuck += usize::from(taken == last);
            }
            last = taken;
        }
    }
    assert!(chances > 1000);
    assert!((stuck as f64 / chances as f64 - 0.25).abs() < 0.02, "{stuck} of {chances}");
    assert!(StickyActions::new(clock(), 1.1).is_err());
}

#[test]
fn the_mask_loosens_what_sticks_and_mistakes_are_refused_all_the_same() {
    let mut env = StickyActions::new(Clock::default(), 1.0).unwrap();
    let mut obs = [0.0; 2];
    env.reset(&Reset::seeded(0), &mut obs).unwrap();
    assert_eq!(env.step(&1, &mut obs).unwrap().reward, 1.1);
    // 1 is valid at even times only; at time 1 the new action is taken, and sticks.
    assert_eq!(env.step(&2, &mut obs).unwrap().reward, 2.2);
    assert_eq!(env.step(&0, &mut obs).unwrap().reward, 3.2);
    assert!(env.step(&3, &mut obs).is_err());
    env.reset(&Reset::default(), &mut obs).unwrap();
    assert_eq!(env.step(&0, &mut obs).unwrap().reward, 1.0, "an action of the episode before");
}

#[test]
fn a_repeated_action_adds_up_until_the_end() {
    let mut env = RepeatAction::new(Clock::default(), 4).unwrap();
    let mut obs = [0.0; 2];
    env.reset(&Reset::seeded(0), &mut obs).unwrap();
    let step = env.step(&2, &mut obs).unwrap();
    assert_eq!((step.reward, step.ending, obs[0]), (1.2 + 2.2 + 3.2 + 4.2, None, 4.0));
    let step = env.step(&0, &mut obs).unwrap();
    assert_eq!((step.reward, step.ending), (5.0 + 6.0, Some(Ending::Terminated)));
    env.reset(&Reset::default(), &mut obs).unwrap();
    assert_eq!(env.step(&1, &mut obs).unwrap().reward, 1.1, "invalid at time 1");
    assert!(RepeatAction::new(clock(), 0).is_err());
}

#[test]
fn episodes_are_counted_when_they_end() {
    let mut env = EpisodeStatistics::new(clock());
    let mut obs = [0.0; 2];
    env.reset(&Reset::seeded(0), &mut obs).unwrap();
    for _ in 0..3 {
        env.step(&2, &mut obs).unwrap();
    }
    let statistics = env.statistics();
    assert_eq!((statistics.length, statistics.episodes, statistics.last), (3, 0, None));
    assert_eq!(statistics.episode_return, 1.2 + 2.2 + 3.2);
    // Given up: it does not count.
    env.reset(&options("length = 2"), &mut obs).unwrap();
    while env.step(&0, &mut obs).unwrap().ending.is_none() {}
    let statistics = env.statistics();
    let last = statistics.last.unwrap();
    assert_eq!((last.episode_return, last.length, last.ending), (3.0, 2, Ending::Terminated));
    assert_eq!((statistics.length, statistics.episodes, statistics.episode_return), (0, 1, 0.0));
    env.reset(&Reset::default(), &mut obs).unwrap();
    while env.step(&0, &mut obs).unwrap().ending.is_none() {}
    let last = env.statistics().last.unwrap();
    assert_eq!((last.episode_return, last.length, last.ending), (15.0, 5, Ending::Truncated));
}

/// A time limit and a frame stack, whatever the actions.
struct Both;

impl Wrap for Both {
    fn wrap<E: Env + 'static>(self, env: E) -> Result<AnyEnv, EnvError> {
        Ok(AnyEnv::new(FrameStack::new(TimeLimit::new(env, 3)?, 2)?))
    }
}

#[test]
fn boxed_environments_of_any_kind_are_wrapped() {
    let mut env = AnyEnv::new(Clock::default()).wrap(Both).unwrap();
    let mut obs = [0.0; 4];
    env.reset(&Reset::seeded(0), &mut obs).unwrap();
    let action = elegante_env::Action::Discrete(0);
    let endings = [(); 3].map(|()| env.step(action, &mut obs).unwrap().ending);
    assert_eq!(endings, [None, None, Some(Ending::Truncated)]);
    let env = AnyEnv::new(Pushed::default()).wrap(Both).unwrap();
    assert_eq!(env.action_space().to_string(), "Box([-1, 0], [1, 4], [2])");
    let error = AnyEnv::new(Clock::default()).typed::<[f32]>().unwrap_err().to_string();
    assert_eq!(error, "a continuous action, where the environment takes discrete ones");
    // What is typed again is as it was.
    let cartpole = Registry::standard().make("CartPole-v1", &Default::default()).unwrap();
    let report = elegante_env::check_env(&mut cartpole.typed::<usize>().unwrap());
    assert!(report.is_clean(), "{report}");
}
