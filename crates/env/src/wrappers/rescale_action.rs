//! Actions in [−1, 1], stretched over the space.

use super::{again, step_inner, wrong_option};
use crate::{Actions, BoxSpace, Env, EnvError, Reset, Space, Step, StepOut, VectorEnv};

/// Takes actions in \[−1, 1\] and stretches each entry over the bounds of the space inside: −1 becomes
/// the lower one, 1 the upper one, evenly in between. Actions outside are refused.
#[derive(Clone, Debug)]
pub struct RescaleAction<E> {
    env: E,
    bounds: BoxSpace,
    /// [−1, 1]ⁿ, of the same shape.
    unit: BoxSpace,
    /// The stretched actions: a row for each lane.
    stretched: Vec<f32>,
}

impl<E> RescaleAction<E> {
    /// The environment inside.
    pub fn inner(&self) -> &E {
        &self.env
    }

    fn within(env: E, bounds: BoxSpace, lanes: usize) -> Result<Self, EnvError> {
        if bounds.low().iter().chain(bounds.high()).any(|bound| !bound.is_finite()) {
            let expected = "bounded on both sides: there is no line from [−1, 1] to infinity";
            return Err(wrong_option("RescaleAction", "action space", &bounds, expected));
        }
        let unit = BoxSpace::symmetric(vec![1.0; bounds.len()]).shaped_like(&bounds);
        Ok(Self { env, stretched: vec![0.0; bounds.len() * lanes], bounds, unit })
    }

    /// Writes whole rows of `actions` stretched.
    fn stretch(&mut self, actions: &[f32]) -> Result<(), EnvError> {
        let dims = self.bounds.len().max(1);
        if let Some(row) = actions.chunks(dims).find(|row| !self.unit.contains(row)) {
            return Err(EnvError::action_out_of_space(row, &self.unit));
        }
        let limits = self.bounds.low().iter().zip(self.bounds.high()).cycle();
        let stretched = &mut self.stretched[..actions.len()];
        for ((to, &from), (&low, &high)) in stretched.iter_mut().zip(actions).zip(limits) {
            let share = (f64::from(from) + 1.0) / 2.0;
            let value = f64::from(low) + (f64::from(high) - f64::from(low)) * share;
            *to = (value as f32).clamp(low, high);
        }
        Ok(())
    }
}

impl<E: Env<Action = [f32]>> RescaleAction<E> {
    /// Stretches over the space of `env`.
    ///
    /// # Errors
    /// When an entry of it is unbounded.
    pub fn new(env: E) -> Result<Self, EnvError> {
        let bounds = env.action_space();
        Self::within(env, bounds, 1)
    }
}

impl<E: VectorEnv> RescaleAction<E> {
    /// Stretches over the space of the lanes.
    ///
    /// # Errors
    /// When their actions are not continuous, or an entry is unbounded.
    pub fn vector(env: E) -> Result<Self, EnvError> {
        let Space::Box(bounds) = env.action_space() else {
            return Err(super::not_continuous("RescaleAction", &env.action_space()));
        };
        let lanes = env.lanes();
        Self::within(env, bounds, lanes)
    }

    fn advance(
        &mut self,
        active: Option<&[usize]>,
        actions: Actions<'_>,
        mut out: StepOut<'_>,
    ) -> Result<(), EnvError> {
        let rows = active.map_or(self.env.lanes(), <[usize]>::len);
        match actions {
            // What is too long for the memory, of a wrong length or kind, the environment refuses.
            Actions::Continuous(values)
                if values.len() == rows * self.bounds.len()
                    && values.len() <= self.stretched.len() =>
            {
                self.stretch(values)?;
                let stretched = Actions::Continuous(&self.stretched[..values.len()]);
                step_inner(&mut self.env, active, stretched, again(&mut out))
            }
            other => step_inner(&mut self.env, active, other, again(&mut out)),
        }
    }
}

impl<E: Env<Action = [f32]>> Env for RescaleAction<E> {
    type Action = [f32];

    fn action_space(&self) -> BoxSpace {
        self.unit.clone()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(reset, obs)
    }

    #[inline]
    fn step(&mut self, action: &[f32], obs: &mut [f32]) -> Result<Step, EnvError> {
        if action.len() != self.stretched.len() {
            return Err(EnvError::action_out_of_space(action, &self.unit));
        }
        self.stretch(action)?;
        self.env.step(&self.stretched, obs)
    }

    forward!(observation_space, action_mask, state, scene);
}

impl<E: VectorEnv> VectorEnv for RescaleAction<E> {
    fn action_space(&self) -> Space {
        self.unit.clone().into()
    }

    forward_lanes!(lanes, observation_space, reset, steps, action_mask, state, scene);
}
