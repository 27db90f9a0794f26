//! Any real action, clipped into the space.

use super::{again, step_inner};
use crate::{Actions, BoxSpace, Env, EnvError, Reset, Space, Step, StepOut, VectorEnv};

/// Takes any real vector as an action and clips each entry into the bounds of the space inside. The
/// space outside is unbounded, as in Gymnasium; NaN is still refused.
#[derive(Clone, Debug)]
pub struct ClipAction<E> {
    env: E,
    bounds: BoxSpace,
    /// The clipped actions: a row for each lane.
    clipped: Vec<f32>,
}

impl<E> ClipAction<E> {
    /// The environment inside.
    pub fn inner(&self) -> &E {
        &self.env
    }
}

/// Writes `actions` clipped row by row.
fn clip(actions: &[f32], bounds: &BoxSpace, clipped: &mut [f32]) {
    let limits = bounds.low().iter().zip(bounds.high()).cycle();
    for ((to, from), (&low, &high)) in clipped.iter_mut().zip(actions).zip(limits) {
        // Unlike `clamp`, this leaves NaN as it is, and the environment refuses it.
        *to = if *from < low {
            low
        } else if *from > high {
            high
        } else {
            *from
        };
    }
}

impl<E: Env<Action = [f32]>> ClipAction<E> {
    /// Clips into the space of `env`.
    pub fn new(env: E) -> Self {
        let bounds = env.action_space();
        Self { clipped: vec![0.0; bounds.len()], env, bounds }
    }
}

impl<E: VectorEnv> ClipAction<E> {
    /// Clips into the space of the lanes.
    ///
    /// # Errors
    /// When their actions are not continuous.
    pub fn vector(env: E) -> Result<Self, EnvError> {
        let Space::Box(bounds) = env.action_space() else {
            return Err(super::not_continuous("ClipAction", &env.action_space()));
        };
        Ok(Self { clipped: vec![0.0; bounds.len() * env.lanes()], env, bounds })
    }

    fn advance(
        &mut self,
        active: Option<&[usize]>,
        actions: Actions<'_>,
        mut out: StepOut<'_>,
    ) -> Result<(), EnvError> {
        let clipped = match actions {
            Actions::Continuous(values) if values.len() <= self.clipped.len() => {
                let clipped = &mut self.clipped[..values.len()];
                clip(values, &self.bounds, clipped);
                Actions::Continuous(clipped)
            }
            // Of the wrong kind or too many: the environment says so.
            other => other,
        };
        step_inner(&mut self.env, active, clipped, again(&mut out))
    }
}

impl<E: Env<Action = [f32]>> Env for ClipAction<E> {
    type Action = [f32];

    fn action_space(&self) -> BoxSpace {
        BoxSpace::unbounded(self.bounds.len()).shaped_like(&self.bounds)
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(reset, obs)
    }

    #[inline]
    fn step(&mut self, action: &[f32], obs: &mut [f32]) -> Result<Step, EnvError> {
        if action.len() != self.clipped.len() {
            return Err(EnvError::action_out_of_space(action, self.action_space()));
        }
        clip(action, &self.bounds, &mut self.clipped);
        self.env.step(&self.clipped, obs)
    }

    forward!(observation_space, action_mask, state, scene);
}

impl<E: VectorEnv> VectorEnv for ClipAction<E> {
    fn action_space(&self) -> Space {
        BoxSpace::unbounded(self.bounds.len()).shaped_like(&self.bounds).into()
    }

    forward_lanes!(lanes, observation_space, reset, steps, action_mask, state, scene);
}
