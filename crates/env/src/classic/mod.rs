//! Classic control, with Gymnasium's physics and numbers.

mod cartpole;

pub use cartpole::CartPole;

use crate::{AnyEnv, Entry, Env, EnvError, TimeLimit};

/// The registry's entries for this folder, a line for each environment.
pub(crate) fn entries() -> Vec<Entry> {
    vec![cartpole::entry("CartPole-v1", 500, 475.0), cartpole::entry("CartPole-v0", 200, 195.0)]
}

/// The environment with its time limit around it, in a box.
fn limited(env: impl Env + 'static, steps: usize) -> Result<AnyEnv, EnvError> {
    Ok(AnyEnv::new(TimeLimit::new(env, steps)?))
}
