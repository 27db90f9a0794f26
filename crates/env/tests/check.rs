//! An environment for every way to break the contract: each way is found, named and put right in
//! words, and nothing else is.
#![allow(clippy::unwrap_used)] // a panic here is the report

mod common;

use std::sync::atomic::{AtomicU32, Ordering};

use common::{Clock, Pushed};
use elegante_env::{
    Action, BoxSpace, DictSpace, Discrete, Env, EnvError, EnvRng, MultiBinary, MultiDiscrete,
    Registry, Reset, Scene, Space, Step, TimeLimit,
    check::{EnvChecker, Report, Rule},
    check_env, state,
    wrappers::Check,
};
use serde::{Deserialize, Serialize};

/// How to break the contract.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Fault {
    None,
    EmptyObservation,
    EmptyAction,
    TupleActions,
    GrowingSpace,
    RefusedReset,
    LongerObservation,
    UnwrittenEntry,
    NanObservation,
    OutOfBounds,
    TwoOutOfBounds,
    InfiniteReward,
    RefusedAction,
    AcceptedAction,
    StepAfterEnding,
    ShortMask,
    EmptyMask,
    UnseededReset,
    LeftOver,
    ForgetfulState,
    UnreadableState,
    LenientState,
    IgnoredOption,
    BadScene,
    PanickingStep,
    PanicAfterEnding,
}

/// A walk on nine places from the middle, with a random push, right or left; it ends at either side.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Walk {
    fault: Fault,
    rng: EnvRng,
    place: i64,
    steps: u64,
    resets: u64,
    under_way: bool,
    mask: Vec<bool>,
}

impl Walk {
    fn new(fault: Fault) -> Self {
        let mask = match fault {
            Fault::ShortMask => vec![true],
            Fault::EmptyMask => vec![false; 2],
            _ => vec![true; 2],
        };
        let rng = EnvRng::new(0);
        Self { fault, rng, place: 0, steps: 0, resets: 0, under_way: false, mask }
    }

    fn show(&self, obs: &mut [f32]) {
        let (at, t) = (self.place as f32, self.steps as f32);
        match self.fault {
            Fault::UnwrittenEntry => obs[0] = at,
            Fault::NanObservation => obs.copy_from_slice(&[at, (-1.0 - t).sqrt()]),
            Fault::OutOfBounds => obs.copy_from_slice(&[at + 10.0, t]),
            Fault::TwoOutOfBounds => obs.copy_from_slice(&[at + 10.0, -1.0 - t]),
            _ => obs.copy_from_slice(&[at, t]),
        }
    }
}

/// The erased trait, because a typed environment can't even be written with some of the faults.
impl elegante_env::DynEnv for Walk {
    fn observation_space(&self) -> Space {
        match self.fault {
            Fault::EmptyObservation => BoxSpace::unbounded(0).into(),
            Fault::GrowingSpace if self.resets > 3 => BoxSpace::unbounded(3).into(),
            _ => BoxSpace::new(vec![-4.0, 0.0], vec![4.0, 1e6]).unwrap().into(),
        }
    }

    fn action_space(&self) -> Space {
        match self.fault {
            Fault::EmptyAction => Discrete::new(0).into(),
            Fault::TupleActions => DictSpace::new([("a", Discrete::new(2).into())]).unwrap().into(),
            _ => Discrete::new(2).into(),
        }
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        match self.fault {
            Fault::RefusedReset if self.under_way => return Err(EnvError::custom("finish first")),
            Fault::LongerObservation => EnvError::check_length("obs", obs.len(), 3)?,
            Fault::IgnoredOption => {}
            _ if !reset.options.is_empty() => return Err(EnvError::custom("no options")),
            _ => {}
        }
        if let Some(seed) = reset.seed.filter(|_| self.fault != Fault::UnseededReset) {
            self.rng = EnvRng::new(seed);
        }
        let place = if self.fault == Fault::LeftOver { self.place.clamp(-3, 3) } else { 0 };
        (self.place, self.steps, self.under_way) = (place, 0, true);
        self.resets += 1;
        self.show(obs);
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, obs: &mut [f32]) -> Result<Step, EnvError> {
        let Action::Discrete(action) = action else { return Err(EnvError::custom("discrete")) };
        match self.fault {
            Fault::StepAfterEnding => {}
            Fault::PanicAfterEnding => assert!(self.under_way, "no episode"),
            _ if !self.under_way => return Err(EnvError::NotReset),
            _ => {}
        }
        match self.fault {
            Fault::RefusedAction if action == 1 => {
                return Err(EnvError::custom("not to the right"));
            }
            Fault::PanickingStep if action == 1 => panic!("index out of bounds"),
            Fault::AcceptedAction => {}
            _ if action > 1 => return Err(EnvError::action_out_of_space(action, "Discrete(2)")),
            _ => {}
        }
        let push = i64::from(self.rng.random_f64() < 0.3);
        self.place = (self.place + if action == 0 { -1 } else { 1 } + push).clamp(-4, 4);
        self.steps += 1;
        self.under_way = self.place.abs() < 4;
        self.show(obs);
        let reward = if self.fault == Fault::InfiniteReward { f64::INFINITY } else { 1.0 };
        Ok(if self.under_way { Step::going(reward) } else { Step::terminated(reward) })
    }

    fn action_mask(&self) -> Option<&[bool]> {
        Some(&self.mask)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        state::save(self)
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        match self.fault {
            Fault::UnreadableState => return Err(EnvError::BadState("never".into())),
            Fault::LenientState => *self = state::load(bytes).unwrap_or_else(|_| self.clone()),
            Fault::ForgetfulState => {
                let rng = self.rng.clone();
                *self = Self { rng, ..state::load(bytes)? };
            }
            _ => *self = state::load(bytes)?,
        }
        Ok(())
    }

    fn scene(&self) -> Option<Scene> {
        let right = if self.fault == Fault::BadScene { f64::NAN } else { 1.0 };
        Some(Scene::new([0.0, right], [0.0, 1.0]))
    }
}

fn rules(report: &Report) -> Vec<Rule> {
    report.violations().map(|violation| violation.rule).collect()
}

#[test]
fn every_fault_is_found_and_no_other() {
    let cases: [(Fault, &[Rule], &str); 26] = [
        (Fault::None, &[], "the environment keeps the contract"),
        (
            Fault::EmptyObservation,
            &[Rule::SpaceNotEmpty],
            "observations come from Box([], [], [0])",
        ),
        (Fault::EmptyAction, &[Rule::SpaceNotEmpty], "actions come from Discrete(0)"),
        (Fault::TupleActions, &[Rule::ActionsHaveAKind], "flatten the parts of a Tuple or Dict"),
        (Fault::GrowingSpace, &[Rule::SpacesStay], "after some episodes observations come from"),
        (Fault::RefusedReset, &[Rule::ResetSucceeds], "finish first"),
        (Fault::LongerObservation, &[Rule::ObservationLength], "2 entries where 3 belong"),
        (Fault::UnwrittenEntry, &[Rule::ObservationWritten], "entry 1 of it was not written"),
        (Fault::NanObservation, &[Rule::ObservationFinite], "entry 1 of it is NaN"),
        (
            Fault::OutOfBounds,
            &[Rule::ObservationInSpace],
            "entry 0 is 10, outside its bounds -4 and 4",
        ),
        (
            Fault::TwoOutOfBounds,
            &[Rule::ObservationInSpace; 2],
            "entry 1 is -1, outside its bounds 0",
        ),
        (Fault::InfiniteReward, &[Rule::RewardFinite], "a step returned the reward inf"),
        (Fault::RefusedAction, &[Rule::ActionAccepted], "action 1 from Discrete(2) was refused"),
        (Fault::AcceptedAction, &[Rule::ActionRefused], "action 2, which is not in Discrete(2)"),
        (Fault::StepAfterEnding, &[Rule::StepNeedsEpisode], "a step after an ending was accepted"),
        (Fault::ShortMask, &[Rule::MaskLength], "the action mask has 1 entries"),
        (Fault::EmptyMask, &[Rule::MaskAllows], "the action mask allows nothing"),
        (
            Fault::UnseededReset,
            &[Rule::Reproducible],
            "reset with seed 0 once more, the observation",
        ),
        (Fault::LeftOver, &[Rule::Reproducible], "reset with seed 0 once more, the observation 0"),
        (Fault::ForgetfulState, &[Rule::StateComplete], "after loading a state, the"),
        (Fault::UnreadableState, &[Rule::StateLoads], "load_state refused what save_state wrote"),
        (Fault::LenientState, &[Rule::StateChecked; 2], "accepted a state without its last byte"),
        (Fault::IgnoredOption, &[Rule::OptionsKnown], "reset accepted the option"),
        (Fault::BadScene, &[Rule::SceneDrawable], "the scene shows x from 0 to NaN"),
        (Fault::PanickingStep, &[Rule::NoPanic], "step panicked: index out of bounds"),
        (Fault::PanicAfterEnding, &[Rule::NoPanic], "step after an ending panicked: no episode"),
    ];
    for (fault, expected, words) in cases {
        let report = check_env(&mut Walk::new(fault));
        assert_eq!(rules(&report), expected, "{fault:?}: {report}");
        assert!(report.to_string().contains(words), "{fault:?}: {report}");
        assert!(report.violations().all(|v| report.to_string().contains(v.rule.fix())));
        assert_eq!((report.is_clean(), report.notes().len()), (expected.is_empty(), 0), "{report}");
    }
}

#[test]
fn several_faults_are_all_reported_and_counted() {
    /// Wrong in three ways at once.
    struct Bad;

    impl Env for Bad {
        type Action = usize;

        fn observation_space(&self) -> Space {
            Discrete::new(3).into()
        }

        fn action_space(&self) -> Discrete {
            Discrete::new(2)
        }

        fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
            obs.fill(0.5);
            Ok(())
        }

        fn step(&mut self, _: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
            obs.fill(0.5);
            Ok(Step::going(0.0))
        }
    }

    let report = check_env(&mut Bad);
    assert_eq!(rules(&report), [Rule::ObservationInSpace, Rule::ActionRefused, Rule::OptionsKnown]);
    assert!(report.violations().next().unwrap().times > 3000);
    let words = report.to_string();
    assert!(words.starts_with("the environment breaks the contract in 3 ways:\n1. the first observation of an episode: entries 0 to 2 must be one 1 among zeros"), "{words}");
    assert!(words.contains("\n3. reset accepted the option `no_such_option`. Return"), "{words}");
    assert!(words.contains("\nnote: no episode ended"), "{words}");
    assert!(words.contains("\nnote: the environment can't save its state"), "{words}");
}

/// What only a second environment shows.
#[test]
fn fresh_environments_are_compared() {
    let factory =
        |make: &dyn Fn() -> Walk| EnvChecker::default().check_factory(|| Ok(make())).unwrap();
    assert!(factory(&|| Walk::new(Fault::None)).is_clean());
    let report = factory(&|| Walk { under_way: true, ..Walk::new(Fault::None) });
    assert_eq!(rules(&report), [Rule::StepNeedsEpisode]);
    assert!(report.to_string().contains("a step before the first reset was accepted"), "{report}");

    // Every environment made is luckier than the last.
    let made = AtomicU32::new(0);
    let report = factory(&|| {
        let resets = u64::from(made.fetch_add(4, Ordering::Relaxed));
        Walk { resets, ..Walk::new(Fault::GrowingSpace) }
    });
    assert_eq!(rules(&report), [Rule::SpacesStay]);
    assert!(report.to_string().contains("in a second environment observations come"), "{report}");

    let made = AtomicU32::new(0);
    let report = EnvChecker::default()
        .check_factory(|| {
            Ok(Drift {
                unlike: made.fetch_add(1, Ordering::Relaxed),
                clips: true,
                ..Drift::default()
            })
        })
        .unwrap();
    // It never ends, and so never asks whether an episode is under way.
    let expected = [Rule::StepNeedsEpisode, Rule::Reproducible, Rule::StateComplete];
    assert_eq!(rules(&report), expected, "{report}");
    assert!(report.to_string().contains("in a second environment with the same seed"), "{report}");
    let failed = EnvChecker::default().check_factory::<Walk>(|| Err(EnvError::custom("none left")));
    assert_eq!(failed.unwrap_err().to_string(), "none left");
}

/// Moves by the action and by something that no state and no seed tell.
#[derive(Default)]
struct Drift {
    at: f32,
    unlike: u32,
    clips: bool,
    /// Steps ever made, if they matter.
    made: Option<u16>,
}

impl Env for Drift {
    type Action = [f32];

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(1).into()
    }

    fn action_space(&self) -> BoxSpace {
        BoxSpace::symmetric(vec![1.0])
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        if !reset.options.is_empty() {
            return Err(EnvError::custom("no options"));
        }
        self.at = 0.0;
        obs[0] = self.at;
        Ok(())
    }

    fn step(&mut self, action: &[f32], obs: &mut [f32]) -> Result<Step, EnvError> {
        let &[push] = action else { return Err(EnvError::action_out_of_space(action, "Box")) };
        if push.is_nan() {
            return Err(EnvError::action_out_of_space(action, "Box"));
        }
        self.at += if self.clips { push.clamp(-1.0, 1.0) } else { push } + self.unlike as f32;
        self.made = self.made.map(|made| made + 1);
        obs[0] = self.at + 100.0 * f32::from(self.made.unwrap_or_default() % 7);
        Ok(Step::going(0.0))
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        state::save(&self.at)
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        self.at = state::load(bytes)?;
        Ok(())
    }
}

#[test]
fn numbers_beyond_the_bounds_are_refused_or_clipped() {
    let report = check_env(&mut Drift { clips: true, ..Drift::default() });
    assert!(report.is_clean(), "{report}");
    // Where nothing can be repeated, nobody can tell.
    let report = check_env(&mut Drift { clips: true, made: Some(0), ..Drift::default() });
    assert_eq!(rules(&report), [Rule::Reproducible, Rule::StateComplete], "{report}");
    let report = check_env(&mut Drift::default());
    assert_eq!(rules(&report), [Rule::ActionRefused]);
    assert!(report.to_string().contains("and not as if it had been clipped"), "{report}");
    assert_eq!(report.violations().next().unwrap().times, 2, "below and above");
}

/// Accepts whatever it is given.
struct Careless<S>(S);

macro_rules! careless {
    ($space:ty, $action:ty) => {
        impl Env for Careless<$space> {
            type Action = $action;

            fn observation_space(&self) -> Space {
                BoxSpace::unbounded(1).into()
            }

            fn action_space(&self) -> $space {
                self.0.clone()
            }

            fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
                obs.fill(0.0);
                if reset.options.is_empty() { Ok(()) } else { Err(EnvError::custom("no options")) }
            }

            fn step(&mut self, _: &$action, obs: &mut [f32]) -> Result<Step, EnvError> {
                obs.fill(0.0);
                Ok(Step::going(0.0))
            }
        }
    };
}

careless!(BoxSpace, [f32]);
careless!(MultiDiscrete, [usize]);
careless!(MultiBinary, [bool]);

#[test]
fn wrong_actions_of_every_kind_are_tried() {
    /// How often each kind of wrong action was accepted.
    fn times<E: Env>(mut env: E) -> Vec<usize> {
        let report = check_env(&mut env);
        assert!(rules(&report).iter().all(|&rule| rule == Rule::ActionRefused), "{report}");
        report.violations().map(|violation| violation.times).collect()
    }
    // Two wrong lengths and a NaN in each entry; beyond a bound it may have clipped.
    assert_eq!(times(Careless(BoxSpace::symmetric(vec![1.0, f32::INFINITY, 2.0]))), [2, 3]);
    // Two wrong lengths and an index too large in each component.
    assert_eq!(times(Careless(MultiDiscrete::new(vec![2, 3, 1]).unwrap())), [2, 3]);
    assert_eq!(times(Careless(MultiBinary::new(2))), [2]);
}

#[test]
fn every_environment_of_this_crate_keeps_the_contract() {
    let registry = Registry::standard();
    let mut checked = 0;
    for entry in registry.iter() {
        let make = || entry.make(&Default::default());
        let report = EnvChecker::default().check_factory(make).unwrap();
        assert!(report.is_clean(), "{}: {report}", entry.id());
        checked += 1;
    }
    assert!(checked > 1);
    assert!(
        check_env(&mut Clock::default()).is_clean() && check_env(&mut Pushed::default()).is_clean()
    );
}

/// The walk as a typed environment, for the wrapper.
struct Typed(Walk);

impl Env for Typed {
    type Action = usize;

    fn observation_space(&self) -> Space {
        elegante_env::DynEnv::observation_space(&self.0)
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(2)
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        elegante_env::DynEnv::reset(&mut self.0, reset, obs)
    }

    fn step(&mut self, action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        elegante_env::DynEnv::step(&mut self.0, Action::Discrete(*action), obs)
    }

    fn action_mask(&self) -> Option<&[bool]> {
        elegante_env::DynEnv::action_mask(&self.0)
    }
}

#[test]
fn the_wrapper_stops_at_the_first_violation() {
    let cases = [
        (Fault::UnwrittenEntry, Rule::ObservationWritten),
        (Fault::NanObservation, Rule::ObservationFinite),
        (Fault::OutOfBounds, Rule::ObservationInSpace),
        (Fault::InfiniteReward, Rule::RewardFinite),
        (Fault::ShortMask, Rule::MaskLength),
        (Fault::EmptyMask, Rule::MaskAllows),
    ];
    for (fault, rule) in cases {
        let mut env = Check::new(Typed(Walk::new(fault)));
        let mut obs = [0.0; 2];
        let run = env.reset(&Reset::seeded(0), &mut obs).and_then(|()| env.step(&0, &mut obs));
        let Err(EnvError::Contract(violation)) = run else { panic!("{fault:?}: {run:?}") };
        assert_eq!(violation.rule, rule);
        assert!(violation.to_string().ends_with(&format!("{}.", rule.fix())), "{violation}");
    }
}

#[test]
fn the_wrapper_tells_the_callers_mistakes_before_the_environment_sees_them() {
    let walk = Typed(Walk::new(Fault::StepAfterEnding));
    let mut env = Check::new(TimeLimit::new(walk, 1000).unwrap());
    let mut obs = [0.0; 2];
    assert!(matches!(env.step(&0, &mut obs), Err(EnvError::NotReset)));
    assert!(env.reset(&Reset::seeded(0), &mut [0.0; 3]).is_err());
    env.reset(&Reset::seeded(0), &mut obs).unwrap();
    assert!(matches!(env.step(&2, &mut obs), Err(EnvError::ActionOutOfSpace { .. })));
    while env.step(&1, &mut obs).unwrap().ending.is_none() {}
    assert!(matches!(env.step(&0, &mut obs), Err(EnvError::NotReset)));
    env.reset(&Reset::default(), &mut obs).unwrap();
    env.step(&0, &mut obs).unwrap();
    let mut clock = Check::new(Clock::default());
    clock.reset(&Reset::seeded(0), &mut obs).unwrap();
    clock.step(&1, &mut obs).unwrap();
    let error = clock.step(&1, &mut obs).unwrap_err().to_string();
    assert!(error.starts_with("action 1 is not valid in this state"), "{error}");
}
