//! Walking on a grid: any map, any rewards, on firm or slippery ground.

use super::{Tabular, limited};
use crate::{
    Discrete, Entry, Env, EnvError, Mdp, Outcome, Reset, Scene, Space, Step,
    options::Options,
    scene::{BLACK, Rgb},
};

/// What a step pays, by the tile that it ends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridRewards {
    /// For the goal.
    pub goal: f64,
    /// For falling into a hole.
    pub hole: f64,
    /// For falling off a cliff.
    pub cliff: f64,
    /// For any other step.
    pub step: f64,
}

impl Default for GridRewards {
    /// Those of Russell and Norvig's grid.
    fn default() -> Self {
        Self { goal: 1.0, hole: -1.0, cliff: -1.0, step: -0.04 }
    }
}

/// A map of tiles, a line for each row from the top: `S` start, `G` goal, `H` hole, `C` cliff, `#`
/// wall, and `F` or `.` for ground.
///
/// Observations: the tile, one-hot, counted along the rows. Actions: 0 up, 1 right, 2 down, 3 left;
/// with the success rate p they lead where they say, with (1 − p) / 2 each to the left and to the right
/// of that. Whoever runs into a wall or the edge stays. The goal and holes end the episode, a cliff
/// leads back to the (first) start, and where there are several starts each is as probable.
///
/// The optimal return is [`Mdp::optimal_return`] of [`mdp`](Self::mdp). The usual map is Russell and
/// Norvig's (Artificial Intelligence, chapter 17) with their 0.8 and −0.04, where it is 0.745; they say
/// 0.705 because they charge the last step too.
///
/// ```
/// use elegante_env::{Env, GridRewards, GridWorld, Reset};
///
/// let mut env = GridWorld::new(&["S.G"], 1.0, GridRewards::default())?;
/// let mut obs = [0.0; 3];
/// env.reset(&Reset::seeded(0), &mut obs)?;
/// env.step(&1, &mut obs)?;
/// assert_eq!(env.step(&1, &mut obs)?.reward, 1.0);
/// assert_eq!(env.mdp().optimal_return(1.0, 100), 0.96);
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GridWorld {
    map: Map,
    tabular: Tabular,
}

const USUAL: [&str; 3] = ["...G", ".#.H", "S..."];

impl Default for GridWorld {
    fn default() -> Self {
        Self::new(&USUAL, 0.8, GridRewards::default()).expect("a rectangle with a start")
    }
}

impl GridWorld {
    /// On this map, with this success rate of moves.
    ///
    /// # Errors
    /// When the map is no rectangle, has a letter that means nothing or no start, the success rate is
    /// no probability, or a reward is not finite.
    pub fn new(
        map: &[impl AsRef<str>],
        success_rate: f64,
        rewards: GridRewards,
    ) -> Result<Self, EnvError> {
        let firm = [1.0];
        let slippery = slipping(success_rate);
        let chances = if success_rate == 1.0 { firm.as_slice() } else { &slippery };
        Self::with_rules("GridWorld", Map::new(map, "SGHC#F.")?, CLOCKWISE, chances, rewards)
    }

    /// With moves in another order, each along with its neighbours in that order.
    pub(super) fn with_rules(
        name: &'static str,
        map: Map,
        moves: [Move; 4],
        chances: &[f64],
        rewards: GridRewards,
    ) -> Result<Self, EnvError> {
        let tabular = Tabular::named(name, map.mdp(moves, chances, rewards)?);
        Ok(Self { map, tabular })
    }

    /// The table of its transitions.
    pub fn mdp(&self) -> &Mdp {
        self.tabular.mdp()
    }

    /// The tile, counted along the rows from the top; `None` while no episode is under way.
    pub fn tile(&self) -> Option<usize> {
        self.tabular.state()
    }
}

/// Rows down, columns to the right.
pub(super) type Move = (isize, isize);

pub(super) const UP: Move = (-1, 0);
pub(super) const RIGHT: Move = (0, 1);
pub(super) const DOWN: Move = (1, 0);
pub(super) const LEFT: Move = (0, -1);
pub(super) const CLOCKWISE: [Move; 4] = [UP, RIGHT, DOWN, LEFT];

/// The chances of the move before the chosen one, of the chosen one, and of the one after it.
pub(super) fn slipping(success_rate: f64) -> [f64; 3] {
    let fail_rate = (1.0 - success_rate) / 2.0;
    [fail_rate, success_rate, fail_rate]
}

/// A rectangle of tiles.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Map {
    tiles: Vec<u8>,
    columns: usize,
}

impl Map {
    /// From lines made of these letters.
    pub(super) fn new(lines: &[impl AsRef<str>], letters: &str) -> Result<Self, EnvError> {
        let wrong = |reason: String| Err(EnvError::Transitions(reason));
        let columns = lines.first().map_or(0, |line| line.as_ref().len());
        let mut tiles = Vec::new();
        for (row, line) in lines.iter().map(AsRef::as_ref).enumerate() {
            if let Some(letter) = line.chars().find(|&letter| !letters.contains(letter)) {
                return wrong(format!("`{letter}` in row {row} of the map is none of {letters}"));
            }
            if line.len() != columns {
                return wrong(format!("row {row} of the map is not as long as row 0"));
            }
            tiles.extend(line.bytes());
        }
        if !tiles.contains(&b'S') {
            return wrong("the map has no start, `S`".into());
        }
        Ok(Self { tiles, columns })
    }

    fn rows(&self) -> usize {
        self.tiles.len() / self.columns
    }

    /// The tile that a move leads to, which may be the same.
    fn moved(&self, tile: usize, (down, right): Move) -> usize {
        let along = |at: usize, by: isize, len: usize| at.saturating_add_signed(by).min(len - 1);
        let row = along(tile / self.columns, down, self.rows());
        let column = along(tile % self.columns, right, self.columns);
        let to = row * self.columns + column;
        if self.tiles[to] == b'#' { tile } else { to }
    }

    fn mdp(
        &self,
        moves: [Move; 4],
        chances: &[f64],
        rewards: GridRewards,
    ) -> Result<Mdp, EnvError> {
        let starts = self.tiles.iter().filter(|&&tile| tile == b'S').count() as f64;
        let start = self.tiles.iter().map(|&tile| if tile == b'S' { 1.0 / starts } else { 0.0 });
        let first = self.tiles.iter().position(|&tile| tile == b'S').unwrap_or(0);
        let enter = |probability, tile: usize| match self.tiles[tile] {
            b'G' => Outcome::terminated(probability, tile, rewards.goal),
            b'H' => Outcome::terminated(probability, tile, rewards.hole),
            b'C' => Outcome::going(probability, first, rewards.cliff),
            _ => Outcome::going(probability, tile, rewards.step),
        };
        let outcomes = |tile: usize, action: usize| match self.tiles[tile] {
            b'G' | b'H' => vec![Outcome::terminated(1.0, tile, 0.0)],
            _ => {
                let turns = (4 - chances.len() / 2..).map(|turn| moves[(action + turn) % 4]);
                chances.iter().zip(turns).map(|(&p, way)| enter(p, self.moved(tile, way))).collect()
            }
        };
        let table = (0..self.tiles.len()).map(|tile| (0..4).map(|a| outcomes(tile, a)).collect());
        Mdp::new(start.collect(), table.collect())
    }
}

impl Env for GridWorld {
    type Action = usize;

    fn observation_space(&self) -> Space {
        self.tabular.observation_space()
    }

    fn action_space(&self) -> Discrete {
        self.tabular.action_space()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.tabular.reset(reset, obs)
    }

    #[inline]
    fn step(&mut self, action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.tabular.step(action, obs)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        self.tabular.save_state()
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        self.tabular.load_state(bytes)
    }

    fn scene(&self) -> Option<Scene> {
        Some(draw(&self.map, self.tabular.shown()))
    }
}

/// The registry's entry of this name.
pub(super) fn entry(id: &'static str, steps: usize) -> Entry {
    let usual = GridRewards::default();
    let make = move |options: &toml::Table| {
        let options = Options::new("GridWorld", options);
        let success_rate = options.number_in("success_rate", 0.8, 0.0..=1.0, "a probability")?;
        let rewards = GridRewards {
            goal: options.number("reward_goal", usual.goal)?,
            hole: options.number("reward_hole", usual.hole)?,
            cliff: options.number("reward_cliff", usual.cliff)?,
            step: options.number("reward_step", usual.step)?,
        };
        limited(GridWorld::new(&options.texts("map", &USUAL)?, success_rate, rewards)?, steps)
    };
    Entry::new(
        id,
        "walk to the goal on a map of your own; optimal return of the usual one: 0.745",
        make,
    )
    .max_episode_steps(steps)
    .option("map", USUAL.to_vec(), "rows of S start, G goal, H hole, C cliff, # wall, . ground")
    .option("success_rate", 0.8, "how probably a move leads where it should; else sideways")
    .option("reward_goal", usual.goal, "for reaching the goal")
    .option("reward_hole", usual.hole, "for falling into a hole, which ends the episode")
    .option("reward_cliff", usual.cliff, "for falling off a cliff, back to the start")
    .option("reward_step", usual.step, "for any other step")
}

const GROUND: Rgb = [226, 236, 242];
const START: Rgb = [250, 236, 190];
const GOAL: Rgb = [176, 219, 176];
const HOLE: Rgb = [38, 50, 72];
const CLIFF: Rgb = [138, 98, 74];
const WALL: Rgb = [110, 116, 128];
const AGENT: Rgb = [204, 77, 77];
const FLAG: Rgb = [204, 204, 0];

/// The tiles, a flag on the goal, and the walker.
fn draw(map: &Map, here: usize) -> Scene {
    let (rows, columns) = (map.rows(), map.columns);
    let corner = |tile: usize| [(tile % columns) as f64, (rows - 1 - tile / columns) as f64];
    let mut scene = Scene::new([0.0, columns as f64], [0.0, rows as f64]);
    for (tile, letter) in map.tiles.iter().enumerate() {
        let [x, y] = corner(tile);
        let color = match letter {
            b'S' => START,
            b'G' => GOAL,
            b'C' => CLIFF,
            b'#' => WALL,
            _ => GROUND,
        };
        scene.rectangle([x + 0.02, y + 0.02], [x + 0.98, y + 0.98], color);
        match letter {
            b'H' => scene.circle([x + 0.5, y + 0.5], 0.36, HOLE),
            b'G' => {
                scene.line(vec![[x + 0.3, y + 0.15], [x + 0.3, y + 0.85]], 0.04, BLACK);
                let cloth = [[x + 0.3, y + 0.85], [x + 0.3, y + 0.5], [x + 0.75, y + 0.675]];
                scene.polygon(cloth.to_vec(), FLAG);
            }
            _ => {}
        }
    }
    let [x, y] = corner(here);
    scene.circle([x + 0.5, y + 0.5], 0.26, AGENT);
    scene
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(map: &[&str], success_rate: f64) -> String {
        GridWorld::new(map, success_rate, GridRewards::default()).unwrap_err().to_string()
    }

    #[test]
    fn impossible_maps_are_refused_in_words() {
        assert_eq!(
            refused(&["S?"], 1.0),
            "transitions: `?` in row 0 of the map is none of SGHC#F."
        );
        assert_eq!(
            refused(&["S.", "..."], 1.0),
            "transitions: row 1 of the map is not as long as row 0"
        );
        assert_eq!(refused(&["..."], 1.0), "transitions: the map has no start, `S`");
        assert!(refused(&[], 1.0).contains("no start"));
        assert!(refused(&["S.é"], 1.0).contains("`é`"));
        assert!(refused(&["SG"], 1.5).contains("-0.25 is not a probability"));
        assert!(refused(&["SG"], f64::NAN).contains("NaN is not a probability"));
    }

    #[test]
    fn russell_and_norvigs_grid_has_their_utilities() {
        let world = GridWorld::default();
        let values = world.mdp().optimal_values(1.0, 100);
        // Theirs, rounded to three digits, charge the last step as well.
        let theirs = [0.812, 0.868, 0.918, 0.762, 0.660, 0.705, 0.655, 0.611, 0.388];
        let tiles = [0, 1, 2, 4, 6, 8, 9, 10, 11];
        for (tile, theirs) in tiles.into_iter().zip(theirs) {
            let ours = values[tile] - 0.04;
            assert!((ours - theirs).abs() < 6e-4, "tile {tile}: {ours}, not {theirs}");
        }
        let best = world.mdp().greedy(&values, 1.0);
        assert_eq!(
            [8, 4, 0, 1, 2].map(|tile| best[tile]),
            [0, 0, 1, 1, 1],
            "up, and along the top"
        );
        assert_eq!(best[9], 3, "back to the left, away from the hole");
    }

    #[test]
    fn every_kind_of_tile_does_what_it_says() {
        let world = GridWorld::new(&["S.C", "#HG"], 1.0, GridRewards::default()).unwrap();
        let next = |tile, action| world.mdp().outcomes(tile, action).to_vec();
        assert_eq!(next(0, 1), [Outcome::going(1.0, 1, -0.04)]);
        assert_eq!(next(0, 2), [Outcome::going(1.0, 0, -0.04)], "a wall");
        assert_eq!(next(0, 3), [Outcome::going(1.0, 0, -0.04)], "the edge");
        assert_eq!(next(1, 2), [Outcome::terminated(1.0, 4, -1.0)], "a hole");
        assert_eq!(next(1, 1), [Outcome::going(1.0, 0, -1.0)], "a cliff");
        assert_eq!(next(2, 2), [Outcome::terminated(1.0, 5, 1.0)], "the goal");

        let slippery = GridWorld::new(&["S.."], 0.5, GridRewards::default()).unwrap();
        let chances: Vec<_> =
            slippery.mdp().outcomes(1, 0).iter().map(|o| (o.probability, o.next)).collect();
        assert_eq!(chances, [(0.25, 0), (0.5, 1), (0.25, 2)], "up slips to the left and right");
    }
}
