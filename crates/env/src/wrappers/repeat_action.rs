//! Actions that last several steps.

use super::wrong_option;
use crate::{ActionKind, Env, EnvError, Reset, Space, Step};

/// Takes every action `times` times (frame skip). Rewards add up, the observations in between are
/// passed over. It stops at an ending, and where the mask no longer allows the action.
///
/// A [`TimeLimit`](super::TimeLimit) inside counts the environment's steps, one outside those taken
/// here.
#[derive(Clone, Debug)]
pub struct RepeatAction<E> {
    env: E,
    space: Space,
    times: usize,
}

impl<E: Env> RepeatAction<E> {
    /// Takes every action this many times.
    ///
    /// # Errors
    /// When that is 0.
    pub fn new(env: E, times: usize) -> Result<Self, EnvError> {
        if times == 0 {
            return Err(wrong_option("RepeatAction", "times", times, "at least 1"));
        }
        Ok(Self { space: env.action_space().into(), env, times })
    }

    /// The environment inside.
    pub fn inner(&self) -> &E {
        &self.env
    }
}

impl<E: Env> Env for RepeatAction<E> {
    type Action = E::Action;

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(reset, obs)
    }

    fn step(&mut self, action: &E::Action, obs: &mut [f32]) -> Result<Step, EnvError> {
        let mut total = self.env.step(action, obs)?;
        for _ in 1..self.times {
            let allowed = self.space.allows(action.erase(), self.env.action_mask());
            if total.ending.is_some() || !allowed {
                break;
            }
            let Step { reward, ending } = self.env.step(action, obs)?;
            total = Step { reward: total.reward + reward, ending };
        }
        Ok(total)
    }

    forward!(observation_space, action_space, action_mask, state, scene);
}
