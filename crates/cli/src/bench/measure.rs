//! What is measured, and how long each of it may take.

use std::time::{Duration, Instant};

use elegante::{
    DeviceChoice, PolicyError, TrainError, Trainer,
    env::{DynEnv, Entry, VecEnv},
    experiment::{Driven, ExperimentConfig},
    kernels::{Team, fused, set_fused},
    policy::{Init, PolicyConfig},
    trainer::{
        Algorithm, TrainConfig, policy_config,
        selfcheck::{Acting, Timing, Update, Work, time},
    },
};
use serde::Serialize;

use crate::{args::BenchArgs, program::Program, text::grouped};

/// Lanes that are stepped side by side.
const LANES: [usize; 3] = [1, 64, 1024];
/// Observations that are acted on at once.
const OBSERVATIONS: [usize; 3] = [1, 64, 1024];
/// Steps in a minibatch.
const ROWS: [usize; 3] = [64, 256, 2048];
/// Trainings, where one does not take too long.
const TRAININGS: usize = 3;
/// A training whose first update takes so many times as long as all trainings may is not begun.
const FAR: f64 = 3.0;

/// Told of every measurement.
pub(super) type Tell<'a> = &'a mut dyn FnMut(Found) -> std::io::Result<()>;

/// What came of something that was to be measured.
#[derive(Clone, Debug)]
pub(super) enum Found {
    Measured(Measured),
    Skipped(Skipped),
}

/// Something that has been measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Measured {
    /// "environment", "inference", "update" or "training".
    pub(super) section: &'static str,
    /// Where, unless it is all the same.
    pub(super) device: Option<String>,
    /// What, in words that are the same in every bench.
    pub(super) name: String,
    /// Steps of a training.
    pub(super) steps: Option<usize>,
    /// Whether fused operations are used where there are any.
    pub(super) fused: bool,
    /// What a call deals with: so many steps, observations or samples.
    pub(super) unit: &'static str,
    pub(super) units: usize,
    /// Of a call: the median, and the least.
    pub(super) seconds: f64,
    pub(super) least_seconds: f64,
    /// The middle half of the turns as a share of the median; of a single turn nothing is known.
    pub(super) spread: Option<f64>,
    pub(super) turns: usize,
    pub(super) calls_in_a_turn: usize,
    /// Units a second, by the median.
    pub(super) per_second: f64,
}

impl Measured {
    fn new(
        section: &'static str,
        name: String,
        unit: &'static str,
        units: usize,
        t: Timing,
    ) -> Self {
        Self {
            section,
            device: None,
            name,
            steps: None,
            fused: fused(),
            unit,
            units,
            seconds: t.seconds,
            least_seconds: t.least,
            spread: (t.turns > 1).then_some(t.spread),
            turns: t.turns,
            calls_in_a_turn: t.calls,
            per_second: units as f64 / t.seconds,
        }
    }

    fn on(self, device: DeviceChoice) -> Self {
        Self { device: Some(device.to_string()), ..self }
    }
}

impl From<Measured> for Found {
    fn from(measured: Measured) -> Self {
        Self::Measured(measured)
    }
}

/// A training that would have taken too long.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Skipped {
    pub(super) section: &'static str,
    pub(super) device: String,
    pub(super) name: String,
    pub(super) fused: bool,
    /// Of its first update, going by what a minibatch takes.
    pub(super) update_seconds: f64,
    /// That all trainings may take.
    pub(super) budget_seconds: f64,
}

/// A device that works.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Opened {
    pub(super) device: String,
    /// What a GPU calls itself.
    pub(super) hardware: Option<String>,
}

/// What is to be measured.
pub(super) struct Plan {
    pub(super) config: ExperimentConfig,
    pub(super) policy: PolicyConfig,
    /// Threads of updates and of trainings, as many as there really are.
    pub(super) threads: usize,
    entry: Entry,
    /// For a measurement of the environment.
    stepping: Duration,
    /// For a measurement of a device.
    computing: Duration,
    /// For all trainings of one kind on a device.
    training: Duration,
    /// Steps of a training.
    steps: u64,
    /// Samples in a minibatch of a training, and in all minibatches of an update.
    batch: usize,
    samples: usize,
}

impl Plan {
    pub(super) fn new(
        config: ExperimentConfig,
        devices: &[DeviceChoice],
        args: &BenchArgs,
        program: &Program,
    ) -> anyhow::Result<Self> {
        let entry = program.registry.get(&config.env)?;
        let env = entry.make(&config.env_options)?;
        let (observation, action) = (env.observation_space(), env.action_space());
        let Algorithm::Ppo(ppo) = &config.train.algorithm else {
            anyhow::bail!("the configuration is not one of PPO");
        };
        let (network, std) = (&config.train.network, ppo.initial_log_std as f32);
        let mut policy = policy_config(&observation, &action, network, ppo.distribution, std)?;
        policy.parameter_count()?;
        // Weights of any kind are computed with as fast, and large orthogonal ones take long to draw.
        policy.network.init = Init::BurnDefault;
        // Whoever names a device wants to know that it does not work, and nothing else.
        if !args.device.is_empty() {
            for device in devices {
                device.open()?;
            }
        }
        let threads = Team::new(match config.train.run.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        })
        .threads();
        let rollout = config.train.run.lanes * ppo.n_steps;
        let (batch, samples) = (ppo.batch_size.min(rollout), ppo.epochs * rollout);
        let [stepping, computing, training] = match args.quick {
            true => [30, 60, 600],
            false => [400, 900, 4_500],
        }
        .map(Duration::from_millis);
        let devices = devices.len().max(1) as u32;
        let (computing, training) = (computing / devices, training / devices);
        let steps = if args.quick { 4_000 } else { 20_000 };
        Ok(Self {
            config,
            policy,
            threads,
            entry,
            stepping,
            computing,
            training,
            steps,
            batch,
            samples,
        })
    }

    /// The environment by itself.
    pub(super) fn environment(&self, tell: Tell<'_>) -> anyhow::Result<()> {
        for lanes in LANES {
            let plural = if lanes == 1 { "" } else { "s" };
            let name = format!("{} lane{plural}", grouped(lanes as u64));
            let together = lanes > 1 && self.entry.steps_together();
            let options = &self.config.env_options;
            let envs =
                (0..lanes).map(|_| self.entry.make(options)).collect::<Result<Vec<_>, _>>()?;
            let mut driven = Driven::new(Box::new(VecEnv::new(envs)?))?;
            let timing = time(self.stepping, || driven.step())?;
            let one_by_one = if together { format!("{name}, one by one") } else { name.clone() };
            tell(Measured::new("environment", one_by_one, "step", lanes, timing).into())?;
            if together {
                let mut driven = Driven::new(self.entry.make_vec(lanes, options)?)?;
                let timing = time(self.stepping, || driven.step())?;
                let name = format!("{name}, together");
                tell(Measured::new("environment", name, "step", lanes, timing).into())?;
            }
        }
        Ok(())
    }

    /// Opens a device.
    pub(super) fn opens(&self, device: DeviceChoice) -> Result<Opened, PolicyError> {
        device.open()?;
        Ok(Opened { device: device.to_string(), hardware: device.hardware() })
    }

    /// Everything that a device does.
    pub(super) fn device(&self, device: DeviceChoice, tell: Tell<'_>) -> anyhow::Result<()> {
        for rows in OBSERVATIONS {
            let work = Work { policy: self.policy.clone(), rows };
            let timing = Acting::new(device, &work)?.time(self.computing)?;
            let plural = if rows == 1 { "" } else { "s" };
            let name = format!("{} observation{plural}", grouped(rows as u64));
            let measured = Measured::new("inference", name, "observation", rows, timing);
            tell(measured.on(device).into())?;
        }
        self.learning(device, tell)?;
        // burn-flex is what there are fused operations for.
        if device == DeviceChoice::Flex {
            set_fused(false);
            let measured = self.learning(device, tell);
            set_fused(true);
            measured?;
        }
        Ok(())
    }

    fn learning(&self, device: DeviceChoice, tell: Tell<'_>) -> anyhow::Result<()> {
        let mut costs = Vec::new();
        for rows in ROWS {
            let work = Work { policy: self.policy.clone(), rows };
            let timing = Update::new(device, &work, self.threads)?.time(self.computing)?;
            costs.push((rows, timing.seconds / rows as f64));
            let name = format!("minibatch of {}", grouped(rows as u64));
            tell(Measured::new("update", name, "sample", rows, timing).on(device).into())?;
        }
        let (section, name) = ("training", "PPO".to_owned());
        let (update_seconds, budget_seconds) = (self.update(&costs), self.training.as_secs_f64());
        if update_seconds > FAR * budget_seconds {
            let (device, fused) = (device.to_string(), fused());
            let skipped = Skipped { section, device, name, fused, update_seconds, budget_seconds };
            return Ok(tell(Found::Skipped(skipped))?);
        }
        let (steps, timing) = self.trainings(device)?;
        let measured = Measured::new(section, name, "step", steps, timing).on(device);
        Ok(tell(Measured { steps: Some(steps), ..measured }.into())?)
    }

    /// Seconds that an update of a training will take, from those of a sample in minibatches of some sizes.
    fn update(&self, costs: &[(usize, f64)]) -> f64 {
        let nearest = costs.iter().min_by_key(|(rows, _)| rows.abs_diff(self.batch));
        nearest.map_or(0.0, |(_, seconds)| seconds * self.samples as f64)
    }

    /// Whole trainings, as long as there is time, or the beginning of one; with the steps of each.
    fn trainings(&self, device: DeviceChoice) -> Result<(usize, Timing), TrainError> {
        let mut config: TrainConfig = self.config.train.clone();
        (config.device, config.run.steps) = (device, self.steps);
        (config.run.eval_every, config.run.stop_at) = (0, None);
        let (began, mut turns) = (Instant::now(), Vec::new());
        loop {
            let (entry, options) = (self.entry.clone(), self.config.env_options.clone());
            let start = Instant::now();
            let mut trainer = Trainer::from_factory(config.clone(), move || entry.make(&options))?;
            while trainer.progress().steps < self.steps {
                let before = Instant::now();
                trainer.step()?;
                // Another update is likely to take as long as this one.
                if turns.is_empty() && began.elapsed() + before.elapsed() > self.training {
                    break;
                }
            }
            let steps = trainer.progress().steps as usize;
            turns.push(start.elapsed().as_secs_f64());
            // As many as fit, one more being likely to take as long as those before.
            let next = began.elapsed() * (turns.len() as u32 + 1) / turns.len() as u32;
            if turns.len() == TRAININGS || next > self.training {
                return Ok((steps, Timing::of(turns, 1)));
            }
        }
    }
}
