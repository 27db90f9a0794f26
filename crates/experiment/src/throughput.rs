//! How fast an environment steps by itself.

use std::{fmt, time::Duration};

use elegante_env::{AnyEnv, Ending, EnvError, EnvRng, Space, StepOut, Value, VecEnv, VectorEnv};
use elegante_policy::ActionBatch;
use elegante_trainer::{env_actions, selfcheck::time};

/// Different actions drawn for a lane before the clock runs, at most; they are taken in turns.
const TURNS: usize = 1024;
/// Actions drawn in all, about.
const DRAWN: usize = 1 << 16;

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
    let envs = (0..lanes).map(|_| make()).collect::<Result<Vec<_>, _>>()?;
    let mut driven = Driven::new(Box::new(VecEnv::new(envs)?))?;
    Ok(lanes as f64 / time(budget, || driven.step())?.seconds)
}

/// Environments that are stepped under actions drawn from their space, with all that a step returns.
pub struct Driven {
    env: Box<dyn VectorEnv>,
    space: Space,
    rng: EnvRng,
    /// Actions of all lanes, to be taken in turns.
    drawn: Vec<ActionBatch>,
    turn: usize,
    obs: Vec<f32>,
    final_obs: Vec<f32>,
    rewards: Vec<f64>,
    endings: Vec<Option<Ending>>,
}

impl fmt::Debug for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Driven({} lanes)", self.env.lanes())
    }
}

impl Driven {
    /// Resets the environments and draws actions for them.
    ///
    /// # Errors
    /// When an environment fails, or has an action space that can't be drawn from.
    pub fn new(mut env: Box<dyn VectorEnv>) -> Result<Self, EnvError> {
        let (lanes, width) = (env.lanes(), env.observation_space().flat_len());
        let mut obs = vec![0.0; lanes * width];
        env.reset(0, &mut obs)?;
        let (space, rng) = (env.action_space(), EnvRng::from_entropy(&[0]));
        let (rewards, endings) = (vec![0.0; lanes], vec![None; lanes]);
        let (final_obs, drawn) = (obs.clone(), Vec::new());
        let mut driven = Self { env, space, rng, drawn, turn: 0, obs, final_obs, rewards, endings };
        let turns = if driven.masked() { 1 } else { (DRAWN / lanes).clamp(2, TURNS) };
        driven.drawn = (0..turns).map(|_| driven.draw()).collect::<Result<_, _>>()?;
        Ok(driven)
    }

    /// Whether some actions may be invalid. What is valid is then asked, and drawn, at every step.
    fn masked(&self) -> bool {
        (0..self.env.lanes()).any(|lane| self.env.action_mask(lane).is_some())
    }

    /// An action for every lane.
    fn draw(&mut self) -> Result<ActionBatch, EnvError> {
        let dims = self.space.action_len().unwrap_or(0);
        let mut batch = match self.space {
            Space::Discrete(_) => ActionBatch::Discrete(Vec::new()),
            Space::MultiDiscrete(_) => ActionBatch::MultiDiscrete { values: Vec::new(), dims },
            Space::MultiBinary(_) => ActionBatch::MultiBinary { values: Vec::new(), dims },
            _ => ActionBatch::Continuous { values: Vec::new(), dims },
        };
        for lane in 0..self.env.lanes() {
            let value = self.space.sample_masked(self.env.action_mask(lane), &mut self.rng);
            match (&mut batch, value) {
                (ActionBatch::Discrete(all), Some(Value::Discrete(index))) => all.push(index),
                (ActionBatch::MultiDiscrete { values, .. }, Some(Value::MultiDiscrete(row))) => {
                    values.extend(row);
                }
                (ActionBatch::MultiBinary { values, .. }, Some(Value::MultiBinary(row))) => {
                    values.extend(row);
                }
                (ActionBatch::Continuous { values, .. }, Some(Value::Box(row))) => {
                    values.extend(row);
                }
                _ => {
                    let why = format!("no actions can be drawn from {}", self.space);
                    return Err(EnvError::custom(why));
                }
            }
        }
        Ok(batch)
    }

    /// One step of every lane.
    ///
    /// # Errors
    /// When an environment fails.
    pub fn step(&mut self) -> Result<(), EnvError> {
        if self.drawn.len() == 1 {
            self.drawn[0] = self.draw()?;
        }
        let out = StepOut {
            obs: &mut self.obs,
            final_obs: &mut self.final_obs,
            rewards: &mut self.rewards,
            endings: &mut self.endings,
        };
        self.env.step(env_actions(&self.drawn[self.turn]), out)?;
        self.turn = (self.turn + 1) % self.drawn.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elegante_env::Registry;

    #[test]
    fn every_registered_environment_can_be_driven() {
        let (registry, none) = (Registry::standard(), toml::Table::new());
        for entry in registry.iter() {
            for lanes in [1, 3] {
                let mut driven = Driven::new(entry.make_vec(lanes, &none).unwrap()).unwrap();
                (0..600).try_for_each(|_| driven.step()).unwrap();
            }
            let speed = env_steps_per_second(|| entry.make(&none), 2, Duration::ZERO).unwrap();
            assert!(speed > 0.0, "{}: {speed}", entry.id());
        }
    }
}
