//! Gymnasium's CliffWalking (Sutton & Barto, example 6.6): along a cliff, and a fall leads back.

use super::{
    GridRewards, GridWorld,
    grid_world::{CLOCKWISE, Map},
    limited,
};
use crate::{AnyEnv, Entry, options::Options};

const MAP: [&str; 4] = ["FFFFFFFFFFFF", "FFFFFFFFFFFF", "FFFFFFFFFFFF", "SCCCCCCCCCCG"];
const REWARDS: GridRewards = GridRewards { goal: -1.0, hole: -1.0, cliff: -100.0, step: -1.0 };

impl GridWorld {
    /// Gymnasium's CliffWalking: its map, table and draws, so that seeds and actions give its episodes.
    /// Every step costs 1, a fall 100. On slippery ground two moves in three lead sideways.
    ///
    /// The optimal return is −13 on firm ground, within 13 steps or more.
    pub fn cliff_walking(slippery: bool) -> Self {
        let third = 1.0 / 3.0;
        let chances = if slippery { &[third; 3][..] } else { &[1.0] };
        Map::new(&MAP, "SFCG")
            .and_then(|map| Self::with_rules("CliffWalking", map, CLOCKWISE, chances, REWARDS))
            .expect("a rectangle with a start")
    }
}

/// The registry's entry of this name. Gymnasium gives it no time limit, so a policy that stands still
/// goes on for ever.
pub(super) fn entry(id: &'static str, slippery: bool) -> Entry {
    let make = move |options: &toml::Table| {
        let options = Options::new("CliffWalking", options);
        let env = GridWorld::cliff_walking(options.flag("is_slippery", slippery)?);
        match options.count("max_episode_steps", 0, 0..=usize::MAX, "a whole number, or 0")? {
            0 => Ok(AnyEnv::new(env)),
            steps => limited(env, steps),
        }
    };
    Entry::new(id, "walk along a cliff; optimal return on firm ground: -13", make)
        .option("is_slippery", slippery, "whether moves lead sideways two times in three")
        .option("max_episode_steps", 0, "when to truncate an episode; 0: never, as Gymnasium does")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_return_is_minus_thirteen() {
        let firm = GridWorld::cliff_walking(false);
        assert_eq!(firm.mdp().optimal_return(1.0, 13), -13.0);
        assert_eq!(firm.mdp().optimal_return(1.0, 1000), -13.0);
        let values = firm.mdp().optimal_values(1.0, 1000);
        assert_eq!(firm.mdp().greedy(&values, 1.0)[36], 0, "up first, then along the edge");
    }
}
