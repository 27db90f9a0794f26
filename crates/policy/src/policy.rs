//! A policy: observations in, a distribution over actions out.

use burn::{
    module::{Module, Param},
    tensor::{Bool, Device, Tensor, TensorData},
};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{ActionBatch, ActionHead, Distribution, Exploration, Mlp, MlpConfig, PolicyError};

/// Scale of an orthogonal policy head: nearly equal probabilities (a mean near 0) to begin with.
const HEAD_GAIN: f64 = 0.01;

/// Everything that says what a policy is, apart from its weights. It travels in the policy's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// Numbers in one observation.
    pub observation: usize,
    /// What the outputs mean.
    pub action: ActionHead,
    /// The layers between.
    pub network: MlpConfig,
}

impl PolicyConfig {
    /// Number of parameters that such a policy has.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub fn parameter_count(&self) -> Result<usize, PolicyError> {
        self.action.validate()?;
        let network = self.network.parameter_count(self.observation, self.action.outputs())?;
        // No larger than the network's last layer, so that the product stays within bounds.
        Ok(network + self.log_std_shape().map_or(0, |[rows, dims]| rows * dims))
    }

    /// What an environment's exploration begins with, drawn from its `stream`:
    /// [`Distribution::explore`] acts with it, [`Exploration::redraw`] renews it every few steps. Only
    /// with state-dependent exploration is anything drawn.
    pub fn exploration(&self, stream: &mut impl Rng) -> Exploration {
        let held = match &self.action {
            ActionHead::Gsde { .. } => self.log_std_shape(),
            _ => None,
        };
        Exploration::draw(held.map_or(0, |[rows, dims]| rows * dims), stream)
    }

    fn log_std_shape(&self) -> Option<[usize; 2]> {
        self.action.log_std_shape(self.network.features(self.observation))
    }

    /// A policy with weights drawn from `rng`. On a device with autodiff it can be trained.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub fn init(&self, rng: &mut impl Rng, device: &Device) -> Result<Policy, PolicyError> {
        self.parameter_count()?;
        let outputs = self.action.outputs();
        let net = self.network.init(self.observation, outputs, HEAD_GAIN, rng, device)?;
        Ok(self.around(net, device))
    }

    /// A policy of zeros, for weights that are read from a file.
    pub(crate) fn blank(&self, device: &Device) -> Policy {
        self.around(self.network.blank(self.observation, self.action.outputs(), device), device)
    }

    /// The policy whose head sits on `net`.
    fn around(&self, net: Mlp, device: &Device) -> Policy {
        let log_std = self.log_std_shape().map(|[rows, dims]| {
            let start = vec![self.action.initial_log_std(); rows * dims];
            Param::from_data(TensorData::new(start, [rows, dims]), device)
        });
        Policy { net, log_std, config: self.clone() }
    }
}

/// A neural policy πθ(a|s).
///
/// ```
/// use elegante_policy::{ActionBatch, ActionHead, DeviceChoice, MlpConfig, PolicyConfig};
/// use rand::SeedableRng;
///
/// let config = PolicyConfig {
///     observation: 4,
///     action: ActionHead::Categorical { n: 2 },
///     network: MlpConfig::default(),
/// };
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(0);
/// let policy = config.init(&mut rng, &DeviceChoice::Auto.open()?)?;
///
/// let observation = [0.0, 0.1, -0.02, 0.3];
/// assert!(matches!(policy.act(&observation)?, ActionBatch::Discrete(a) if a[0] < 2));
/// let explored = policy.sample(&observation, &mut rng)?;
/// assert_eq!(explored.rows(), 1);
/// # Ok::<(), elegante_policy::PolicyError>(())
/// ```
#[derive(Module, Debug)]
pub struct Policy {
    net: Mlp,
    /// `[1, dims]`, or `[features, dims]` with state-dependent exploration.
    log_std: Option<Param<Tensor<2>>>,
    #[module(skip)]
    config: PolicyConfig,
}

impl Policy {
    /// What this policy is, apart from its weights.
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// πθ(·|s) for every row, over the actions that `valid` allows.
    ///
    /// # Shapes
    /// `observations`: `[rows, observation]`; `valid`: `[rows, outputs]`, discrete actions only; every
    /// row has passed [`ActionHead::check_mask`].
    pub fn forward(&self, observations: Tensor<2>, valid: Option<Tensor<2, Bool>>) -> Distribution {
        let features = self.net.features(observations);
        let out = self.net.output(features.clone());
        let log_std = self.log_std.as_ref().map(Param::val);
        self.config.action.distribution(out, features, log_std, valid)
    }

    /// The most probable action for one observation, as an environment takes it.
    ///
    /// # Errors
    /// When the observation has the wrong length or a NaN in it, or the weights have diverged.
    pub fn act(&self, observation: &[f32]) -> Result<ActionBatch, PolicyError> {
        self.one(observation)?.mode().map(|action| self.to_env(action))
    }

    /// An action drawn from πθ(·|s) for one observation, as an environment takes it.
    ///
    /// # Errors
    /// As [`act`](Self::act).
    pub fn sample(
        &self,
        observation: &[f32],
        rng: &mut impl Rng,
    ) -> Result<ActionBatch, PolicyError> {
        self.one(observation)?.sample([rng]).map(|action| self.to_env(action))
    }

    /// Drawn actions as an environment takes them; see [`ActionHead::to_env`].
    #[must_use]
    pub fn to_env(&self, actions: ActionBatch) -> ActionBatch {
        self.config.action.to_env(actions)
    }

    fn one(&self, observation: &[f32]) -> Result<Distribution, PolicyError> {
        let expected = self.config.observation;
        if observation.len() != expected {
            return Err(PolicyError::ObservationLength { expected, given: observation.len() });
        }
        if let Some(index) = observation.iter().position(|x| !x.is_finite()) {
            return Err(PolicyError::ObservationNotFinite { index, value: observation[index] });
        }
        let data = TensorData::new(observation.to_vec(), [1, expected]);
        Ok(self.forward(Tensor::from_data(data, &self.device()), None))
    }

    /// The device that holds the weights.
    pub fn device(&self) -> Device {
        self.devices().into_iter().next().unwrap_or_default()
    }
}

/// A state-value network Vφ(s), used as a baseline.
#[derive(Module, Debug)]
pub struct ValueNet {
    net: Mlp,
}

impl ValueNet {
    /// A value network with weights drawn from `rng`; an orthogonal head has gain 1.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub fn init(
        config: &MlpConfig,
        observation: usize,
        rng: &mut impl Rng,
        device: &Device,
    ) -> Result<Self, PolicyError> {
        Ok(Self { net: config.init(observation, 1, 1.0, rng, device)? })
    }

    /// Vφ(s), row by row.
    ///
    /// # Shapes
    /// `observations`: `[rows, observation]`; result: `[rows]`.
    pub fn forward(&self, observations: Tensor<2>) -> Tensor<1> {
        self.net.forward(observations).squeeze_dim(1)
    }
}
