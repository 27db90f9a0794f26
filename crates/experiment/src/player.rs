//! Plays a policy's episodes one step at a time, for whoever wants to watch.

use elegante_env::{AnyEnv, DynEnv, Ending, EnvRng, Reset, Scene};
use elegante_policy::{ActionBatch, Actor, Policy};
use elegante_trainer::{Purpose, TrainError, env_actions, evaluation_seed, stream};

/// A policy at play in one environment. The episodes are those that an evaluation with the same
/// seed plays.
pub struct Player<'a> {
    policy: &'a Policy,
    actor: Actor<'a>,
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
            actor: Actor::new(policy, 1),
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
        self.actor.begin(0);
        let reset = Reset::seeded(evaluation_seed(self.seed, episode));
        Ok(self.env.reset(&reset, &mut self.observation)?)
    }

    /// Takes one step.
    ///
    /// # Errors
    /// When the environment fails, or the policy's weights have diverged.
    pub fn step(&mut self) -> Result<Moment, TrainError> {
        let mask = self.env.action_mask().unwrap_or_default();
        let π = self.actor.look(&[0], &self.observation, mask)?;
        let action = if self.stochastic { π.sample([&mut self.stream])? } else { π.mode()? };
        let action = self.policy.to_env(action);
        let taken = env_actions(&action).row(0, action.dims());
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

#[cfg(test)]
mod tests {
    use super::*;
    use elegante_env::{BoxSpace, Discrete, Env, EnvError, Space, Step};
    use elegante_policy::{DeviceChoice, MlpConfig};
    use elegante_trainer::{Continuous, EvalConfig, evaluate, policy_config};

    /// Twelve steps, each with one of four actions forbidden by chance; taking it is an error.
    struct Fenced {
        rng: EnvRng,
        time: usize,
        mask: [bool; 4],
    }

    impl Fenced {
        fn boxed() -> AnyEnv {
            AnyEnv::new(Self { rng: EnvRng::new(0), time: 0, mask: [true; 4] })
        }

        fn fence(&mut self, obs: &mut [f32]) {
            self.mask = [true; 4];
            self.mask[(self.rng.random_f64() * 4.0) as usize] = false;
            obs.fill(self.time as f32 - 6.0);
        }
    }

    impl Env for Fenced {
        type Action = usize;

        fn observation_space(&self) -> Space {
            BoxSpace::unbounded(1).into()
        }

        fn action_space(&self) -> Discrete {
            Discrete::new(4)
        }

        fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
            self.rng = EnvRng::new(reset.seed.unwrap_or_default());
            self.time = 0;
            self.fence(obs);
            Ok(())
        }

        fn step(&mut self, &action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
            if !self.mask[action] {
                return Err(EnvError::custom(format!("{action} is forbidden")));
            }
            self.time += 1;
            self.fence(obs);
            let reward = action as f64;
            Ok(if self.time == 12 { Step::terminated(reward) } else { Step::going(reward) })
        }

        fn action_mask(&self) -> Option<&[bool]> {
            Some(&self.mask)
        }
    }

    #[test]
    fn a_player_plays_the_evaluations_episodes_and_keeps_to_the_mask() {
        let env = Fenced::boxed();
        let (observation, action) = (env.observation_space(), env.action_space());
        let config =
            policy_config(&observation, &action, &MlpConfig::default(), Continuous::Gaussian, 0.0)
                .unwrap();
        let device = DeviceChoice::Auto.open().unwrap();
        let policy = config.init(&mut EnvRng::new(1), &device).unwrap();
        for deterministic in [true, false] {
            let mut player = Player::new(&policy, Fenced::boxed(), 5, !deterministic);
            let mut sum = 0.0;
            for episode in 0..8 {
                player.begin(episode).unwrap();
                let last = loop {
                    let moment = player.step().unwrap();
                    if moment.ending.is_some() {
                        break moment;
                    }
                };
                assert_eq!(last.length, 12);
                sum += last.episode_return;
            }
            let config = EvalConfig { episodes: 8, seed: 5, deterministic };
            let evaluation = evaluate(&policy, || Ok(Fenced::boxed()), &config).unwrap();
            assert_eq!(evaluation.mean_return, sum / 8.0);
        }
    }
}
