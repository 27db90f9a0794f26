//! Balance a pole on a cart that is pushed left or right (Barto, Sutton & Anderson, 1983).

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::{batched, episode::sized, limited, trig};
use crate::{
    Batch, BoxSpace, Discrete, Entry, Env, EnvError, EnvRng, Lane, Reset, Scene, Space, Step,
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
/// Every number of the initial state lies between ± this.
const INITIAL: f64 = 0.05;

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

    /// The reward of a step after which the episode goes on, and of the one that ends it.
    fn rewards(&self) -> (f64, f64) {
        if self.sutton_barto_reward { (0.0, -1.0) } else { (1.0, 1.0) }
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
fn advance([x, x_dot, theta, theta_dot]: [f64; 4], (sin, cos): (f64, f64), force: f64) -> [f64; 4] {
    let temp = (force + POLE_MASS_LENGTH * (theta_dot * theta_dot) * sin) / TOTAL_MASS;
    let theta_acc = (GRAVITY * sin - cos * temp)
        / (LENGTH * (4.0 / 3.0 - MASS_POLE * (cos * cos) / TOTAL_MASS));
    let x_acc = temp - POLE_MASS_LENGTH * theta_acc * cos / TOTAL_MASS;
    [x + TAU * x_dot, x_dot + TAU * x_acc, theta + TAU * theta_dot, theta_dot + TAU * theta_acc]
}

#[inline]
fn fallen([x, _, theta, _]: [f64; 4]) -> bool {
    // `|` and no branch, so that the lanes of a batch go on side by side.
    (x.abs() > X_LIMIT) | (theta.abs() > THETA_LIMIT)
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
            Options::of_reset("CartPole", reset, LOW_HIGH)?.bounds(-INITIAL, INITIAL)?;
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
        let state = advance(state, state[2].sin_cos(), force);
        let over = fallen(state);
        (self.state, self.shown) = ((!over).then_some(state), state);
        *obs = state.map(|x| x as f32);
        let (going, last) = self.rewards();
        Ok(if over { Step::terminated(last) } else { Step::going(going) })
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

impl Batch<4, 4, 1> for CartPole {
    fn lane(&self) -> Lane<4> {
        let under_way = self.state.is_some();
        Lane { state: self.shown, under_way, rng: self.rng.clone() }
    }

    fn set_lane(&mut self, Lane { state, under_way, rng }: Lane<4>) {
        *self = Self { rng, state: under_way.then_some(state), shown: state, ..*self };
    }

    #[inline]
    fn begin(&self, rng: &mut EnvRng) -> [f64; 4] {
        [(); 4].map(|()| rng.uniform(-INITIAL, INITIAL))
    }

    #[inline]
    fn observe(&self, state: [f64; 4]) -> [f32; 4] {
        state.map(|x| x as f32)
    }

    fn check(&self, actions: &[[usize; 1]]) -> Result<(), EnvError> {
        self.action_space().check(actions.as_flattened())
    }

    fn advance<const W: usize>(
        &self,
        [x, x_dot, theta, theta_dot]: [&mut [f64; W]; 4],
        actions: &[[usize; 1]; W],
        obs: &mut [[f32; 4]; W],
        rewards: &mut [f64; W],
        terminated: &mut [bool; W],
    ) {
        let (sin, cos) = trig::sin_cos(theta);
        for i in 0..W {
            let force = if actions[i] == [1] { FORCE } else { -FORCE };
            let before = [x[i], x_dot[i], theta[i], theta_dot[i]];
            [x[i], x_dot[i], theta[i], theta_dot[i]] = advance(before, (sin[i], cos[i]), force);
        }
        let (going, last) = self.rewards();
        for i in 0..W {
            let state = [x[i], x_dot[i], theta[i], theta_dot[i]];
            terminated[i] = fallen(state);
            rewards[i] = if terminated[i] { last } else { going };
        }
        for i in 0..W {
            obs[i] = self.observe([x[i], x_dot[i], theta[i], theta_dot[i]]);
        }
    }
}

/// The registry's entry of this name.
pub(super) fn entry(id: &'static str, steps: usize, threshold: f64) -> Entry {
    let read = |options: &toml::Table| {
        Options::new("CartPole", options).flag("sutton_barto_reward", false).map(CartPole::new)
    };
    let summary = "balance a pole on a cart that is pushed left or right";
    Entry::new(id, summary, move |options| limited(read(options)?, steps))
        .vector(move |lanes, options| batched(read(options)?, lanes, steps))
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
