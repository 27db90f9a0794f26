//! Repeat a number: the smallest task for continuous actions.

use serde::{Deserialize, Serialize};

use super::{exact, limited};
use crate::{
    BoxSpace, Entry, Env, EnvError, EnvRng, Reset, Scene, Space, Step,
    options::Options,
    scene::{BLACK, Rgb},
    state,
};

/// Shows numbers x, uniform in [−1, 1], new ones in every step, and pays −‖a − x‖² for the action a,
/// which is clipped to [−1, 1].
///
/// It never ends by itself; the optimal return is 0, by a = x. Always doing nothing gets −1/3 a step
/// and dimension.
#[derive(Clone, Debug)]
pub struct IdentityContinuous {
    dims: usize,
    game: Game,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Game {
    rng: EnvRng,
    /// What is shown, `[dims]`.
    shown: Vec<f32>,
    under_way: bool,
}

impl Default for IdentityContinuous {
    fn default() -> Self {
        Self::new(1)
    }
}

impl IdentityContinuous {
    /// With this many numbers, at least 1.
    pub fn new(dims: usize) -> Self {
        let dims = dims.max(1);
        let game = Game { rng: EnvRng::new(0), shown: vec![0.0; dims], under_way: false };
        Self { dims, game }
    }

    fn show(&mut self, obs: &mut [f32]) {
        let Game { rng, shown, .. } = &mut self.game;
        shown.fill_with(|| rng.uniform(-1.0, 1.0) as f32);
        obs.copy_from_slice(shown);
    }
}

impl Env for IdentityContinuous {
    type Action = [f32];

    fn observation_space(&self) -> Space {
        self.action_space().into()
    }

    fn action_space(&self) -> BoxSpace {
        BoxSpace::symmetric(vec![1.0; self.dims])
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = exact(obs, self.dims)?;
        Options::of_reset("IdentityContinuous", reset, &[])?;
        if let Some(seed) = reset.seed {
            self.game.rng = EnvRng::new(seed);
        }
        self.game.under_way = true;
        self.show(obs);
        Ok(())
    }

    fn step(&mut self, action: &[f32], obs: &mut [f32]) -> Result<Step, EnvError> {
        let obs = exact(obs, self.dims)?;
        if !self.game.under_way {
            return Err(EnvError::NotReset);
        }
        if action.len() != self.dims {
            let given = action.len();
            return Err(EnvError::Length { what: "action", given, expected: self.dims });
        }
        if action.iter().any(|a| !a.is_finite()) {
            return Err(EnvError::action_out_of_space(action, self.action_space()));
        }
        let off = |(a, x): (&f32, &f32)| f64::from(a.clamp(-1.0, 1.0)) - f64::from(*x);
        let squares = action.iter().zip(&self.game.shown).map(off).map(|d| d * d);
        let reward = 0.0 - squares.sum::<f64>();
        self.show(obs);
        Ok(Step::going(reward))
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        state::save(&self.game)
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        let game: Game = state::load(bytes)?;
        if game.shown.len() != self.dims || game.shown.iter().any(|x| !x.is_finite()) {
            let (given, dims) = (&game.shown, self.dims);
            return Err(EnvError::BadState(format!("{given:?}, where {dims} numbers belong")));
        }
        self.game = game;
        Ok(())
    }

    fn scene(&self) -> Option<Scene> {
        Some(draw(&self.game.shown))
    }
}

/// The registry's entry of this name.
pub(super) fn entry(id: &'static str, steps: usize) -> Entry {
    let make = move |options: &toml::Table| {
        let options = Options::new("IdentityContinuous", options);
        let dims = options.count("dims", 1, 1..=10_000, "a whole number from 1 to 10 000")?;
        limited(IdentityContinuous::new(dims), steps)
    };
    Entry::new(id, "probe: repeat the numbers of the observation; optimal return 0", make)
        .max_episode_steps(steps)
        .option("dims", 1, "how many numbers there are")
}

const SHOWN: Rgb = [204, 77, 77];

/// A line from −1 to 1 for each number, and the number on it.
fn draw(shown: &[f32]) -> Scene {
    let mut scene = Scene::new([-1.2, 1.2], [-0.4 * shown.len() as f64, 0.4]);
    for (i, &x) in shown.iter().enumerate() {
        let y = -0.4 * i as f64;
        scene.line(vec![[-1.0, y], [1.0, y]], 0.01, BLACK);
        scene.line(vec![[0.0, y - 0.05], [0.0, y + 0.05]], 0.01, BLACK);
        scene.circle([f64::from(x), y], 0.08, SHOWN);
    }
    scene
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeating_is_best_and_the_distance_is_squared() {
        let (mut env, mut obs) = (IdentityContinuous::new(2), [0.0; 2]);
        env.reset(&Reset::seeded(0), &mut obs).unwrap();
        let mut nothing = 0.0;
        for _ in 0..3000 {
            nothing += env.clone().step(&[0.0, 0.0], &mut [0.0; 2]).unwrap().reward;
            let near = [obs[0] * 0.5, obs[1]];
            let off = f64::from(obs[0] - near[0]);
            let reward = env.clone().step(&near, &mut [0.0; 2]).unwrap().reward;
            assert!((reward + off * off).abs() < 1e-12, "{reward} for being off by {off}");
            let action = obs;
            assert_eq!(env.step(&action, &mut obs).unwrap(), Step::going(0.0));
        }
        // −1/3 a dimension; five standard errors are 0.04.
        assert!((nothing / 3000.0 + 2.0 / 3.0).abs() < 0.04, "{nothing}");
        env.game.shown = vec![1.0, -1.0];
        assert_eq!(env.step(&[9.0, -2.0], &mut obs).unwrap().reward, 0.0, "actions are clipped");
    }
}
