//! What the lanes of a vector environment look like, and whether a call fits them.

use super::StepOut;
use crate::{Actions, EnvError, Space, check::UNWRITTEN};

/// Number and spaces of the lanes.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) observation_space: Space,
    pub(super) action_space: Space,
    pub(super) lanes: usize,
    pub(super) obs_len: usize,
    /// Numbers in one action: 1 for a discrete one.
    pub(super) action_len: usize,
    /// The call in which each lane was last named, so that one named twice is noticed.
    named: Vec<u64>,
    call: u64,
}

impl Shape {
    pub(super) fn new(
        lanes: usize,
        observation_space: Space,
        action_space: Space,
    ) -> Result<Self, EnvError> {
        if lanes == 0 {
            return Err(EnvError::Vector("needs at least one lane".into()));
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
            lanes,
            obs_len: observation_space.flat_len(),
            action_len,
            observation_space,
            action_space,
            named: vec![0; lanes],
            call: 0,
        })
    }

    /// Whether there is such a lane.
    pub(super) fn lane(&self, lane: usize) -> Result<(), EnvError> {
        if lane < self.lanes { Ok(()) } else { Err(no_lane(lane, self.lanes)) }
    }

    /// Whether an observation of every lane, or of one, fits into `obs`.
    pub(super) fn obs(&self, rows: usize, obs: &[f32]) -> Result<(), EnvError> {
        EnvError::check_length("obs", obs.len(), rows * self.obs_len)
    }

    /// Finds what is wrong with a step of `rows` lanes before any of them has moved.
    pub(super) fn rows(
        &self,
        rows: usize,
        actions: Actions<'_>,
        out: &StepOut<'_>,
    ) -> Result<(), EnvError> {
        let given = actions.entries_in(&self.action_space)?;
        EnvError::check_length("actions", given, rows * self.action_len)?;
        EnvError::check_length("obs", out.obs.len(), rows * self.obs_len)?;
        EnvError::check_length("final_obs", out.final_obs.len(), rows * self.obs_len)?;
        EnvError::check_length("rewards", out.rewards.len(), rows)?;
        EnvError::check_length("endings", out.endings.len(), rows)
    }

    /// Finds what is wrong with a step of these lanes before any of them has moved.
    pub(super) fn active(
        &mut self,
        active: &[usize],
        actions: Actions<'_>,
        out: &StepOut<'_>,
    ) -> Result<(), EnvError> {
        self.call += 1;
        for &lane in active {
            self.lane(lane)?;
            if std::mem::replace(&mut self.named[lane], self.call) == self.call {
                return Err(EnvError::Vector(format!("lane {lane} is to step twice at once")));
            }
        }
        self.rows(active.len(), actions, out)
    }
}

#[cold]
fn no_lane(lane: usize, lanes: usize) -> EnvError {
    EnvError::Vector(format!("there is no lane {lane}: they are numbered from 0 to {}", lanes - 1))
}

/// One NaN spoils every weight of a network, so none gets past here, and nothing of an observation that was
/// [`UNWRITTEN`] before the call.
#[inline]
pub(super) fn finite(lane: usize, reward: f64, obs: &[f32]) -> Result<(), EnvError> {
    if reward.is_finite() && obs.iter().all(|x| x.is_finite()) {
        return Ok(());
    }
    Err(not_finite(lane, reward, obs))
}

#[cold]
fn not_finite(lane: usize, reward: f64, obs: &[f32]) -> EnvError {
    match obs.iter().position(|x| !x.is_finite()) {
        Some(entry) if obs[entry].to_bits() == UNWRITTEN.to_bits() => {
            EnvError::NotWritten { lane, entry }
        }
        Some(i) => {
            let what = format!("entry {i} of the observation");
            EnvError::NonFinite { lane, what, value: f64::from(obs[i]) }
        }
        None => EnvError::NonFinite { lane, what: "the reward".into(), value: reward },
    }
}
