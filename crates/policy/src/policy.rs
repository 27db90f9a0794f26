//! A policy: observations in, a distribution over actions out.

use burn::{
    module::{Module, Param},
    tensor::{Bool, Device, Tensor, TensorData},
};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{ActionBatch, Categorical, DiagGaussian, Distribution, Mlp, MlpConfig, PolicyError};

/// Scale of an orthogonal policy head: nearly equal probabilities (a mean near 0) to begin with.
const HEAD_GAIN: f64 = 0.01;

/// What a policy's outputs mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ActionHead {
    /// Logits of a choice among `n` actions.
    Categorical {
        /// Number of actions.
        n: usize,
    },
    /// The mean of a diagonal Gaussian; log σ is a parameter of its own, the same in every state.
    Gaussian {
        /// Smallest allowed entry in each dimension; `None` where it is unbounded.
        low: Vec<Option<f32>>,
        /// Largest allowed entry in each dimension; `None` where it is unbounded.
        high: Vec<Option<f32>>,
        /// log σ in every dimension before training.
        initial_log_std: f32,
    },
}

impl ActionHead {
    /// The network's outputs: n logits, or a mean for each dimension.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Categorical { n } => *n,
            Self::Gaussian { low, .. } => low.len(),
        }
    }

    /// No actions, of the kind that this head draws.
    pub fn no_actions(&self) -> ActionBatch {
        match self {
            Self::Categorical { .. } => ActionBatch::Discrete(Vec::new()),
            Self::Gaussian { low, .. } => {
                ActionBatch::Continuous { values: Vec::new(), dims: low.len() }
            }
        }
    }

    fn validate(&self) -> Result<(), PolicyError> {
        let wrong = |field, value, expected| Err(PolicyError::Config { field, value, expected });
        match self {
            Self::Categorical { n: 0 } => {
                wrong("action.n", "0".into(), "a choice needs at least one action")
            }
            Self::Categorical { .. } => Ok(()),
            Self::Gaussian { low, high, .. } if low.is_empty() || low.len() != high.len() => wrong(
                "action.low and action.high",
                format!("of lengths {} and {}", low.len(), high.len()),
                "both have one entry per dimension, at least one",
            ),
            Self::Gaussian { initial_log_std, .. } if !(-20.0..=2.0).contains(initial_log_std) => {
                wrong(
                    "initial_log_std",
                    initial_log_std.to_string(),
                    "log σ lies between −20 and 2: beyond, σ is zero or the actions are noise",
                )
            }
            Self::Gaussian { .. } => Ok(()),
        }
    }
}

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
        let log_std = match &self.action {
            ActionHead::Categorical { .. } => 0,
            ActionHead::Gaussian { low, .. } => low.len(),
        };
        Ok(self.network.parameter_count(self.observation, self.action.outputs())? + log_std)
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
        let log_std = match &self.action {
            ActionHead::Categorical { .. } => None,
            ActionHead::Gaussian { low, initial_log_std, .. } => {
                let start = TensorData::new(vec![*initial_log_std; low.len()], [low.len()]);
                Some(Param::from_data(start, device))
            }
        };
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
    log_std: Option<Param<Tensor<1>>>,
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
    /// `observations`: `[rows, observation]`; `valid`: `[rows, n]`, discrete actions only.
    pub fn forward(&self, observations: Tensor<2>, valid: Option<Tensor<2, Bool>>) -> Distribution {
        let out = self.net.forward(observations);
        match (&self.log_std, valid) {
            (Some(log_std), _) => Distribution::Gaussian(DiagGaussian::new(out, log_std.val())),
            (None, Some(valid)) => Distribution::Categorical(Categorical::masked(out, valid)),
            (None, None) => Distribution::Categorical(Categorical::new(out)),
        }
    }

    /// The most probable action for one observation, clipped to the action space's bounds.
    ///
    /// # Errors
    /// When the observation has the wrong length or a NaN in it, or the weights have diverged.
    pub fn act(&self, observation: &[f32]) -> Result<ActionBatch, PolicyError> {
        self.distribution(observation, None)?.mode().map(|action| self.clip(action))
    }

    /// An action drawn from πθ(·|s) for one observation, clipped to the action space's bounds.
    ///
    /// # Errors
    /// As [`act`](Self::act).
    pub fn sample(
        &self,
        observation: &[f32],
        rng: &mut impl Rng,
    ) -> Result<ActionBatch, PolicyError> {
        self.distribution(observation, None)?.sample([rng]).map(|action| self.clip(action))
    }

    /// The actions moved to the nearest point of the action space; discrete ones as they are.
    #[must_use]
    pub fn clip(&self, mut actions: ActionBatch) -> ActionBatch {
        if let (ActionBatch::Continuous { values, dims }, ActionHead::Gaussian { low, high, .. }) =
            (&mut actions, &self.config.action)
        {
            for (i, value) in values.iter_mut().enumerate() {
                let above = low[i % *dims].map_or(*value, |low| value.max(low));
                *value = high[i % *dims].map_or(above, |high| above.min(high));
            }
        }
        actions
    }

    /// πθ(·|s) for one observation, over the actions that `valid` allows; `None`: all of them.
    ///
    /// # Shapes
    /// `valid`: `[n]`, discrete actions only.
    ///
    /// # Errors
    /// When the observation or the mask has the wrong length, the observation a NaN in it, or the
    /// mask forbids everything.
    pub fn distribution(
        &self,
        observation: &[f32],
        valid: Option<&[bool]>,
    ) -> Result<Distribution, PolicyError> {
        let expected = self.config.observation;
        if observation.len() != expected {
            return Err(PolicyError::ObservationLength { expected, given: observation.len() });
        }
        if let Some(index) = observation.iter().position(|x| !x.is_finite()) {
            return Err(PolicyError::ObservationNotFinite { index, value: observation[index] });
        }
        let device = self.device();
        let valid = valid.map(|mask| self.mask(mask, &device)).transpose()?;
        let data = TensorData::new(observation.to_vec(), [1, expected]);
        Ok(self.forward(Tensor::from_data(data, &device), valid))
    }

    /// The mask of one observation as a `[1, n]` tensor.
    fn mask(&self, mask: &[bool], device: &Device) -> Result<Tensor<2, Bool>, PolicyError> {
        let expected = self.config.action.outputs();
        if mask.len() != expected {
            return Err(PolicyError::MaskLength { expected, given: mask.len() });
        }
        if !mask.contains(&true) {
            return Err(PolicyError::NothingValid { row: 0 });
        }
        Ok(Tensor::from_data(TensorData::new(mask.to_vec(), [1, expected]), device))
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
