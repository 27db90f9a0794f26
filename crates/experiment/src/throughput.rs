//! How fast an environment steps by itself.

use std::time::{Duration, Instant};

use elegante_env::{Actions, AnyEnv, EnvError, EnvRng, Space, StepOut, VecEnv, VectorEnv};

/// Different actions drawn before the clock runs; they are taken in turns.
const DRAWN: usize = 1024;

/// Environment steps a second of `lanes` environments side by side on one thread, under actions
/// drawn from their space: no policy, no learning. Takes about as long as `budget`.
///
/// # Errors
/// When an environment fails, or has an action space that can't be drawn from.
pub fn env_steps_per_second(
    make: impl Fn() -> Result<AnyEnv, EnvError>,
    lanes: usize,
    budget: Duration,
) -> Result<f64, EnvError> {
    let lanes = lanes.max(1);
    let mut env = VecEnv::new((0..lanes).map(|_| make()).collect::<Result<Vec<_>, _>>()?)?;
    let width = env.observation_space().flat_len();
    let mut obs = vec![0.0; lanes * width];
    let mut final_obs = obs.clone();
    let (mut rewards, mut endings) = (vec![0.0; lanes], vec![None; lanes]);
    env.reset(0, &mut obs)?;
    let drawn = Drawn::new(&env.action_space(), lanes)?;
    let (began, mut steps) = (Instant::now(), 0usize);
    while began.elapsed() < budget {
        for turn in 0..DRAWN {
            let out = StepOut {
                obs: &mut obs,
                final_obs: &mut final_obs,
                rewards: &mut rewards,
                endings: &mut endings,
            };
            env.step(drawn.turn(turn, lanes), out)?;
        }
        steps += DRAWN * lanes;
    }
    Ok(steps as f64 / began.elapsed().as_secs_f64())
}

/// Actions for `DRAWN` steps of every lane.
enum Drawn {
    Discrete(Vec<usize>),
    Continuous(Vec<f32>, usize),
}

impl Drawn {
    fn new(space: &Space, lanes: usize) -> Result<Self, EnvError> {
        let mut rng = EnvRng::from_entropy(&[0]);
        let count = DRAWN * lanes;
        match space {
            Space::Discrete(space) => {
                Ok(Self::Discrete((0..count).map(|_| space.sample(&mut rng)).collect()))
            }
            Space::Box(space) => {
                let values = (0..count).flat_map(|_| space.sample(&mut rng)).collect();
                Ok(Self::Continuous(values, space.len()))
            }
            other => Err(EnvError::custom(format!("no actions can be drawn from {other}"))),
        }
    }

    fn turn(&self, turn: usize, lanes: usize) -> Actions<'_> {
        match self {
            Self::Discrete(all) => Actions::Discrete(&all[turn * lanes..][..lanes]),
            Self::Continuous(all, dims) => {
                let row = lanes * dims;
                Actions::Continuous(&all[turn * row..][..row])
            }
        }
    }
}
