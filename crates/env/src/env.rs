//! The environment contract: one trait, one step type, and an ending that says why it ended.

use serde::{Deserialize, Serialize};

use crate::{EnvError, Scene, Space, action::ActionKind};

/// Why an episode ended.
///
/// A time limit is not a terminal state: after [`Truncated`](Self::Truncated) the world would have
/// gone on, so a value estimate may look past it; after [`Terminated`](Self::Terminated) there is
/// nothing to look at. The two never share a flag here. A step that is both is `Terminated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// The task itself ended: the pole fell, the goal was reached.
    Terminated,
    /// The episode was cut from outside, by a time limit for example.
    Truncated,
}

/// What one step returned, besides the observation written into the caller's slice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Rₜ₊₁, the reward for the transition just made.
    pub reward: f64,
    /// `None` while the episode goes on.
    pub ending: Option<Ending>,
}

impl Step {
    /// A step after which the episode goes on.
    pub const fn going(reward: f64) -> Self {
        Self { reward, ending: None }
    }

    /// A step that reached the task's own end.
    pub const fn terminated(reward: f64) -> Self {
        Self { reward, ending: Some(Ending::Terminated) }
    }

    /// A step after which the episode was cut from outside.
    pub const fn truncated(reward: f64) -> Self {
        Self { reward, ending: Some(Ending::Truncated) }
    }
}

/// How to begin an episode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reset {
    /// Seeds the environment's generator anew; `None` lets it run on.
    pub seed: Option<u64>,
    /// Options for this one episode, by the environment's own names (CartPole: `low`, `high`).
    pub options: toml::Table,
}

impl Reset {
    /// Begin an episode with the generator seeded anew.
    pub fn seeded(seed: u64) -> Self {
        Self { seed: Some(seed), ..Self::default() }
    }

    /// Refuses options that are not among the `known` ones of `env`'s reset.
    ///
    /// # Errors
    /// [`EnvError::UnknownOption`], with those that there are.
    pub fn check_options(&self, env: &str, known: &[&str]) -> Result<(), EnvError> {
        match self.options.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(option) => Err(EnvError::UnknownOption {
                env: format!("{env}'s reset"),
                option: option.clone(),
                known: known.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}

/// An environment: its spaces, how an episode begins, and its physics.
///
/// Observations are written into a slice that the caller owns, so stepping allocates nothing.
/// Time limits, statistics and drawing to pixels live elsewhere.
///
/// # Contract
///
/// - `obs` has [`observation_space().flat_len()`](Space::flat_len) entries, and both methods that
///   take it fill all of them with finite numbers.
/// - After a step with an ending, the next call is `reset`.
/// - The same seed and the same actions give the same episode: every random number comes from a
///   generator that the environment owns, [`EnvRng`](crate::EnvRng) for example.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an environment",
    note = "implement `elegante_env::Env` for it: two spaces, `reset` and `step`; see examples/custom_env.rs"
)]
pub trait Env: Send {
    /// `usize` for a choice among n, `[f32]` for a vector of real numbers, `[usize]` for several
    /// choices at once, `[bool]` for several switches.
    type Action: ActionKind + ?Sized;

    /// The space of observations; an observation is written flat, as [`Space::flat_len`] numbers.
    fn observation_space(&self) -> Space;

    /// The space of actions.
    fn action_space(&self) -> <Self::Action as ActionKind>::Space;

    /// Begins an episode and writes its first observation into `obs`.
    ///
    /// # Errors
    /// When an option is unknown or out of range, or the world behind the environment failed.
    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError>;

    /// Makes one transition and writes the observation after it into `obs`.
    ///
    /// # Errors
    /// When the action lies outside the space, or the world behind the environment failed.
    fn step(&mut self, action: &Self::Action, obs: &mut [f32]) -> Result<Step, EnvError>;

    /// Which of the discrete actions are valid in the current state; `None`: all of them. For
    /// several choices at once it holds their masks one after the other ([`Space::mask_len`]).
    fn action_mask(&self) -> Option<&[bool]> {
        None
    }

    /// The whole state, in the middle of an episode, its generator included.
    ///
    /// `None` (the default) says that it can't be saved; a resumed run then begins a new episode
    /// and says so. With serde derived, [`state::save`](crate::state::save) is the whole body.
    fn save_state(&self) -> Option<Vec<u8>> {
        None
    }

    /// Restores what [`save_state`](Self::save_state) returned.
    ///
    /// # Errors
    /// When the bytes are not such a state.
    fn load_state(&mut self, _state: &[u8]) -> Result<(), EnvError> {
        Err(EnvError::StateNotSupported)
    }

    /// A picture of the current state; `None` (the default) when there is nothing to show.
    fn scene(&self) -> Option<Scene> {
        None
    }
}
