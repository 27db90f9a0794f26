//! Rewards as a function of yours makes them.

use std::fmt;

use super::{again, check_finite, step_inner};
use crate::{Actions, Env, EnvError, Reset, Step, StepOut, VectorEnv};

/// Puts every reward through a function. The function has no memory: a state of its own could not be
/// saved.
///
/// ```
/// use elegante_env::{CartPole, Env, Reset, wrappers::TransformReward};
///
/// let mut env = TransformReward::new(CartPole::default(), |reward| reward / 500.0);
/// let mut obs = [0.0; 4];
/// env.reset(&Reset::seeded(0), &mut obs)?;
/// assert_eq!(env.step(&0, &mut obs)?.reward, 0.002);
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Clone)]
pub struct TransformReward<E, F> {
    env: E,
    function: F,
}

impl<E: fmt::Debug, F> fmt::Debug for TransformReward<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransformReward").field("env", &self.env).finish_non_exhaustive()
    }
}

impl<E, F> TransformReward<E, F> {
    /// The environment inside.
    pub fn inner(&self) -> &E {
        &self.env
    }
}

impl<E: Env, F: Fn(f64) -> f64 + Send> TransformReward<E, F> {
    /// With r ↦ `function(r)`.
    pub fn new(env: E, function: F) -> Self {
        Self { env, function }
    }
}

impl<E: VectorEnv, F: Fn(f64) -> f64 + Send> TransformReward<E, F> {
    /// Around lanes, with r ↦ `function(r)`.
    pub fn vector(env: E, function: F) -> Self {
        Self { env, function }
    }

    fn advance(
        &mut self,
        active: Option<&[usize]>,
        actions: Actions<'_>,
        mut out: StepOut<'_>,
    ) -> Result<(), EnvError> {
        step_inner(&mut self.env, active, actions, again(&mut out))?;
        out.rewards.iter_mut().for_each(|reward| *reward = (self.function)(*reward));
        check_finite(out.rewards, 1, active, "the transformed reward")
    }
}

impl<E: Env, F: Fn(f64) -> f64 + Send> Env for TransformReward<E, F> {
    type Action = E::Action;

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(reset, obs)
    }

    #[inline]
    fn step(&mut self, action: &E::Action, obs: &mut [f32]) -> Result<Step, EnvError> {
        let step = self.env.step(action, obs)?;
        Ok(Step { reward: (self.function)(step.reward), ..step })
    }

    forward!(observation_space, action_space, action_mask, state, scene);
}

impl<E: VectorEnv, F: Fn(f64) -> f64 + Send> VectorEnv for TransformReward<E, F> {
    forward_lanes!(lanes, observation_space, action_space, reset, steps, action_mask, state, scene);
}
