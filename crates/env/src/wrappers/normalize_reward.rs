//! Rewards in units of the discounted return's deviation.

use serde::{Deserialize, Serialize};

use super::{RunningMeanStd, again, lane_of, load, save, step_inner, wrong_option};
use crate::{Actions, Ending, Env, EnvError, Reset, Step, StepOut, VectorEnv};

/// r/√(σ² + ε), clipped to ±10, where σ² is the running variance of the discounted return
/// Gₜ = γ Gₜ₋₁ + rₜ of every lane, begun anew after every ending, as Stable-Baselines3's `VecNormalize`
/// has it; see [`RunningMeanStd`]. No mean is subtracted: that would change which policy is best.
///
/// ```
/// use elegante_env::wrappers::RewardNormalizer;
///
/// let mut normalizer = RewardNormalizer::new(1, 0.5)?;
/// for reward in [4.0, 8.0] {
///     normalizer.update(0, reward, None)?; // returns 4, then 10: variance 9, or nearly
/// }
/// assert!((normalizer.normalize(6.0) - 2.0).abs() < 1e-3);
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct RewardNormalizer {
    statistics: RunningMeanStd,
    gamma: f64,
    /// The discounted return of the episode under way in each lane.
    returns: Vec<f64>,
    clip: f64,
    epsilon: f64,
    frozen: bool,
}

/// What was written down, not yet checked.
#[derive(Deserialize)]
struct Written {
    statistics: RunningMeanStd,
    gamma: f64,
    returns: Vec<f64>,
    clip: f64,
    epsilon: f64,
    frozen: bool,
}

impl TryFrom<Written> for RewardNormalizer {
    type Error = EnvError;

    fn try_from(written: Written) -> Result<Self, EnvError> {
        let Written { statistics, gamma, returns, clip, epsilon, frozen } = written;
        if statistics.len() != 1 || returns.iter().any(|x| !x.is_finite()) {
            return Err(EnvError::BadState("returns that no rewards have".into()));
        }
        let fresh = Self::new(0, gamma)?.with_clip(clip)?.with_epsilon(epsilon)?;
        Ok(Self { statistics, returns, frozen, ..fresh })
    }
}

impl RewardNormalizer {
    /// For `lanes` environments (wrappers set it by themselves) and the discount γ in \[0, 1\], with clip 10 and ε = 1e-8.
    ///
    /// # Errors
    /// When γ lies outside.
    pub fn new(lanes: usize, gamma: f64) -> Result<Self, EnvError> {
        if !(0.0..=1.0).contains(&gamma) {
            return Err(wrong_option("RewardNormalizer", "gamma", gamma, "between 0 and 1"));
        }
        Ok(Self {
            statistics: RunningMeanStd::new(1),
            gamma,
            returns: vec![0.0; lanes],
            clip: 10.0,
            epsilon: 1e-8,
            frozen: false,
        })
    }

    /// Clips to ±`clip` instead.
    ///
    /// # Errors
    /// When it is not positive and finite.
    pub fn with_clip(mut self, clip: f64) -> Result<Self, EnvError> {
        if !(clip > 0.0 && clip.is_finite()) {
            return Err(wrong_option("RewardNormalizer", "clip", clip, "positive and finite"));
        }
        self.clip = clip;
        Ok(self)
    }

    /// Adds `epsilon` to the variance instead.
    ///
    /// # Errors
    /// When it is not positive and finite.
    pub fn with_epsilon(mut self, epsilon: f64) -> Result<Self, EnvError> {
        if !(epsilon > 0.0 && epsilon.is_finite()) {
            return Err(wrong_option(
                "RewardNormalizer",
                "epsilon",
                epsilon,
                "positive and finite",
            ));
        }
        self.epsilon = epsilon;
        Ok(self)
    }

    /// Number of lanes.
    pub fn lanes(&self) -> usize {
        self.returns.len()
    }

    /// Begins anew in `lanes` lanes with what has been learnt of the returns' variance.
    pub fn set_lanes(&mut self, lanes: usize) {
        self.returns.clear();
        self.returns.resize(lanes, 0.0);
    }

    /// γ.
    pub fn gamma(&self) -> f64 {
        self.gamma
    }

    /// What it has seen of the discounted returns: one column.
    pub fn statistics(&self) -> &RunningMeanStd {
        &self.statistics
    }

    /// From now on the variance stays as it is.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    /// Goes on learning.
    pub fn unfreeze(&mut self) {
        self.frozen = false;
    }

    /// Whether it is frozen.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Takes in the reward of one lane's step. After an ending of either kind the lane's return
    /// begins anew.
    ///
    /// # Errors
    /// When there is no such lane or the reward is not finite.
    pub fn update(
        &mut self,
        lane: usize,
        reward: f64,
        ending: Option<Ending>,
    ) -> Result<(), EnvError> {
        let lanes = self.lanes();
        let Some(lane_return) = self.returns.get_mut(lane) else {
            return Err(EnvError::Vector(format!("there is no lane {lane} among {lanes}")));
        };
        super::check_finite(&[reward], 1, Some(&[lane]), "the reward")?;
        *lane_return = self.gamma * *lane_return + reward;
        if !self.frozen {
            self.statistics.push(&[*lane_return]);
        }
        if ending.is_some() {
            *lane_return = 0.0;
        }
        Ok(())
    }

    /// Begins a lane's return anew, for an episode that is given up.
    pub fn begin(&mut self, lane: usize) {
        if let Some(lane_return) = self.returns.get_mut(lane) {
            *lane_return = 0.0;
        }
    }

    /// One reward, normalised.
    pub fn normalize(&self, reward: f64) -> f64 {
        let deviation = (self.statistics.variance(0) + self.epsilon).sqrt();
        (reward / deviation).clamp(-self.clip, self.clip)
    }
}

/// Normalises rewards; see [`RewardNormalizer`].
///
/// Around a vector environment one statistic is shared by all lanes: the rewards of a vector step are
/// taken in together, in the order of their rows, and then normalised. The state of every lane holds
/// the shared statistic, so that restoring any lane restores it.
#[derive(Clone, Debug)]
pub struct NormalizeReward<E> {
    env: E,
    normalizer: RewardNormalizer,
}

impl<E> NormalizeReward<E> {
    /// The statistics, to be written down.
    pub fn normalizer(&self) -> &RewardNormalizer {
        &self.normalizer
    }

    /// The statistics, to be frozen.
    pub fn normalizer_mut(&mut self) -> &mut RewardNormalizer {
        &mut self.normalizer
    }

    /// The environment inside.
    pub fn inner(&self) -> &E {
        &self.env
    }

    fn own_state(&self, lane: usize) -> (&RunningMeanStd, f64) {
        let lane_return = self.normalizer.returns.get(lane).copied().unwrap_or_default();
        (&self.normalizer.statistics, lane_return)
    }

    fn checked(&self, own: (RunningMeanStd, f64)) -> Result<(RunningMeanStd, f64), EnvError> {
        if own.0.len() != 1 || !own.1.is_finite() {
            return Err(EnvError::BadState("a return that no rewards have".into()));
        }
        Ok(own)
    }

    fn set_own_state(&mut self, lane: usize, (statistics, lane_return): (RunningMeanStd, f64)) {
        self.normalizer.statistics = statistics;
        if let Some(slot) = self.normalizer.returns.get_mut(lane) {
            *slot = lane_return;
        }
    }
}

impl<E: Env> NormalizeReward<E> {
    /// Goes on with what this normaliser has learnt, which may be nothing.
    pub fn new(env: E, mut normalizer: RewardNormalizer) -> Self {
        normalizer.set_lanes(1);
        Self { env, normalizer }
    }
}

impl<E: VectorEnv> NormalizeReward<E> {
    /// The same around lanes.
    pub fn vector(env: E, mut normalizer: RewardNormalizer) -> Self {
        normalizer.set_lanes(env.lanes());
        Self { env, normalizer }
    }

    fn advance(
        &mut self,
        active: Option<&[usize]>,
        actions: Actions<'_>,
        mut out: StepOut<'_>,
    ) -> Result<(), EnvError> {
        step_inner(&mut self.env, active, actions, again(&mut out))?;
        for (row, (&reward, &ending)) in out.rewards.iter().zip(&*out.endings).enumerate() {
            self.normalizer.update(lane_of(active, row), reward, ending)?;
        }
        out.rewards.iter_mut().for_each(|reward| *reward = self.normalizer.normalize(*reward));
        Ok(())
    }
}

impl<E: Env> Env for NormalizeReward<E> {
    type Action = E::Action;

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(reset, obs)?;
        self.normalizer.begin(0);
        Ok(())
    }

    #[inline]
    fn step(&mut self, action: &E::Action, obs: &mut [f32]) -> Result<Step, EnvError> {
        let step = self.env.step(action, obs)?;
        self.normalizer.update(0, step.reward, step.ending)?;
        Ok(Step { reward: self.normalizer.normalize(step.reward), ..step })
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

impl<E: VectorEnv> VectorEnv for NormalizeReward<E> {
    fn reset(&mut self, seed: u64, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(seed, obs)?;
        (0..self.normalizer.lanes()).for_each(|lane| self.normalizer.begin(lane));
        Ok(())
    }

    fn reset_lane(&mut self, lane: usize, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset_lane(lane, reset, obs)?;
        self.normalizer.begin(lane);
        Ok(())
    }

    forward_lanes!(lanes, observation_space, action_space, steps, action_mask, own_state, scene);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_ending_begins_the_return_anew_and_so_does_giving_up() {
        for ending in [Ending::Terminated, Ending::Truncated] {
            let mut normalizer = RewardNormalizer::new(2, 0.5).unwrap();
            normalizer.update(0, 8.0, None).unwrap();
            normalizer.update(1, 8.0, Some(ending)).unwrap();
            normalizer.update(0, 1.0, None).unwrap();
            normalizer.update(1, 1.0, None).unwrap();
            assert_eq!(normalizer.returns, [5.0, 1.0]);
            normalizer.begin(0);
            normalizer.update(0, 2.0, None).unwrap();
            assert_eq!(normalizer.returns, [2.0, 1.0]);
            let mean = (8.0 + 8.0 + 5.0 + 1.0 + 2.0) / 5.0001;
            assert!((normalizer.statistics().mean(0) - mean).abs() < 1e-14);
        }
    }

    #[test]
    fn frozen_it_scales_on_and_learns_nothing() {
        let mut normalizer = RewardNormalizer::new(1, 0.9).unwrap();
        (0..4).for_each(|i| normalizer.update(0, f64::from(i), None).unwrap());
        let before = (normalizer.statistics().clone(), normalizer.normalize(1.0));
        normalizer.freeze();
        normalizer.update(0, 100.0, None).unwrap();
        assert_eq!((normalizer.statistics().clone(), normalizer.normalize(1.0)), before);
        assert_eq!(normalizer.normalize(1e9), 10.0);
        assert_eq!(normalizer.normalize(-1e9), -10.0);
    }

    #[test]
    fn a_normalizer_reads_back_as_written_and_is_checked() {
        let mut normalizer = RewardNormalizer::new(2, 0.9).unwrap().with_clip(5.0).unwrap();
        normalizer.update(1, 3.0, None).unwrap();
        let json = serde_json::to_string(&normalizer).unwrap();
        assert_eq!(serde_json::from_str::<RewardNormalizer>(&json).unwrap(), normalizer);
        for (from, to) in [("\"gamma\":0.9", "\"gamma\":1.5"), ("\"clip\":5.0", "\"clip\":-1.0")] {
            assert!(json.contains(from), "{json}");
            assert!(serde_json::from_str::<RewardNormalizer>(&json.replace(from, to)).is_err());
        }
        assert!(RewardNormalizer::new(1, -0.1).is_err());
        assert!(normalizer.update(2, 0.0, None).is_err(), "no such lane");
        assert!(normalizer.update(0, f64::NAN, None).is_err());
    }
}
