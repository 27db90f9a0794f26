//! A bandit with several arms: one pull is the whole episode.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

use super::{exact, one_hot};
use crate::{
    AnyEnv, Discrete, Entry, Env, EnvError, EnvRng, Reset, Scene, Space, Step,
    options::Options,
    scene::{BLACK, Rgb},
    state,
};

/// Pulling arm a pays a normal random number with mean `means[a]`, and ends the episode. There is
/// nothing to see: the observation is always 1.
///
/// The optimal return is the largest mean: 0.9 for the usual arms, where arms at random pay 0.5.
#[derive(Clone, Debug)]
pub struct Bandit {
    means: Vec<f64>,
    noise: f64,
    visit: Visit,
}

/// The generator, whether an arm may be pulled, and which one was, for the picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Visit {
    rng: EnvRng,
    ready: bool,
    pulled: Option<usize>,
}

const MEANS: [f64; 5] = [0.1, 0.3, 0.5, 0.7, 0.9];
const NOISE: f64 = 0.5;

impl Default for Bandit {
    fn default() -> Self {
        Self::unchecked(MEANS.to_vec(), NOISE)
    }
}

impl Bandit {
    /// An arm for each of `means`, with `noise` as the standard deviation of what it pays.
    ///
    /// # Errors
    /// When there is no arm, or a number is not finite, or the noise negative.
    pub fn new(means: Vec<f64>, noise: f64) -> Result<Self, EnvError> {
        let wrong = |option: &str, value: String, expected| EnvError::OptionValue {
            env: "Bandit".into(),
            option: option.into(),
            value,
            expected,
        };
        if means.is_empty() || means.iter().any(|mean| !mean.is_finite()) {
            return Err(wrong("means", format!("{means:?}"), "a list of finite numbers"));
        }
        if !(0.0..=f64::MAX).contains(&noise) {
            return Err(wrong("noise", noise.to_string(), "a finite number of at least 0"));
        }
        Ok(Self::unchecked(means, noise))
    }

    fn unchecked(means: Vec<f64>, noise: f64) -> Self {
        Self { means, noise, visit: Visit { rng: EnvRng::new(0), ready: false, pulled: None } }
    }
}

/// A standard normal number (Box & Muller, 1958).
fn normal(rng: &mut EnvRng) -> f64 {
    // 1 − u lies in (0, 1], where the logarithm is finite.
    let radius = (-2.0 * (1.0 - rng.random_f64()).ln()).sqrt();
    radius * (TAU * rng.random_f64()).cos()
}

impl Env for Bandit {
    type Action = usize;

    fn observation_space(&self) -> Space {
        Discrete::new(1).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(self.means.len())
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        let obs = exact(obs, 1)?;
        Options::of_reset("Bandit", reset, &[])?;
        if let Some(seed) = reset.seed {
            self.visit.rng = EnvRng::new(seed);
        }
        (self.visit.ready, self.visit.pulled) = (true, None);
        one_hot(obs, 0);
        Ok(())
    }

    fn step(&mut self, &arm: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        let obs = exact(obs, 1)?;
        if !self.visit.ready {
            return Err(EnvError::NotReset);
        }
        let Some(mean) = self.means.get(arm) else {
            return Err(EnvError::action_out_of_space(arm, self.action_space()));
        };
        (self.visit.ready, self.visit.pulled) = (false, Some(arm));
        one_hot(obs, 0);
        Ok(Step::terminated(mean + self.noise * normal(&mut self.visit.rng)))
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        state::save(&self.visit)
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        self.visit = state::load(bytes)?;
        Ok(())
    }

    fn scene(&self) -> Option<Scene> {
        Some(draw(&self.means, self.visit.pulled))
    }
}

/// The registry's entry of this name.
pub(super) fn entry(id: &'static str) -> Entry {
    let make = |options: &toml::Table| {
        let options = Options::new("Bandit", options);
        let noise = options.number("noise", NOISE)?;
        Ok(AnyEnv::new(Bandit::new(options.numbers("means", &MEANS)?, noise)?))
    };
    Entry::new(id, "probe: pull one of several arms, once; optimal return: the largest mean", make)
        .option("means", MEANS.map(toml::Value::Float).to_vec(), "what each arm pays on average")
        .option("noise", NOISE, "standard deviation of what an arm pays")
}

const ARM: Rgb = [129, 132, 203];
const PULLED: Rgb = [204, 77, 77];

/// A bar as high as each arm's mean, the pulled one in red.
fn draw(means: &[f64], pulled: Option<usize>) -> Scene {
    let extreme = |of: fn(f64, f64) -> f64| means.iter().copied().fold(0.0, of);
    let (low, high) = (extreme(f64::min), extreme(f64::max));
    let tall = if high > low { high - low } else { 1.0 };
    let width = tall * 1.5 / means.len() as f64;
    let right = width * means.len() as f64;
    let mut scene = Scene::new([0.0, right], [low - 0.1 * tall, low + 1.1 * tall]);
    for (arm, mean) in means.iter().enumerate() {
        let left = width * arm as f64;
        let color = if pulled == Some(arm) { PULLED } else { ARM };
        scene.rectangle([left + 0.1 * width, 0.0], [left + 0.9 * width, *mean], color);
    }
    scene.line(vec![[0.0, 0.0], [right, 0.0]], 0.01 * tall, BLACK);
    scene
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_pay_their_means_with_the_noise_asked_for() {
        let (mut env, mut obs) = (Bandit::default(), [0.0]);
        env.reset(&Reset::seeded(1), &mut obs).unwrap();
        for (arm, mean) in MEANS.iter().enumerate() {
            let n = 4000;
            let (mut sum, mut squares) = (0.0, 0.0);
            for _ in 0..n {
                env.reset(&Reset::default(), &mut obs).unwrap();
                let off = env.step(&arm, &mut obs).unwrap().reward - mean;
                (sum, squares) = (sum + off, squares + off * off);
            }
            let n = f64::from(n);
            // Five standard errors: 0.04 of the mean, 0.028 of the deviation.
            assert!((sum / n).abs() < 0.04, "arm {arm} is off by {}", sum / n);
            assert!(((squares / n).sqrt() - NOISE).abs() < 0.028, "arm {arm}");
        }
        let mut sure = Bandit::new(vec![2.0, -1.0], 0.0).unwrap();
        sure.reset(&Reset::default(), &mut obs).unwrap();
        assert_eq!(sure.step(&0, &mut obs).unwrap(), Step::terminated(2.0));
    }

    #[test]
    fn impossible_bandits_are_refused() {
        assert!(Bandit::new(vec![], 1.0).is_err());
        assert!(Bandit::new(vec![0.0, f64::NAN], 1.0).is_err());
        assert!(Bandit::new(vec![0.0], -1.0).is_err());
    }
}
