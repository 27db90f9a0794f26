//! An environment of your own, in one file, trained in the same file.
//!
//! A heater keeps a room comfortable through cold nights and mild days at the least cost: the agent
//! sees the temperature, the hour and the price of heat, and chooses how hard to heat. Run it with
//! `cargo run --release --example custom_env`.

use std::{f64::consts::TAU, ops::ControlFlow};

use elegante::{
    env::{BoxSpace, Discrete, Env, EnvError, EnvRng, Reset, Space, Step, TimeLimit, check_env},
    trainer::{Event, RunConfig, TrainConfig, Trainer},
};

/// Degrees that one hour of heating adds, for each of the actions off, low and high.
const HEATING: [f64; 3] = [0.0, 1.5, 4.0];
/// The temperature that is wanted.
const WANTED: f64 = 20.0;

struct Heater {
    rng: EnvRng,
    room: f64,
    hour: f64,
}

impl Heater {
    fn new() -> Self {
        Self { rng: EnvRng::new(0), room: WANTED, hour: 0.0 }
    }

    /// Warm at two in the afternoon, cold at two at night.
    fn outside(&self) -> f64 {
        8.0 + 6.0 * (TAU * (self.hour - 8.0) / 24.0).sin()
    }

    /// Networks like numbers of about 1, and an hour that has no jump at midnight.
    fn observe(&self, obs: &mut [f32]) {
        let angle = TAU * self.hour / 24.0;
        let values = [(self.room - WANTED) / 5.0, angle.sin(), angle.cos()];
        obs.iter_mut().zip(values).for_each(|(o, value)| *o = value as f32);
    }
}

impl Env for Heater {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(3).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(HEATING.len())
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        reset.check_options("Heater", &[])?; // there are none
        if let Some(seed) = reset.seed {
            self.rng = EnvRng::new(seed);
        }
        self.room = self.rng.uniform(14.0, 24.0);
        self.hour = self.rng.uniform(0.0, 24.0);
        self.observe(obs);
        Ok(())
    }

    fn step(&mut self, action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        let Some(heat) = HEATING.get(*action) else {
            return Err(EnvError::action_out_of_space(action, self.action_space()));
        };
        self.room += heat - 0.15 * (self.room - self.outside()) + self.rng.uniform(-0.3, 0.3);
        self.hour = (self.hour + 1.0) % 24.0;
        self.observe(obs);
        let discomfort = (self.room - WANTED).abs() / 5.0;
        let cost = 0.05 * heat;
        Ok(Step::going(1.0 - discomfort - cost))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Plays it for a while, and names whatever breaks the contract with how to put it right.
    println!("{}", check_env(&mut Heater::new()));

    let run = RunConfig { steps: 60_000, ..RunConfig::default() };
    let config = TrainConfig { run, ..TrainConfig::default() };
    // Two days to an episode; the time limit belongs to the task here, not to the physics.
    let mut trainer =
        Trainer::new(config, || TimeLimit::new(Heater::new(), 48).expect("48 steps"))?;

    let before = trainer.evaluate()?;
    trainer.run(|event| {
        if let Event::Update(m) = event
            && m.update % 5 == 0
        {
            println!("{:>6} steps   mean return {:>6.2}", m.steps, m.mean_return_100);
        }
        ControlFlow::Continue(())
    })?;
    let after = trainer.evaluate()?;
    println!(
        "mean return of 48 hours: {:.1} untrained, {:.1} trained",
        before.mean_return, after.mean_return
    );
    Ok(())
}
