//! Drive a car out of a valley by rocking back and forth: its engine is too weak for the hill
//! (Moore, 1990).

use super::{
    batched,
    episode::{Episode, sized},
    limited,
};
use crate::{
    Batch, BoxSpace, Discrete, Entry, Env, EnvError, EnvRng, Lane, Reset, Scene, Space, Step,
    options::{LOW_HIGH, Options},
    scene::{BLACK, Point, Rgb},
    state,
};

pub(super) const MIN_POSITION: f64 = -1.2;
pub(super) const MAX_POSITION: f64 = 0.6;
pub(super) const MAX_SPEED: f64 = 0.07;
pub(super) const GRAVITY: f64 = 0.0025;
const GOAL_POSITION: f64 = 0.5;
const FORCE: f64 = 0.001;
/// Between these lies the initial position.
pub(super) const INITIAL: [f64; 2] = [-0.6, -0.4];

/// Gymnasium's MountainCar: initial states, physics and rewards are the same to the last bit on Linux.
///
/// Actions: 0 accelerates to the left, 1 not at all, 2 to the right. Observations: position and
/// velocity, the f32 rounding of the f64 state. Reward: −1 for every step. It ends at position 0.5 or
/// beyond with at least the goal's velocity. Reset options: `low` and `high`, bounds of the uniform
/// initial position; the car starts at rest.
///
/// ```
/// use elegante_env::{Env, MountainCar, Reset};
///
/// let mut env = MountainCar::default();
/// let mut obs = [0.0; 2];
/// env.reset(&Reset::seeded(42), &mut obs)?;
/// assert_eq!(obs, [-0.4452088, 0.0]); // Gymnasium's seed 42
/// assert_eq!(env.step(&2, &mut obs)?.reward, -1.0);
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MountainCar {
    goal_velocity: f64,
    episode: Episode<[f64; 2]>,
}

impl Default for MountainCar {
    fn default() -> Self {
        Self::new(0.0)
    }
}

pub(super) const NAMES: &str = "position, velocity";
/// The bottom of the valley is at −π/6.
pub(super) const RESTING: [f64; 2] = [-std::f64::consts::FRAC_PI_6, 0.0];

impl MountainCar {
    /// The goal counts only when the car is at least this fast there; Gymnasium's usual velocity is 0.
    pub fn new(goal_velocity: f64) -> Self {
        Self { goal_velocity, episode: Episode::new(RESTING) }
    }

    /// The state: position and velocity per step; `None` while no episode is under way.
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

/// One step in Gymnasium's order of operations, and whether it ends the episode; `slope` is
/// cos 3·position and `action` 0, 1 or 2. (`&` and no branch, so that the lanes of a batch go on side by
/// side.)
#[inline]
fn transition(
    [position, velocity]: [f64; 2],
    slope: f64,
    action: usize,
    goal_velocity: f64,
) -> ([f64; 2], bool) {
    let direction = match action {
        0 => -1.0,
        1 => 0.0,
        _ => 1.0,
    };
    let velocity = velocity + (direction * FORCE + slope * -GRAVITY);
    let velocity = velocity.clamp(-MAX_SPEED, MAX_SPEED);
    let position = (position + velocity).clamp(MIN_POSITION, MAX_POSITION);
    let stopped = (position == MIN_POSITION) & (velocity < 0.0);
    let velocity = if stopped { 0.0 } else { velocity };
    ([position, velocity], (position >= GOAL_POSITION) & (velocity >= goal_velocity))
}

/// The space of observations, which both mountain cars share.
pub(super) fn observations() -> Space {
    let (low, high) = ([MIN_POSITION, -MAX_SPEED], [MAX_POSITION, MAX_SPEED]);
    let narrow = |bounds: [f64; 2]| bounds.map(|x| x as f32).to_vec();
    BoxSpace::new(narrow(low), narrow(high)).expect("the bounds are constants in order").into()
}

impl Env for MountainCar {
    type Action = usize;

    fn observation_space(&self) -> Space {
        observations()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(3)
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = sized::<2>(obs)?;
        let (low, high) =
            Options::of_reset("MountainCar", reset, LOW_HIGH)?.bounds(INITIAL[0], INITIAL[1])?;
        let state = self.episode.begin(reset.seed, |rng| [rng.uniform(low, high), 0.0]);
        *obs = state.map(|x| x as f32);
        Ok(())
    }

    #[inline]
    fn step(&mut self, &action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        let obs = sized::<2>(obs)?;
        let state = self.episode.under_way()?;
        if action > 2 {
            return Err(EnvError::action_out_of_space(action, self.action_space()));
        }
        let slope = (3.0 * state[0]).cos();
        let (state, there) = transition(state, slope, action, self.goal_velocity);
        self.episode.advance(state, there);
        *obs = state.map(|x| x as f32);
        Ok(if there { Step::terminated(-1.0) } else { Step::going(-1.0) })
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        state::save(&self.episode)
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        self.episode = state::load::<Episode<_>>(bytes)?.checked(NAMES)?;
        Ok(())
    }

    fn scene(&self) -> Option<Scene> {
        Some(draw(self.episode.shown()[0], GOAL_POSITION))
    }
}

impl Batch<2, 2, 1> for MountainCar {
    fn lane(&self) -> Lane<2> {
        self.episode.lane()
    }

    fn set_lane(&mut self, lane: Lane<2>) {
        self.episode = Episode::of_lane(lane);
    }

    #[inline]
    fn begin(&self, rng: &mut EnvRng) -> [f64; 2] {
        [rng.uniform(INITIAL[0], INITIAL[1]), 0.0]
    }

    #[inline]
    fn observe(&self, state: [f64; 2]) -> [f32; 2] {
        state.map(|x| x as f32)
    }

    fn check(&self, actions: &[[usize; 1]]) -> Result<(), EnvError> {
        self.action_space().check(actions.as_flattened())
    }

    fn advance<const W: usize>(
        &self,
        [position, velocity]: [&mut [f64; W]; 2],
        actions: &[[usize; 1]; W],
        obs: &mut [[f32; 2]; W],
        rewards: &mut [f64; W],
        terminated: &mut [bool; W],
    ) {
        let slope = position.map(|x| (3.0 * x).cos());
        for i in 0..W {
            let ([action], before) = (actions[i], [position[i], velocity[i]]);
            ([position[i], velocity[i]], terminated[i]) =
                transition(before, slope[i], action, self.goal_velocity);
        }
        rewards.fill(-1.0);
        for i in 0..W {
            obs[i] = self.observe([position[i], velocity[i]]);
        }
    }
}

/// The registry's entry of this name.
pub(super) fn entry(id: &'static str, steps: usize, threshold: f64) -> Entry {
    let read = |options: &toml::Table| {
        Options::new("MountainCar", options).number("goal_velocity", 0.0).map(MountainCar::new)
    };
    let summary = "drive a weak car out of a valley by rocking it";
    Entry::new(id, summary, move |options| limited(read(options)?, steps))
        .vector(move |lanes, options| batched(read(options)?, lanes, steps))
        .max_episode_steps(steps)
        .reward_threshold(threshold)
        .option("goal_velocity", 0.0, GOAL_VELOCITY)
}

/// What the option of both mountain cars does.
pub(super) const GOAL_VELOCITY: &str = "how fast the car must be at the goal, at least";

const CAR: Rgb = [38, 50, 72];
const WHEEL: Rgb = [128, 128, 128];
const FLAG: Rgb = [204, 204, 0];
const EARTH: Rgb = [226, 219, 205];

fn height(x: f64) -> f64 {
    (3.0 * x).sin() * 0.45 + 0.55
}

/// The hills, the car on its wheels, and the flag at the goal.
pub(super) fn draw(position: f64, goal: f64) -> Scene {
    let mut scene = Scene::new([MIN_POSITION, MAX_POSITION], [0.0, 1.2]);
    let pieces = 100;
    let width = MAX_POSITION - MIN_POSITION;
    let ground: Vec<Point> = (0..=pieces)
        .map(|i| MIN_POSITION + width * f64::from(i) / f64::from(pieces))
        .map(|x| [x, height(x)])
        .collect();
    let below = [[MAX_POSITION, 0.0], [MIN_POSITION, 0.0]];
    scene.polygon(ground.iter().copied().chain(below).collect(), EARTH);
    scene.line(ground, 0.005, BLACK);

    let (foot, top) = (height(goal), height(goal) + 0.15);
    scene.line(vec![[goal, foot], [goal, top]], 0.006, BLACK);
    scene.polygon(vec![[goal, top], [goal, top - 0.045], [goal + 0.075, top - 0.0225]], FLAG);

    let (sin, cos) = (1.35 * (3.0 * position).cos()).atan().sin_cos();
    let at = |along: f64, up: f64| {
        [position + along * cos - up * sin, height(position) + along * sin + up * cos]
    };
    let (half, wheel) = (0.06, 0.022);
    let body = [(-half, 0.03), (-half, 0.075), (half, 0.075), (half, 0.03)];
    scene.polygon(body.map(|(along, up)| at(along, up)).to_vec(), CAR);
    for along in [-half / 2.0, half / 2.0] {
        scene.circle(at(along, wheel), wheel, WHEEL);
    }
    scene
}
