//! Several environments stepped side by side.

use crate::{Actions, DynEnv, Ending, EnvError, Reset, Scene, Space};

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

    /// Steps the lanes that `active` names; row k of `actions` and of `out` belongs to lane
    /// `active[k]`.
    ///
    /// # Errors
    /// When a lane, a length or the kind of action is wrong, which is found before any lane steps; or
    /// when an environment fails or returns a number that is not finite, after which the rows before it have
    /// been stepped and the rest have not.
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

    /// Which actions are valid in a lane's current state; `None`: all of them.
    fn action_mask(&self, lane: usize) -> Option<&[bool]>;

    /// A lane's whole state; `None` when its environment can't save it.
    fn save_state(&self, lane: usize) -> Option<Vec<u8>>;

    /// Restores what [`save_state`](Self::save_state) returned.
    ///
    /// # Errors
    /// When the bytes are not such a state.
    fn load_state(&mut self, lane: usize, state: &[u8]) -> Result<(), EnvError>;

    /// A picture of a lane's current state, if its environment draws one.
    fn scene(&self, lane: usize) -> Option<Scene>;
}

/// A vector environment made of scalar ones, stepped one after the other.
#[derive(Debug)]
pub struct VecEnv<E> {
    envs: Vec<E>,
    all: Vec<usize>,
    observation_space: Space,
    action_space: Space,
    obs_len: usize,
    /// Numbers in one action: 1 for a discrete one.
    action_len: usize,
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
        if observation_space.flat_len() == 0 || action_space.flat_len() == 0 {
            return Err(EnvError::Vector(format!(
                "observations in {observation_space} and actions in {action_space}: neither may be empty"
            )));
        }
        let Some(action_len) = action_space.action_len() else {
            let reason = format!("actions in {action_space}: an action has no parts of its own");
            return Err(EnvError::Vector(reason));
        };
        Ok(Self {
            all: (0..envs.len()).collect(),
            obs_len: observation_space.flat_len(),
            action_len,
            envs,
            observation_space,
            action_space,
        })
    }

    /// Finds what is wrong with a call before any lane has moved.
    fn check(
        &self,
        active: &[usize],
        actions: Actions<'_>,
        out: &StepOut<'_>,
    ) -> Result<(), EnvError> {
        if let Some(&lane) = active.iter().find(|&&lane| lane >= self.envs.len()) {
            return Err(no_lane(lane, self.envs.len()));
        }
        let rows = active.len();
        let given = actions.entries_in(&self.action_space)?;
        length("actions", given, rows * self.action_len)?;
        length("obs", out.obs.len(), rows * self.obs_len)?;
        length("final_obs", out.final_obs.len(), rows * self.obs_len)?;
        length("rewards", out.rewards.len(), rows)?;
        length("endings", out.endings.len(), rows)
    }

    /// Steps one lane and begins its next episode if that ended one.
    #[inline]
    fn step_one(
        &mut self,
        lane: usize,
        action: crate::Action<'_>,
        obs: &mut [f32],
        final_obs: &mut [f32],
    ) -> Result<crate::Step, EnvError> {
        let lanes = self.envs.len();
        let env = self.envs.get_mut(lane).ok_or_else(|| no_lane(lane, lanes))?;
        let step = env.step(action, obs)?;
        finite(lane, step.reward, obs)?;
        if step.ending.is_some() {
            final_obs.copy_from_slice(obs);
            env.reset(&Reset::default(), obs)?;
            finite(lane, 0.0, obs)?;
        }
        Ok(step)
    }
}

impl<E: DynEnv> VectorEnv for VecEnv<E> {
    fn lanes(&self) -> usize {
        self.envs.len()
    }

    fn observation_space(&self) -> Space {
        self.observation_space.clone()
    }

    fn action_space(&self) -> Space {
        self.action_space.clone()
    }

    fn reset(&mut self, seed: u64, obs: &mut [f32]) -> Result<(), EnvError> {
        length("obs", obs.len(), self.envs.len() * self.obs_len)?;
        for lane in 0..self.envs.len() {
            let row = &mut obs[lane * self.obs_len..(lane + 1) * self.obs_len];
            self.reset_lane(lane, &Reset::seeded(seed.wrapping_add(lane as u64)), row)?;
        }
        Ok(())
    }

    fn reset_lane(&mut self, lane: usize, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        length("obs", obs.len(), self.obs_len)?;
        let lanes = self.envs.len();
        let env = self.envs.get_mut(lane).ok_or_else(|| no_lane(lane, lanes))?;
        env.reset(reset, obs)?;
        finite(lane, 0.0, obs)
    }

    fn step_lanes(
        &mut self,
        active: &[usize],
        actions: Actions<'_>,
        out: StepOut<'_>,
    ) -> Result<(), EnvError> {
        self.check(active, actions, &out)?;
        for (row, &lane) in active.iter().enumerate() {
            let entries = row * self.obs_len..(row + 1) * self.obs_len;
            let action = actions.row(row, self.action_len);
            let (obs, last) = (&mut out.obs[entries.clone()], &mut out.final_obs[entries]);
            let step = self.step_one(lane, action, obs, last)?;
            (out.rewards[row], out.endings[row]) = (step.reward, step.ending);
        }
        Ok(())
    }

    fn step(&mut self, actions: Actions<'_>, out: StepOut<'_>) -> Result<(), EnvError> {
        // The list is lent out for the call, since stepping borrows the lanes mutably.
        let all = std::mem::take(&mut self.all);
        let result = self.step_lanes(&all, actions, out);
        self.all = all;
        result
    }

    fn action_mask(&self, lane: usize) -> Option<&[bool]> {
        self.envs.get(lane)?.action_mask()
    }

    fn save_state(&self, lane: usize) -> Option<Vec<u8>> {
        self.envs.get(lane)?.save_state()
    }

    fn load_state(&mut self, lane: usize, state: &[u8]) -> Result<(), EnvError> {
        let lanes = self.envs.len();
        self.envs.get_mut(lane).ok_or_else(|| no_lane(lane, lanes))?.load_state(state)
    }

    fn scene(&self, lane: usize) -> Option<Scene> {
        self.envs.get(lane)?.scene()
    }
}

fn length(what: &'static str, given: usize, expected: usize) -> Result<(), EnvError> {
    if given == expected { Ok(()) } else { Err(EnvError::Length { what, given, expected }) }
}

#[cold]
fn no_lane(lane: usize, lanes: usize) -> EnvError {
    EnvError::Vector(format!("there is no lane {lane}: they are numbered from 0 to {}", lanes - 1))
}

/// One NaN spoils every weight of a network, so none gets past here.
#[inline]
fn finite(lane: usize, reward: f64, obs: &[f32]) -> Result<(), EnvError> {
    if reward.is_finite() && obs.iter().all(|x| x.is_finite()) {
        return Ok(());
    }
    Err(not_finite(lane, reward, obs))
}

#[cold]
fn not_finite(lane: usize, reward: f64, obs: &[f32]) -> EnvError {
    match obs.iter().position(|x| !x.is_finite()) {
        Some(i) => {
            let what = format!("entry {i} of the observation");
            EnvError::NonFinite { lane, what, value: f64::from(obs[i]) }
        }
        None => EnvError::NonFinite { lane, what: "the reward".into(), value: reward },
    }
}
