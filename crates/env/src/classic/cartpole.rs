//! Balance a pole on a cart that is pushed left or right (Barto, Sutton & Anderson, 1983).

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::{episode::sized, limited};
use crate::{
    BoxSpace, Discrete, Entry, Env, EnvError, EnvRng, Reset, Scene, Space, Step,
    options::{LOW_HIGH, Options},
    scene::{BLACK, Rgb},
    state,
};

const GRAVITY: f64 = 9.8;
const MASS_CART: f64 = 1.0;
const MASS_POLE: f64 = 0.1;
const TOTAL_MASS: f64 = MASS_POLE + MASS_CART;
/// Half of the pole's length.
const LENGTH: f64 = 0.5;
const POLE_MASS_LENGTH: f64 = MASS_POLE * LENGTH;
const FORCE: f64 = 10.0;
/// Seconds between two steps.
const TAU: f64 = 0.02;

/// 12° in radians.
const THETA_LIMIT: f64 = 12.0 * 2.0 * PI / 360.0;
const X_LIMIT: f64 = 2.4;

/// Gymnasium's CartPole: initial states, physics and rewards are the same to the last bit, wherever
/// the platform's sine and cosine are NumPy's (on Linux they are).
///
/// Actions: 0 pushes left, 1 right. Observations: position, velocity, angle, angular velocity, each
/// the f32 rounding of the f64 state. Reward: 1 for every step, the last one included; with
/// `sutton_barto_reward` 0, and −1 for the step that ends the episode. It ends when the cart leaves
/// ±2.4 or the pole ±12°. Reset options: `low` and `high`, bounds of the uniform initial state.
///
/// ```
/// use elegante_env::{CartPole, Env, Reset};
///
/// let mut env = CartPole::default();
/// let mut obs = [0.0; 4];
/// env.reset(&Reset::seeded(42), &mut obs)?;
/// assert_eq!(obs, [0.027395604, -0.006112156, 0.035859793, 0.019736802]); // Gymnasium's seed 42
/// assert_eq!(env.step(&1, &mut obs)?.reward, 1.0);
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CartPole {
    sutton_barto_reward: bool,
    rng: EnvRng,
    /// x, ẋ, θ, θ̇; nothing while no episode is under way.
    state: Option<[f64; 4]>,
    /// The last state, for the picture of an episode that has ended.
    shown: [f64; 4],
}

impl Default for CartPole {
    fn default() -> Self {
        Self::new(false)
    }
}

impl CartPole {
    /// With the reward of Sutton & Barto's book (0, and −1 at the end) or Gymnasium's usual 1.
    pub fn new(sutton_barto_reward: bool) -> Self {
        Self { sutton_barto_reward, rng: EnvRng::new(0), state: None, shown: [0.0; 4] }
    }

    /// The state x, ẋ, θ, θ̇ (metres, radians, seconds); `None` while no episode is under way.
    pub fn state(&self) -> Option<[f64; 4]> {
        self.state
    }

    /// Goes on from this state, whether or not an episode was under way.
    ///
    /// # Errors
    /// When a number is not finite.
    pub fn set_state(&mut self, state: [f64; 4]) -> Result<(), EnvError> {
        if let Some(bad) = state.iter().find(|x| !x.is_finite()) {
            return Err(EnvError::BadState(format!("{bad} among x, ẋ, θ, θ̇")));
        }
        (self.state, self.shown) = (Some(state), state);
        Ok(())
    }
}

/// One Euler step of the physics, in Gymnasium's order of operations: any other rounds differently,
/// and the pole multiplies the difference by e⁴ every second.
#[inline]
fn advance([x, x_dot, theta, theta_dot]: [f64; 4], force: f64) -> [f64; 4] {
    let (sin, cos) = theta.sin_cos();
    let temp = (force + POLE_MASS_LENGTH * (theta_dot * theta_dot) * sin) / TOTAL_MASS;
    let theta_acc = (GRAVITY * sin - cos * temp)
        / (LENGTH * (4.0 / 3.0 - MASS_POLE * (cos * cos) / TOTAL_MASS));
    let x_acc = temp - POLE_MASS_LENGTH * theta_acc * cos / TOTAL_MASS;
    [x + TAU * x_dot, x_dot + TAU * x_acc, theta + TAU * theta_dot, theta_dot + TAU * theta_acc]
}

fn fallen([x, _, theta, _]: [f64; 4]) -> bool {
    !(-X_LIMIT..=X_LIMIT).contains(&x) || !(-THETA_LIMIT..=THETA_LIMIT).contains(&theta)
}

impl Env for CartPole {
    type Action = usize;

    fn observation_space(&self) -> Space {
        // Twice the limits, so that the state which ends an episode is an observation as well.
        let high =
            [2.0 * X_LIMIT, f64::INFINITY, 2.0 * THETA_LIMIT, f64::INFINITY].map(|x| x as f32);
        BoxSpace::symmetric(high.to_vec()).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(2)
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = sized::<4>(obs)?;
        let (low, high) =
            Options::of_reset("CartPole", &reset.options, LOW_HIGH)?.bounds(-0.05, 0.05)?;
        if let Some(seed) = reset.seed {
            self.rng = EnvRng::new(seed);
        }
        let state = [(); 4].map(|()| self.rng.uniform(low, high));
        (self.state, self.shown) = (Some(state), state);
        *obs = state.map(|x| x as f32);
        Ok(())
    }

    #[inline]
    fn step(&mut self, &action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        let obs = sized::<4>(obs)?;
        let state = self.state.ok_or(EnvError::NotReset)?;
        let force = match action {
            0 => -FORCE,
            1 => FORCE,
            _ => return Err(EnvError::action_out_of_space(action, self.action_space())),
        };
        let state = advance(state, force);
        let over = fallen(state);
        (self.state, self.shown) = ((!over).then_some(state), state);
        *obs = state.map(|x| x as f32);
        Ok(match (over, self.sutton_barto_reward) {
            (false, false) => Step::going(1.0),
            (false, true) => Step::going(0.0),
            (true, false) => Step::terminated(1.0),
            (true, true) => Step::terminated(-1.0),
        })
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        state::save(self)
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        let loaded: Self = state::load(bytes)?;
        if let Some(bad) =
            loaded.state.iter().flatten().chain(&loaded.shown).find(|x| !x.is_finite())
        {
            return Err(EnvError::BadState(format!("{bad} among x, ẋ, θ, θ̇")));
        }
        *self = loaded;
        Ok(())
    }

    fn scene(&self) -> Option<Scene> {
        Some(draw(self.shown))
    }
}

/// The registry's entry of this name.
pub(super) fn entry(id: &'static str, steps: usize, threshold: f64) -> Entry {
    let make = move |options: &toml::Table| {
        let reward = Options::new("CartPole", options).flag("sutton_barto_reward", false)?;
        limited(CartPole::new(reward), steps)
    };
    Entry::new(id, "balance a pole on a cart that is pushed left or right", make)
        .max_episode_steps(steps)
        .reward_threshold(threshold)
        .option(
            "sutton_barto_reward",
            false,
            "reward 0 for a step and −1 for the last, instead of 1 for each",
        )
}

const CART: Rgb = [38, 50, 72];
const POLE: Rgb = [202, 152, 101];
const AXLE: Rgb = [129, 132, 203];

/// The cart on its track, the pole and its axle, in metres.
fn draw([x, _, theta, _]: [f64; 4]) -> Scene {
    let (width, height, axle) = (0.5, 0.3, 0.1);
    let (long, thick) = (2.0 * LENGTH, 0.1);
    let corner = |along: f64, across: f64| {
        let (sin, cos) = theta.sin_cos();
        [x + along * sin + across * cos, axle + along * cos - across * sin]
    };
    let half = thick / 2.0;
    let mut scene = Scene::new([-X_LIMIT, X_LIMIT], [-0.8, 2.4]);
    scene.line(vec![[-X_LIMIT, 0.0], [X_LIMIT, 0.0]], 0.01, BLACK);
    scene.rectangle([x - width / 2.0, -height / 2.0], [x + width / 2.0, height / 2.0], CART);
    scene.polygon(
        vec![
            corner(-half, -half),
            corner(-half, half),
            corner(long - half, half),
            corner(long - half, -half),
        ],
        POLE,
    );
    scene.circle([x, axle], half, AXLE);
    scene
}
