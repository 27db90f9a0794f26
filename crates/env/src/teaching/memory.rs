//! A T-maze: what was seen at the start decides what is right at the end (after Bakker, 2002).

use serde::{Deserialize, Serialize};

use super::{exact, limited};
use crate::{
    BoxSpace, Discrete, Entry, Env, EnvError, EnvRng, Reset, Scene, Space, Step,
    options::Options,
    scene::{Rgb, WHITE},
    state,
};

/// A corridor with a junction at its end and a cue in its first cell, seen only there: −1 says that the
/// reward lies to the left, 1 to the right, each half of the time.
///
/// Observations: the cue, 0 elsewhere, and whether this is the junction. Actions: 0 forward, 1 left,
/// 2 right. Forward moves a cell; the right turn at the junction pays 1, the wrong one −1, and both end
/// the episode; running into a wall costs 0.1.
///
/// The optimal return is 1, by remembering the cue. Without memory every turn is a guess, and no policy
/// expects more than 0.
#[derive(Clone, Debug)]
pub struct Memory {
    length: usize,
    walk: Walk,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Walk {
    rng: EnvRng,
    place: Place,
    under_way: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    /// Cells from the start; the junction is `length`.
    cell: usize,
    reward_at: Side,
    /// Where the episode ended.
    turned: Option<Side>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Side {
    Left,
    Right,
}

const BUMP: f64 = -0.1;
const LENGTH: usize = 10;

impl Default for Memory {
    fn default() -> Self {
        Self::new(LENGTH)
    }
}

impl Memory {
    /// With this many steps from the cue to the junction, at least 1.
    pub fn new(length: usize) -> Self {
        let place = Place { cell: 0, reward_at: Side::Left, turned: None };
        let walk = Walk { rng: EnvRng::new(0), place, under_way: false };
        Self { length: length.max(1), walk }
    }

    fn see(&self, obs: &mut [f32]) {
        let Place { cell, reward_at, .. } = self.walk.place;
        let cue = match reward_at {
            Side::Left => -1.0,
            Side::Right => 1.0,
        };
        obs[0] = if cell == 0 { cue } else { 0.0 };
        obs[1] = if cell == self.length { 1.0 } else { 0.0 };
    }

    /// What comes of a turn.
    fn turn(&mut self, side: Side) -> Step {
        let place = &mut self.walk.place;
        if place.cell < self.length {
            return Step::going(BUMP);
        }
        place.turned = Some(side);
        self.walk.under_way = false;
        Step::terminated(if side == place.reward_at { 1.0 } else { -1.0 })
    }

    fn forward(&mut self) -> Step {
        if self.walk.place.cell == self.length {
            return Step::going(BUMP);
        }
        self.walk.place.cell += 1;
        Step::going(0.0)
    }
}

impl Env for Memory {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::new(vec![-1.0, 0.0], vec![1.0, 1.0]).expect("the bounds are in order").into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(3)
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = exact(obs, 2)?;
        Options::of_reset("Memory", reset, &[])?;
        if let Some(seed) = reset.seed {
            self.walk.rng = EnvRng::new(seed);
        }
        let left = self.walk.rng.random_f64() < 0.5;
        let reward_at = if left { Side::Left } else { Side::Right };
        self.walk.place = Place { cell: 0, reward_at, turned: None };
        self.walk.under_way = true;
        self.see(obs);
        Ok(())
    }

    fn step(&mut self, &action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        let obs = exact(obs, 2)?;
        if !self.walk.under_way {
            return Err(EnvError::NotReset);
        }
        let step = match action {
            0 => self.forward(),
            1 => self.turn(Side::Left),
            2 => self.turn(Side::Right),
            _ => return Err(EnvError::action_out_of_space(action, self.action_space())),
        };
        self.see(obs);
        Ok(step)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        state::save(&self.walk)
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        let walk: Walk = state::load(bytes)?;
        if walk.place.cell > self.length {
            let (cell, length) = (walk.place.cell, self.length);
            return Err(EnvError::BadState(format!("cell {cell} of a corridor of {length}")));
        }
        self.walk = walk;
        Ok(())
    }

    fn scene(&self) -> Option<Scene> {
        Some(draw(self.length, self.walk.place))
    }
}

/// The registry's entry of this name.
pub(super) fn entry(id: &'static str, steps: usize) -> Entry {
    let make = move |options: &toml::Table| {
        let options = Options::new("Memory", options);
        let length = options.count("length", LENGTH, 1..=200, "a whole number from 1 to 200")?;
        limited(Memory::new(length), steps)
    };
    Entry::new(id, "probe: turn at the corridor's end as its start said; optimal return 1", make)
        .max_episode_steps(steps)
        .option("length", LENGTH as i64, "steps from the cue to the junction")
}

const WALL: Rgb = [38, 50, 72];
const AGENT: Rgb = [129, 132, 203];
const GOOD: Rgb = [96, 170, 96];
const BAD: Rgb = [204, 77, 77];
const CUE: Rgb = [204, 204, 0];

/// The corridor from the left, its junction on the right; an arrow in the first cell is the cue.
fn draw(length: usize, place: Place) -> Scene {
    let end = length as f64;
    let sign = |side| if side == Side::Left { 1.0 } else { -1.0 };
    let mut scene = Scene::new([-1.0, end + 1.0], [-2.0, 2.0]);
    scene.background = WALL;
    scene.rectangle([-0.5, -0.5], [end + 0.5, 0.5], WHITE);
    for side in [Side::Left, Side::Right] {
        let color = if side == place.reward_at { GOOD } else { BAD };
        scene.rectangle([end - 0.5, sign(side) * 0.5], [end + 0.5, sign(side) * 1.5], color);
    }
    let (up, tip) = (0.1 * sign(place.reward_at), 0.45 * sign(place.reward_at));
    scene.polygon(vec![[-0.25, up], [0.25, up], [0.0, tip]], CUE);
    let y = place.turned.map_or(0.0, sign);
    scene.circle([place.cell as f64, y], 0.3, AGENT);
    scene
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The return of an episode, and its length, where `turn` chooses by the cue.
    fn episode(env: &mut Memory, turn: impl Fn(f32) -> usize) -> (f64, usize) {
        let mut obs = [0.0; 2];
        env.reset(&Reset::default(), &mut obs).unwrap();
        let (cue, mut total) = (obs[0], 0.0);
        for steps in 1.. {
            let action = if obs[1] == 1.0 { turn(cue) } else { 0 };
            let step = env.step(&action, &mut obs).unwrap();
            assert_eq!(obs[0], 0.0, "the cue is seen at the start only");
            total += step.reward;
            if step.ending.is_some() {
                return (total, steps);
            }
        }
        unreachable!()
    }

    #[test]
    fn whoever_remembers_gets_one_and_whoever_guesses_nothing() {
        let mut env = Memory::new(7);
        let remembering = |cue: f32| if cue < 0.0 { 1 } else { 2 };
        for _ in 0..100 {
            assert_eq!(episode(&mut env, remembering), (1.0, 8));
        }
        let guesses: f64 = (0..2000).map(|_| episode(&mut env, |_| 1).0).sum();
        // Five standard errors of the mean are 0.11.
        assert!((guesses / 2000.0).abs() < 0.11, "{guesses}");
    }

    #[test]
    fn walls_cost_and_stop() {
        let (mut env, mut obs) = (Memory::new(1), [0.0; 2]);
        env.reset(&Reset::seeded(0), &mut obs).unwrap();
        let first = obs;
        assert_eq!(env.step(&1, &mut obs).unwrap(), Step::going(BUMP));
        assert_eq!(obs, first);
        assert_eq!(env.step(&0, &mut obs).unwrap(), Step::going(0.0));
        assert_eq!(obs, [0.0, 1.0]);
        assert_eq!(env.step(&0, &mut obs).unwrap(), Step::going(BUMP));
        assert!(env.step(&2, &mut obs).unwrap().ending.is_some());
    }

    #[test]
    fn a_state_beyond_the_corridor_is_refused() {
        let (mut long, mut obs) = (Memory::new(9), [0.0; 2]);
        long.reset(&Reset::seeded(0), &mut obs).unwrap();
        (0..9).for_each(|_| assert_eq!(long.step(&0, &mut obs).unwrap(), Step::going(0.0)));
        let error = Memory::new(3).load_state(&long.save_state().unwrap()).unwrap_err();
        assert!(error.to_string().contains("cell 9 of a corridor of 3"), "{error}");
    }
}
