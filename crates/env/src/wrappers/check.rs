//! A witness to every call.

use super::{again, lane_of, load, save, step_inner};
use crate::{
    Action, ActionKind, Actions, Env, EnvError, Reset, Space, Step, StepOut, VectorEnv,
    check::{self, Rule, UNWRITTEN, Violation},
};

/// Watches both sides keep the contract of [`Env`]: the caller's mistakes become errors before the
/// environment sees them, and the environment's become [`EnvError::Contract`], in words that say how to
/// put them right. Continuous actions beyond the bounds count as mistakes even where the environment
/// would clip them.
///
/// ```
/// use elegante_env::{CartPole, Env, EnvError, Reset, wrappers::Check};
///
/// let mut env = Check::new(CartPole::default());
/// assert!(matches!(env.step(&0, &mut [0.0; 4]), Err(EnvError::NotReset)));
/// env.reset(&Reset::seeded(0), &mut [0.0; 4])?;
/// let error = env.step(&2, &mut [0.0; 4]).unwrap_err();
/// assert_eq!(error.to_string(), "action 2 is not in Discrete(2)");
/// # Ok::<(), EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Check<E> {
    env: E,
    observation: Space,
    action: Space,
    obs_len: usize,
    /// Whether an episode is under way in each lane.
    under_way: Vec<bool>,
}

impl<E> Check<E> {
    /// The environment inside.
    pub fn inner(&self) -> &E {
        &self.env
    }

    fn with(env: E, observation: Space, action: Space, lanes: usize) -> Self {
        let obs_len = observation.flat_len();
        Self { env, observation, action, obs_len, under_way: vec![false; lanes] }
    }

    /// Whether the caller may take this action now.
    fn allowed(&self, action: Action<'_>, mask: Option<&[bool]>) -> Result<(), EnvError> {
        if !self.action.contains_action(action) {
            let shown = format_args!("{action}");
            return Err(EnvError::action_out_of_space(shown, &self.action));
        }
        if !self.action.allows(action, mask) {
            return Err(masked(action));
        }
        Ok(())
    }

    /// Whether the environment returned one of its observations.
    fn observed(&self, obs: &[f32]) -> Result<(), EnvError> {
        let mut first = None;
        check::observation(&self.observation, obs, &mut |rule, _, words| {
            first.get_or_insert_with(|| Violation::new(rule, format!("an observation: {words}")));
        });
        first.map_or(Ok(()), |violation| Err(EnvError::Contract(violation)))
    }

    /// Whether the mask fits the actions.
    fn masked_well(&self, mask: Option<&[bool]>) -> Result<(), EnvError> {
        check::mask(&self.action, mask)
            .map_or(Ok(()), |(rule, words)| Err(EnvError::Contract(Violation::new(rule, words))))
    }

    fn rewarded(reward: f64) -> Result<(), EnvError> {
        if reward.is_finite() {
            return Ok(());
        }
        let found = format!("a step returned the reward {reward}");
        Err(EnvError::Contract(Violation::new(Rule::RewardFinite, found)))
    }

    fn own_state(&self, lane: usize) -> bool {
        self.under_way.get(lane).copied().unwrap_or_default()
    }

    fn checked(&self, own: bool) -> Result<bool, EnvError> {
        Ok(own)
    }

    fn set_own_state(&mut self, lane: usize, own: bool) {
        if let Some(under_way) = self.under_way.get_mut(lane) {
            *under_way = own;
        }
    }
}

#[cold]
fn masked(action: Action<'_>) -> EnvError {
    EnvError::custom(format!(
        "action {action} is not valid in this state: choose among those that the action mask allows"
    ))
}

impl<E: Env> Check<E> {
    /// Watches `env`.
    pub fn new(env: E) -> Self {
        let (observation, action) = (env.observation_space(), env.action_space().into());
        Self::with(env, observation, action, 1)
    }
}

impl<E: VectorEnv> Check<E> {
    /// Watches every lane.
    pub fn vector(env: E) -> Self {
        let (observation, action) = (env.observation_space(), env.action_space());
        let lanes = env.lanes();
        Self::with(env, observation, action, lanes)
    }

    /// Finds the caller's mistakes.
    fn before(
        &self,
        active: Option<&[usize]>,
        actions: Actions<'_>,
        out: &StepOut<'_>,
    ) -> Result<(), EnvError> {
        let rows = active.map_or(self.env.lanes(), <[usize]>::len);
        let dims = self.action.action_len().unwrap_or_default();
        EnvError::check_length("actions", actions.entries_in(&self.action)?, rows * dims)?;
        EnvError::check_length("obs", out.obs.len(), rows * self.obs_len)?;
        EnvError::check_length("endings", out.endings.len(), rows)?;
        for row in 0..rows {
            let lane = lane_of(active, row);
            if active.is_some_and(|active| active[..row].contains(&lane)) {
                return Err(EnvError::Vector(format!("lane {lane} is to step twice at once")));
            }
            match self.under_way.get(lane) {
                Some(true) => {
                    self.allowed(actions.row(row, dims), self.env.action_mask(lane))?;
                }
                Some(false) => return Err(EnvError::NotReset),
                // There is no such lane: the environment says so.
                None => {}
            }
        }
        Ok(())
    }

    fn advance(
        &mut self,
        active: Option<&[usize]>,
        actions: Actions<'_>,
        mut out: StepOut<'_>,
    ) -> Result<(), EnvError> {
        self.before(active, actions, &out)?;
        out.obs.fill(UNWRITTEN);
        step_inner(&mut self.env, active, actions, again(&mut out))?;
        for (row, ending) in out.endings.iter().enumerate() {
            let entries = row * self.obs_len..(row + 1) * self.obs_len;
            self.observed(&out.obs[entries.clone()])?;
            if ending.is_some() {
                self.observed(&out.final_obs[entries])?;
            }
            Self::rewarded(out.rewards[row])?;
            self.masked_well(self.env.action_mask(lane_of(active, row)))?;
        }
        Ok(())
    }
}

impl<E: Env> Env for Check<E> {
    type Action = E::Action;

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        EnvError::check_length("obs", obs.len(), self.obs_len)?;
        obs.fill(UNWRITTEN);
        self.under_way[0] = false;
        self.env.reset(reset, obs)?;
        self.observed(obs)?;
        self.masked_well(self.env.action_mask())?;
        self.under_way[0] = true;
        Ok(())
    }

    fn step(&mut self, action: &E::Action, obs: &mut [f32]) -> Result<Step, EnvError> {
        EnvError::check_length("obs", obs.len(), self.obs_len)?;
        if !self.under_way[0] {
            return Err(EnvError::NotReset);
        }
        self.allowed(action.erase(), self.env.action_mask())?;
        obs.fill(UNWRITTEN);
        let step = self.env.step(action, obs)?;
        self.under_way[0] = step.ending.is_none();
        self.observed(obs)?;
        Self::rewarded(step.reward)?;
        if step.ending.is_none() {
            self.masked_well(self.env.action_mask())?;
        }
        Ok(step)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        save(&self.own_state(0), self.env.save_state())
    }

    fn load_state(&mut self, state: &[u8]) -> Result<(), EnvError> {
        let (own, inner) = load(state)?;
        self.env.load_state(&inner)?;
        self.set_own_state(0, own);
        Ok(())
    }

    forward!(observation_space, action_space, action_mask, scene);
}

impl<E: VectorEnv> VectorEnv for Check<E> {
    fn reset(&mut self, seed: u64, obs: &mut [f32]) -> Result<(), EnvError> {
        EnvError::check_length("obs", obs.len(), self.env.lanes() * self.obs_len)?;
        obs.fill(UNWRITTEN);
        self.under_way.fill(false);
        self.env.reset(seed, obs)?;
        for (lane, row) in obs.chunks(self.obs_len.max(1)).enumerate() {
            self.observed(row)?;
            self.masked_well(self.env.action_mask(lane))?;
        }
        self.under_way.fill(true);
        Ok(())
    }

    fn reset_lane(&mut self, lane: usize, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        EnvError::check_length("obs", obs.len(), self.obs_len)?;
        obs.fill(UNWRITTEN);
        self.env.reset_lane(lane, reset, obs)?;
        self.observed(obs)?;
        self.masked_well(self.env.action_mask(lane))?;
        self.set_own_state(lane, true);
        Ok(())
    }

    forward_lanes!(lanes, observation_space, action_space, steps, action_mask, own_state, scene);
}
