//! The mountain car with a throttle: any force between full left and full right.

use serde::{Deserialize, Serialize};

use super::{
    batched,
    episode::{Episode, scalar, scalars, sized},
    limited,
    mountain_car::{
        GOAL_VELOCITY, GRAVITY, INITIAL, MAX_POSITION, MAX_SPEED, MIN_POSITION, NAMES, RESTING,
        draw, observations,
    },
};
use crate::{
    Batch, BoxSpace, Entry, Env, EnvError, EnvRng, Lane, Reset, Scene, Space, Step,
    options::{LOW_HIGH, Options},
    state,
};

const GOAL_POSITION: f64 = 0.45;
const POWER: f64 = 0.0015;

/// Gymnasium's MountainCarContinuous: initial states, physics and rewards are the same to the last bit
/// on Linux, its changes between f64 and f32 included.
///
/// Actions: one force, clipped to ±1. Observations: position and velocity. Reward: −0.1 a², of the
/// action as it was *before* clipping, and 100 more for the step that ends the episode: at position
/// 0.45 or beyond with at least the goal's velocity. Reset options: `low` and `high`, bounds of the
/// uniform initial position; the car starts at rest.
///
/// ```
/// use elegante_env::{Env, MountainCarContinuous, Reset};
///
/// let mut env = MountainCarContinuous::default();
/// let mut obs = [0.0; 2];
/// env.reset(&Reset::seeded(42), &mut obs)?;
/// assert_eq!(obs, [-0.4452088, 0.0]); // Gymnasium's seed 42
/// assert_eq!(env.step(&[0.5], &mut obs)?.reward, -0.025);
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MountainCarContinuous {
    goal_velocity: f64,
    episode: Episode<[f64; 2]>,
    precision: Precision,
}

/// What Gymnasium holds a state in: f64 after a reset, f32 after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Precision {
    /// The state is the one that was drawn.
    Double,
    /// The state is the observation itself.
    Single,
}

impl Precision {
    /// From a number in a lane: whether the state was drawn.
    #[inline]
    fn of(drawn: f64) -> Self {
        if drawn > 0.0 { Self::Double } else { Self::Single }
    }

    /// `x` as the result of a sum or product of such numbers. (An f32 operation is the f64 one rounded:
    /// f64 has more than twice the digits, so that rounding twice changes nothing.)
    #[inline]
    fn round(self, x: f64) -> f64 {
        match self {
            Self::Double => x,
            Self::Single => single(x),
        }
    }
}

#[inline]
fn single(x: f64) -> f64 {
    f64::from(x as f32)
}

impl Default for MountainCarContinuous {
    fn default() -> Self {
        Self::new(0.0)
    }
}

#[derive(Serialize, Deserialize)]
struct Saved {
    episode: Episode<[f64; 2]>,
    precision: Precision,
}

impl MountainCarContinuous {
    /// The goal counts only when the car is at least this fast there; Gymnasium's usual velocity is 0.
    pub fn new(goal_velocity: f64) -> Self {
        Self { goal_velocity, episode: Episode::new(RESTING), precision: Precision::Double }
    }

    /// The state: position and velocity per step; `None` while no episode is under way. After a step
    /// both are f32 numbers.
    pub fn state(&self) -> Option<[f64; 2]> {
        self.episode.state()
    }

    /// Goes on from this state as from the end of a step, whether or not an episode was under way.
    ///
    /// # Errors
    /// When a number is not finite.
    pub fn set_state(&mut self, state: [f32; 2]) -> Result<(), EnvError> {
        self.episode.set(state.map(f64::from), NAMES)?;
        self.precision = Precision::Single;
        Ok(())
    }
}

/// One step in Gymnasium's order and precision of operations. A number that was clipped is there an
/// f64 without a precision of its own: it takes that of whatever it meets, and meets the goal's
/// velocity as it is.
#[inline]
pub(crate) fn transition(
    [position, velocity]: [f64; 2],
    precision: Precision,
    action: f32,
    goal_velocity: f64,
) -> ([f64; 2], Step) {
    let round = |x| precision.round(x);
    let slope = GRAVITY * round(3.0 * position).cos();
    let thrust = match action {
        a if a > 1.0 => POWER - slope,
        a if a < -1.0 => -POWER - slope,
        a => single(f64::from(a * POWER as f32) - single(slope)),
    };
    let velocity = round(velocity + round(thrust));
    let too_fast = velocity > round(MAX_SPEED) || velocity < round(-MAX_SPEED);
    let velocity = if too_fast { MAX_SPEED.copysign(velocity) } else { velocity };

    let position = round(position + round(velocity));
    let beyond = position > round(MAX_POSITION);
    let at_wall = position <= round(MIN_POSITION);
    let position = if beyond { MAX_POSITION } else { position.max(round(MIN_POSITION)) };
    let velocity = if at_wall && velocity < 0.0 { 0.0 } else { velocity };

    let goal_velocity = if too_fast { goal_velocity } else { round(goal_velocity) };
    let there = position >= round(GOAL_POSITION) && velocity >= goal_velocity;
    let effort = f64::from(action) * f64::from(action) * 0.1;
    let step = if there { Step::terminated(100.0 - effort) } else { Step::going(0.0 - effort) };
    ([single(position), single(velocity)], step)
}

fn forces() -> BoxSpace {
    BoxSpace::symmetric(vec![1.0])
}

impl Env for MountainCarContinuous {
    type Action = [f32];

    fn observation_space(&self) -> Space {
        observations()
    }

    fn action_space(&self) -> BoxSpace {
        forces()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = sized::<2>(obs)?;
        let options = Options::of_reset("MountainCarContinuous", reset, LOW_HIGH)?;
        let (low, high) = options.bounds(INITIAL[0], INITIAL[1])?;
        let state = self.episode.begin(reset.seed, |rng| [rng.uniform(low, high), 0.0]);
        self.precision = Precision::Double;
        *obs = state.map(|x| x as f32);
        Ok(())
    }

    #[inline]
    fn step(&mut self, action: &[f32], obs: &mut [f32]) -> Result<Step, EnvError> {
        let obs = sized::<2>(obs)?;
        let force = scalar(action, forces)?;
        let state = self.episode.under_way()?;
        let (state, step) = transition(state, self.precision, force, self.goal_velocity);
        self.episode.advance(state, step.ending.is_some());
        self.precision = Precision::Single;
        *obs = state.map(|x| x as f32);
        Ok(step)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        state::save(&Saved { episode: self.episode.clone(), precision: self.precision })
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        let Saved { episode, precision } = state::load(bytes)?;
        (self.episode, self.precision) = (episode.checked(NAMES)?, precision);
        Ok(())
    }

    fn scene(&self) -> Option<Scene> {
        Some(draw(self.episode.shown()[0], GOAL_POSITION))
    }
}

/// A lane's state: position, velocity, and 1 while these are the ones that were drawn.
impl Batch<3, 2, 1> for MountainCarContinuous {
    fn lane(&self) -> Lane<3> {
        let Lane { state: [position, velocity], under_way, rng } = self.episode.lane();
        let drawn = f64::from(u8::from(self.precision == Precision::Double));
        Lane { state: [position, velocity, drawn], under_way, rng }
    }

    fn set_lane(&mut self, lane: Lane<3>) {
        let Lane { state: [position, velocity, drawn], under_way, rng } = lane;
        self.episode = Episode::of_lane(Lane { state: [position, velocity], under_way, rng });
        self.precision = Precision::of(drawn);
    }

    #[inline]
    fn begin(&self, rng: &mut EnvRng) -> [f64; 3] {
        [rng.uniform(INITIAL[0], INITIAL[1]), 0.0, 1.0]
    }

    #[inline]
    fn observe(&self, [position, velocity, _]: [f64; 3]) -> [f32; 2] {
        [position as f32, velocity as f32]
    }

    fn check(&self, actions: &[[f32; 1]]) -> Result<(), EnvError> {
        scalars(actions, forces)
    }

    fn advance<const W: usize>(
        &self,
        [position, velocity, drawn]: [&mut [f64; W]; 3],
        actions: &[[f32; 1]; W],
        obs: &mut [[f32; 2]; W],
        rewards: &mut [f64; W],
        terminated: &mut [bool; W],
    ) {
        for i in 0..W {
            let ([force], before) = (actions[i], [position[i], velocity[i]]);
            let (after, step) =
                transition(before, Precision::of(drawn[i]), force, self.goal_velocity);
            [position[i], velocity[i]] = after;
            (rewards[i], terminated[i]) = (step.reward, step.ending.is_some());
            obs[i] = after.map(|x| x as f32);
        }
        drawn.fill(0.0);
    }
}

/// The registry's entry of this name.
pub(super) fn entry(id: &'static str, steps: usize, threshold: f64) -> Entry {
    let read = |options: &toml::Table| {
        let options = Options::new("MountainCarContinuous", options);
        options.number("goal_velocity", 0.0).map(MountainCarContinuous::new)
    };
    let summary = "drive a weak car out of a valley, with as little force as will do";
    Entry::new(id, summary, move |options| limited(read(options)?, steps))
        .vector(move |lanes, options| batched(read(options)?, lanes, steps))
        .max_episode_steps(steps)
        .reward_threshold(threshold)
        .option("goal_velocity", 0.0, GOAL_VELOCITY)
}
