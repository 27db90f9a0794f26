//! Small worlds for probing an algorithm and for teaching one. Each states its optimal return.

mod bandit;
mod cliff_walking;
mod frozen_lake;
mod grid_world;
mod identity;
mod identity_continuous;
mod mdp;
mod memory;
mod tabular;

pub use bandit::Bandit;
pub use grid_world::{GridRewards, GridWorld};
pub use identity::Identity;
pub use identity_continuous::IdentityContinuous;
pub use mdp::{Mdp, Outcome};
pub use memory::Memory;
pub use tabular::Tabular;

use crate::{Entry, EnvError, wrappers::limited};

/// The registry's entries for this folder, a line for each environment.
pub(crate) fn entries() -> Vec<Entry> {
    vec![
        bandit::entry("Bandit-v0"),
        identity::entry("Identity-v0", 100),
        identity_continuous::entry("IdentityContinuous-v0", 100),
        memory::entry("Memory-v0", 500),
        tabular::entry("Tabular-v0", 100),
        grid_world::entry("GridWorld-v0", 100),
        frozen_lake::entry("FrozenLake-v1", "4x4", 100, 0.70),
        frozen_lake::entry("FrozenLake8x8-v1", "8x8", 200, 0.85),
        cliff_walking::entry("CliffWalking-v1", false),
        cliff_walking::entry("CliffWalkingSlippery-v1", true),
    ]
}

/// The caller's slice, if it has `expected` entries.
fn exact(obs: &mut [f32], expected: usize) -> Result<&mut [f32], EnvError> {
    match obs.len() {
        given if given == expected => Ok(obs),
        given => Err(EnvError::Length { what: "obs", given, expected }),
    }
}

/// Writes which one of many it is.
fn one_hot(obs: &mut [f32], index: usize) {
    obs.fill(0.0);
    obs[index] = 1.0;
}
