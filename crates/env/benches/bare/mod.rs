//! What there is to compare with: the physics in plain loops over f64, an array of structures, actions
//! drawn inside, no interface around it, no check, nothing kept of an ending but the reset.

use std::{f64::consts::PI, hint::black_box};

use elegante_env::{Actions, Ending, EnvError, Space, StepOut, VectorEnv};

/// Marsaglia's xorshift64*: actions must cost little, and the same on both sides.
pub(crate) struct Cheap(u64);

impl Cheap {
    pub(crate) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    #[inline]
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    #[inline]
    fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.next() >> 11) as f64 / (1u64 << 53) as f64)
    }

    /// 0 … n − 1.
    #[inline]
    pub(crate) fn choice(&mut self, n: usize) -> usize {
        match n {
            2 => (self.next() >> 63) as usize,
            _ => ((self.next() >> 32) as usize * n) >> 32,
        }
    }
}

/// Lanes of one environment in a plain loop.
pub(crate) trait Bare {
    const OBS: usize;

    fn begin(rng: &mut Cheap) -> Self;

    /// Steps with a drawn action and returns the reward and whether the episode is over.
    fn step(&mut self, rng: &mut Cheap) -> (f64, bool);

    fn observe(&self, obs: &mut [f32]);
}

pub(crate) struct CartPole([f64; 4], u32);

impl Bare for CartPole {
    const OBS: usize = 4;

    fn begin(rng: &mut Cheap) -> Self {
        Self([(); 4].map(|()| rng.uniform(-0.05, 0.05)), 0)
    }

    #[inline(always)]
    fn step(&mut self, rng: &mut Cheap) -> (f64, bool) {
        let Self([x, v, theta, w], t) = self;
        let force = if rng.choice(2) == 1 { 10.0 } else { -10.0 };
        let (sin, cos) = theta.sin_cos();
        let temp = (force + 0.05 * (*w * *w) * sin) / 1.1;
        let swing = (9.8 * sin - cos * temp) / (0.5 * (4.0 / 3.0 - 0.1 * (cos * cos) / 1.1));
        let push = temp - 0.05 * swing * cos / 1.1;
        (*x, *v) = (*x + 0.02 * *v, *v + 0.02 * push);
        (*theta, *w) = (*theta + 0.02 * *w, *w + 0.02 * swing);
        *t += 1;
        (1.0, x.abs() > 2.4 || theta.abs() > 12.0 * 2.0 * PI / 360.0 || *t >= 500)
    }

    #[inline(always)]
    fn observe(&self, obs: &mut [f32]) {
        obs.copy_from_slice(&self.0.map(|x| x as f32));
    }
}

pub(crate) struct Pendulum([f64; 2], u32);

impl Bare for Pendulum {
    const OBS: usize = 3;

    fn begin(rng: &mut Cheap) -> Self {
        Self([rng.uniform(-PI, PI), rng.uniform(-1.0, 1.0)], 0)
    }

    #[inline(always)]
    fn step(&mut self, rng: &mut Cheap) -> (f64, bool) {
        let Self([theta, w], t) = self;
        let u = rng.uniform(-2.0, 2.0).clamp(-2.0, 2.0);
        let upright = (*theta + PI).rem_euclid(2.0 * PI) - PI;
        let cost = upright * upright + 0.1 * (*w * *w) + 0.001 * (u * u);
        *w = (*w + (15.0 * theta.sin() + 3.0 * u) * 0.05).clamp(-8.0, 8.0);
        *theta += *w * 0.05;
        *t += 1;
        (-cost, *t >= 200)
    }

    #[inline(always)]
    fn observe(&self, obs: &mut [f32]) {
        let (sin, cos) = self.0[0].sin_cos();
        obs.copy_from_slice(&[cos as f32, sin as f32, self.0[1] as f32]);
    }
}

/// A plain loop over lanes, with what it needs.
pub(crate) struct BareLoop<B> {
    lanes: Vec<B>,
    obs: Vec<f32>,
    rng: Cheap,
}

impl<B: Bare> BareLoop<B> {
    pub(crate) fn new(lanes: usize) -> Self {
        let mut rng = Cheap::new();
        let all = (0..lanes).map(|_| B::begin(&mut rng)).collect();
        Self { lanes: all, obs: vec![0.0; lanes * B::OBS], rng }
    }

    /// One step of every lane; the sum of the rewards keeps the compiler honest.
    pub(crate) fn step(&mut self) {
        let mut sum = 0.0;
        for (lane, obs) in self.lanes.iter_mut().zip(self.obs.chunks_exact_mut(B::OBS)) {
            let (reward, over) = lane.step(&mut self.rng);
            sum += reward;
            if over {
                *lane = B::begin(&mut self.rng);
            }
            lane.observe(obs);
        }
        black_box((sum, &mut self.obs));
    }
}

/// How many windows of lanes there are in the actions that [`Driven::replay`] takes.
const WINDOWS: usize = 64;

/// A vector environment under drawn actions, with all that a step returns.
pub(crate) struct Driven {
    env: Box<dyn VectorEnv>,
    space: Space,
    indices: Vec<usize>,
    numbers: Vec<f32>,
    obs: Vec<f32>,
    final_obs: Vec<f32>,
    rewards: Vec<f64>,
    endings: Vec<Option<Ending>>,
    rng: Cheap,
    window: usize,
}

impl Driven {
    pub(crate) fn new(mut env: Box<dyn VectorEnv>) -> Result<Self, EnvError> {
        let (lanes, width) = (env.lanes(), env.observation_space().flat_len());
        let mut obs = vec![0.0; lanes * width];
        env.reset(0, &mut obs)?;
        let mut driven = Self {
            space: env.action_space(),
            env,
            indices: vec![0; lanes + WINDOWS],
            numbers: vec![0.0; lanes + WINDOWS],
            final_obs: obs.clone(),
            obs,
            rewards: vec![0.0; lanes],
            endings: vec![None; lanes],
            rng: Cheap::new(),
            window: 0,
        };
        driven.draw(lanes + WINDOWS);
        Ok(driven)
    }

    /// Draws an action for every lane and steps.
    pub(crate) fn step(&mut self) -> Result<(), EnvError> {
        self.draw(self.env.lanes());
        self.window = 0;
        self.act()
    }

    /// Steps under actions that were drawn before: another window of them each time.
    pub(crate) fn replay(&mut self) -> Result<(), EnvError> {
        self.window = (self.window + 7) % WINDOWS;
        self.act()
    }

    fn draw(&mut self, count: usize) {
        match &self.space {
            Space::Discrete(space) => {
                let n = space.n();
                self.indices[..count].iter_mut().for_each(|index| *index = self.rng.choice(n));
            }
            _ => {
                let numbers = self.numbers[..count].iter_mut();
                numbers.for_each(|number| *number = self.rng.uniform(-2.0, 2.0) as f32);
            }
        }
    }

    fn act(&mut self) -> Result<(), EnvError> {
        let here = self.window..self.window + self.env.lanes();
        let actions = match self.space {
            Space::Discrete(_) => Actions::Discrete(&self.indices[here]),
            _ => Actions::Continuous(&self.numbers[here]),
        };
        let out = StepOut {
            obs: &mut self.obs,
            final_obs: &mut self.final_obs,
            rewards: &mut self.rewards,
            endings: &mut self.endings,
        };
        self.env.step(actions, out)?;
        let returns: f64 = self.env.finished().iter().map(|episode| episode.episode_return).sum();
        black_box((returns, &mut self.obs));
        Ok(())
    }
}
