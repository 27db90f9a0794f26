//! Swing the tip of a two-link arm above a line, with a motor in the elbow only (Sutton, 1996).

use std::{
    f64::consts::{FRAC_PI_2, PI},
    hint::black_box,
};

use super::{
    episode::{Episode, sized},
    limited, one_by_one,
};
use crate::{
    BoxSpace, Discrete, Entry, Env, EnvError, Reset, Scene, Space, Step,
    options::{LOW_HIGH, Options},
    scene::{BLACK, Rgb},
    state,
};

const GRAVITY: f64 = 9.8;

/// What an [`Acrobot`] is made of: the attributes of Gymnasium's class, under its names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AcrobotParams {
    /// Sutton's paper left out terms that the book has; true leaves them out as well.
    pub nips: bool,
    /// Noise is added to the torque, uniform between ± this many N·m.
    pub torque_noise_max: f64,
    /// The torques of the three actions, N·m.
    pub avail_torque: [f64; 3],
    /// Seconds between two steps, each one step of Runge and Kutta's method of fourth order.
    pub dt: f64,
    /// Length of the upper link, m.
    pub link_length_1: f64,
    /// Length of the lower link, m; nothing but the picture depends on it.
    pub link_length_2: f64,
    /// Mass of the upper link, kg.
    pub link_mass_1: f64,
    /// Mass of the lower link, kg.
    pub link_mass_2: f64,
    /// Where along the upper link its centre of mass lies, m.
    pub link_com_pos_1: f64,
    /// Where along the lower link its centre of mass lies, m.
    pub link_com_pos_2: f64,
    /// Moment of inertia of either link, kg·m².
    pub link_moi: f64,
    /// The fastest that the upper joint turns, rad/s.
    pub max_vel_1: f64,
    /// The fastest that the lower joint turns, rad/s.
    pub max_vel_2: f64,
}

impl Default for AcrobotParams {
    fn default() -> Self {
        Self {
            nips: false,
            torque_noise_max: 0.0,
            avail_torque: [-1.0, 0.0, 1.0],
            dt: 0.2,
            link_length_1: 1.0,
            link_length_2: 1.0,
            link_mass_1: 1.0,
            link_mass_2: 1.0,
            link_com_pos_1: 0.5,
            link_com_pos_2: 0.5,
            link_moi: 1.0,
            max_vel_1: 4.0 * PI,
            max_vel_2: 9.0 * PI,
        }
    }
}

impl AcrobotParams {
    fn from_options(table: &toml::Table) -> Result<Self, EnvError> {
        let (options, usual) = (Options::new("Acrobot", table), Self::default());
        let nips =
            options.read("book_or_nips", false, "\"book\" or \"nips\"", |value| {
                match value.as_str()? {
                    "book" => Some(false),
                    "nips" => Some(true),
                    _ => None,
                }
            })?;
        let torques = options.numbers("avail_torque", &usual.avail_torque)?;
        let avail_torque = torques
            .try_into()
            .map_err(|_| options.wrong("avail_torque", "three torques, one for each action"))?;
        let number = |name, default| {
            options.number_in(name, default, 0.0..=1e6, "a number from 0 to 1 000 000")
        };
        let positive = |name, default| {
            options.number_in(name, default, 1e-6..=1e6, "a number from 0.000 001 to 1 000 000")
        };
        Ok(Self {
            nips,
            torque_noise_max: number("torque_noise_max", usual.torque_noise_max)?,
            avail_torque,
            dt: positive("dt", usual.dt)?,
            link_length_1: positive("link_length_1", usual.link_length_1)?,
            link_length_2: positive("link_length_2", usual.link_length_2)?,
            link_mass_1: positive("link_mass_1", usual.link_mass_1)?,
            link_mass_2: positive("link_mass_2", usual.link_mass_2)?,
            link_com_pos_1: number("link_com_pos_1", usual.link_com_pos_1)?,
            link_com_pos_2: number("link_com_pos_2", usual.link_com_pos_2)?,
            link_moi: positive("link_moi", usual.link_moi)?,
            max_vel_1: positive("max_vel_1", usual.max_vel_1)?,
            max_vel_2: positive("max_vel_2", usual.max_vel_2)?,
        })
    }

    fn max_speeds(&self) -> [f64; 2] {
        [self.max_vel_1, self.max_vel_2]
    }
}

/// Gymnasium's Acrobot: initial states, physics and rewards are the same to the last bit on Linux.
/// Only the observation of a reset may differ in its last place, where NumPy takes an f32 cosine of
/// its own and this the f64 one, rounded.
///
/// Actions: a torque on the elbow, −1, 0 or 1 N·m. Observations: cos θ₁, sin θ₁, cos θ₂, sin θ₂, θ̇₁,
/// θ̇₂; θ₁ = 0 hangs down, θ₂ is relative to the upper link. Reward: −1 for every step, 0 for the one
/// that lifts the tip more than a metre above the shoulder, which ends the episode. Reset options:
/// `low` and `high`, bounds of the uniform initial state.
///
/// ```
/// use elegante_env::{Acrobot, Env, Reset};
///
/// let mut env = Acrobot::default();
/// let mut obs = [0.0; 6];
/// env.reset(&Reset::seeded(42), &mut obs)?;
/// // Gymnasium's seed 42.
/// assert_eq!(obs[4..], [0.07171959, 0.039473604]);
/// assert_eq!(env.step(&2, &mut obs)?.reward, -1.0);
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Acrobot {
    params: AcrobotParams,
    arm: Arm,
    episode: Episode<[f64; 4]>,
}

impl Default for Acrobot {
    fn default() -> Self {
        Self::new(AcrobotParams::default())
    }
}

const NAMES: &str = "θ₁, θ₂, θ̇₁, θ̇₂";

impl Acrobot {
    /// With other links, motors or noise than the usual ones.
    pub fn new(params: AcrobotParams) -> Self {
        Self { params, arm: Arm::new(&params), episode: Episode::new([0.0; 4]) }
    }

    /// The state θ₁, θ₂, θ̇₁, θ̇₂ (radians, seconds); `None` while no episode is under way.
    pub fn state(&self) -> Option<[f64; 4]> {
        self.episode.state()
    }

    /// Goes on from this state, whether or not an episode was under way.
    ///
    /// # Errors
    /// When a number is not finite.
    pub fn set_state(&mut self, state: [f64; 4]) -> Result<(), EnvError> {
        self.episode.set(state, NAMES)
    }
}

/// C's `pow(x, 2)`, which Python's and NumPy's `x**2` calls: one time in a thousand its last bit is
/// not that of `x * x`, and an arm that swings freely makes a different episode of it. The compiler
/// must not see the exponent, or it multiplies.
#[inline]
fn square(x: f64) -> f64 {
    x.powf(black_box(2.0))
}

/// The parameters as the equations of motion use them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arm {
    nips: bool,
    dt: f64,
    max_speeds: [f64; 2],
    moi: f64,
    m2: f64,
    /// m₁ l𝒸₁²
    inertia_1: f64,
    /// l₁² + l𝒸₂²
    squares: f64,
    /// l𝒸₂²
    lc2_squared: f64,
    /// l₁ l𝒸₂
    l1_lc2: f64,
    /// m₂ l₁ l𝒸₂
    m2_l1_lc2: f64,
    /// (m₁ l𝒸₁ + m₂ l₁) g
    weight_1: f64,
    /// m₂ l𝒸₂ g
    weight_2: f64,
    /// m₂ l𝒸₂² + I
    inertia_2: f64,
}

impl Arm {
    pub(crate) fn new(p: &AcrobotParams) -> Self {
        let (m1, m2, moi) = (p.link_mass_1, p.link_mass_2, p.link_moi);
        let (l1, lc1, lc2) = (p.link_length_1, p.link_com_pos_1, p.link_com_pos_2);
        Self {
            nips: p.nips,
            dt: p.dt,
            max_speeds: p.max_speeds(),
            moi,
            m2,
            inertia_1: m1 * square(lc1),
            squares: square(l1) + square(lc2),
            lc2_squared: square(lc2),
            l1_lc2: l1 * lc2,
            m2_l1_lc2: m2 * l1 * lc2,
            weight_1: (m1 * lc1 + m2 * l1) * GRAVITY,
            weight_2: m2 * lc2 * GRAVITY,
            inertia_2: m2 * square(lc2) + moi,
        }
    }

    /// d/dt of θ₁, θ₂, θ̇₁, θ̇₂, in Gymnasium's order of operations.
    #[inline]
    fn derivative(&self, [theta1, theta2, speed1, speed2]: [f64; 4], torque: f64) -> [f64; 4] {
        let (sin2, cos2) = theta2.sin_cos();
        let swing = self.m2_l1_lc2;
        let d1 = self.inertia_1
            + self.m2 * (self.squares + 2.0 * self.l1_lc2 * cos2)
            + self.moi
            + self.moi;
        let d2 = self.m2 * (self.lc2_squared + self.l1_lc2 * cos2) + self.moi;
        let phi2 = self.weight_2 * (theta1 + theta2 - FRAC_PI_2).cos();
        let phi1 = -swing * square(speed2) * sin2 - 2.0 * swing * speed2 * speed1 * sin2
            + self.weight_1 * (theta1 - FRAC_PI_2).cos()
            + phi2;
        let drive = torque + d2 / d1 * phi1;
        let drive = if self.nips { drive } else { drive - swing * square(speed1) * sin2 };
        let acceleration2 = (drive - phi2) / (self.inertia_2 - square(d2) / d1);
        let acceleration1 = -(d2 * acceleration2 + phi1) / d1;
        [speed1, speed2, acceleration1, acceleration2]
    }

    /// One step of Runge and Kutta's method of fourth order.
    #[inline]
    fn integrate(&self, y: [f64; 4], torque: f64) -> [f64; 4] {
        let half = self.dt / 2.0;
        let from = |step: f64, k: [f64; 4]| [0, 1, 2, 3].map(|i| y[i] + step * k[i]);
        let k1 = self.derivative(y, torque);
        let k2 = self.derivative(from(half, k1), torque);
        let k3 = self.derivative(from(half, k2), torque);
        let k4 = self.derivative(from(self.dt, k3), torque);
        let sixth = self.dt / 6.0;
        [0, 1, 2, 3].map(|i| y[i] + sixth * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]))
    }
}

/// One step: the state after it, and the reward and ending.
///
/// # Errors
/// When the arm spins so fast that its angles mean nothing any more, which takes an initial state or
/// parameters far from the usual ones.
#[inline]
pub(crate) fn transition(
    state: [f64; 4],
    torque: f64,
    arm: &Arm,
) -> Result<([f64; 4], Step), EnvError> {
    let [theta1, theta2, speed1, speed2] = arm.integrate(state, torque);
    let [most1, most2] = arm.max_speeds;
    let (theta1, theta2) = (wrapped(theta1)?, wrapped(theta2)?);
    let (speed1, speed2) = (speed1.clamp(-most1, most1), speed2.clamp(-most2, most2));
    let above = -theta1.cos() - (theta2 + theta1).cos() > 1.0;
    let step = if above { Step::terminated(0.0) } else { Step::going(-1.0) };
    Ok(([theta1, theta2, speed1, speed2], step))
}

/// The angle in [−π, π], a turn at a time: a remainder would round differently.
#[inline]
fn wrapped(mut angle: f64) -> Result<f64, EnvError> {
    if angle.is_nan() || angle.abs() > 1e6 {
        return Err(EnvError::custom(format!(
            "Acrobot's physics broke down: a joint turned to {angle} rad; choose a shorter `dt`, heavier links or slower initial states"
        )));
    }
    while angle > PI {
        angle -= 2.0 * PI;
    }
    while angle < -PI {
        angle += 2.0 * PI;
    }
    Ok(angle)
}

/// What is seen of a state.
#[inline]
pub(crate) fn observation([theta1, theta2, speed1, speed2]: [f64; 4]) -> [f32; 6] {
    let ((sin1, cos1), (sin2, cos2)) = (theta1.sin_cos(), theta2.sin_cos());
    [cos1, sin1, cos2, sin2, speed1, speed2].map(|x| x as f32)
}

impl Env for Acrobot {
    type Action = usize;

    fn observation_space(&self) -> Space {
        let [most1, most2] = self.params.max_speeds().map(|x| x as f32);
        BoxSpace::symmetric(vec![1.0, 1.0, 1.0, 1.0, most1, most2]).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(3)
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = sized::<6>(obs)?;
        let (low, high) = Options::of_reset("Acrobot", reset, LOW_HIGH)?.bounds(-0.1, 0.1)?;
        let state = self.episode.begin(reset.seed, |rng| {
            // Gymnasium rounds the initial state, and no other, to f32.
            [(); 4].map(|()| f64::from(rng.uniform(low, high) as f32))
        });
        *obs = observation(state);
        Ok(())
    }

    #[inline]
    fn step(&mut self, &action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        let obs = sized::<6>(obs)?;
        let state = self.episode.under_way()?;
        let Some(&torque) = self.params.avail_torque.get(action) else {
            return Err(EnvError::action_out_of_space(action, self.action_space()));
        };
        let noise = match self.params.torque_noise_max {
            most if most > 0.0 => self.episode.rng().uniform(-most, most),
            _ => 0.0,
        };
        let (state, step) = transition(state, torque + noise, &self.arm)?;
        self.episode.advance(state, step.ending.is_some());
        *obs = observation(state);
        Ok(step)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        state::save(&self.episode)
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        self.episode = state::load::<Episode<_>>(bytes)?.checked(NAMES)?;
        Ok(())
    }

    fn scene(&self) -> Option<Scene> {
        Some(draw(self.episode.shown(), &self.params))
    }
}

/// The registry's entry of this name.
pub(super) fn entry(id: &'static str, steps: usize, threshold: f64) -> Entry {
    let read = |options: &toml::Table| AcrobotParams::from_options(options).map(Acrobot::new);
    let summary = "swing a two-link arm above a line, with a motor in its elbow";
    let usual = AcrobotParams::default();
    let torques = usual.avail_torque.map(toml::Value::Float).to_vec();
    Entry::new(id, summary, move |options| limited(read(options)?, steps))
        .vector(move |lanes, options| one_by_one(&read(options)?, lanes, steps))
        .max_episode_steps(steps)
        .reward_threshold(threshold)
        .option(
            "book_or_nips",
            "book",
            "equations of Sutton & Barto's book, or of the paper (nips)",
        )
        .option("torque_noise_max", usual.torque_noise_max, "± noise on the torque in N·m")
        .option("avail_torque", torques, "torques of the three actions in N·m")
        .option("dt", usual.dt, "seconds between two steps")
        .option("link_length_1", usual.link_length_1, "length of the upper link in m")
        .option("link_length_2", usual.link_length_2, "length of the lower link in m, drawn only")
        .option("link_mass_1", usual.link_mass_1, "mass of the upper link in kg")
        .option("link_mass_2", usual.link_mass_2, "mass of the lower link in kg")
        .option("link_com_pos_1", usual.link_com_pos_1, "centre of mass of the upper link in m")
        .option("link_com_pos_2", usual.link_com_pos_2, "centre of mass of the lower link in m")
        .option("link_moi", usual.link_moi, "moment of inertia of either link in kg·m²")
        .option("max_vel_1", usual.max_vel_1, "fastest turn of the upper joint in rad/s")
        .option("max_vel_2", usual.max_vel_2, "fastest turn of the lower joint in rad/s")
}

const LINK: Rgb = [0, 204, 204];
const JOINT: Rgb = [204, 204, 0];

/// The two links with their joints, and the line that the tip has to pass, in metres.
fn draw([theta1, theta2, ..]: [f64; 4], params: &AcrobotParams) -> Scene {
    let (long1, long2) = (params.link_length_1, params.link_length_2);
    let bound = long1 + long2 + 0.2;
    let half = 0.1;
    let mut scene = Scene::new([-bound, bound], [-bound, bound]);
    scene.line(vec![[-bound, 1.0], [bound, 1.0]], 0.01, BLACK);
    let elbow = [long1 * theta1.sin(), -long1 * theta1.cos()];
    for ([x, y], angle, long) in [([0.0, 0.0], theta1, long1), (elbow, theta1 + theta2, long2)] {
        let (sin, cos) = angle.sin_cos();
        let at = |along: f64, across: f64| {
            [x + along * sin + across * cos, y - along * cos + across * sin]
        };
        let link = [(0.0, -half), (0.0, half), (long, half), (long, -half)];
        scene.polygon(link.map(|(along, across)| at(along, across)).to_vec(), LINK);
        scene.circle([x, y], half, JOINT);
    }
    scene
}
