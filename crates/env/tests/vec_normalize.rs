//! Normalisers against Stable-Baselines3's `VecNormalize`; `scripts/goldens_sb3.py` wrote what it returned.
#![allow(clippy::unwrap_used)] // a panic here is the report

mod common;

use common::Rows;
use elegante_env::{
    Actions, BoxSpace, Discrete, Env, EnvError, Reset, Space, Step, VecEnv, VectorEnv,
    wrappers::{NormalizeObservation, NormalizeReward, RewardNormalizer, RunningMeanStd},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Goldens {
    gamma: f64,
    first: First,
    steps: Vec<Recorded>,
}

#[derive(Deserialize)]
struct First {
    raw: Vec<Vec<f32>>,
    normalized: Vec<Vec<f32>>,
    state: Statistics,
}

/// One vector step; an entry for each lane.
#[derive(Deserialize)]
struct Recorded {
    raw: Vec<Vec<f32>>,
    raw_rewards: Vec<f64>,
    /// Where an episode ended.
    raw_finals: Vec<Option<Vec<f32>>>,
    normalized: Vec<Vec<f32>>,
    rewards: Vec<f32>,
    finals: Vec<Option<Vec<f32>>>,
    state: Statistics,
}

#[derive(Deserialize)]
struct Statistics {
    observations: Running,
    returns: Running,
}

#[derive(Deserialize)]
struct Running {
    mean: Vec<f64>,
    variance: Vec<f64>,
    count: f64,
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("goldens/vec_normalize.json")).unwrap()
}

/// One lane of the recording: (reward, what it leads to, what a reset then shows if it ends).
struct Replay {
    first: Vec<f32>,
    steps: std::vec::IntoIter<(f64, Vec<f32>, Option<Vec<f32>>)>,
}

impl Replay {
    fn lane(goldens: &Goldens, lane: usize) -> Self {
        let steps = goldens.steps.iter().map(|step| {
            let (reward, shown) = (step.raw_rewards[lane], step.raw[lane].clone());
            match step.raw_finals[lane].clone() {
                Some(last) => (reward, last, Some(shown)),
                None => (reward, shown, None),
            }
        });
        let steps = steps.collect::<Vec<_>>().into_iter();
        Self { first: goldens.first.raw[lane].clone(), steps }
    }
}

impl Env for Replay {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(self.first.len()).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(2)
    }

    fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        obs.copy_from_slice(&self.first);
        Ok(())
    }

    fn step(&mut self, _: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        let (reward, shown, next) = self.steps.next().unwrap();
        obs.copy_from_slice(&shown);
        let Some(next) = next else { return Ok(Step::going(reward)) };
        self.first = next;
        // VecNormalize does not ask which kind of ending it was.
        Ok(Step::terminated(reward))
    }
}

/// Equal to 1e-12 of `scale`, where the numbers were added in another order.
fn same(what: &str, got: f64, golden: f64, scale: f64) {
    assert!((got - golden).abs() <= 1e-12 * scale, "{what}: {got}, not {golden}");
}

fn same_statistics(what: &str, got: &RunningMeanStd, golden: &Running) {
    same(what, got.count() as f64 + 1e-4, golden.count, golden.count);
    for (column, (&mean, &variance)) in golden.mean.iter().zip(&golden.variance).enumerate() {
        let what = format!("{what}, column {column}");
        same(&what, got.mean(column), mean, mean.abs().max(variance.sqrt()));
        same(&what, got.variance(column), variance, variance);
    }
}

/// Equal but for float32's last digit.
fn close(what: &str, got: &[f32], golden: &[f32]) {
    for (got, golden) in got.iter().zip(golden) {
        assert!((got - golden).abs() <= 2e-7 * golden.abs(), "{what}: {got}, not {golden}");
    }
}

#[test]
fn observations_rewards_and_statistics_are_vec_normalizes() {
    let goldens = goldens();
    let (lanes, width) = (goldens.first.raw.len(), goldens.first.raw[0].len());
    let envs = (0..lanes).map(|lane| Replay::lane(&goldens, lane)).collect();
    let rewards = RewardNormalizer::new(lanes, goldens.gamma).unwrap();
    let env = NormalizeReward::vector(VecEnv::new(envs).unwrap(), rewards);
    let mut env = NormalizeObservation::vector(env, None).unwrap();
    let mut rows = Rows::new(lanes, width);

    env.reset(0, &mut rows.obs).unwrap();
    close("first observations", &rows.obs, &goldens.first.normalized.concat());
    let statistics = env.normalizer().statistics();
    same_statistics("after the reset", statistics, &goldens.first.state.observations);
    let returns = env.inner().normalizer().statistics();
    same_statistics("returns after the reset", returns, &goldens.first.state.returns);

    let mut endings = 0;
    for (t, golden) in goldens.steps.iter().enumerate() {
        env.step(Actions::Discrete(&vec![0; lanes]), rows.out()).unwrap();
        close(&format!("step {t}"), &rows.obs, &golden.normalized.concat());
        let rewards: Vec<f32> = rows.rewards.iter().map(|&reward| reward as f32).collect();
        close(&format!("rewards of step {t}"), &rewards, &golden.rewards);
        for (lane, last) in golden.finals.iter().enumerate() {
            assert_eq!(rows.endings[lane].is_some(), last.is_some(), "step {t}, lane {lane}");
            let Some(last) = last else { continue };
            close(&format!("end at step {t}"), &rows.final_obs[lane * width..][..width], last);
            endings += 1;
        }
        let statistics = env.normalizer().statistics();
        same_statistics(&format!("step {t}"), statistics, &golden.state.observations);
        let returns = env.inner().normalizer().statistics();
        same_statistics(&format!("returns of step {t}"), returns, &golden.state.returns);
    }
    assert!(endings > 5, "{endings}");
}
