//! Two small worlds whose every number can be worked out by hand, and memory for vector steps.
#![allow(dead_code, unreachable_pub)] // each test file uses its own part
#![allow(clippy::unwrap_used)] // a panic here is the report

use elegante_env::{
    BoxSpace, Discrete, Ending, Env, EnvError, EnvRng, Reset, Scene, Space, Step, StepOut, state,
};
use serde::{Deserialize, Serialize};

/// A clock that runs to `length` (6, or the reset's option), with a random number beside it. The
/// second of its three actions is valid at even times only. Rewards: the time plus a tenth of the
/// action.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Clock {
    rng: EnvRng,
    time: u32,
    length: u32,
    under_way: bool,
    mask: [bool; 3],
}

impl Default for Clock {
    fn default() -> Self {
        Self { rng: EnvRng::new(0), time: 0, length: 6, under_way: false, mask: [true; 3] }
    }
}

impl Clock {
    fn show(&mut self, obs: &mut [f32]) {
        self.mask[1] = self.time.is_multiple_of(2);
        obs.copy_from_slice(&[self.time as f32, self.rng.random_f64() as f32]);
    }
}

impl Env for Clock {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::new(vec![0.0; 2], vec![1000.0, 1.0]).unwrap().into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(3)
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        let mut length = 6;
        for (name, value) in &reset.options {
            match (name.as_str(), value.as_integer()) {
                ("length", Some(value)) => length = value as u32,
                _ => return Err(EnvError::custom(format!("no option {name}"))),
            }
        }
        if let Some(seed) = reset.seed {
            self.rng = EnvRng::new(seed);
        }
        (self.time, self.length, self.under_way) = (0, length, true);
        self.show(obs);
        Ok(())
    }

    fn step(&mut self, &action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        if !self.under_way {
            return Err(EnvError::NotReset);
        }
        if action > 2 {
            return Err(EnvError::action_out_of_space(action, self.action_space()));
        }
        self.time += 1;
        self.show(obs);
        self.under_way = self.time < self.length;
        let reward = f64::from(self.time) + action as f64 / 10.0;
        Ok(if self.under_way { Step::going(reward) } else { Step::terminated(reward) })
    }

    fn action_mask(&self) -> Option<&[bool]> {
        Some(&self.mask)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        state::save(self)
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        *self = state::load(bytes)?;
        Ok(())
    }

    fn scene(&self) -> Option<Scene> {
        let mut scene = Scene::new([0.0, 10.0], [0.0, 1.0]);
        scene.circle([f64::from(self.time), 0.5], 0.5, [0; 3]);
        Some(scene)
    }
}

/// A point that goes where it is pushed: at most 1 to either side in x, between 0 and 4 in y. It ends
/// after five pushes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Pushed {
    at: [f32; 2],
    pushes: u8,
    under_way: bool,
}

impl Env for Pushed {
    type Action = [f32];

    fn observation_space(&self) -> Space {
        BoxSpace::symmetric(vec![5.0, 20.0]).into()
    }

    fn action_space(&self) -> BoxSpace {
        BoxSpace::new(vec![-1.0, 0.0], vec![1.0, 4.0]).unwrap()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        if !reset.options.is_empty() {
            return Err(EnvError::custom("no options"));
        }
        *self = Self { under_way: true, ..Self::default() };
        obs.copy_from_slice(&self.at);
        Ok(())
    }

    fn step(&mut self, action: &[f32], obs: &mut [f32]) -> Result<Step, EnvError> {
        if !self.under_way {
            return Err(EnvError::NotReset);
        }
        if !self.action_space().contains(action) {
            return Err(EnvError::action_out_of_space(action, self.action_space()));
        }
        self.at.iter_mut().zip(action).for_each(|(at, push)| *at += push);
        self.pushes += 1;
        self.under_way = self.pushes < 5;
        obs.copy_from_slice(&self.at);
        let reward = f64::from(action[0]);
        Ok(if self.under_way { Step::going(reward) } else { Step::terminated(reward) })
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        state::save(self)
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        *self = state::load(bytes)?;
        Ok(())
    }
}

/// The memory of one vector step.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    pub obs: Vec<f32>,
    pub final_obs: Vec<f32>,
    pub rewards: Vec<f64>,
    pub endings: Vec<Option<Ending>>,
}

impl Rows {
    pub fn new(rows: usize, obs_len: usize) -> Self {
        Self {
            obs: vec![0.0; rows * obs_len],
            final_obs: vec![-7.0; rows * obs_len],
            rewards: vec![0.0; rows],
            endings: vec![None; rows],
        }
    }

    pub fn out(&mut self) -> StepOut<'_> {
        StepOut {
            obs: &mut self.obs,
            final_obs: &mut self.final_obs,
            rewards: &mut self.rewards,
            endings: &mut self.endings,
        }
    }
}
