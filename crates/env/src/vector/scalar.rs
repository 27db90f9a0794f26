//! A vector environment made of scalar ones.

use super::{FinishedEpisode, LaneState, StepOut, Tally, VectorEnv, shape::Shape, shape::finite};
use crate::{
    Action, Actions, DynEnv, Ending, EnvError, Reset, Scene, Space, Step, check::UNWRITTEN,
};

/// Scalar environments, stepped one after the other: any [`Env`](crate::Env) becomes a vector
/// environment this way.
#[derive(Debug)]
pub struct VecEnv<E> {
    envs: Vec<E>,
    tallies: Vec<Tally>,
    finished: Vec<FinishedEpisode>,
    /// By lane, the mask of the state that its last episode was cut off in; empty: everything.
    final_masks: Vec<Vec<bool>>,
    shape: Shape,
}

impl<E: DynEnv> VecEnv<E> {
    /// A lane for each of `envs`.
    ///
    /// # Errors
    /// When there are none, their spaces differ, or there is nothing to observe or to do in them.
    pub fn new(envs: Vec<E>) -> Result<Self, EnvError> {
        let Some(first) = envs.first() else {
            return Err(EnvError::Vector("needs at least one lane".into()));
        };
        let (observation_space, action_space) = (first.observation_space(), first.action_space());
        for (lane, env) in envs.iter().enumerate() {
            let (observation, action) = (env.observation_space(), env.action_space());
            if (&observation, &action) != (&observation_space, &action_space) {
                return Err(EnvError::Vector(format!(
                    "lane {lane} has observations in {observation} and actions in {action}, where lane 0 has {observation_space} and {action_space}: all lanes must be alike"
                )));
            }
        }
        let masked = action_space.mask_len().unwrap_or(0);
        Ok(Self {
            shape: Shape::new(envs.len(), observation_space, action_space)?,
            tallies: vec![Tally::default(); envs.len()],
            finished: Vec::with_capacity(envs.len()),
            // Made now, since a step allocates nothing.
            final_masks: envs.iter().map(|_| Vec::with_capacity(masked)).collect(),
            envs,
        })
    }

    /// Which actions were valid where the last step cut off the lane's episode, from before the reset; `None`: all
    /// of them. To be asked after a step that ended with [`Ending::Truncated`], to bootstrap from there.
    pub fn final_mask(&self, lane: usize) -> Option<&[bool]> {
        self.final_masks.get(lane).map(Vec::as_slice).filter(|mask| !mask.is_empty())
    }

    /// Steps one lane and begins its next episode if that ended one.
    #[inline]
    fn step_one(
        &mut self,
        lane: usize,
        action: Action<'_>,
        obs: &mut [f32],
        final_obs: &mut [f32],
    ) -> Result<Step, EnvError> {
        let (env, tally) = (&mut self.envs[lane], &mut self.tallies[lane]);
        obs.fill(UNWRITTEN);
        let step = env.step(action, obs)?;
        finite(lane, step.reward, obs)?;
        tally.episode_return += step.reward;
        tally.length += 1;
        if let Some(ending) = step.ending {
            let Tally { episode_return, length } = std::mem::take(tally);
            self.finished.push(FinishedEpisode { lane, episode_return, length, ending });
            final_obs.copy_from_slice(obs);
            let mask = &mut self.final_masks[lane];
            mask.clear();
            if ending == Ending::Truncated {
                mask.extend_from_slice(env.action_mask().unwrap_or_default());
            }
            obs.fill(UNWRITTEN);
            env.reset(&Reset::default(), obs)?;
            finite(lane, 0.0, obs)?;
        }
        Ok(step)
    }

    /// Steps lane `lane(row)` for each row.
    #[inline]
    fn step_rows(
        &mut self,
        rows: usize,
        lane: impl Fn(usize) -> usize,
        actions: Actions<'_>,
        out: StepOut<'_>,
    ) -> Result<(), EnvError> {
        self.finished.clear();
        let (obs_len, action_len) = (self.shape.obs_len, self.shape.action_len);
        for row in 0..rows {
            let entries = row * obs_len..(row + 1) * obs_len;
            let action = actions.row(row, action_len);
            let (obs, last) = (&mut out.obs[entries.clone()], &mut out.final_obs[entries]);
            let step = self.step_one(lane(row), action, obs, last)?;
            (out.rewards[row], out.endings[row]) = (step.reward, step.ending);
        }
        Ok(())
    }
}

impl<E: DynEnv> VectorEnv for VecEnv<E> {
    fn lanes(&self) -> usize {
        self.envs.len()
    }

    fn observation_space(&self) -> Space {
        self.shape.observation_space.clone()
    }

    fn action_space(&self) -> Space {
        self.shape.action_space.clone()
    }

    fn reset(&mut self, seed: u64, obs: &mut [f32]) -> Result<(), EnvError> {
        self.shape.obs(self.shape.lanes, obs)?;
        self.finished.clear();
        for (lane, row) in obs.chunks_exact_mut(self.shape.obs_len).enumerate() {
            self.reset_lane(lane, &Reset::seeded(seed.wrapping_add(lane as u64)), row)?;
        }
        Ok(())
    }

    fn reset_lane(&mut self, lane: usize, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.shape.lane(lane)?;
        self.shape.obs(1, obs)?;
        obs.fill(UNWRITTEN);
        self.envs[lane].reset(reset, obs)?;
        self.tallies[lane] = Tally::default();
        finite(lane, 0.0, obs)
    }

    fn step_lanes(
        &mut self,
        active: &[usize],
        actions: Actions<'_>,
        out: StepOut<'_>,
    ) -> Result<(), EnvError> {
        self.shape.active(active, actions, &out)?;
        self.step_rows(active.len(), |row| active[row], actions, out)
    }

    fn step(&mut self, actions: Actions<'_>, out: StepOut<'_>) -> Result<(), EnvError> {
        self.shape.rows(self.shape.lanes, actions, &out)?;
        self.step_rows(self.shape.lanes, |row| row, actions, out)
    }

    fn finished(&self) -> &[FinishedEpisode] {
        &self.finished
    }

    fn action_mask(&self, lane: usize) -> Option<&[bool]> {
        self.envs.get(lane)?.action_mask()
    }

    fn save_state(&self, lane: usize) -> Option<LaneState> {
        let env = self.envs.get(lane)?.save_state()?;
        let Tally { episode_return, length } = self.tallies[lane];
        Some(LaneState { env, episode_return, length })
    }

    fn load_state(&mut self, lane: usize, state: &LaneState) -> Result<(), EnvError> {
        self.shape.lane(lane)?;
        self.envs[lane].load_state(&state.env)?;
        let LaneState { episode_return, length, .. } = *state;
        self.tallies[lane] = Tally { episode_return, length };
        Ok(())
    }

    fn scene(&self, lane: usize) -> Option<Scene> {
        self.envs.get(lane)?.scene()
    }
}
