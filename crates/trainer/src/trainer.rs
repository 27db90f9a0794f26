//! A training run, from Rust.

mod replay;

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use burn::tensor::Device;
use elegante_env::{AnyEnv, DynEnv, Env, EnvError, EnvRng};
use elegante_policy::{AnyNetwork, DeviceChoice, Policy};

pub use replay::Replay;

use crate::{
    Failure, TrainConfig, TrainError,
    algorithms::{Batch, Build, Method, Setup},
    checkpoint::{Checkpoint, State},
    evaluate::{EvalConfig, Evaluation, evaluate},
    inspect::Inspected,
    metrics::{Episode, Progress, Recent, UpdateMetrics},
    schedule::Left,
};

/// Something that happened during [`Trainer::run`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A training episode ended; told at the update that learnt from it.
    Episode(&'a Episode),
    /// An update was made.
    Update(&'a UpdateMetrics),
    /// The policy was evaluated during training.
    Evaluation(&'a Evaluation),
    /// The networks were looked into, as [`Trainer::inspect_every`] asked for.
    Parameters(&'a [Inspected]),
}

/// Why [`Trainer::run`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stop {
    /// The steps asked for have been trained.
    Budget,
    /// The mean return asked for (`stop_at`) was reached.
    Solved,
    /// The callback returned `Break`.
    Asked,
}

/// What could not be restored from a checkpoint to the last bit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Lanes whose environment can't save its state: they begin a new episode, and the run will
    /// differ from one that was never interrupted.
    pub fresh_lanes: Vec<usize>,
}

/// Rows of a minibatch that a CPU computes at once, at most: what the layers make of them should stay in
/// the second cache until it is differentiated. A GPU wants all of them.
const SHARD: usize = 512;

/// Rows of a minibatch that `device` computes at once, at most.
pub(crate) fn shard(device: DeviceChoice) -> usize {
    if device.on_host() { SHARD } else { usize::MAX }
}

type Factory = Arc<dyn Fn() -> Result<AnyEnv, EnvError> + Send + Sync>;

/// A policy in training, with its environments.
///
/// ```
/// use elegante_env::{CartPole, TimeLimit};
/// use elegante_trainer::{RunConfig, TrainConfig, Trainer};
/// use std::ops::ControlFlow;
///
/// let run = RunConfig { steps: 4_000, ..RunConfig::default() };
/// let config = TrainConfig { run, ..TrainConfig::default() };
/// let mut trainer = Trainer::new(config, || TimeLimit::new(CartPole::default(), 500).unwrap())?;
///
/// let metrics = trainer.step()?; // one update
/// assert_eq!(metrics.update, 1);
/// trainer.run(|_event| ControlFlow::Continue(()))?; // the rest
/// assert!(trainer.progress().steps >= 4_000);
/// # Ok::<(), elegante_trainer::TrainError>(())
/// ```
pub struct Trainer {
    config: TrainConfig,
    make: Factory,
    method: Box<dyn Method>,
    progress: Progress,
    recent: Recent,
    episodes: Vec<Episode>,
    next_evaluation: u64,
    /// Whether the mean return asked for has been reached at this very update.
    solved: bool,
    /// Steps between two looks into the networks; 0: none.
    inspect_every: u64,
    began: Instant,
    /// Seconds trained before that.
    earlier: Duration,
    /// The run as it was after so many steps, to go back to when an update fails.
    remembered: Option<(u64, Checkpoint)>,
    failure: Option<Failure>,
}

impl Trainer {
    /// A run of `config` on the environments that `env_fn` makes, one for each lane and each
    /// evaluation episode.
    ///
    /// # Errors
    /// When a setting makes no sense, the device does not work, or an environment fails to reset.
    pub fn new<E: Env + 'static>(
        config: TrainConfig,
        env_fn: impl Fn() -> E + Send + Sync + 'static,
    ) -> Result<Self, TrainError> {
        Self::from_factory(config, move || Ok(AnyEnv::new(env_fn())))
    }

    /// The same for environments whose type is known only at run time, as from a registry.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_factory(
        config: TrainConfig,
        make: impl Fn() -> Result<AnyEnv, EnvError> + Send + Sync + 'static,
    ) -> Result<Self, TrainError> {
        Self::begin(config, Arc::new(make), None)
    }

    /// A run with networks of your own in place of those that `config.network` describes: `build` makes
    /// the policy's, then the value function's or each of the critics' if the algorithm has such, from the number of inputs and
    /// outputs, a stream to draw weights from and the device to put them on. With `network.shared` it
    /// makes one for both, whose last output is the value. `examples/custom_network.rs` shows a whole
    /// run.
    ///
    /// A policy's file can't describe such a network: `Policy::from_safetensors_with` reads it again.
    ///
    /// # Errors
    /// As [`new`](Self::new), or when a network has other outputs than were asked for, a memory that
    /// the algorithm has no use for, or no features to explore with where the distribution is gSDE.
    pub fn with_networks<E: Env + 'static>(
        config: TrainConfig,
        env_fn: impl Fn() -> E + Send + Sync + 'static,
        build: impl Fn(usize, usize, &mut EnvRng, &Device) -> AnyNetwork,
    ) -> Result<Self, TrainError> {
        Self::begin(config, Arc::new(move || Ok(AnyEnv::new(env_fn()))), Some(&build))
    }

    fn begin(
        config: TrainConfig,
        make: Factory,
        build: Option<Build<'_>>,
    ) -> Result<Self, TrainError> {
        config.validate()?;
        let began = Instant::now();
        let device = config.device.open()?.autodiff();
        let threads = match config.run.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let envs = (0..config.run.lanes).map(|_| make()).collect::<Result<Vec<_>, _>>()?;
        let (observation, action) = (envs[0].observation_space(), envs[0].action_space());
        let policy = config.algorithm.policy_config(&observation, &action, &config.network)?;
        let (network, guard, seed) = (&config.network, config.guard.clone(), config.run.seed);
        let (shard, steps) = (shard(config.device), config.run.steps);
        let setup =
            Setup { envs, policy, network, guard, seed, steps, threads, shard, device, build };
        Ok(Self {
            method: config.algorithm.begin(setup)?,
            make,
            progress: Progress::default(),
            recent: Recent::default(),
            episodes: Vec::new(),
            next_evaluation: config.run.eval_every,
            solved: false,
            inspect_every: 0,
            began,
            earlier: Duration::ZERO,
            remembered: None,
            failure: None,
            config,
        })
    }

    /// What this run is.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The episodes that the last update learnt from, in the order in which they ended.
    pub fn episodes(&self) -> &[Episode] {
        &self.episodes
    }

    /// The policy as it stands, ready to act.
    pub fn policy(&self) -> Policy {
        self.method.acting()
    }

    /// Every parameter that learns, as it stands.
    pub fn inspect(&self) -> Vec<Inspected> {
        self.method.inspect()
    }

    /// Has [`run`](Self::run) tell [`Event::Parameters`] after the first update and whenever `steps`
    /// further steps have been trained, with gradients; 0: never. It costs a copy of each gradient and
    /// changes no result.
    pub fn inspect_every(&mut self, steps: u64) {
        self.inspect_every = steps;
        if steps > 0 {
            self.method.keep_gradients();
        }
    }

    /// What is to be seen in the networks, if it is time after the steps from `before` on.
    fn inspection_due(&self, before: u64) -> Option<Vec<Inspected>> {
        let turn = |steps: u64| steps.checked_div(self.inspect_every);
        let due = before == 0 || turn(before) < turn(self.progress.steps);
        (self.inspect_every > 0 && due).then(|| self.inspect())
    }

    /// One update: collects a batch, learns from it, and says what happened.
    ///
    /// # Errors
    /// When an environment fails, a number is no longer finite, or a limit of the guard is passed. The
    /// weights are then those from before the update, but some environments have gone on: to continue
    /// as if nothing had happened, [`restore`](Self::restore) a checkpoint from before.
    /// [`failure`](Self::failure) has the update on record.
    pub fn step(&mut self) -> Result<UpdateMetrics, TrainError> {
        let left = Left { steps: self.progress.steps, of: self.config.run.steps };
        let number = self.progress.updates + 1;
        self.remember();
        let Batch { steps, episodes, learnt } =
            self.method.update(left, number).map_err(|failed| self.failed(failed, number))?;

        self.progress.updates = number;
        self.solved = false;
        self.note(steps, episodes);
        let seconds = self.seconds();
        let returns = self.episodes.iter().map(|episode| episode.episode_return);
        Ok(UpdateMetrics {
            update: number,
            steps: self.progress.steps,
            episodes: self.progress.episodes,
            mean_return_100: self.recent.mean_return(),
            mean_length_100: self.recent.mean_length(),
            batch_steps: steps,
            batch_episodes: self.episodes.len(),
            batch_return: returns.sum::<f64>() / self.episodes.len() as f64,
            loss: learnt.loss,
            entropy: learnt.entropy,
            grad_norm: learnt.grad_norm,
            learning_rate: learnt.learning_rate,
            values: learnt.values,
            seconds,
            steps_per_second: self.progress.steps as f64 / seconds,
        })
    }

    /// Counts the steps and episodes of a batch.
    fn note(&mut self, steps: usize, mut episodes: Vec<Episode>) {
        for episode in &mut episodes {
            self.progress.episodes += 1;
            episode.index = self.progress.episodes;
            episode.steps += self.progress.steps;
            self.recent.push(episode);
        }
        self.progress.steps += steps as u64;
        self.episodes = episodes;
    }

    /// Trains to the end of the run, as [`run_until`](Self::run_until) does.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn run(
        &mut self,
        on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Stop, TrainError> {
        self.run_until(self.config.run.steps, on_event)
    }

    /// Trains until `steps` steps have been made in all, evaluating every `eval_every` steps and
    /// stopping early at a mean return of `stop_at`. After an update `on_event` is told of its
    /// episodes, then of the update, then of an evaluation and of the parameters if it was time for
    /// them; it may end the run.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn run_until(
        &mut self,
        steps: u64,
        mut on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Stop, TrainError> {
        if self.solved {
            // It ended here before it was restored.
            return Ok(Stop::Solved);
        }
        while self.progress.steps < steps {
            let before = self.progress.steps;
            let metrics = self.step()?;
            let evaluation = self.evaluation_due()?;
            let parameters = self.inspection_due(before);
            self.solved = self.reached(evaluation.as_ref());
            let episodes = self.episodes.iter().map(Event::Episode);
            let events = episodes
                .chain([Event::Update(&metrics)])
                .chain(evaluation.as_ref().map(Event::Evaluation))
                .chain(parameters.as_deref().map(Event::Parameters));
            // Everything is told even if the first of them asks for the end.
            let answers: Vec<_> = events.map(&mut on_event).collect();
            if self.solved {
                return Ok(Stop::Solved);
            }
            if answers.contains(&ControlFlow::Break(())) {
                return Ok(Stop::Asked);
            }
        }
        Ok(Stop::Budget)
    }

    fn evaluation_due(&mut self) -> Result<Option<Evaluation>, TrainError> {
        let every = self.config.run.eval_every;
        if every == 0 || self.progress.steps < self.next_evaluation {
            return Ok(None);
        }
        self.next_evaluation = (self.progress.steps / every + 1) * every;
        self.evaluate().map(Some)
    }

    fn reached(&self, evaluation: Option<&Evaluation>) -> bool {
        let Some(stop_at) = self.config.run.stop_at else { return false };
        match evaluation {
            Some(evaluation) => evaluation.mean_return >= stop_at,
            None => {
                let training_tells = self.config.run.eval_every == 0 && self.recent.full();
                training_tells && self.recent.mean_return() >= stop_at
            }
        }
    }

    /// Evaluates the policy as it stands: `eval_episodes` episodes with its most probable actions.
    /// Training goes on afterwards as if there had been no evaluation.
    ///
    /// # Errors
    /// When an environment fails, or the weights have diverged.
    pub fn evaluate(&self) -> Result<Evaluation, TrainError> {
        let config = EvalConfig {
            episodes: self.config.run.eval_episodes,
            seed: self.config.run.seed,
            deterministic: true,
        };
        evaluate(&self.policy(), || (self.make)(), &config)
    }

    fn seconds(&self) -> f64 {
        self.elapsed().as_secs_f64()
    }

    /// How long the run has taken so far, as the seconds of the metrics count.
    pub fn elapsed(&self) -> Duration {
        self.earlier + self.began.elapsed()
    }

    /// Lets the seconds of the metrics count from now, and from `earlier`. A checkpoint has no clock in
    /// it, so that equal runs have equal ones: who continues a run knows how long it has taken.
    pub fn set_clock(&mut self, earlier: Duration) {
        (self.began, self.earlier) = (Instant::now(), earlier);
    }

    /// The whole run at this update boundary, as the bytes of a safetensors file; equal runs give equal
    /// bytes. After an error of [`step`](Self::step) there is no boundary to be had.
    ///
    /// # Errors
    /// When the state can't be written down.
    pub fn checkpoint(&self) -> Result<Vec<u8>, TrainError> {
        self.whole().to_bytes()
    }

    fn whole(&self) -> Checkpoint {
        let mut checkpoint = Checkpoint::new(State {
            progress: self.progress,
            recent: self.recent.clone(),
            next_evaluation: self.next_evaluation,
            solved: self.solved,
            seconds: None,
            parts: Default::default(),
        });
        self.method.save(&mut checkpoint);
        checkpoint
    }

    /// Goes back, or forward, to what [`checkpoint`](Self::checkpoint) wrote. The run continues to the
    /// same weights, byte for byte, as the one that wrote it.
    ///
    /// # Errors
    /// When the bytes are damaged, or belong to a run with other networks, lanes or environments; the
    /// trainer should then not be used any further.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<Restored, TrainError> {
        let mut checkpoint = Checkpoint::from_bytes(bytes)?;
        let fresh_lanes = self.method.restore(&mut checkpoint)?;
        let state = checkpoint.state;
        self.progress = state.progress;
        self.recent = state.recent;
        self.next_evaluation = state.next_evaluation;
        self.solved = state.solved;
        let earlier = state.seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        self.set_clock(earlier.unwrap_or_default());
        self.episodes.clear();
        (self.remembered, self.failure) = (None, None);
        Ok(Restored { fresh_lanes })
    }
}
