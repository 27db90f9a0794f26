//! Several environments stepped side by side.

mod batch;
mod columns;
#[cfg(feature = "parallel")]
mod parallel;
mod scalar;
mod shape;

use serde::{Deserialize, Serialize};

use crate::{Actions, Ending, EnvError, Reset, Scene, Space};

pub use batch::{Batch, BatchEnv, Item, Lane};
#[cfg(feature = "parallel")]
pub use parallel::ParallelEnv;
pub use scalar::VecEnv;

/// Where a vector step writes, a row for each lane that is stepped. The caller owns the memory, so a
/// step allocates nothing.
#[derive(Debug)]
pub struct StepOut<'a> {
    /// The observation to act on next: `[rows × obs_len]`. Where a step ended an episode it is the
    /// first observation of the next one.
    pub obs: &'a mut [f32],
    /// The observation that an ending step returned: `[rows × obs_len]`; other rows are left alone.
    pub final_obs: &'a mut [f32],
    /// Rewards: `[rows]`.
    pub rewards: &'a mut [f64],
    /// Why an episode ended, if it did: `[rows]`.
    pub endings: &'a mut [Option<Ending>],
}

#[cfg(feature = "parallel")]
impl<'a> StepOut<'a> {
    /// The first `rows` rows, and the rest, where an observation has `obs_len` entries.
    fn split_at(self, rows: usize, obs_len: usize) -> (StepOut<'a>, StepOut<'a>) {
        let (obs, more_obs) = self.obs.split_at_mut(rows * obs_len);
        let (final_obs, more_final_obs) = self.final_obs.split_at_mut(rows * obs_len);
        let (rewards, more_rewards) = self.rewards.split_at_mut(rows);
        let (endings, more_endings) = self.endings.split_at_mut(rows);
        (
            StepOut { obs, final_obs, rewards, endings },
            StepOut {
                obs: more_obs,
                final_obs: more_final_obs,
                rewards: more_rewards,
                endings: more_endings,
            },
        )
    }
}

/// An episode that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinishedEpisode {
    /// The lane it ran in.
    pub lane: usize,
    /// The sum of its rewards, undiscounted.
    pub episode_return: f64,
    /// Its number of steps.
    pub length: usize,
    /// Why it ended.
    pub ending: Ending,
}

/// A lane in the middle of an episode: what [`VectorEnv::save_state`] returns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaneState {
    /// What the lane's environment by itself, with its time limit, would save: these bytes can be
    /// given to [`Env::load_state`](crate::Env::load_state), and come from
    /// [`Env::save_state`](crate::Env::save_state).
    pub env: Vec<u8>,
    /// The sum of the episode's rewards so far.
    pub episode_return: f64,
    /// The episode's number of steps so far.
    pub length: usize,
}

/// Environments of the same kind, stepped side by side.
///
/// A lane whose episode ends begins the next one in the same step, its generator running on, and the
/// observation from before the reset is kept. What happens in a lane does not depend on the others.
pub trait VectorEnv: Send {
    /// Number of lanes.
    fn lanes(&self) -> usize;

    /// The space of one lane's observations.
    fn observation_space(&self) -> Space;

    /// The space of one lane's actions.
    fn action_space(&self) -> Space;

    /// Begins an episode in every lane, lane i seeded with `seed` + i as in Gymnasium, and writes the
    /// first observations: `[lanes × obs_len]`.
    ///
    /// # Errors
    /// When an environment fails or `obs` has the wrong length.
    fn reset(&mut self, seed: u64, obs: &mut [f32]) -> Result<(), EnvError>;

    /// Begins an episode in one lane and writes its first observation: `[obs_len]`.
    ///
    /// # Errors
    /// When the environment fails or `obs` has the wrong length.
    fn reset_lane(&mut self, lane: usize, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError>;

    /// Steps the lanes that `active` names, each once; row k of `actions` and of `out` belongs to
    /// lane `active[k]`.
    ///
    /// # Errors
    /// When a lane, a length or the kind of action is wrong, which is found before any lane steps; or
    /// when an environment fails or returns a number that is not finite, after which some lanes have
    /// stepped and others have not: begin anew, or load their states.
    fn step_lanes(
        &mut self,
        active: &[usize],
        actions: Actions<'_>,
        out: StepOut<'_>,
    ) -> Result<(), EnvError>;

    /// Steps every lane.
    ///
    /// # Errors
    /// As [`step_lanes`](Self::step_lanes).
    fn step(&mut self, actions: Actions<'_>, out: StepOut<'_>) -> Result<(), EnvError>;

    /// The episodes that ended in the last step, in the order of its rows.
    fn finished(&self) -> &[FinishedEpisode];

    /// Which actions are valid in a lane's current state; `None`: all of them.
    fn action_mask(&self, lane: usize) -> Option<&[bool]>;

    /// A lane's whole state; `None` when its environment can't save it.
    fn save_state(&self, lane: usize) -> Option<LaneState>;

    /// Restores what [`save_state`](Self::save_state) returned.
    ///
    /// # Errors
    /// When the bytes are not such a state.
    fn load_state(&mut self, lane: usize, state: &LaneState) -> Result<(), EnvError>;

    /// A picture of a lane's current state, if its environment draws one.
    fn scene(&self, lane: usize) -> Option<Scene>;
}

/// Return and length of the episode under way in a lane.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    episode_return: f64,
    length: usize,
}
