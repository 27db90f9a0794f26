//! How good a policy is, on episodes it was not trained on.

use elegante_env::{AnyEnv, EnvError, EnvRng, Reset, VecEnv, VectorEnv};
use elegante_policy::{Actor, Policy};
use serde::{Deserialize, Serialize};

use crate::{
    TrainError,
    bridge::{self, env_actions, mask_rows},
    config::check,
    lanes::{Buffers, ENDLESS},
    returns::mean_std,
    streams::{Purpose, evaluation_seed, stream},
};

/// Episodes that are played side by side.
const LANES: usize = 100;

/// How to evaluate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalConfig {
    /// Episodes to play.
    pub episodes: usize,
    /// Seed of the episodes: episode k begins as [`evaluation_seed`]`(seed, k)` says.
    pub seed: u64,
    /// The most probable action at every step; if not, actions are drawn as in training.
    pub deterministic: bool,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self { episodes: 100, seed: 0, deterministic: true }
    }
}

/// What an evaluation found. Returns are undiscounted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean return.
    pub mean_return: f64,
    /// Standard deviation of the returns (of the population, as in Stable-Baselines3).
    pub std_return: f64,
    /// Smallest return.
    pub min_return: f64,
    /// Largest return.
    pub max_return: f64,
    /// Mean number of steps.
    pub mean_length: f64,
    /// Episodes played.
    pub episodes: usize,
    /// Seed of the episodes.
    pub seed: u64,
    /// Whether the most probable action was taken at every step.
    pub deterministic: bool,
}

/// Plays whole episodes, none of which training has seen, and sums up their returns.
///
/// # Errors
/// When the number of episodes makes no sense, the policy does not fit the environment, or either of
/// them fails.
pub fn evaluate(
    policy: &Policy,
    make: impl Fn() -> Result<AnyEnv, EnvError>,
    config: &EvalConfig,
) -> Result<Evaluation, TrainError> {
    check_episodes("episodes", config.episodes)?;
    let mut played = Vec::with_capacity(config.episodes);
    for first in (0..config.episodes).step_by(LANES) {
        let episodes = first..config.episodes.min(first + LANES);
        let envs = episodes.clone().map(|_| make()).collect::<Result<Vec<_>, _>>()?;
        let env = VecEnv::new(envs)?;
        fits(policy, &env)?;
        played.extend(play(policy, env, first, config)?);
    }
    let returns: Vec<f64> = played.iter().map(|episode| episode.episode_return).collect();
    let lengths: Vec<f64> = played.iter().map(|episode| episode.length as f64).collect();
    let (mean_return, std_return) = mean_std(&returns);
    Ok(Evaluation {
        mean_return,
        std_return,
        min_return: returns.iter().copied().fold(f64::INFINITY, f64::min),
        max_return: returns.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        mean_length: mean_std(&lengths).0,
        episodes: config.episodes,
        seed: config.seed,
        deterministic: config.deterministic,
    })
}

/// Whether anybody can mean to play so many episodes.
pub(crate) fn check_episodes(name: &'static str, episodes: usize) -> Result<(), TrainError> {
    check(name, episodes, (1..=1_000_000).contains(&episodes), "between 1 and 1000000")
}

/// Whether a policy can act in an environment with these spaces.
fn fits(policy: &Policy, env: &VecEnv<AnyEnv>) -> Result<(), TrainError> {
    let mine = policy.config();
    let (observation, action) = (env.observation_space(), env.action_space());
    if bridge::fits(mine, &observation, &action) {
        return Ok(());
    }
    Err(TrainError::Unsupported(format!(
        "the policy takes {} observations and {} outputs for its actions, but the environment's observations are {observation} and its actions {action}: it was trained on another environment",
        mine.observation,
        mine.action.outputs(),
    )))
}

/// One episode under way, and then over.
struct Playing {
    stream: EnvRng,
    episode_return: f64,
    length: usize,
    over: bool,
}

/// Plays one episode in each lane; lane i is episode `first` + i.
fn play(
    policy: &Policy,
    mut env: VecEnv<AnyEnv>,
    first: usize,
    config: &EvalConfig,
) -> Result<Vec<Playing>, TrainError> {
    let mut actor = Actor::new(policy, env.lanes());
    let (width, actions) = (policy.config().observation, policy.config().action.choices());
    let mut observations = vec![0.0; env.lanes() * width];
    let mut playing = Vec::with_capacity(env.lanes());
    for (lane, row) in observations.chunks_exact_mut(width).enumerate() {
        let episode = (first + lane) as u64;
        env.reset_lane(lane, &Reset::seeded(evaluation_seed(config.seed, episode)), row)?;
        let stream = stream(config.seed, Purpose::EvaluationAction, episode);
        playing.push(Playing { stream, episode_return: 0.0, length: 0, over: false });
    }
    let mut active: Vec<usize> = (0..env.lanes()).collect();
    let mut out = Buffers::new(active.len(), width);
    while !active.is_empty() {
        let valid = mask_rows(active.iter().map(|&lane| env.action_mask(lane)), actions)?;
        let distribution = actor.look(&active, &observations, &valid)?;
        let chosen = if config.deterministic {
            distribution.mode()?
        } else {
            let streams = playing.iter_mut().filter(|lane| !lane.over).map(|lane| &mut lane.stream);
            distribution.sample(streams)?
        };
        env.step_lanes(
            &active,
            env_actions(&policy.to_env(chosen)),
            out.rows(active.len(), width),
        )?;

        observations = Vec::with_capacity(active.len() * width);
        let mut row = 0;
        let mut endless = None;
        active.retain(|&lane| {
            let state = &mut playing[lane];
            state.episode_return += out.rewards[row];
            state.length += 1;
            state.over = out.endings[row].is_some();
            if !state.over {
                observations.extend_from_slice(&out.observations[row * width..(row + 1) * width]);
                if state.length >= ENDLESS {
                    endless = Some(TrainError::EndlessEpisode { lane, steps: state.length });
                }
            }
            row += 1;
            !state.over
        });
        endless.map_or(Ok(()), Err)?;
    }
    Ok(playing)
}
