//! Classic control, with Gymnasium's physics and numbers.

mod acrobot;
mod cartpole;
mod episode;
mod mountain_car;
mod mountain_car_continuous;
mod pendulum;

pub use acrobot::{Acrobot, AcrobotParams};
pub use cartpole::CartPole;
pub use mountain_car::MountainCar;
pub use mountain_car_continuous::MountainCarContinuous;
pub use pendulum::Pendulum;

use crate::{Entry, wrappers::limited};

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
