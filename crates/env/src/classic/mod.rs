//! Classic control, with Gymnasium's physics and numbers.

mod acrobot;
mod arm;
mod cartpole;
mod episode;
mod mountain_car;
mod mountain_car_continuous;
mod pendulum;
mod square;
mod trig;

pub use acrobot::{Acrobot, AcrobotParams};
pub use cartpole::CartPole;
pub use mountain_car::MountainCar;
pub use mountain_car_continuous::MountainCarContinuous;
pub use pendulum::Pendulum;

use crate::{
    Batch, BatchEnv, Entry, Env, EnvError, TimeLimit, VecEnv, VectorEnv, wrappers::limited,
};

/// The registry's entries for this folder, a line for each environment.
pub(crate) fn entries() -> Vec<Entry> {
    vec![
        cartpole::entry("CartPole-v1", 500, 475.0),
        cartpole::entry("CartPole-v0", 200, 195.0),
        pendulum::entry("Pendulum-v1", 200),
        mountain_car::entry("MountainCar-v0", 200, -110.0),
        mountain_car_continuous::entry("MountainCarContinuous-v0", 999, 90.0),
        acrobot::entry("Acrobot-v1", 500, -100.0),
    ]
}

/// Lanes of the environment with its time limit, stepped on arrays.
fn batched<E, const S: usize, const O: usize, const A: usize>(
    env: E,
    lanes: usize,
    steps: usize,
) -> Result<Box<dyn VectorEnv>, EnvError>
where
    E: Batch<S, O, A> + 'static,
{
    Ok(Box::new(BatchEnv::new(env, lanes, Some(steps))?))
}

/// Lanes of the environment with its time limit, stepped one after the other: for physics that draws
/// random numbers.
fn one_by_one<E: Env + Clone + 'static>(
    env: &E,
    lanes: usize,
    steps: usize,
) -> Result<Box<dyn VectorEnv>, EnvError> {
    let envs = (0..lanes).map(|_| TimeLimit::new(env.clone(), steps)).collect::<Result<_, _>>()?;
    Ok(Box::new(VecEnv::new(envs)?))
}
