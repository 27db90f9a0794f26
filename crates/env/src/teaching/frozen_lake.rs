//! Gymnasium's FrozenLake: to the goal over slippery ice, around the holes.

use super::{
    GridRewards, GridWorld,
    grid_world::{DOWN, LEFT, Map, RIGHT, UP, slipping},
    limited,
};
use crate::{Entry, EnvError, options::Options};

/// Rewards for the goal, a hole, and any other step.
const SCHEDULE: [f64; 3] = [1.0, 0.0, 0.0];

impl GridWorld {
    /// FrozenLake's smaller map.
    pub const LAKE_4X4: [&'static str; 4] = ["SFFF", "FHFH", "FFFH", "HFFG"];

    /// FrozenLake's larger map.
    pub const LAKE_8X8: [&'static str; 8] = [
        "SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF",
        "FFFHFFFG",
    ];

    /// Gymnasium's FrozenLake: its order of moves (0 left, 1 down, 2 right, 3 up), its table and its
    /// draws, so that seeds and actions give its episodes. The rewards are those for the goal, a hole
    /// and any other step, usually 1, 0, 0; without a success rate the ice is not slippery.
    ///
    /// With the usual rate of 1/3 the optimal return is 0.744 within 100 steps on the 4×4 map, and
    /// 0.913 within 200 on the 8×8 one.
    ///
    /// # Errors
    /// As [`new`](Self::new); the letters are `S`, `F`, `H` and `G`.
    pub fn frozen_lake(
        map: &[impl AsRef<str>],
        success_rate: Option<f64>,
        [goal, hole, step]: [f64; 3],
    ) -> Result<Self, EnvError> {
        let chances = success_rate.map_or(vec![1.0], |rate| slipping(rate).to_vec());
        let rewards = GridRewards { goal, hole, step, cliff: step };
        let map = Map::new(map, "SFHG")?;
        Self::with_rules("FrozenLake", map, [LEFT, DOWN, RIGHT, UP], &chances, rewards)
    }
}

fn from_options(options: &toml::Table, usual_map: &'static str) -> Result<GridWorld, EnvError> {
    let options = Options::new("FrozenLake", options);
    let name = options.read("map_name", usual_map, "\"4x4\" or \"8x8\"", |value| {
        value.as_str().filter(|name| ["4x4", "8x8"].contains(name))
    })?;
    let named = if name == "4x4" { &GridWorld::LAKE_4X4[..] } else { &GridWorld::LAKE_8X8 };
    let drawn = options.texts("desc", &[])?;
    let rate = options.number_in("success_rate", 1.0 / 3.0, 0.0..=1.0, "a probability")?;
    let rate = options.flag("is_slippery", true)?.then_some(rate);
    let schedule = options
        .numbers("reward_schedule", &SCHEDULE)?
        .try_into()
        .map_err(|_| options.wrong("reward_schedule", "three rewards: goal, hole, other"))?;
    match drawn.as_slice() {
        [] => GridWorld::frozen_lake(named, rate, schedule),
        rows => GridWorld::frozen_lake(rows, rate, schedule),
    }
}

/// The registry's entry of this name.
pub(super) fn entry(id: &'static str, map: &'static str, steps: usize, threshold: f64) -> Entry {
    let make = move |options: &toml::Table| limited(from_options(options, map)?, steps);
    let nothing: Vec<toml::Value> = Vec::new();
    Entry::new(id, "cross a frozen lake without falling into a hole", make)
        .max_episode_steps(steps)
        .reward_threshold(threshold)
        .option("desc", nothing, "rows of S start, F frozen, H hole, G goal; none: `map_name`'s")
        .option("map_name", map, "\"4x4\" or \"8x8\"")
        .option("is_slippery", true, "whether moves can lead sideways")
        .option(
            "success_rate",
            1.0 / 3.0,
            "how probably a move on slippery ice leads where it should",
        )
        .option("reward_schedule", SCHEDULE.map(toml::Value::Float).to_vec(), "goal, hole, other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_returns_are_as_documented() {
        let best = |map: &[&str], rate, steps| {
            let lake = GridWorld::frozen_lake(map, rate, SCHEDULE).unwrap();
            lake.mdp().optimal_return(1.0, steps)
        };
        let slippery = Some(1.0 / 3.0);
        let small = best(&GridWorld::LAKE_4X4, slippery, 100);
        let large = best(&GridWorld::LAKE_8X8, slippery, 200);
        assert_eq!([small, large].map(|best| (best * 1000.0).round()), [744.0, 913.0]);
        assert_eq!(best(&GridWorld::LAKE_8X8, None, 14), 1.0);
        assert_eq!(best(&GridWorld::LAKE_8X8, None, 13), 0.0);
    }
}
