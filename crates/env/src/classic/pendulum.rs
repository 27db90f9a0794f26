//! Swing a pendulum up with a motor that is too weak to lift it, and hold it there.

use std::f64::consts::{PI, TAU};

use serde::{Deserialize, Serialize};

use super::{
    batched,
    episode::{Episode, scalar, scalars, sized},
    limited, trig,
};
use crate::{
    Batch, BoxSpace, Entry, Env, EnvError, EnvRng, Lane, Reset, Scene, Space, Step,
    options::Options,
    scene::{BLACK, Point, Rgb},
    state,
};

const MAX_SPEED: f64 = 8.0;
const MAX_TORQUE: f32 = 2.0;
/// Seconds between two steps.
const DT: f64 = 0.05;
const MASS: f64 = 1.0;
const LENGTH: f64 = 1.0;
/// θ and θ̇ of the initial state lie between ± these.
const INITIAL: [f64; 2] = [PI, 1.0];

/// Gymnasium's Pendulum: initial states and physics are the same to the last bit on Linux, rewards to
/// about that.
///
/// Actions: one torque in N·m, counter-clockwise when positive, clipped to ±2. Observations: cos θ,
/// sin θ and θ̇, each the f32 rounding of f64, with θ = 0 upright. Reward: −(θ² + 0.1 θ̇² + 0.001 u²)
/// of the state *before* the step, θ taken in [−π, π). It never ends by itself. Reset options:
/// `x_init` and `y_init`, between whose ± the first θ and θ̇ are drawn (π and 1).
///
/// ```
/// use elegante_env::{Env, Pendulum, Reset};
///
/// let mut env = Pendulum::default();
/// let mut obs = [0.0; 3];
/// env.reset(&Reset::seeded(42), &mut obs)?;
/// assert_eq!(obs, [-0.14995256, 0.9886932, -0.12224312]); // Gymnasium's seed 42
/// assert!(env.step(&[1.5], &mut obs)?.reward < -1.9);
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pendulum {
    /// Acceleration of free fall, m/s².
    g: f64,
    episode: Episode<[f64; 2]>,
    /// The torque of the last step, for the picture.
    torque: f32,
}

impl Default for Pendulum {
    fn default() -> Self {
        Self::new(10.0)
    }
}

#[derive(Serialize, Deserialize)]
struct Saved {
    episode: Episode<[f64; 2]>,
    torque: f32,
}

const NAMES: &str = "θ, θ̇";

impl Pendulum {
    /// On a planet where things fall with `g` m/s²; Gymnasium's usual one has 10.
    pub fn new(g: f64) -> Self {
        Self { g, episode: Episode::new([PI, 0.0]), torque: 0.0 }
    }

    /// The state θ, θ̇ (radians, seconds), θ not wrapped; `None` while no episode is under way.
    pub fn state(&self) -> Option<[f64; 2]> {
        self.episode.state()
    }

    /// Goes on from this state, whether or not an episode was under way.
    ///
    /// # Errors
    /// When a number is not finite.
    pub fn set_state(&mut self, state: [f64; 2]) -> Result<(), EnvError> {
        self.episode.set(state, NAMES)
    }
}

/// One step in Gymnasium's order of operations: the state after it and the reward. The torque's own
/// terms are f32, as the action is. `upright` is θ in [−π, π) and `sin` its sine.
#[inline]
fn transition(
    [theta, speed]: [f64; 2],
    (upright, sin): (f64, f64),
    torque: f32,
    g: f64,
) -> ([f64; 2], f64) {
    let u = torque.clamp(-MAX_TORQUE, MAX_TORQUE);
    let cost = upright * upright + 0.1 * (speed * speed) + f64::from(0.001 * (u * u));
    let pull = f64::from((3.0 / (MASS * (LENGTH * LENGTH))) as f32 * u);
    let acceleration = 3.0 * g / (2.0 * LENGTH) * sin + pull;
    let speed = (speed + acceleration * DT).clamp(-MAX_SPEED, MAX_SPEED);
    ([theta + speed * DT, speed], -cost)
}

/// θ in [−π, π): the remainder of θ + π by a turn, less π.
#[inline]
fn wrapped(theta: f64) -> f64 {
    if is_near(theta) { wrapped_near(theta) } else { (theta + PI).rem_euclid(TAU) - PI }
}

/// Within 32 turns; no episode of 200 steps goes farther.
#[inline]
fn is_near(theta: f64) -> bool {
    (theta + PI).abs() < 32.0 * TAU
}

/// [`wrapped`] without a call: like the remainder itself, each of these subtractions is exact, because
/// either number is at most twice the other.
#[inline]
fn wrapped_near(theta: f64) -> f64 {
    let from_below = theta + PI;
    let mut turned = from_below.abs();
    for turns in [16.0, 8.0, 4.0, 2.0, 1.0] {
        turned -= if turned >= turns * TAU { turns * TAU } else { 0.0 };
    }
    let remainder = turned.copysign(from_below);
    remainder + if remainder < 0.0 { TAU } else { 0.0 } - PI
}

/// What is seen of a state.
#[inline]
fn observation((sin, cos): (f64, f64), speed: f64) -> [f32; 3] {
    [cos as f32, sin as f32, speed as f32]
}

fn torques() -> BoxSpace {
    BoxSpace::symmetric(vec![MAX_TORQUE])
}

impl Env for Pendulum {
    type Action = [f32];

    fn observation_space(&self) -> Space {
        BoxSpace::symmetric(vec![1.0, 1.0, MAX_SPEED as f32]).into()
    }

    fn action_space(&self) -> BoxSpace {
        torques()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = sized::<3>(obs)?;
        let options = Options::of_reset("Pendulum", reset, &["x_init", "y_init"])?;
        let most = |name, default| {
            // Half of the largest number, so that the width of ± is a number as well.
            options.number_in(name, default, 0.0..=f64::MAX / 2.0, "a finite number of at least 0")
        };
        let high = [most("x_init", INITIAL[0])?, most("y_init", INITIAL[1])?];
        let state = self.episode.begin(reset.seed, |rng| high.map(|h| rng.uniform(-h, h)));
        self.torque = 0.0;
        *obs = observation(state[0].sin_cos(), state[1]);
        Ok(())
    }

    #[inline]
    fn step(&mut self, action: &[f32], obs: &mut [f32]) -> Result<Step, EnvError> {
        let obs = sized::<3>(obs)?;
        let torque = scalar(action, torques)?;
        let state = self.episode.under_way()?;
        let angle = (wrapped(state[0]), state[0].sin());
        let (state, reward) = transition(state, angle, torque, self.g);
        self.episode.advance(state, false);
        self.torque = torque;
        *obs = observation(state[0].sin_cos(), state[1]);
        Ok(Step::going(reward))
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        state::save(&Saved { episode: self.episode.clone(), torque: self.torque })
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        let Saved { episode, torque } = state::load(bytes)?;
        (self.episode, self.torque) = (episode.checked(NAMES)?, torque);
        Ok(())
    }

    fn scene(&self) -> Option<Scene> {
        Some(draw(self.episode.shown()[0], f64::from(self.torque.clamp(-MAX_TORQUE, MAX_TORQUE))))
    }
}

/// A lane's state: θ, θ̇, sin θ for the next step, and the torque of the last one.
impl Batch<4, 3, 1> for Pendulum {
    fn lane(&self) -> Lane<4> {
        let Lane { state: [theta, speed], under_way, rng } = self.episode.lane();
        let state = [theta, speed, theta.sin(), f64::from(self.torque)];
        Lane { state, under_way, rng }
    }

    fn set_lane(&mut self, lane: Lane<4>) {
        let Lane { state: [theta, speed, _, torque], under_way, rng } = lane;
        self.episode = Episode::of_lane(Lane { state: [theta, speed], under_way, rng });
        self.torque = torque as f32;
    }

    #[inline]
    fn begin(&self, rng: &mut EnvRng) -> [f64; 4] {
        let [theta, speed] = INITIAL.map(|most| rng.uniform(-most, most));
        [theta, speed, theta.sin(), 0.0]
    }

    #[inline]
    fn observe(&self, [theta, speed, ..]: [f64; 4]) -> [f32; 3] {
        observation(theta.sin_cos(), speed)
    }

    fn check(&self, actions: &[[f32; 1]]) -> Result<(), EnvError> {
        scalars(actions, torques)
    }

    fn advance<const W: usize>(
        &self,
        [theta, speed, sin, torque]: [&mut [f64; W]; 4],
        actions: &[[f32; 1]; W],
        obs: &mut [[f32; 3]; W],
        rewards: &mut [f64; W],
        _terminated: &mut [bool; W],
    ) {
        let mut upright = theta.map(wrapped_near);
        if !theta.iter().fold(true, |near, &theta| near & is_near(theta)) {
            upright = theta.map(wrapped);
        }
        if !trig::IS_GLIBC {
            // Elsewhere the sine that comes with a cosine may be another.
            *sin = theta.map(f64::sin);
        }
        for i in 0..W {
            let [action] = actions[i];
            ([theta[i], speed[i]], rewards[i]) =
                transition([theta[i], speed[i]], (upright[i], sin[i]), action, self.g);
            torque[i] = f64::from(action);
        }
        for i in 0..W {
            let (s, cos) = theta[i].sin_cos();
            sin[i] = s;
            obs[i] = observation((s, cos), speed[i]);
        }
    }
}

/// The registry's entry of this name.
pub(super) fn entry(id: &'static str, steps: usize) -> Entry {
    let read = |options: &toml::Table| {
        Options::new("Pendulum", options).number("g", 10.0).map(Pendulum::new)
    };
    let summary = "swing a pendulum up and hold it there";
    Entry::new(id, summary, move |options| limited(read(options)?, steps))
        .vector(move |lanes, options| batched(read(options)?, lanes, steps))
        .max_episode_steps(steps)
        .option("g", 10.0, "acceleration of free fall in m/s²")
}

const ROD: Rgb = [204, 77, 77];
const MOTOR: Rgb = [38, 50, 72];

/// The rod, its axle, and an arrow around it as long as the torque is large, in metres.
fn draw(theta: f64, torque: f64) -> Scene {
    let (half, bound) = (0.1, 2.2);
    let (sin, cos) = theta.sin_cos();
    let at = |along: f64, across: f64| [across * cos - along * sin, along * cos + across * sin];
    let mut scene = Scene::new([-bound, bound], [-bound, bound]);
    let rod = [(0.0, -half), (0.0, half), (LENGTH, half), (LENGTH, -half)];
    scene.polygon(rod.map(|(along, across)| at(along, across)).to_vec(), ROD);
    scene.circle([0.0, 0.0], half, ROD);
    scene.circle(at(LENGTH, 0.0), half, ROD);
    if torque.abs() > 0.02 {
        arrow(&mut scene, torque);
    }
    scene.circle([0.0, 0.0], 0.05, BLACK);
    scene
}

/// From the right around the axle, over the top and counter-clockwise for a positive torque.
fn arrow(scene: &mut Scene, torque: f64) {
    let (radius, sign) = (0.5, torque.signum());
    let sweep = torque.abs() / f64::from(MAX_TORQUE) * 1.5 * PI;
    let at = |angle: f64, r: f64| -> Point {
        let (sin, cos) = angle.sin_cos();
        [sign * r * cos, r * sin]
    };
    let pieces = 24;
    let arc = (0..=pieces).map(|i| at(sweep * f64::from(i) / f64::from(pieces), radius)).collect();
    scene.line(arc, 0.04, MOTOR);
    let head = [at(sweep, radius - 0.1), at(sweep, radius + 0.1), at(sweep + 0.3, radius)];
    scene.polygon(head.to_vec(), MOTOR);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EnvRng;

    #[test]
    fn an_angle_is_wrapped_as_a_remainder_is() {
        let mut rng = EnvRng::new(0);
        let turns = (-35..=35).flat_map(|n| [-2, -1, 0, 1, 2].map(|ulps| (f64::from(n), ulps)));
        let edges = turns.map(|(n, ulps)| {
            let edge = n * TAU - PI;
            f64::from_bits(edge.to_bits().wrapping_add_signed(ulps))
        });
        let drawn = (0..100_000).map(|i| rng.uniform(-1.0, 1.0) * [4.0, 90.0, 250.0][i % 3]);
        for theta in edges.chain(drawn.collect::<Vec<_>>()).chain([0.0, -0.0, -PI, PI]) {
            let remainder = (theta + PI).rem_euclid(TAU) - PI;
            assert_eq!(wrapped(theta).to_bits(), remainder.to_bits(), "{theta:e}");
        }
    }
}
