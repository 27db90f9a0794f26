//! The algorithms: one file each, that calls shared functions in the order of its pseudo-code.

mod a2c;
mod actor_critic;
#[cfg(test)]
mod against_torch;
mod critics;
mod dqn;
#[cfg(test)]
mod dqn_against_torch;
pub(crate) mod objective;
mod off_policy;
pub(crate) mod ppo;
mod reinforce;
mod sac;
#[cfg(test)]
mod sac_against_torch;
mod td3;

use elegante_env::{AnyEnv, EnvRng};
use elegante_kernels::exp_m1;
use elegante_policy::{
    ActorCritic, AnyNetwork, Critics, MlpConfig, Policy, PolicyConfig, ValueNet,
};

use burn::tensor::{Device, Tensor};

use crate::{
    Algorithm, GuardConfig, TrainError,
    checkpoint::Checkpoint,
    inspect::Inspected,
    metrics::{Episode, Values},
    schedule::Left,
    streams::{Purpose, stream},
    watch::{Arrays, Watch},
};

/// An algorithm at work, with its networks and its environments.
pub(crate) trait Method: Send {
    /// Collects experience and learns from it, once.
    ///
    /// # Errors
    /// When an environment fails or a number is no longer finite; the weights are then as before.
    fn update(&mut self, left: Left, update: u64) -> Result<Batch, Failed>;

    /// Learns once more from a batch that an update failed on, every number on record, and forgets what
    /// it has learnt. The networks are those that [`save_learning`](Self::save_learning) noted.
    ///
    /// # Errors
    /// When the batch belongs to another run.
    fn watch(&mut self, batch: &mut Arrays, left: Left, update: u64)
    -> Result<Watched, TrainError>;

    /// πθ as it acts: without autodiff, with frozen normalisers.
    fn acting(&self) -> Policy;

    /// Keeps gradients from now on for those who [`inspect`](Self::inspect).
    fn keep_gradients(&mut self);

    /// Every parameter that learns, with its last gradient.
    fn inspect(&self) -> Vec<Inspected>;

    /// Whether all that [`save`](Self::save) notes is little enough to keep a copy of it in memory.
    fn light(&self) -> bool {
        true
    }

    /// Notes all that the next update depends on.
    fn save(&self, checkpoint: &mut Checkpoint) {
        self.save_learning(checkpoint);
        self.save_collecting(checkpoint);
    }

    /// Notes what learning depends on, but for the batch: networks, optimisers, the shuffling stream.
    fn save_learning(&self, checkpoint: &mut Checkpoint);

    /// Notes what collecting depends on, but for the networks.
    fn save_collecting(&self, checkpoint: &mut Checkpoint);

    /// Goes back to what [`save`](Self::save) noted; returns the lanes whose environment had not been
    /// saved.
    ///
    /// # Errors
    /// When the checkpoint belongs to another run.
    fn restore(&mut self, checkpoint: &mut Checkpoint) -> Result<Vec<usize>, TrainError> {
        self.restore_learning(checkpoint)?;
        self.restore_collecting(checkpoint)
    }

    /// Goes back to what [`save_learning`](Self::save_learning) noted.
    ///
    /// # Errors
    /// When the checkpoint belongs to another run.
    fn restore_learning(&mut self, checkpoint: &mut Checkpoint) -> Result<(), TrainError>;

    /// Goes back to what [`save_collecting`](Self::save_collecting) noted; returns as
    /// [`restore`](Self::restore) does.
    ///
    /// # Errors
    /// When the checkpoint belongs to another run.
    fn restore_collecting(&mut self, checkpoint: &mut Checkpoint)
    -> Result<Vec<usize>, TrainError>;
}

/// An update that came to nothing.
pub(crate) struct Failed {
    pub(crate) error: TrainError,
    /// Where the learning failed: what it failed on.
    pub(crate) evidence: Option<Box<Evidence>>,
}

impl<E: Into<TrainError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self { error: error.into(), evidence: None }
    }
}

/// What an update failed on.
pub(crate) struct Evidence {
    /// What was collected, by name.
    pub(crate) batch: Arrays,
    /// The stages of the minibatch that went bad.
    pub(crate) watched: Watched,
}

impl Evidence {
    pub(crate) fn failed(error: TrainError, batch: Arrays, watched: Watched) -> Failed {
        Failed { error, evidence: Some(Box::new(Self { batch, watched })) }
    }
}

/// An update made under watch: what is on record, and how it ended.
pub(crate) struct Watched {
    pub(crate) watch: Watch,
    pub(crate) outcome: Result<(), TrainError>,
}

/// What an update collected and learnt.
pub(crate) struct Batch {
    /// Environment steps, over all lanes.
    pub(crate) steps: usize,
    /// Episodes that ended, in the order in which they did; their `steps` count from the beginning
    /// of the batch.
    pub(crate) episodes: Vec<Episode>,
    pub(crate) learnt: Learnt,
}

/// What an update measured.
pub(crate) struct Learnt {
    pub(crate) loss: f64,
    pub(crate) entropy: f64,
    pub(crate) grad_norm: f64,
    pub(crate) learning_rate: f64,
    /// What only some algorithms have.
    pub(crate) values: Values,
}

/// ρ − 1 of every row, from log ρ.
fn excess(log_ratio: &[f64]) -> Vec<f64> {
    let mut excess = log_ratio.to_vec();
    exp_m1(&mut excess);
    excess
}

/// k₃ = mean (ρ − 1 − log ρ) ≈ KL(π_old, πθ), never negative (Schulman, 2020, "Approximating KL
/// divergence"); `excess` is ρ − 1.
fn approximate_kl(log_ratio: &[f64], excess: &[f64]) -> f64 {
    let terms = excess.iter().zip(log_ratio).map(|(excess, log_ratio)| excess - log_ratio);
    terms.sum::<f64>() / log_ratio.len() as f64
}

/// What every algorithm is made from.
pub(crate) struct Setup<'a> {
    /// One for each lane.
    pub(crate) envs: Vec<AnyEnv>,
    pub(crate) policy: PolicyConfig,
    pub(crate) network: &'a MlpConfig,
    pub(crate) guard: GuardConfig,
    pub(crate) seed: u64,
    /// Environment steps that the run is to have.
    pub(crate) steps: u64,
    pub(crate) threads: usize,
    /// Rows of a minibatch that are computed at once, at most.
    pub(crate) shard: usize,
    /// With autodiff.
    pub(crate) device: Device,
    /// Makes the networks, where they are not those that `network` describes.
    pub(crate) build: Option<Build<'a>>,
}

/// Makes a network from its inputs, its outputs, the stream of its weights and the device they live on.
pub(crate) type Build<'a> = &'a dyn Fn(usize, usize, &mut EnvRng, &Device) -> AnyNetwork;

impl Setup<'_> {
    /// A policy yet to be trained.
    fn new_policy(&self) -> Result<Policy, TrainError> {
        let mut rng = stream(self.seed, Purpose::PolicyInit, 0);
        let Some(build) = self.build else { return Ok(self.policy.init(&mut rng, &self.device)?) };
        let outputs = self.policy.action.outputs() + usize::from(self.policy.value_output);
        let net = self.built(build, [self.policy.observation, outputs], &mut rng)?;
        Ok(self.policy.with_network(net, &self.device)?)
    }

    /// A value network yet to be trained.
    fn new_value(&self) -> Result<ValueNet, TrainError> {
        let (mut rng, inputs) = (stream(self.seed, Purpose::ValueInit, 0), self.policy.observation);
        Ok(match self.build {
            Some(build) => ValueNet::of(self.built(build, [inputs, 1], &mut rng)?),
            None => ValueNet::init(self.network, inputs, &mut rng, &self.device)?,
        })
    }

    /// Critics yet to be trained, each with weights from a stream of its own.
    fn new_critics(
        &self,
        count: usize,
        [inputs, outputs]: [usize; 2],
    ) -> Result<Critics, TrainError> {
        let mut streams: Vec<EnvRng> =
            (0..count as u64).map(|i| stream(self.seed, Purpose::ValueInit, i)).collect();
        let Some(build) = self.build else {
            let (network, device) = (self.network, &self.device);
            return Ok(Critics::init(network, inputs, outputs, &mut streams, device)?);
        };
        let built = streams.iter_mut().map(|rng| self.built(build, [inputs, outputs], rng));
        Ok(Critics::of(built.collect::<Result<_, _>>()?))
    }

    /// Both, or one that is both.
    fn new_actor_critic(&self) -> Result<ActorCritic, TrainError> {
        let policy = self.new_policy()?;
        if self.policy.value_output {
            return Ok(ActorCritic::shared(policy));
        }
        Ok(ActorCritic::of(policy, self.new_value()?))
    }

    /// A network of somebody's own, if it says as much as it should.
    fn built(
        &self,
        build: Build<'_>,
        [inputs, outputs]: [usize; 2],
        rng: &mut EnvRng,
    ) -> Result<AnyNetwork, TrainError> {
        let net = build(inputs, outputs, rng, &self.device);
        let said = net.forward(Tensor::zeros([2, inputs], &self.device)).dims();
        if said == [2, outputs] {
            return Ok(net);
        }
        Err(TrainError::Unsupported(format!(
            "a network of {inputs} inputs and {outputs} outputs was asked for, and the one that was built makes {said:?} of [2, {inputs}]"
        )))
    }
}

impl Algorithm {
    /// Puts the algorithm to work.
    pub(crate) fn begin(&self, setup: Setup<'_>) -> Result<Box<dyn Method>, TrainError> {
        Ok(match self {
            Self::Reinforce(config) => Box::new(reinforce::Reinforce::new(config, setup)?),
            Self::A2c(config) => Box::new(a2c::A2c::new(config, setup)?),
            Self::Ppo(config) => Box::new(ppo::Ppo::new(config, setup)?),
            Self::Dqn(config) => Box::new(dqn::new(config, setup)?),
            Self::Sac(config) => Box::new(sac::new(config, setup)?),
            Self::Td3(config) => Box::new(td3::new(config, ("TD3", "td3.buffer_size"), setup)?),
            Self::Ddpg(config) => {
                Box::new(td3::new(&config.as_td3(), ("DDPG", "ddpg.buffer_size"), setup)?)
            }
        })
    }
}
