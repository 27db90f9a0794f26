//! Plays a policy's episodes one step at a time, for whoever wants to watch.

use elegante_env::{AnyEnv, DynEnv, Ending, EnvRng, Reset, Scene};
use elegante_policy::{ActionBatch, Policy};
use elegante_trainer::{Purpose, TrainError, env_actions, evaluation_seed, stream};

/// A policy at play in one environment. The episodes are those that an evaluation with the same
/// seed plays.
pub struct Player<'a> {
    policy: &'a Policy,
    env: AnyEnv,
    seed: u64,
    stochastic: bool,
    stream: EnvRng,
    observation: Vec<f32>,
    episode_return: f64,
    length: usize,
}

/// What one step brought.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// The action taken.
    pub action: ActionBatch,
    /// The reward for it.
    pub reward: f64,
    /// Rewards of the episode so far.
    pub episode_return: f64,
    /// Steps of the episode so far.
    pub length: usize,
    /// Why the episode ended, if it did.
    pub ending: Option<Ending>,
}

impl<'a> Player<'a> {
    /// Nothing is played until [`begin`](Self::begin). With `stochastic` the actions are drawn as in
    /// training; if not, each is the most probable one.
    pub fn new(policy: &'a Policy, env: AnyEnv, seed: u64, stochastic: bool) -> Self {
        let width = env.observation_space().flat_len();
        Self {
            policy,
            env,
            seed,
            stochastic,
            stream: stream(seed, Purpose::EvaluationAction, 0),
            observation: vec![0.0; width],
            episode_return: 0.0,
            length: 0,
        }
    }

    /// Begins episode `episode`, counted from 0.
    ///
    /// # Errors
    /// When the environment fails.
    pub fn begin(&mut self, episode: u64) -> Result<(), TrainError> {
        self.stream = stream(self.seed, Purpose::EvaluationAction, episode);
        (self.episode_return, self.length) = (0.0, 0);
        let reset = Reset::seeded(evaluation_seed(self.seed, episode));
        Ok(self.env.reset(&reset, &mut self.observation)?)
    }

    /// Takes one step.
    ///
    /// # Errors
    /// When the environment fails, or the policy's weights have diverged.
    pub fn step(&mut self) -> Result<Moment, TrainError> {
        let action = if self.stochastic {
            self.policy.sample(&self.observation, &mut self.stream)?
        } else {
            self.policy.act(&self.observation)?
        };
        let taken = env_actions(&action)?.row(0, action.dims());
        let step = self.env.step(taken, &mut self.observation)?;
        self.episode_return += step.reward;
        self.length += 1;
        Ok(Moment {
            action,
            reward: step.reward,
            episode_return: self.episode_return,
            length: self.length,
            ending: step.ending,
        })
    }

    /// A picture of the current state, if the environment can draw itself.
    pub fn scene(&self) -> Option<Scene> {
        self.env.scene()
    }
}
