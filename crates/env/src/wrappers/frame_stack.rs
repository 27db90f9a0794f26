//! The last observations as one.

use super::{again, lane_of, load, save, step_inner, wrong_option};
use crate::{Actions, BoxSpace, Env, EnvError, Reset, Space, Step, StepOut, TupleSpace, VectorEnv};

/// Shows the last k observations at once, the oldest first. An episode begins with its first
/// observation k times, and no frame of the episode before; the final observation of a lane is stacked
/// on the frames that led to it.
#[derive(Clone, Debug)]
pub struct FrameStack<E> {
    env: E,
    space: Space,
    /// Entries of a single observation.
    len: usize,
    /// Entries of a whole stack.
    stack: usize,
    /// The stack of each lane: `[lanes × stack]`.
    frames: Vec<f32>,
    /// Single observations, and final ones, as lanes return them: `[lanes × len]`.
    obs: Vec<f32>,
    final_obs: Vec<f32>,
}

impl<E> FrameStack<E> {
    /// The environment inside.
    pub fn inner(&self) -> &E {
        &self.env
    }

    fn with(env: E, inner: &Space, lanes: usize, k: usize) -> Result<Self, EnvError> {
        if k == 0 {
            let expected = "at least 1: the latest observation";
            return Err(wrong_option("FrameStack", "k", k, expected));
        }
        let (len, stack) = (inner.flat_len(), inner.flat_len() * k);
        Ok(Self {
            env,
            space: stacked(inner, k)?,
            len,
            stack,
            frames: vec![0.0; lanes * stack],
            obs: vec![0.0; lanes * len],
            final_obs: vec![0.0; lanes * len],
        })
    }

    fn own_state(&self, lane: usize) -> &[f32] {
        self.frames.chunks_exact(self.stack.max(1)).nth(lane).unwrap_or_default()
    }

    fn checked(&self, frames: Vec<f32>) -> Result<Vec<f32>, EnvError> {
        if frames.len() != self.stack {
            let reason = format!("{} entries of frames, not {}", frames.len(), self.stack);
            return Err(EnvError::BadState(reason));
        }
        Ok(frames)
    }

    fn set_own_state(&mut self, lane: usize, frames: Vec<f32>) {
        if let Some(own) = self.frames.chunks_exact_mut(self.stack.max(1)).nth(lane) {
            own.copy_from_slice(&frames);
        }
    }
}

/// k observations: a box with one more dimension in front, a tuple of anything else.
fn stacked(inner: &Space, k: usize) -> Result<Space, EnvError> {
    let Space::Box(inner) = inner else {
        return Ok(TupleSpace::new(vec![inner.clone(); k]).into());
    };
    let shape = std::iter::once(k).chain(inner.shape().iter().copied()).collect();
    Ok(BoxSpace::new(inner.low().repeat(k), inner.high().repeat(k))?.with_shape(shape)?.into())
}

/// Forgets the oldest frame of a stack and adds `latest`.
fn push(frames: &mut [f32], latest: &[f32]) {
    frames.copy_within(latest.len().., 0);
    let kept = frames.len() - latest.len();
    frames[kept..].copy_from_slice(latest);
}

/// A stack of `first` and nothing else.
fn fill(frames: &mut [f32], first: &[f32]) {
    frames.chunks_exact_mut(first.len().max(1)).for_each(|frame| frame.copy_from_slice(first));
}

impl<E: Env> FrameStack<E> {
    /// The last `k` observations of `env`.
    ///
    /// # Errors
    /// When k is 0.
    pub fn new(env: E, k: usize) -> Result<Self, EnvError> {
        let inner = env.observation_space();
        Self::with(env, &inner, 1, k)
    }
}

impl<E: VectorEnv> FrameStack<E> {
    /// The last `k` observations of every lane.
    ///
    /// # Errors
    /// When k is 0.
    pub fn vector(env: E, k: usize) -> Result<Self, EnvError> {
        let (inner, lanes) = (env.observation_space(), env.lanes());
        Self::with(env, &inner, lanes, k)
    }

    fn advance(
        &mut self,
        active: Option<&[usize]>,
        actions: Actions<'_>,
        out: StepOut<'_>,
    ) -> Result<(), EnvError> {
        let rows = active.map_or(self.env.lanes(), <[usize]>::len);
        let (len, stack) = (self.len, self.stack);
        EnvError::check_length("active", rows, rows.min(self.env.lanes()))?;
        EnvError::check_length("obs", out.obs.len(), rows * stack)?;
        EnvError::check_length("final_obs", out.final_obs.len(), rows * stack)?;
        let StepOut { obs, final_obs, rewards, endings } = out;
        let mut inside = StepOut {
            obs: &mut self.obs[..rows * len],
            final_obs: &mut self.final_obs[..rows * len],
            rewards,
            endings,
        };
        step_inner(&mut self.env, active, actions, again(&mut inside))?;
        for (row, ending) in endings.iter().enumerate() {
            let lane = lane_of(active, row);
            let frames = &mut self.frames[lane * stack..(lane + 1) * stack];
            let (single, whole) = (row * len..(row + 1) * len, row * stack..(row + 1) * stack);
            if ending.is_some() {
                push(frames, &self.final_obs[single.clone()]);
                final_obs[whole.clone()].copy_from_slice(frames);
                fill(frames, &self.obs[single]);
            } else {
                push(frames, &self.obs[single]);
            }
            obs[whole].copy_from_slice(frames);
        }
        Ok(())
    }
}

impl<E: Env> Env for FrameStack<E> {
    type Action = E::Action;

    fn observation_space(&self) -> Space {
        self.space.clone()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        EnvError::check_length("obs", obs.len(), self.stack)?;
        self.env.reset(reset, &mut self.obs)?;
        fill(&mut self.frames, &self.obs);
        obs.copy_from_slice(&self.frames);
        Ok(())
    }

    #[inline]
    fn step(&mut self, action: &E::Action, obs: &mut [f32]) -> Result<Step, EnvError> {
        EnvError::check_length("obs", obs.len(), self.stack)?;
        let step = self.env.step(action, &mut self.obs)?;
        push(&mut self.frames, &self.obs);
        obs.copy_from_slice(&self.frames);
        Ok(step)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        save(&self.frames, self.env.save_state())
    }

    fn load_state(&mut self, state: &[u8]) -> Result<(), EnvError> {
        let (frames, inner) = load(state)?;
        let frames = self.checked(frames)?;
        self.env.load_state(&inner)?;
        self.set_own_state(0, frames);
        Ok(())
    }

    forward!(action_space, action_mask, scene);
}

impl<E: VectorEnv> VectorEnv for FrameStack<E> {
    fn observation_space(&self) -> Space {
        self.space.clone()
    }

    fn reset(&mut self, seed: u64, obs: &mut [f32]) -> Result<(), EnvError> {
        EnvError::check_length("obs", obs.len(), self.frames.len())?;
        self.env.reset(seed, &mut self.obs)?;
        let singles = self.obs.chunks_exact(self.len.max(1));
        for (frames, first) in self.frames.chunks_exact_mut(self.stack.max(1)).zip(singles) {
            fill(frames, first);
        }
        obs.copy_from_slice(&self.frames);
        Ok(())
    }

    fn reset_lane(&mut self, lane: usize, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        EnvError::check_length("obs", obs.len(), self.stack)?;
        let first = &mut self.obs[..self.len];
        self.env.reset_lane(lane, reset, first)?;
        fill(obs, first);
        self.frames[lane * self.stack..(lane + 1) * self.stack].copy_from_slice(obs);
        Ok(())
    }

    forward_lanes!(lanes, action_space, steps, action_mask, own_state, scene);
}
