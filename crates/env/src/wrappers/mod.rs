//! Wrappers: small types that change one thing about an environment and leave the rest alone.
//!
//! Each takes an environment and is one, so that they nest; the outermost acts last on observations
//! and rewards, and first on actions. Where a wrapper has a second constructor `vector`, it also wraps
//! a [`VectorEnv`]. The others change how one lane runs: put them around the environments that
//! [`VecEnv`](crate::VecEnv) is made of.
//!
//! | wrapper | lanes | what it does |
//! |-|-|-|
//! | [`TimeLimit`] | | truncates episodes |
//! | [`NormalizeObservation`] | ✓ | running mean 0 and variance 1 |
//! | [`NormalizeReward`] | ✓ | running variance 1 of the discounted return |
//! | [`ClipAction`], [`RescaleAction`] | ✓ | any real action; actions in \[−1, 1\] |
//! | [`TransformObservation`], [`TransformReward`] | ✓ | a function of yours |
//! | [`FrameStack`] | ✓ | the last k observations as one |
//! | [`StickyActions`], [`RepeatAction`] | | an action is repeated, by chance or always |
//! | [`EpisodeStatistics`] | ✓ | return, length and number of episodes |
//! | `Record` (feature `record`) | | frames, and a trajectory as JSON lines |
//! | [`Check`] | ✓ | watches both sides keep the contract |
//!
//! ```
//! use elegante_env::{CartPole, Env, Reset, TimeLimit};
//! use elegante_env::wrappers::{EpisodeStatistics, FrameStack};
//!
//! let limited = TimeLimit::new(CartPole::default(), 500)?;
//! let mut env = EpisodeStatistics::new(FrameStack::new(limited, 3)?);
//! let mut obs = vec![0.0; env.observation_space().flat_len()];
//! assert_eq!(obs.len(), 12);
//! env.reset(&Reset::seeded(42), &mut obs)?;
//! while env.step(&1, &mut obs)?.ending.is_none() {}
//! let episode = env.statistics().last.expect("an episode has ended");
//! assert_eq!(episode.length, 10);
//! # Ok::<(), elegante_env::EnvError>(())
//! ```
//!
//! What every wrapper passes on: reset options, action masks, scenes, endings (a truncation stays a
//! truncation), and the whole state, to which it adds its own. A wrapper of lanes treats the final
//! observation of an episode as it treats the others. After an error an episode can't go on: reset.

#[macro_use]
mod forward;

mod check;
mod clip_action;
mod episode_statistics;
mod frame_stack;
mod normalize_observation;
mod normalize_reward;
#[cfg(feature = "record")]
mod record;
mod repeat_action;
mod rescale_action;
mod running;
mod sticky_actions;
mod time_limit;
mod transform_observation;
mod transform_reward;
mod typed;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Actions, EnvError, StepOut, VectorEnv, state};

pub use check::Check;
pub use clip_action::ClipAction;
pub use episode_statistics::{EpisodeStatistics, EpisodeSummary, LaneStatistics};
pub use frame_stack::FrameStack;
pub use normalize_observation::{NormalizeObservation, ObsNormalizer};
pub use normalize_reward::{NormalizeReward, RewardNormalizer};
#[cfg(feature = "record")]
pub use record::{Record, TrajectoryEvent};
pub use repeat_action::RepeatAction;
pub use rescale_action::RescaleAction;
pub use running::RunningMeanStd;
pub use sticky_actions::StickyActions;
pub use time_limit::TimeLimit;
pub(crate) use time_limit::limited;
pub use transform_observation::TransformObservation;
pub use transform_reward::TransformReward;
pub use typed::{Typed, Wrap};

/// A wrapper's own state beside that of the environment inside.
#[derive(Serialize, Deserialize)]
struct Saved<T> {
    own: T,
    inner: Vec<u8>,
}

/// Both states as bytes, if the environment inside can be saved.
fn save<T: Serialize>(own: &T, inner: Option<Vec<u8>>) -> Option<Vec<u8>> {
    state::save(&Saved { own, inner: inner? })
}

/// What [`save`] wrote.
fn load<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, Vec<u8>), EnvError> {
    let Saved { own, inner } = state::load(bytes)?;
    Ok((own, inner))
}

/// Steps the lanes of `active`, or all of them.
fn step_inner<V: VectorEnv>(
    env: &mut V,
    active: Option<&[usize]>,
    actions: Actions<'_>,
    out: StepOut<'_>,
) -> Result<(), EnvError> {
    match active {
        Some(active) => env.step_lanes(active, actions, out),
        None => env.step(actions, out),
    }
}

/// The same memory, lent out once more.
fn again<'a>(out: &'a mut StepOut<'_>) -> StepOut<'a> {
    let StepOut { obs, final_obs, rewards, endings } = out;
    StepOut { obs, final_obs, rewards, endings }
}

/// The lane that row `row` belongs to.
fn lane_of(active: Option<&[usize]>, row: usize) -> usize {
    active.map_or(row, |active| active[row])
}

/// An option of a wrapper outside its range.
fn wrong_option(
    wrapper: &str,
    option: &str,
    value: impl std::fmt::Display,
    expected: &'static str,
) -> EnvError {
    EnvError::OptionValue {
        env: wrapper.into(),
        option: option.into(),
        value: value.to_string(),
        expected,
    }
}

/// One NaN spoils every weight of a network; what a wrapper computes is checked as well. `values` are
/// rows of `width` entries.
fn check_finite<T: Copy + Into<f64>>(
    values: &[T],
    width: usize,
    active: Option<&[usize]>,
    what: &str,
) -> Result<(), EnvError> {
    match values.iter().position(|&x| !x.into().is_finite()) {
        None => Ok(()),
        Some(i) => Err(EnvError::NonFinite {
            lane: lane_of(active, i / width.max(1)),
            what: if width > 1 { format!("entry {} of {what}", i % width) } else { what.into() },
            value: values[i].into(),
        }),
    }
}

/// A wrapper of continuous actions around other ones.
fn not_continuous(wrapper: &str, space: &crate::Space) -> EnvError {
    wrong_option(wrapper, "action space", space, "a Box: only continuous actions have bounds")
}
