//! Observations with running mean 0 and variance 1.

use serde::{Deserialize, Serialize};

use super::{RunningMeanStd, again, load, save, step_inner, wrong_option};
use crate::{Actions, BoxSpace, Env, EnvError, Reset, Space, Step, StepOut, VectorEnv};

/// (x − μ)/√(σ² + ε), clipped to ±10, with the running mean μ and variance σ² of every entry, as
/// Stable-Baselines3's `VecNormalize` has them; see [`RunningMeanStd`].
///
/// Plain numbers: a trainer can own one, write it down with serde beside the policy, and
/// [`freeze`](Self::freeze) it for evaluation.
///
/// ```
/// use elegante_env::wrappers::ObsNormalizer;
///
/// let mut normalizer = ObsNormalizer::new(1);
/// normalizer.update(&[4.0, 8.0])?; // mean 6, variance 4, but for the beginning's 1e-4 of a row
/// normalizer.freeze();
/// normalizer.update(&[1000.0])?; // changes nothing
/// let mut rows = [6.0, 9.0, 1000.0];
/// normalizer.normalize(&mut rows)?;
/// assert!(rows[0].abs() < 1e-3 && (rows[1] - 1.5).abs() < 1e-3 && rows[2] == 10.0);
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct ObsNormalizer {
    statistics: RunningMeanStd,
    clip: f32,
    epsilon: f64,
    frozen: bool,
}

/// What was written down, not yet checked.
#[derive(Deserialize)]
struct Written {
    statistics: RunningMeanStd,
    clip: f32,
    epsilon: f64,
    frozen: bool,
}

impl TryFrom<Written> for ObsNormalizer {
    type Error = EnvError;

    fn try_from(Written { statistics, clip, epsilon, frozen }: Written) -> Result<Self, EnvError> {
        let fresh = Self { statistics, frozen, ..Self::new(0) };
        fresh.with_clip(clip)?.with_epsilon(epsilon)
    }
}

impl ObsNormalizer {
    /// For observations of `len` entries, with clip 10 and ε = 1e-8.
    pub fn new(len: usize) -> Self {
        Self { statistics: RunningMeanStd::new(len), clip: 10.0, epsilon: 1e-8, frozen: false }
    }

    /// Clips to ±`clip` instead.
    ///
    /// # Errors
    /// When it is not positive and finite.
    pub fn with_clip(mut self, clip: f32) -> Result<Self, EnvError> {
        if !(clip > 0.0 && clip.is_finite()) {
            return Err(wrong_option("ObsNormalizer", "clip", clip, "positive and finite"));
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
            return Err(wrong_option("ObsNormalizer", "epsilon", epsilon, "positive and finite"));
        }
        self.epsilon = epsilon;
        Ok(self)
    }

    /// Entries of an observation.
    pub fn len(&self) -> usize {
        self.statistics.len()
    }

    /// Whether observations have no entries at all.
    pub fn is_empty(&self) -> bool {
        self.statistics.is_empty()
    }

    /// What it has seen.
    pub fn statistics(&self) -> &RunningMeanStd {
        &self.statistics
    }

    /// The largest magnitude it returns.
    pub fn clip(&self) -> f32 {
        self.clip
    }

    /// ε, added to the variance.
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// From now on [`update`](Self::update) changes nothing.
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

    /// Takes in `[rows × len]` observations, unless it is frozen.
    ///
    /// # Errors
    /// As [`RunningMeanStd::update`].
    pub fn update(&mut self, rows: &[f32]) -> Result<(), EnvError> {
        if self.frozen { Ok(()) } else { self.statistics.update(rows) }
    }

    /// Normalises `[rows × len]` observations in place.
    ///
    /// # Errors
    /// When they are not whole rows.
    pub fn normalize(&self, rows: &mut [f32]) -> Result<(), EnvError> {
        let len = self.len();
        let whole = rows.len().checked_div(len).unwrap_or(0) * len;
        EnvError::check_length("the rows", rows.len(), whole)?;
        for column in 0..len {
            let mean = self.statistics.mean(column);
            let deviation = (self.statistics.variance(column) + self.epsilon).sqrt();
            for x in rows.iter_mut().skip(column).step_by(len) {
                let scaled = ((f64::from(*x) - mean) / deviation) as f32;
                *x = scaled.clamp(-self.clip, self.clip);
            }
        }
        Ok(())
    }

    /// Takes in a batch, then normalises it by statistics that have seen it.
    fn update_and_normalize(&mut self, rows: &mut [f32]) -> Result<(), EnvError> {
        self.update(rows)?;
        self.normalize(rows)
    }

    /// The space of normalised observations.
    fn space(&self, inner: &Space) -> Space {
        let bounds = BoxSpace::symmetric(vec![self.clip; self.len()]);
        if let Space::Box(inner) = inner { bounds.shaped_like(inner) } else { bounds }.into()
    }
}

/// Normalises observations; see [`ObsNormalizer`].
///
/// Around a vector environment one statistic is shared by all lanes: the observations of a vector step
/// are taken in together, in the order of their rows, and then normalised. Final observations are
/// normalised by the same statistic without being taken in, as `VecNormalize` does it.
///
/// The state of every lane holds the shared statistic, so that restoring any lane restores it.
#[derive(Clone, Debug)]
pub struct NormalizeObservation<E> {
    env: E,
    space: Space,
    normalizer: ObsNormalizer,
}

impl<E> NormalizeObservation<E> {
    /// The statistics, to be written down.
    pub fn normalizer(&self) -> &ObsNormalizer {
        &self.normalizer
    }

    /// The statistics, to be frozen.
    pub fn normalizer_mut(&mut self) -> &mut ObsNormalizer {
        &mut self.normalizer
    }

    /// The environment inside.
    pub fn inner(&self) -> &E {
        &self.env
    }

    /// `inner`: the space of observations inside; `None` learns from nothing.
    fn around(env: E, inner: &Space, normalizer: Option<ObsNormalizer>) -> Result<Self, EnvError> {
        let len = inner.flat_len();
        let normalizer = normalizer.unwrap_or_else(|| ObsNormalizer::new(len));
        EnvError::check_length("the normaliser", normalizer.len(), len)?;
        Ok(Self { env, space: normalizer.space(inner), normalizer })
    }

    fn checked(&self, statistics: RunningMeanStd) -> Result<RunningMeanStd, EnvError> {
        if statistics.len() != self.normalizer.len() {
            let (given, expected) = (statistics.len(), self.normalizer.len());
            let reason =
                format!("statistics of {given} entries, where observations have {expected}");
            return Err(EnvError::BadState(reason));
        }
        Ok(statistics)
    }

    fn own_state(&self, _lane: usize) -> &RunningMeanStd {
        &self.normalizer.statistics
    }

    fn set_own_state(&mut self, _lane: usize, statistics: RunningMeanStd) {
        self.normalizer.statistics = statistics;
    }
}

impl<E: Env> NormalizeObservation<E> {
    /// Goes on with what this normaliser has learnt; `None` learns from nothing.
    ///
    /// # Errors
    /// When it is for observations of another length.
    pub fn new(env: E, normalizer: Option<ObsNormalizer>) -> Result<Self, EnvError> {
        let inner = env.observation_space();
        Self::around(env, &inner, normalizer)
    }
}

impl<E: VectorEnv> NormalizeObservation<E> {
    /// The same around lanes.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn vector(env: E, normalizer: Option<ObsNormalizer>) -> Result<Self, EnvError> {
        let inner = env.observation_space();
        Self::around(env, &inner, normalizer)
    }

    fn advance(
        &mut self,
        active: Option<&[usize]>,
        actions: Actions<'_>,
        mut out: StepOut<'_>,
    ) -> Result<(), EnvError> {
        step_inner(&mut self.env, active, actions, again(&mut out))?;
        self.normalizer.update_and_normalize(out.obs)?;
        let len = self.normalizer.len();
        for (row, ending) in out.endings.iter().enumerate() {
            if ending.is_some() {
                self.normalizer.normalize(&mut out.final_obs[row * len..(row + 1) * len])?;
            }
        }
        Ok(())
    }
}

impl<E: Env> Env for NormalizeObservation<E> {
    type Action = E::Action;

    fn observation_space(&self) -> Space {
        self.space.clone()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(reset, obs)?;
        self.normalizer.update_and_normalize(obs)
    }

    #[inline]
    fn step(&mut self, action: &E::Action, obs: &mut [f32]) -> Result<Step, EnvError> {
        let step = self.env.step(action, obs)?;
        self.normalizer.update_and_normalize(obs)?;
        Ok(step)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        save(&self.normalizer.statistics, self.env.save_state())
    }

    fn load_state(&mut self, state: &[u8]) -> Result<(), EnvError> {
        let (own, inner) = load(state)?;
        let own = self.checked(own)?;
        self.env.load_state(&inner)?;
        self.set_own_state(0, own);
        Ok(())
    }

    forward!(action_space, action_mask, scene);
}

impl<E: VectorEnv> VectorEnv for NormalizeObservation<E> {
    fn observation_space(&self) -> Space {
        self.space.clone()
    }

    fn reset(&mut self, seed: u64, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(seed, obs)?;
        self.normalizer.update_and_normalize(obs)
    }

    fn reset_lane(&mut self, lane: usize, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset_lane(lane, reset, obs)?;
        self.normalizer.update_and_normalize(obs)
    }

    forward_lanes!(lanes, action_space, steps, action_mask, own_state, scene);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_formula() {
        let mut normalizer = ObsNormalizer::new(2).with_epsilon(0.25).unwrap();
        normalizer.update(&[1.0, 0.0, 3.0, 0.0]).unwrap();
        let mut rows = [4.0, 1.0, 2.0, -9.0];
        normalizer.normalize(&mut rows).unwrap();
        // Two rows and 1e-4 of one: squares about 2 and 0, of the beginning, of the means' distance.
        let mean = 4.0 / 2.0001;
        let deviation = ((2.0 + 1e-4 + 4.0 * 2e-4 / 2.0001) / 2.0001 + 0.25f64).sqrt();
        let still = (1e-4 / 2.0001 + 0.25f64).sqrt();
        let expected = [(4.0 - mean) / deviation, 1.0 / still, (2.0 - mean) / deviation, -10.0];
        for (got, expected) in rows.iter().zip(expected) {
            assert!((f64::from(*got) - expected).abs() < 1e-6, "{rows:?}");
        }
        assert!(normalizer.normalize(&mut [0.0; 3]).is_err());
    }

    #[test]
    fn a_normalizer_reads_back_as_written_and_is_checked() {
        let mut normalizer = ObsNormalizer::new(1).with_clip(5.0).unwrap();
        normalizer.update(&[1.0, 2.5]).unwrap();
        normalizer.freeze();
        let json = serde_json::to_string(&normalizer).unwrap();
        assert_eq!(serde_json::from_str::<ObsNormalizer>(&json).unwrap(), normalizer);
        for (from, to) in
            [("\"clip\":5.0", "\"clip\":0.0"), ("\"epsilon\":1e-8", "\"epsilon\":-1.0")]
        {
            assert!(json.contains(from), "{json}");
            assert!(serde_json::from_str::<ObsNormalizer>(&json.replace(from, to)).is_err());
        }
        assert!(ObsNormalizer::new(1).with_clip(f32::NAN).is_err());
        normalizer.unfreeze();
        normalizer.update(&[9.0]).unwrap();
        assert_eq!(normalizer.statistics().count(), 3);
    }
}
