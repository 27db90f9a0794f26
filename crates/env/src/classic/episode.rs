//! What the environments of classic control have in common besides their physics.

use serde::{Deserialize, Serialize};

use crate::{BoxSpace, EnvError, EnvRng, Lane};

/// The generator of an environment, and where its episode stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Episode<S> {
    rng: EnvRng,
    /// Nothing while no episode is under way.
    state: Option<S>,
    /// The last state, for the picture of an episode that has ended.
    shown: S,
}

impl<S: Copy + AsRef<[f64]>> Episode<S> {
    /// None yet; the picture shows `resting`.
    pub(super) fn new(resting: S) -> Self {
        Self { rng: EnvRng::new(0), state: None, shown: resting }
    }

    /// Begins one, where `draw` says, with the generator seeded anew if there is a seed.
    pub(super) fn begin(&mut self, seed: Option<u64>, draw: impl FnOnce(&mut EnvRng) -> S) -> S {
        if let Some(seed) = seed {
            self.rng = EnvRng::new(seed);
        }
        let state = draw(&mut self.rng);
        (self.state, self.shown) = (Some(state), state);
        state
    }

    /// The state, if an episode is under way.
    pub(super) fn state(&self) -> Option<S> {
        self.state
    }

    /// The state to step from.
    #[inline]
    pub(super) fn under_way(&self) -> Result<S, EnvError> {
        self.state.ok_or(EnvError::NotReset)
    }

    /// The last state, whether or not it ended the episode.
    pub(super) fn shown(&self) -> S {
        self.shown
    }

    /// For noise within an episode.
    pub(super) fn rng(&mut self) -> &mut EnvRng {
        &mut self.rng
    }

    /// Goes on in `state`, or ends there.
    #[inline]
    pub(super) fn advance(&mut self, state: S, ends: bool) {
        (self.state, self.shown) = ((!ends).then_some(state), state);
    }

    /// Goes on from this state, whether or not an episode was under way; `names` are its numbers'.
    pub(super) fn set(&mut self, state: S, names: &str) -> Result<(), EnvError> {
        finite(state.as_ref(), names)?;
        self.advance(state, false);
        Ok(())
    }

    /// Itself, if every number is finite: for one that was read from bytes.
    pub(super) fn checked(self, names: &str) -> Result<Self, EnvError> {
        self.state.iter().chain([&self.shown]).try_for_each(|s| finite(s.as_ref(), names))?;
        Ok(self)
    }
}

impl<const S: usize> Episode<[f64; S]> {
    /// As a lane of a batch.
    pub(super) fn lane(&self) -> Lane<S> {
        Lane { state: self.shown, under_way: self.state.is_some(), rng: self.rng.clone() }
    }

    /// From a lane of a batch.
    pub(super) fn of_lane(Lane { state, under_way, rng }: Lane<S>) -> Self {
        Self { rng, state: under_way.then_some(state), shown: state }
    }
}

fn finite(state: &[f64], names: &str) -> Result<(), EnvError> {
    match state.iter().find(|x| !x.is_finite()) {
        None => Ok(()),
        Some(bad) => Err(EnvError::BadState(format!("{bad} among {names}"))),
    }
}

/// The caller's slice, if an observation of `N` numbers fits.
#[inline]
pub(super) fn sized<const N: usize>(obs: &mut [f32]) -> Result<&mut [f32; N], EnvError> {
    let given = obs.len();
    obs.try_into().map_err(|_| EnvError::Length { what: "obs", given, expected: N })
}

/// The number that is the whole action. One beyond the space is left to the physics, which clips it
/// as Gymnasium's does; one that is not finite is refused.
#[inline]
pub(super) fn scalar(action: &[f32], space: impl FnOnce() -> BoxSpace) -> Result<f32, EnvError> {
    match action {
        [value] if value.is_finite() => Ok(*value),
        [_] => Err(EnvError::action_out_of_space(action, space())),
        _ => Err(EnvError::Length { what: "action", given: action.len(), expected: 1 }),
    }
}

/// Whether [`scalar`] would take each of these actions.
///
/// # Errors
/// When it would not.
pub(super) fn scalars(
    actions: &[[f32; 1]],
    space: impl FnOnce() -> BoxSpace,
) -> Result<(), EnvError> {
    // A search that may stop is slower.
    if actions.iter().fold(true, |all, [x]| all & x.is_finite()) {
        return Ok(());
    }
    match actions.iter().find(|[x]| !x.is_finite()) {
        Some(action) => Err(EnvError::action_out_of_space(action.as_slice(), space())),
        None => Ok(()),
    }
}
