//! Returns, lengths and numbers of episodes.

use serde::{Deserialize, Serialize};

use super::{again, lane_of, load, save, step_inner};
use crate::{Actions, Ending, Env, EnvError, Reset, Step, StepOut, VectorEnv};

/// An episode that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpisodeSummary {
    /// The sum of its rewards, undiscounted.
    pub episode_return: f64,
    /// Its number of steps.
    pub length: u64,
    /// Why it ended.
    pub ending: Ending,
}

/// What has happened in a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LaneStatistics {
    /// The sum of the rewards of the episode under way.
    pub episode_return: f64,
    /// The number of steps of the episode under way.
    pub length: u64,
    /// Episodes that have ended here; those given up by an early reset don't count.
    pub episodes: u64,
    /// The episode that ended last.
    pub last: Option<EpisodeSummary>,
}

impl LaneStatistics {
    fn begin(&mut self) {
        (self.episode_return, self.length) = (0.0, 0);
    }

    fn step(&mut self, reward: f64, ending: Option<Ending>) {
        self.episode_return += reward;
        self.length += 1;
        if let Some(ending) = ending {
            let Self { episode_return, length, .. } = *self;
            self.last = Some(EpisodeSummary { episode_return, length, ending });
            self.episodes += 1;
            self.begin();
        }
    }
}

/// Counts steps and adds up rewards. After a step with an ending, the episode is
/// [`last`](LaneStatistics::last) of its lane. Put it inside wrappers that change rewards to have the
/// environment's own returns.
#[derive(Clone, Debug)]
pub struct EpisodeStatistics<E> {
    env: E,
    lanes: Vec<LaneStatistics>,
}

impl<E> EpisodeStatistics<E> {
    /// What has happened in each lane.
    pub fn lane_statistics(&self) -> &[LaneStatistics] {
        &self.lanes
    }

    /// The environment inside.
    pub fn inner(&self) -> &E {
        &self.env
    }

    fn own_state(&self, lane: usize) -> LaneStatistics {
        self.lanes.get(lane).copied().unwrap_or_default()
    }

    fn checked(&self, own: LaneStatistics) -> Result<LaneStatistics, EnvError> {
        if !own.episode_return.is_finite() {
            return Err(EnvError::BadState("a return that no rewards have".into()));
        }
        Ok(own)
    }

    fn set_own_state(&mut self, lane: usize, own: LaneStatistics) {
        if let Some(statistics) = self.lanes.get_mut(lane) {
            *statistics = own;
        }
    }
}

impl<E: Env> EpisodeStatistics<E> {
    /// Counts what happens in `env`.
    pub fn new(env: E) -> Self {
        Self { env, lanes: vec![LaneStatistics::default()] }
    }

    /// What has happened.
    pub fn statistics(&self) -> LaneStatistics {
        self.own_state(0)
    }
}

impl<E: VectorEnv> EpisodeStatistics<E> {
    /// Counts what happens in every lane.
    pub fn vector(env: E) -> Self {
        Self { lanes: vec![LaneStatistics::default(); env.lanes()], env }
    }

    fn advance(
        &mut self,
        active: Option<&[usize]>,
        actions: Actions<'_>,
        mut out: StepOut<'_>,
    ) -> Result<(), EnvError> {
        step_inner(&mut self.env, active, actions, again(&mut out))?;
        for (row, (&reward, &ending)) in out.rewards.iter().zip(&*out.endings).enumerate() {
            self.lanes[lane_of(active, row)].step(reward, ending);
        }
        Ok(())
    }
}

impl<E: Env> Env for EpisodeStatistics<E> {
    type Action = E::Action;

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(reset, obs)?;
        self.lanes[0].begin();
        Ok(())
    }

    #[inline]
    fn step(&mut self, action: &E::Action, obs: &mut [f32]) -> Result<Step, EnvError> {
        let step = self.env.step(action, obs)?;
        self.lanes[0].step(step.reward, step.ending);
        Ok(step)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        save(&self.own_state(0), self.env.save_state())
    }

    fn load_state(&mut self, state: &[u8]) -> Result<(), EnvError> {
        let (own, inner) = load(state)?;
        let own = self.checked(own)?;
        self.env.load_state(&inner)?;
        self.set_own_state(0, own);
        Ok(())
    }

    forward!(observation_space, action_space, action_mask, scene);
}

impl<E: VectorEnv> VectorEnv for EpisodeStatistics<E> {
    fn reset(&mut self, seed: u64, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(seed, obs)?;
        self.lanes.iter_mut().for_each(LaneStatistics::begin);
        Ok(())
    }

    fn reset_lane(&mut self, lane: usize, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset_lane(lane, reset, obs)?;
        self.lanes[lane].begin();
        Ok(())
    }

    forward_lanes!(lanes, observation_space, action_space, steps, action_mask, own_state, scene);
}
