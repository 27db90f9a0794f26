//! Swing the tip of a two-link arm above a line, with a motor in the elbow only (Sutton, 1996).

use std::f64::consts::PI;

use super::{
    arm::{Arm, look},
    batched,
    episode::{Episode, sized},
    limited, one_by_one,
};
use crate::{
    Batch, BoxSpace, Discrete, Entry, Env, EnvError, EnvRng, Lane, Reset, Scene, Space, Step,
    options::{LOW_HIGH, Options},
    scene::{BLACK, Rgb},
    state,
};

/// The numbers of the initial state lie between ± this.
const INITIAL: f64 = 0.1;

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

impl Env for Acrobot {
    type Action = usize;

    fn observation_space(&self) -> Space {
        let [most1, most2] = [self.params.max_vel_1, self.params.max_vel_2].map(|x| x as f32);
        BoxSpace::symmetric(vec![1.0, 1.0, 1.0, 1.0, most1, most2]).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(3)
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = sized::<6>(obs)?;
        let (low, high) =
            Options::of_reset("Acrobot", reset, LOW_HIGH)?.bounds(-INITIAL, INITIAL)?;
        let state = self.episode.begin(reset.seed, |rng| initial(rng, low, high));
        *obs = self.observe(state);
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
        let state = self.arm.advance(&state.map(|x| [x]), &[torque + noise]);
        if !state.as_flattened().iter().all(|x| x.is_finite()) {
            return Err(EnvError::custom(
                "Acrobot's physics broke down: a joint turned faster than can be computed; choose a shorter `dt`, heavier links or slower initial states",
            ));
        }
        let [above] = look(&state, std::array::from_mut(obs));
        self.episode.advance(state.map(|[x]| x), above);
        Ok(if above { Step::terminated(0.0) } else { Step::going(-1.0) })
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

/// Gymnasium rounds the initial state, and no other, to f32.
#[inline]
fn initial(rng: &mut EnvRng, low: f64, high: f64) -> [f64; 4] {
    [(); 4].map(|()| f64::from(rng.uniform(low, high) as f32))
}

/// Without noise on the torque, which is drawn in the middle of a step: with it, [`check`] is an error,
/// and the registry steps lanes one by one. Where the physics breaks down, a lane is at NaN.
///
/// [`check`]: Batch::check
impl Batch<4, 6, 1> for Acrobot {
    fn lane(&self) -> Lane<4> {
        self.episode.lane()
    }

    fn set_lane(&mut self, lane: Lane<4>) {
        self.episode = Episode::of_lane(lane);
    }

    #[inline]
    fn begin(&self, rng: &mut EnvRng) -> [f64; 4] {
        initial(rng, -INITIAL, INITIAL)
    }

    #[inline]
    fn observe(&self, state: [f64; 4]) -> [f32; 6] {
        let mut obs = [[0.0; 6]];
        look(&state.map(|x| [x]), &mut obs);
        obs[0]
    }

    fn check(&self, actions: &[[usize; 1]]) -> Result<(), EnvError> {
        if self.params.torque_noise_max > 0.0 {
            let reason = "Acrobot with noise on its torque can't be stepped on arrays: use VecEnv";
            return Err(EnvError::Vector(reason.into()));
        }
        self.action_space().check(actions.as_flattened())
    }

    fn advance<const W: usize>(
        &self,
        state: [&mut [f64; W]; 4],
        actions: &[[usize; 1]; W],
        obs: &mut [[f32; 6]; W],
        rewards: &mut [f64; W],
        terminated: &mut [bool; W],
    ) {
        let torque = actions.map(|[action]| self.params.avail_torque[action]);
        let there = self.arm.advance(&state.each_ref().map(|column| **column), &torque);
        *terminated = look(&there, obs);
        *rewards = terminated.map(|above| if above { 0.0 } else { -1.0 });
        for (column, there) in state.into_iter().zip(there) {
            *column = there;
        }
    }
}

/// The registry's entry of this name.
pub(super) fn entry(id: &'static str, steps: usize, threshold: f64) -> Entry {
    let read = |options: &toml::Table| AcrobotParams::from_options(options).map(Acrobot::new);
    let summary = "swing a two-link arm above a line, with a motor in its elbow";
    let usual = AcrobotParams::default();
    let torques = usual.avail_torque.map(toml::Value::Float).to_vec();
    Entry::new(id, summary, move |options| limited(read(options)?, steps))
        .vector(move |lanes, options| {
            let env = read(options)?;
            match env.params.torque_noise_max > 0.0 {
                true => one_by_one(&env, lanes, steps),
                false => batched(env, lanes, steps),
            }
        })
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
