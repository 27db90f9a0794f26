//! Name what you see: the smallest task that needs observations, and no planning.

use serde::{Deserialize, Serialize};

use super::{exact, limited, one_hot};
use crate::{
    Discrete, Entry, Env, EnvError, EnvRng, Reset, Scene, Space, Step, options::Options,
    scene::Rgb, state,
};

/// Shows one of n things, each with the same probability in every step, and pays 1 when the action is
/// the index of what was shown.
///
/// It never ends by itself; the optimal return is the number of steps: 100 within the registry's limit,
/// where actions at random get 100 / n.
#[derive(Clone, Debug)]
pub struct Identity {
    n: usize,
    game: Game,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Game {
    rng: EnvRng,
    /// What is shown; nothing while no episode is under way.
    shown: Option<usize>,
}

impl Default for Identity {
    fn default() -> Self {
        Self::new(4)
    }
}

impl Identity {
    /// With this many things, at least 1.
    pub fn new(n: usize) -> Self {
        Self { n: n.max(1), game: Game { rng: EnvRng::new(0), shown: None } }
    }

    fn show(&mut self, obs: &mut [f32]) {
        let next = (self.game.rng.random_f64() * self.n as f64) as usize;
        self.game.shown = Some(next);
        one_hot(obs, next);
    }
}

impl Env for Identity {
    type Action = usize;

    fn observation_space(&self) -> Space {
        Discrete::new(self.n).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(self.n)
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = exact(obs, self.n)?;
        Options::of_reset("Identity", reset, &[])?;
        if let Some(seed) = reset.seed {
            self.game.rng = EnvRng::new(seed);
        }
        self.show(obs);
        Ok(())
    }

    fn step(&mut self, &action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        let obs = exact(obs, self.n)?;
        let shown = self.game.shown.ok_or(EnvError::NotReset)?;
        if action >= self.n {
            return Err(EnvError::action_out_of_space(action, self.action_space()));
        }
        self.show(obs);
        Ok(Step::going(if action == shown { 1.0 } else { 0.0 }))
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        state::save(&self.game)
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        let game: Game = state::load(bytes)?;
        match game.shown {
            Some(bad) if bad >= self.n => {
                return Err(EnvError::BadState(format!("thing {bad} of {}", self.n)));
            }
            _ => self.game = game,
        }
        Ok(())
    }

    fn scene(&self) -> Option<Scene> {
        Some(draw(self.n, self.game.shown))
    }
}

/// The registry's entry of this name.
pub(super) fn entry(id: &'static str, steps: usize) -> Entry {
    let make = move |options: &toml::Table| {
        let options = Options::new("Identity", options);
        let n = options.count("n", 4, 1..=10_000, "a whole number from 1 to 10 000")?;
        limited(Identity::new(n), steps)
    };
    Entry::new(id, "probe: act as the observation says; optimal return 100", make)
        .max_episode_steps(steps)
        .option("n", 4, "how many things there are to tell apart")
}

const HIDDEN: Rgb = [205, 212, 226];
const SHOWN: Rgb = [204, 77, 77];

/// A row of discs, the one that is shown in red.
fn draw(n: usize, shown: Option<usize>) -> Scene {
    let mut scene = Scene::new([0.0, n as f64], [-0.5, 0.5]);
    for i in 0..n {
        scene.circle([i as f64 + 0.5, 0.0], 0.4, if shown == Some(i) { SHOWN } else { HIDDEN });
    }
    scene
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doing_as_it_says_pays_every_time_and_everything_is_shown() {
        let (mut env, mut obs) = (Identity::new(3), [0.0; 3]);
        env.reset(&Reset::seeded(0), &mut obs).unwrap();
        let mut counts = [0; 3];
        for _ in 0..3000 {
            let shown = obs.iter().position(|&x| x == 1.0).unwrap();
            counts[shown] += 1;
            assert_eq!(env.clone().step(&((shown + 1) % 3), &mut obs).unwrap(), Step::going(0.0));
            assert_eq!(env.step(&shown, &mut obs).unwrap(), Step::going(1.0));
        }
        // The standard deviation of a count is 26.
        assert!(counts.iter().all(|n| (870..1130).contains(n)), "{counts:?}");
    }

    #[test]
    fn a_state_of_a_larger_game_is_refused() {
        let (mut large, mut obs) = (Identity::new(50), [0.0; 50]);
        large.reset(&Reset::seeded(0), &mut obs).unwrap();
        let error = Identity::new(1).load_state(&large.save_state().unwrap()).unwrap_err();
        assert!(error.to_string().contains("of 1"), "{error}");
    }
}
