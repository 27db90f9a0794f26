//! A limit on the length of episodes.

use serde::{Deserialize, Serialize};

use crate::{ActionKind, Ending, Env, EnvError, Reset, Scene, Space, Step, state};

/// Truncates an episode after a number of steps.
///
/// A step that is terminal as well stays [`Ending::Terminated`]: the task ended, the limit only came
/// at the same time.
#[derive(Clone, Debug)]
pub struct TimeLimit<E> {
    env: E,
    elapsed: usize,
    limit: usize,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    elapsed: u64,
    inner: Vec<u8>,
}

impl<E: Env> TimeLimit<E> {
    /// Episodes of `env` with at most `limit` steps.
    ///
    /// # Errors
    /// When the limit is 0: an episode has at least one step.
    pub fn new(env: E, limit: usize) -> Result<Self, EnvError> {
        if limit == 0 {
            return Err(EnvError::OptionValue {
                env: "TimeLimit".into(),
                option: "limit".into(),
                value: "0".into(),
                expected: "at least 1: an episode has at least one step",
            });
        }
        Ok(Self { env, elapsed: 0, limit })
    }

    /// The environment inside.
    pub fn inner(&self) -> &E {
        &self.env
    }
}

impl<E: Env> Env for TimeLimit<E> {
    type Action = E::Action;

    fn observation_space(&self) -> Space {
        self.env.observation_space()
    }

    fn action_space(&self) -> <E::Action as ActionKind>::Space {
        self.env.action_space()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.elapsed = 0;
        self.env.reset(reset, obs)
    }

    #[inline]
    fn step(&mut self, action: &E::Action, obs: &mut [f32]) -> Result<Step, EnvError> {
        let mut step = self.env.step(action, obs)?;
        self.elapsed += 1;
        if self.elapsed >= self.limit {
            step.ending = step.ending.or(Some(Ending::Truncated));
        }
        Ok(step)
    }

    fn action_mask(&self) -> Option<&[bool]> {
        self.env.action_mask()
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        let inner = self.env.save_state()?;
        state::save(&Saved { elapsed: self.elapsed as u64, inner })
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        let saved: Saved = state::load(bytes)?;
        self.env.load_state(&saved.inner)?;
        self.elapsed = usize::try_from(saved.elapsed).unwrap_or(usize::MAX);
        Ok(())
    }

    fn scene(&self) -> Option<Scene> {
        self.env.scene()
    }
}
