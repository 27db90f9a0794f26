//! Actions that stick.

use serde::{Deserialize, Serialize};

use super::{load, save, wrong_option};
use crate::{ActionKind, Env, EnvError, EnvRng, Reset, Space, Step};

/// The name of this wrapper's random stream: "sticky" in letters.
const STREAM: u64 = u64::from_be_bytes(*b"\0\0sticky");

/// With probability p a step repeats the action before it instead of taking the new one, so that no
/// fixed sequence of actions solves the task (Machado et al., 2018, use p = 0.25).
///
/// The chances come from a stream of the wrapper's own, named by the reset's seed; it runs on where
/// there is none. The first step of an episode, and a step whose mask no longer allows the action before
/// it, take the new one.
#[derive(Clone, Debug)]
pub struct StickyActions<E: Env> {
    env: E,
    space: Space,
    probability: f64,
    rng: EnvRng,
    /// Whether `last` is an action of this episode.
    under_way: bool,
    last: <E::Action as ToOwned>::Owned,
}

#[derive(Serialize, Deserialize)]
struct Own<A> {
    rng: EnvRng,
    under_way: bool,
    last: A,
}

impl<E: Env> StickyActions<E> {
    /// Repeats the last action with this probability.
    ///
    /// # Errors
    /// When it does not lie between 0 and 1.
    pub fn new(env: E, probability: f64) -> Result<Self, EnvError> {
        if !(0.0..=1.0).contains(&probability) {
            let expected = "between 0 and 1";
            return Err(wrong_option("StickyActions", "probability", probability, expected));
        }
        Ok(Self {
            space: env.action_space().into(),
            env,
            probability,
            rng: stream(0),
            under_way: false,
            last: Default::default(),
        })
    }

    /// The environment inside.
    pub fn inner(&self) -> &E {
        &self.env
    }
}

fn stream(seed: u64) -> EnvRng {
    EnvRng::from_entropy(&[seed, STREAM])
}

impl<E: Env> Env for StickyActions<E> {
    type Action = E::Action;

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(reset, obs)?;
        if let Some(seed) = reset.seed {
            self.rng = stream(seed);
        }
        self.under_way = false;
        Ok(())
    }

    fn step(&mut self, action: &E::Action, obs: &mut [f32]) -> Result<Step, EnvError> {
        // Wrong actions are refused even where they would not be taken.
        if !self.space.contains_action(action.erase()) {
            return Err(EnvError::action_out_of_space(action, &self.space));
        }
        let last: &E::Action = std::borrow::Borrow::borrow(&self.last);
        // A number is drawn in every step after the first, whatever the mask says.
        let stuck = self.under_way
            && self.rng.random_f64() < self.probability
            && self.space.allows(last.erase(), self.env.action_mask());
        if stuck {
            return self.env.step(last, obs);
        }
        let step = self.env.step(action, obs)?;
        action.clone_into(&mut self.last);
        self.under_way = true;
        Ok(step)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        let (rng, under_way) = (self.rng.clone(), self.under_way);
        save(&Own { rng, under_way, last: &self.last }, self.env.save_state())
    }

    fn load_state(&mut self, state: &[u8]) -> Result<(), EnvError> {
        let (own, inner) = load::<Own<<E::Action as ToOwned>::Owned>>(state)?;
        let last: &E::Action = std::borrow::Borrow::borrow(&own.last);
        if own.under_way && !self.space.contains_action(last.erase()) {
            let reason = format!("the last action was {last:?}, which is not in {}", self.space);
            return Err(EnvError::BadState(reason));
        }
        self.env.load_state(&inner)?;
        Own { rng: self.rng, under_way: self.under_way, last: self.last } = own;
        Ok(())
    }

    forward!(observation_space, action_space, action_mask, scene);
}
