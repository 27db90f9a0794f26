//! Observations as a function of yours makes them.

use std::fmt;

use super::{again, check_finite, lane_of, step_inner};
use crate::{Actions, Env, EnvError, Reset, Space, Step, StepOut, VectorEnv};

/// Puts every observation through a function, which reads the one inside and fills the one outside.
/// The function has no memory: a state of its own could not be saved.
///
/// ```
/// use elegante_env::{BoxSpace, CartPole, Env, Reset, wrappers::TransformObservation};
///
/// // Positions only: the velocities stay hidden.
/// let space = BoxSpace::symmetric(vec![4.8, 0.42]);
/// let hide = |full: &[f32], seen: &mut [f32]| seen.copy_from_slice(&[full[0], full[2]]);
/// let mut env = TransformObservation::new(CartPole::default(), space, hide);
/// let mut obs = [0.0; 2];
/// env.reset(&Reset::seeded(42), &mut obs)?;
/// assert_eq!(obs, [0.027395604, 0.035859793]);
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Clone)]
pub struct TransformObservation<E, F> {
    env: E,
    space: Space,
    function: F,
    /// Entries of an observation inside and outside.
    lens: (usize, usize),
    /// Observations inside, and final ones of lanes: `[lanes × inner]`.
    obs: Vec<f32>,
    final_obs: Vec<f32>,
}

impl<E: fmt::Debug, F> fmt::Debug for TransformObservation<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransformObservation")
            .field("env", &self.env)
            .field("space", &self.space)
            .finish_non_exhaustive()
    }
}

impl<E, F> TransformObservation<E, F> {
    /// The environment inside.
    pub fn inner(&self) -> &E {
        &self.env
    }
}

impl<E, F: Fn(&[f32], &mut [f32]) + Send> TransformObservation<E, F> {
    fn with(env: E, inner: usize, lanes: usize, space: Space, function: F) -> Self {
        let lens = (inner, space.flat_len());
        let (obs, final_obs) = (vec![0.0; lanes * inner], vec![0.0; lanes * inner]);
        Self { env, space, function, lens, obs, final_obs }
    }
}

impl<E: Env, F: Fn(&[f32], &mut [f32]) + Send> TransformObservation<E, F> {
    /// With `function(inside, outside)`, which fills observations from `space`.
    pub fn new(env: E, space: impl Into<Space>, function: F) -> Self {
        let inner = env.observation_space().flat_len();
        Self::with(env, inner, 1, space.into(), function)
    }
}

impl<E: VectorEnv, F: Fn(&[f32], &mut [f32]) + Send> TransformObservation<E, F> {
    /// Around lanes, with `function(inside, outside)` for one lane's observation.
    pub fn vector(env: E, space: impl Into<Space>, function: F) -> Self {
        let (inner, lanes) = (env.observation_space().flat_len(), env.lanes());
        Self::with(env, inner, lanes, space.into(), function)
    }

    fn advance(
        &mut self,
        active: Option<&[usize]>,
        actions: Actions<'_>,
        out: StepOut<'_>,
    ) -> Result<(), EnvError> {
        let rows = active.map_or(self.env.lanes(), <[usize]>::len);
        let (inner, outer) = self.lens;
        EnvError::check_length("active", rows, rows.min(self.env.lanes()))?;
        EnvError::check_length("obs", out.obs.len(), rows * outer)?;
        EnvError::check_length("final_obs", out.final_obs.len(), rows * outer)?;
        let StepOut { obs, final_obs, rewards, endings } = out;
        let mut inside = StepOut {
            obs: &mut self.obs[..rows * inner],
            final_obs: &mut self.final_obs[..rows * inner],
            rewards,
            endings,
        };
        step_inner(&mut self.env, active, actions, again(&mut inside))?;
        for (row, ending) in endings.iter().enumerate() {
            let (from, to) = (row * inner..(row + 1) * inner, row * outer..(row + 1) * outer);
            (self.function)(&self.obs[from.clone()], &mut obs[to.clone()]);
            if ending.is_some() {
                (self.function)(&self.final_obs[from], &mut final_obs[to.clone()]);
                let lane = [lane_of(active, row)];
                let what = "the transformed final observation";
                check_finite(&final_obs[to], outer, Some(&lane), what)?;
            }
        }
        check_finite(obs, outer, active, "the transformed observation")
    }
}

impl<E: Env, F: Fn(&[f32], &mut [f32]) + Send> Env for TransformObservation<E, F> {
    type Action = E::Action;

    fn observation_space(&self) -> Space {
        self.space.clone()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        EnvError::check_length("obs", obs.len(), self.lens.1)?;
        self.env.reset(reset, &mut self.obs)?;
        (self.function)(&self.obs, obs);
        Ok(())
    }

    #[inline]
    fn step(&mut self, action: &E::Action, obs: &mut [f32]) -> Result<Step, EnvError> {
        EnvError::check_length("obs", obs.len(), self.lens.1)?;
        let step = self.env.step(action, &mut self.obs)?;
        (self.function)(&self.obs, obs);
        Ok(step)
    }

    forward!(action_space, action_mask, state, scene);
}

impl<E: VectorEnv, F: Fn(&[f32], &mut [f32]) + Send> VectorEnv for TransformObservation<E, F> {
    fn observation_space(&self) -> Space {
        self.space.clone()
    }

    fn reset(&mut self, seed: u64, obs: &mut [f32]) -> Result<(), EnvError> {
        let (inner, outer) = self.lens;
        EnvError::check_length("obs", obs.len(), self.env.lanes() * outer)?;
        self.env.reset(seed, &mut self.obs)?;
        for (lane, row) in obs.chunks_mut(outer.max(1)).enumerate() {
            (self.function)(&self.obs[lane * inner..(lane + 1) * inner], row);
        }
        check_finite(obs, outer, None, "the transformed observation")
    }

    fn reset_lane(&mut self, lane: usize, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        let (inner, outer) = self.lens;
        EnvError::check_length("obs", obs.len(), outer)?;
        self.env.reset_lane(lane, reset, &mut self.obs[..inner])?;
        (self.function)(&self.obs[..inner], obs);
        check_finite(obs, outer, Some(&[lane]), "the transformed observation")
    }

    forward_lanes!(lanes, action_space, steps, action_mask, state, scene);
}
