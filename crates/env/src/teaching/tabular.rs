//! Any finite Markov decision process as an environment.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

use super::{exact, limited, mdp::categorical, one_hot};
use crate::{
    Discrete, Entry, Env, EnvError, EnvRng, Mdp, Outcome, Reset, Scene, Space, Step,
    options::Options,
    scene::{Point, Rgb},
    state,
};

/// Steps through an [`Mdp`]: the observation is the state, one-hot, and the actions are the table's.
/// Its optimal return is [`Mdp::optimal_return`].
///
/// ```
/// use elegante_env::{Env, Mdp, Outcome, Reset, Tabular};
///
/// let ends = vec![Outcome::terminated(1.0, 1, 5.0)];
/// let mdp = Mdp::new(vec![1.0, 0.0], vec![vec![ends.clone()], vec![ends]])?;
/// let (mut env, mut obs) = (Tabular::new(mdp), [0.0; 2]);
/// env.reset(&Reset::seeded(0), &mut obs)?;
/// assert_eq!(obs, [1.0, 0.0]);
/// assert_eq!(env.step(&0, &mut obs)?.reward, 5.0);
/// assert_eq!(obs, [0.0, 1.0]);
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tabular {
    /// What its errors call it.
    name: &'static str,
    mdp: Mdp,
    walk: Walk,
}

/// The generator, and the state that it has led to.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Walk {
    rng: EnvRng,
    /// Nothing while no episode is under way.
    state: Option<usize>,
    /// The last state, for the picture of an episode that has ended.
    shown: usize,
}

impl Tabular {
    /// Episodes of this process.
    pub fn new(mdp: Mdp) -> Self {
        Self::named("Tabular", mdp)
    }

    pub(super) fn named(name: &'static str, mdp: Mdp) -> Self {
        Self { name, mdp, walk: Walk { rng: EnvRng::new(0), state: None, shown: 0 } }
    }

    /// The table.
    pub fn mdp(&self) -> &Mdp {
        &self.mdp
    }

    /// The state; `None` while no episode is under way.
    pub fn state(&self) -> Option<usize> {
        self.walk.state
    }

    /// The last state, whether or not it ended the episode.
    pub(super) fn shown(&self) -> usize {
        self.walk.shown
    }
}

impl Env for Tabular {
    type Action = usize;

    fn observation_space(&self) -> Space {
        Discrete::new(self.mdp.states()).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(self.mdp.actions())
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = exact(obs, self.mdp.states())?;
        Options::of_reset(self.name, reset, &[])?;
        if let Some(seed) = reset.seed {
            self.walk.rng = EnvRng::new(seed);
        }
        let u = self.walk.rng.random_f64();
        let state = categorical(self.mdp.start().iter().copied(), u);
        (self.walk.state, self.walk.shown) = (Some(state), state);
        one_hot(obs, state);
        Ok(())
    }

    #[inline]
    fn step(&mut self, &action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        let obs = exact(obs, self.mdp.states())?;
        let state = self.walk.state.ok_or(EnvError::NotReset)?;
        if !self.action_space().contains(action) {
            return Err(EnvError::action_out_of_space(action, self.action_space()));
        }
        let outcomes = self.mdp.outcomes(state, action);
        // Gymnasium draws even where there is no choice, and so the streams keep together.
        let u = self.walk.rng.random_f64();
        let Outcome { next, reward, ending, .. } =
            outcomes[categorical(outcomes.iter().map(|o| o.probability), u)];
        (self.walk.state, self.walk.shown) = (ending.is_none().then_some(next), next);
        one_hot(obs, next);
        Ok(Step { reward, ending })
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        state::save(&self.walk)
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        let walk: Walk = state::load(bytes)?;
        let states = self.mdp.states();
        if let Some(bad) =
            [walk.state, Some(walk.shown)].into_iter().flatten().find(|&s| s >= states)
        {
            return Err(EnvError::BadState(format!("state {bad} of {states}")));
        }
        self.walk = walk;
        Ok(())
    }

    fn scene(&self) -> Option<Scene> {
        Some(draw(&self.mdp, self.walk.shown))
    }
}

/// Take a little now, or invest and wait: in state 0 action 0 pays 1 and ends, action 1 leads to state
/// 1; there action 1 pays 3 and ends with probability 0.8, and otherwise, like action 0, leads back.
/// The best return is 3, to within 10⁻³⁰ in 100 steps; the short-sighted get 1.
fn patience() -> Mdp {
    let back = vec![Outcome::going(1.0, 0, 0.0)];
    let risk = vec![Outcome::terminated(0.8, 1, 3.0), Outcome::going(0.2, 0, 0.0)];
    let take = vec![Outcome::terminated(1.0, 0, 1.0)];
    let invest = vec![Outcome::going(1.0, 1, 0.0)];
    Mdp::new(vec![1.0, 0.0], vec![vec![take, invest], vec![back, risk]])
        .expect("probabilities that add up to 1")
}

/// The registry's entry of this name.
pub(super) fn entry(id: &'static str, steps: usize) -> Entry {
    let usual = patience();
    let written = |part: &str| {
        let table = toml::Table::try_from(&usual).expect("numbers and words can be written");
        table[part].clone()
    };
    let (start, transitions) = (written("start"), written("transitions"));
    let defaults = [("start", start.clone()), ("transitions", transitions.clone())];
    let make = move |given: &toml::Table| {
        let options = Options::new("Tabular", given);
        let table = |name, default: &toml::Value| {
            let list = |value: &toml::Value| value.is_array().then(|| value.clone());
            options.read(name, default.clone(), "a list", list)
        };
        let mut read = toml::Table::new();
        for (name, default) in &defaults {
            read.insert((*name).to_owned(), table(name, default)?);
        }
        let mdp = read.try_into::<Mdp>().map_err(|e| EnvError::Transitions(e.message().into()))?;
        limited(Tabular::new(mdp), steps)
    };
    Entry::new(
        id,
        "a Markov decision process from a table; by itself: take 1 now or wait for 3",
        make,
    )
    .max_episode_steps(steps)
    .option("start", start, "the probability of starting in each state")
    .option(
        "transitions",
        transitions,
        "[state][action]: a list of {probability, next, reward, ending = \"terminated\"}",
    )
}

const STATE: Rgb = [205, 212, 226];
const HERE: Rgb = [204, 77, 77];
const EDGE: Rgb = [129, 132, 203];

/// The states on a ring, lines between those that lead to each other, the current one filled.
fn draw(mdp: &Mdp, here: usize) -> Scene {
    let states = mdp.states();
    let radius = (2.0 / states as f64).min(0.25);
    let at = |state: usize| -> Point {
        let (sin, cos) = (TAU * state as f64 / states as f64).sin_cos();
        [sin, cos]
    };
    let mut scene = Scene::new([-1.4, 1.4], [-1.4, 1.4]);
    for state in 0..states {
        for outcome in (0..mdp.actions()).flat_map(|action| mdp.outcomes(state, action)) {
            scene.line(vec![at(state), at(outcome.next)], 0.01, EDGE);
        }
    }
    for state in 0..states {
        scene.circle(at(state), radius, if state == here { HERE } else { STATE });
    }
    scene
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_pays_three() {
        let mdp = patience();
        assert!((mdp.optimal_return(1.0, 100) - 3.0).abs() < 1e-12);
        assert_eq!(mdp.greedy(&mdp.optimal_values(0.9, 100), 0.9), [1, 1]);
        // Whoever is too impatient takes the 1.
        assert_eq!(mdp.greedy(&mdp.optimal_values(0.3, 100), 0.3)[0], 0);
        assert_eq!(mdp.optimal_return(0.3, 100), 1.0);
    }
}
