//! What an environment must keep to, and words for where it does not.

use std::fmt;

use crate::{Scene, Space, scene::Shape};

/// One sentence of the contract between an environment and whoever drives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// There is something to observe and something to do.
    SpaceNotEmpty,
    /// Actions are discrete, continuous, several choices or several switches.
    ActionsHaveAKind,
    /// The spaces stay the same, in every environment of the same kind.
    SpacesStay,
    /// `reset` with a seed and no options succeeds.
    ResetSucceeds,
    /// A slice of the observation space's length fits.
    ObservationLength,
    /// Every entry of an observation is written.
    ObservationWritten,
    /// Observations are finite.
    ObservationFinite,
    /// Observations lie in their space.
    ObservationInSpace,
    /// Rewards are finite.
    RewardFinite,
    /// Actions from the space are accepted while an episode is under way.
    ActionAccepted,
    /// Actions outside the space are refused, or clipped where they are continuous.
    ActionRefused,
    /// A step without an episode under way is refused.
    StepNeedsEpisode,
    /// A mask has an entry for every choice.
    MaskLength,
    /// A mask leaves something to do.
    MaskAllows,
    /// Seed and actions decide the episode.
    Reproducible,
    /// A state that was saved can be loaded.
    StateLoads,
    /// From a loaded state, everything goes on as it did from the saved one.
    StateComplete,
    /// Bytes that are no state are refused.
    StateChecked,
    /// Unknown reset options are refused.
    OptionsKnown,
    /// Pictures have finite coordinates and show some part of the world.
    SceneDrawable,
    /// Mistakes become errors, never panics.
    NoPanic,
}

impl Rule {
    /// How to keep to it.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::SpaceNotEmpty => "Declare a space with at least one entry or choice",
            Self::ActionsHaveAKind => {
                "Declare a Discrete, Box, MultiDiscrete or MultiBinary action space: flatten the parts of a Tuple or Dict into one of those"
            }
            Self::SpacesStay => {
                "Decide the spaces when the environment is made and return the same ones ever after"
            }
            Self::ResetSucceeds => {
                "Make `reset` begin an episode from any state when it is given a seed and no options"
            }
            Self::ObservationLength => {
                "Write as many numbers as `observation_space().flat_len()`, or declare the space that they need"
            }
            Self::ObservationWritten => {
                "Fill the whole slice in `reset` and in every `step`: what was in it before belongs to the caller"
            }
            Self::ObservationFinite => {
                "Look for a division by zero, a root of a negative number, or a state that grows without bounds"
            }
            Self::ObservationInSpace => {
                "Widen the bounds of `observation_space`, or clip what is observed; for discrete parts write a one-hot row"
            }
            Self::RewardFinite => "Return a finite reward from every step, the last one included",
            Self::ActionAccepted => {
                "Accept whatever `action_space` contains and the mask allows, or declare a smaller space"
            }
            Self::ActionRefused => {
                "Return `EnvError::action_out_of_space` for it (numbers beyond the bounds of a Box may be clipped instead, NaN may not)"
            }
            Self::StepNeedsEpisode => {
                "Remember that no episode is under way, before the first `reset` and after every ending, and return `EnvError::NotReset`"
            }
            Self::MaskLength => {
                "Return a mask of `action_space().mask_len()` entries, or `None` where there is nothing to mask"
            }
            Self::MaskAllows => {
                "Leave at least one choice valid (one in every component); end the episode where nothing can be done"
            }
            Self::Reproducible => {
                "Draw every random number from a generator that the environment owns, seed it anew in `reset` when there is a seed, and clear whatever is left of the episode before"
            }
            Self::StateLoads => "Make `load_state` read what `save_state` writes",
            Self::StateComplete => {
                "Write everything that the next step depends on: state, generator, counters, and whether an episode is under way"
            }
            Self::StateChecked => {
                "Read the state with `state::load`, which refuses bytes that are missing or left over"
            }
            Self::OptionsKnown => {
                "Return `EnvError::UnknownOption` for every reset option that the environment does not have"
            }
            Self::SceneDrawable => {
                "Return a `Scene` with finite coordinates, its x and y each from a smaller to a larger number"
            }
            Self::NoPanic => "Return an `EnvError` instead: a panic ends the whole training run",
        }
    }
}

/// A rule that was broken, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// What was found, the first time.
    pub found: String,
    /// How often it was found.
    pub times: usize,
}

impl Violation {
    pub(crate) fn new(rule: Rule, found: impl Into<String>) -> Self {
        Self { rule, found: found.into(), times: 1 }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.found)?;
        if self.times > 1 {
            write!(f, " (and {} more times)", self.times - 1)?;
        }
        write!(f, ". {}.", self.rule.fix())
    }
}

/// A NaN that no arithmetic gives: where it is left, nothing was written.
pub(crate) const UNWRITTEN: f32 = f32::from_bits(0x7fc5_a5a5);

/// Hands every fault of an observation to `found`, with the entry it is in.
pub(crate) fn observation(space: &Space, obs: &[f32], found: &mut dyn FnMut(Rule, usize, String)) {
    let mut finite = true;
    for (i, x) in obs.iter().enumerate().filter(|(_, x)| !x.is_finite()) {
        finite = false;
        if x.to_bits() == UNWRITTEN.to_bits() {
            found(Rule::ObservationWritten, i, format!("entry {i} of it was not written"));
        } else {
            found(Rule::ObservationFinite, i, format!("entry {i} of it is {x}"));
        }
    }
    if finite {
        space.each_outside(obs, 0, &mut |i, words| {
            found(Rule::ObservationInSpace, i, format!("{words}: it is not in {space}"));
        });
    }
}

/// What is wrong with a mask over the actions of `space`.
pub(crate) fn mask(space: &Space, mask: Option<&[bool]>) -> Option<(Rule, String)> {
    let mask = mask?;
    let length = |words: String| {
        Some((Rule::MaskLength, format!("the action mask has {} entries, {words}", mask.len())))
    };
    match space.mask_len() {
        None => length(format!("but actions in {space} can't be masked")),
        Some(len) if len != mask.len() => length(format!("where {space} has {len} choices")),
        Some(_) => {
            let nothing = match space {
                Space::MultiDiscrete(space) => {
                    space.masks(mask)?.position(|mask| !mask.contains(&true))
                }
                _ => (!mask.contains(&true)).then_some(0),
            }?;
            let words = format!("the action mask allows nothing in component {nothing} of {space}");
            Some((Rule::MaskAllows, words))
        }
    }
}

/// What is wrong with a picture.
pub(crate) fn scene(scene: &Scene) -> Option<String> {
    let finite = |numbers: &[f64]| numbers.iter().all(|x| x.is_finite());
    for (name, [low, high]) in [("x", scene.x), ("y", scene.y)] {
        if !(finite(&[low, high]) && low < high) {
            return Some(format!("the scene shows {name} from {low} to {high}"));
        }
    }
    let drawable = |shape: &Shape| match shape {
        Shape::Polygon { points, .. } => finite(points.as_flattened()),
        Shape::Line { points, width, .. } => finite(points.as_flattened()) && finite(&[*width]),
        Shape::Circle { center, radius, .. } => finite(center) && finite(&[*radius]),
    };
    let bad = scene.shapes.iter().position(|shape| !drawable(shape))?;
    Some(format!("shape {bad} of the scene has a coordinate that is not finite"))
}
