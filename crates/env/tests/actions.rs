//! Every kind of action reaches its environment, alone, boxed and in lanes, without allocating.
#![allow(clippy::unwrap_used)] // a panic here is the report

use allocation_counter::measure;
use elegante_env::{
    Action, ActionKind, Actions, AnyEnv, Ending, Env, EnvError, MultiBinary, MultiDiscrete, Reset,
    Space, Step, StepOut, VecEnv, VectorEnv,
};

/// Shows the action that it was given as its observation.
#[derive(Clone)]
struct Echo<S> {
    space: S,
    mask: Option<Vec<bool>>,
}

impl Env for Echo<MultiDiscrete> {
    type Action = [usize];

    fn observation_space(&self) -> Space {
        self.space.clone().into()
    }

    fn action_space(&self) -> MultiDiscrete {
        self.space.clone()
    }

    fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.step(&[0; 2], obs).map(drop)
    }

    fn step(&mut self, action: &[usize], obs: &mut [f32]) -> Result<Step, EnvError> {
        if !self.space.contains(action) {
            return Err(EnvError::action_out_of_space(action, &self.space));
        }
        obs.fill(0.0);
        let mut start = 0;
        for (&n, &index) in self.space.nvec().iter().zip(action) {
            obs[start + index] = 1.0;
            start += n;
        }
        Ok(Step::going(action[0] as f64))
    }

    fn action_mask(&self) -> Option<&[bool]> {
        self.mask.as_deref()
    }
}

impl Env for Echo<MultiBinary> {
    type Action = [bool];

    fn observation_space(&self) -> Space {
        self.space.into()
    }

    fn action_space(&self) -> MultiBinary {
        self.space
    }

    fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        obs.fill(0.0);
        Ok(())
    }

    fn step(&mut self, action: &[bool], obs: &mut [f32]) -> Result<Step, EnvError> {
        if !self.space.contains(action) {
            return Err(EnvError::action_out_of_space(action, self.space));
        }
        obs.iter_mut().zip(action).for_each(|(entry, &on)| *entry = f32::from(on));
        Ok(Step::going(0.0))
    }
}

fn dials() -> Echo<MultiDiscrete> {
    Echo { space: MultiDiscrete::new(vec![2, 3]).unwrap(), mask: Some(vec![true; 5]) }
}

fn switches() -> Echo<MultiBinary> {
    Echo { space: MultiBinary::new(3), mask: None }
}

/// Steps two lanes 100 times, counts the allocations, and returns the last observations.
fn lanes<E: Env + 'static>(make: impl Fn() -> E, actions: Actions<'_>) -> Vec<f32> {
    let boxed: Vec<AnyEnv> = (0..2).map(|_| AnyEnv::new(make())).collect();
    let (mut boxed, mut typed) =
        (VecEnv::new(boxed).unwrap(), VecEnv::new(vec![make(), make()]).unwrap());
    let mut last = Vec::new();
    for vector in [&mut boxed as &mut dyn VectorEnv, &mut typed] {
        let width = vector.observation_space().flat_len();
        let (mut obs, mut final_obs) = (vec![0.0; 2 * width], vec![0.0; 2 * width]);
        let (mut rewards, mut endings) = ([0.0; 2], [Some(Ending::Truncated); 2]);
        vector.reset(0, &mut obs).unwrap();
        let counted = measure(|| {
            for _ in 0..100 {
                let out = StepOut {
                    obs: &mut obs,
                    final_obs: &mut final_obs,
                    rewards: &mut rewards,
                    endings: &mut endings,
                };
                vector.step(actions, out).unwrap();
            }
        });
        assert_eq!((counted.count_total, endings), (0, [None; 2]));
        assert!(last.is_empty() || last == obs, "boxed and typed lanes differ");
        last = obs;
    }
    last
}

#[test]
fn several_choices_come_row_by_row() {
    let obs = lanes(dials, Actions::MultiDiscrete(&[1, 2, 0, 1]));
    assert_eq!(obs, [0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn several_switches_come_row_by_row() {
    let obs = lanes(switches, Actions::MultiBinary(&[true, false, true, false, false, true]));
    assert_eq!(obs, [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn wrong_kinds_lengths_and_indices_are_named() {
    let mut vector = VecEnv::new(vec![dials()]).unwrap();
    let mut refused = |actions: Actions<'_>| {
        let (mut obs, mut final_obs, mut rewards, mut endings) =
            ([0.0; 5], [0.0; 5], [0.0], [None]);
        let out = StepOut {
            obs: &mut obs,
            final_obs: &mut final_obs,
            rewards: &mut rewards,
            endings: &mut endings,
        };
        vector.step(actions, out).unwrap_err().to_string()
    };
    let words = "a discrete action, where the environment takes multi-discrete ones";
    assert_eq!(refused(Actions::Discrete(&[0])), words);
    let words = "a multi-binary action, where the environment takes multi-discrete ones";
    assert_eq!(refused(Actions::MultiBinary(&[true; 2])), words);
    let words = "actions has 3 entries where 2 belong";
    assert_eq!(refused(Actions::MultiDiscrete(&[0; 3])), words);
    let words = "action [2, 0] is not in MultiDiscrete([2, 3])";
    assert_eq!(refused(Actions::MultiDiscrete(&[2, 0])), words);
    let error = AnyEnv::new(switches()).step([0usize; 3].erase(), &mut [0.0; 3]).unwrap_err();
    let words = "a multi-discrete action, where the environment takes multi-binary ones";
    assert_eq!(error.to_string(), words);
}

#[test]
fn masks_of_several_choices_pass_through() {
    let mut env = dials();
    env.mask = Some(vec![true, false, true, true, false]);
    let vector = VecEnv::new(vec![env]).unwrap();
    let (space, mask) = (vector.action_space(), vector.action_mask(0));
    assert_eq!(space.mask_len(), mask.map(<[bool]>::len));
    assert!(space.allows(Action::MultiDiscrete(&[0, 1]), mask));
    assert!(!space.allows(Action::MultiDiscrete(&[1, 1]), mask));
    assert!(!space.allows(Action::MultiDiscrete(&[0, 2]), mask));
}
