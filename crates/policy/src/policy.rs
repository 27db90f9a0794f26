//! A policy: observations in, a distribution over actions out.

use burn::{
    module::{Module, Param},
    tensor::{Bool, Device, Tensor, TensorData},
};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{
    ActionBatch, ActionHead, Actor, AnyNetwork, Distribution, Exploration, MlpConfig, PolicyError,
    Snapshot,
    linear::{LinearInfo, Shift},
    params::{ParamInfo, Parameters, Reader, Writer, describe_part},
};

/// Scale of an orthogonal policy head: nearly equal probabilities (a mean near 0) to begin with.
const HEAD_GAIN: f64 = 0.01;
/// Scale of an orthogonal value head.
const VALUE_GAIN: f64 = 1.0;

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
    /// Whether the network has one output more: the value of the state.
    #[serde(default)]
    pub value_output: bool,
    /// How observations are normalised before the network sees them, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputScale>,
}

/// Frozen statistics of observations: x ↦ (x − mean)/deviation, clipped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputScale {
    /// Of each entry.
    pub mean: Vec<f64>,
    /// Of each entry, positive.
    pub deviation: Vec<f64>,
    /// The largest magnitude that the network sees.
    pub clip: f32,
}

impl InputScale {
    /// Normalises observations row by row, in the arithmetic in which training did.
    fn apply(&self, observations: &mut [f32]) {
        let scales = self.mean.iter().zip(&self.deviation).cycle();
        for (x, (mean, deviation)) in observations.iter_mut().zip(scales) {
            *x = (((f64::from(*x) - mean) / deviation) as f32).clamp(-self.clip, self.clip);
        }
    }

    fn validate(&self, observation: usize) -> Result<(), PolicyError> {
        let sound = self.mean.len() == observation
            && self.deviation.len() == observation
            && self.mean.iter().all(|mean| mean.is_finite())
            && self.deviation.iter().all(|deviation| *deviation > 0.0 && deviation.is_finite())
            && self.clip > 0.0;
        if sound {
            return Ok(());
        }
        let value = format!("{} means and {} deviations", self.mean.len(), self.deviation.len());
        let expected = "a finite mean and a positive deviation for each entry of an observation";
        Err(PolicyError::Config { field: "input", value, expected })
    }
}

impl PolicyConfig {
    /// A policy whose network says nothing else, and sees observations as they are.
    pub fn new(observation: usize, action: ActionHead, network: MlpConfig) -> Self {
        Self { observation, action, network, value_output: false, input: None }
    }

    /// Number of parameters that such a policy has.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub fn parameter_count(&self) -> Result<usize, PolicyError> {
        self.action.validate()?;
        self.input.as_ref().map_or(Ok(()), |input| input.validate(self.observation))?;
        let network = self.network.parameter_count(self.observation, self.outputs())?;
        // No larger than the network's last layer, so that the product stays within bounds.
        let features = self.network.last_features(self.observation);
        let log_std = self.action.log_std_shape(features);
        Ok(network + log_std.map_or(0, |[rows, dims]| rows * dims))
    }

    /// Outputs of the network: the head's, and perhaps the value.
    pub(crate) fn outputs(&self) -> usize {
        self.action.outputs().saturating_add(usize::from(self.value_output))
    }

    /// A policy with weights drawn from `rng`. On a device with autodiff it can be trained.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub fn init(&self, rng: &mut impl Rng, device: &Device) -> Result<Policy, PolicyError> {
        self.parameter_count()?;
        let gain = match self.action {
            ActionHead::EpsilonGreedy { .. } => VALUE_GAIN,
            _ => HEAD_GAIN,
        };
        let mut gains = vec![gain; self.action.outputs()];
        gains.extend(self.value_output.then_some(VALUE_GAIN));
        self.with_network(self.network.network(self.observation, &gains, rng, device)?, device)
    }

    /// A policy of zeros, for weights that are read from a file.
    pub(crate) fn blank(&self, device: &Device) -> Result<Policy, PolicyError> {
        self.with_network(self.network.blank(self.observation, self.outputs(), device), device)
    }

    /// The policy whose head sits on a network of anybody's making: it turns an observation into the
    /// head's outputs, and one more if `value_output` says so.
    ///
    /// # Errors
    /// When the head needs the features of the network's last layer, and it has none to show.
    pub fn with_network(&self, net: AnyNetwork, device: &Device) -> Result<Policy, PolicyError> {
        let features = match (&self.action, net.features()) {
            (ActionHead::Gsde { .. }, None) => {
                return Err(PolicyError::Config {
                    field: "distribution",
                    value: "gsde".into(),
                    expected: "state-dependent exploration needs a network that implements `Network::features` and `step_with_features`",
                });
            }
            (_, features) => features.unwrap_or(1),
        };
        let log_std = self.action.log_std_shape(features).map(|[rows, dims]| {
            let start = vec![self.action.initial_log_std(); rows * dims];
            Param::from_data(TensorData::new(start, [rows, dims]), device)
        });
        Ok(Policy { net, log_std, config: self.clone() })
    }
}

/// A neural policy πθ(a|s).
///
/// ```
/// use elegante_policy::{ActionBatch, ActionHead, DeviceChoice, MlpConfig, PolicyConfig};
/// use rand::SeedableRng;
///
/// let config = PolicyConfig::new(4, ActionHead::Categorical { n: 2 }, MlpConfig::default());
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(0);
/// let policy = config.init(&mut rng, &DeviceChoice::Auto.open()?)?;
///
/// let observation = [0.0, 0.1, -0.02, 0.3];
/// assert!(matches!(policy.act(&observation)?, ActionBatch::Discrete(a) if a[0] < 2));
/// let explored = policy.sample(&observation, &mut rng)?;
/// assert_eq!(explored.rows(), 1);
/// # Ok::<(), elegante_policy::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Policy {
    net: AnyNetwork,
    /// `[1, dims]`, or `[features, dims]` with state-dependent exploration.
    log_std: Option<Param<Tensor<2>>>,
    config: PolicyConfig,
}

/// What a policy's network said of a batch of observations, not yet a distribution.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// `[rows, outputs]`, the value's column included.
    out: Tensor<2>,
    /// `[rows, features]`, where the head asks for them.
    features: Option<Tensor<2>>,
}

impl Outputs {
    /// Of a network that says nothing else.
    pub(crate) fn of(out: Tensor<2>) -> Self {
        Self { out, features: None }
    }

    /// The rows of all of `parts`, one after the other.
    pub(crate) fn cat(parts: Vec<Self>) -> Self {
        let (out, features): (Vec<_>, Vec<_>) =
            parts.into_iter().map(|part| (part.out, part.features)).unzip();
        let features: Option<Vec<_>> = features.into_iter().collect();
        Self { out: Tensor::cat(out, 0), features: features.map(|all| Tensor::cat(all, 0)) }
    }

    /// The last column: the value, where the network tells it. `[rows, 1]`.
    pub(crate) fn value(&self) -> Tensor<2> {
        let [_, width] = self.out.dims();
        self.out.clone().narrow(1, width - 1, 1)
    }
}

impl Policy {
    /// What this policy is, apart from its weights.
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// The same policy with its observations normalised by frozen statistics.
    #[must_use]
    pub fn with_input_scale(mut self, input: InputScale) -> Self {
        self.config.input = Some(input);
        self
    }

    /// Numbers that the network carries from one step of an episode to the next; 0 without a memory.
    pub fn memory(&self) -> usize {
        self.net.memory()
    }

    /// What an environment's exploration begins with, drawn from its `stream`:
    /// [`Distribution::explore`] acts with it, [`Exploration::redraw`] renews it every few steps.
    pub fn exploration(&self, stream: &mut impl Rng) -> Exploration {
        let held = match (&self.config.action, &self.log_std) {
            (ActionHead::Gsde { .. }, Some(log_std)) => log_std.shape().num_elements(),
            _ => 0,
        };
        Exploration::draw(held, stream)
    }

    /// πθ(·|s) for every row, over the actions that `valid` allows, as at the beginning of an episode.
    ///
    /// # Shapes
    /// `observations`: `[rows, observation]`, already normalised where the policy normalises; `valid`:
    /// `[rows, choices]`, discrete actions only; every row has passed [`ActionHead::check_mask`].
    pub fn forward(&self, observations: Tensor<2>, valid: Option<Tensor<2, Bool>>) -> Distribution {
        self.distribution_of(self.say(observations), valid)
    }

    /// What the network says of every row, not yet a distribution, as at the beginning of an episode.
    ///
    /// # Shapes
    /// `observations`: as [`forward`](Self::forward) takes them; result: `[rows, outputs]`.
    pub fn outputs(&self, observations: Tensor<2>) -> Tensor<2> {
        self.say(observations).out
    }

    /// The same policy for one forward pass after the other, while its weights stay. An [`Actor`] has one.
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot::new(self, self.outputs_alone().then(|| self.net.perceptron()).flatten())
    }

    /// Whether a distribution is made of the network's outputs and nothing else that it says.
    fn outputs_alone(&self) -> bool {
        self.memory() == 0 && !matches!(self.config.action, ActionHead::Gsde { .. })
    }

    /// What the network says of every row, as at the beginning of an episode.
    fn say(&self, observations: Tensor<2>) -> Outputs {
        if self.outputs_alone() {
            // Not even an empty memory has to be made: one observation is over in microseconds.
            return Outputs::of(self.net.forward(observations));
        }
        let shape = [observations.dims()[0], self.memory().max(1)];
        let memory = Tensor::zeros(shape, &observations.device());
        self.step(observations, memory).0
    }

    /// One step of each row's episode: what the network says, and what it remembers then.
    ///
    /// # Shapes
    /// `observations`: `[rows, observation]`; `memory` and the new one: `[rows, self.memory()]`.
    pub fn step(&self, observations: Tensor<2>, memory: Tensor<2>) -> (Outputs, Tensor<2>) {
        if let ActionHead::Gsde { .. } = self.config.action
            && let Some([out, features, memory]) =
                self.net.step_with_features(observations.clone(), memory.clone())
        {
            return (Outputs { out, features: Some(features) }, memory);
        }
        let (out, memory) = if self.memory() == 0 {
            (self.net.forward(observations), memory)
        } else {
            self.net.step(observations, memory)
        };
        (Outputs { out, features: None }, memory)
    }

    /// The distribution that a network's outputs stand for.
    pub fn distribution_of(&self, said: Outputs, valid: Option<Tensor<2, Bool>>) -> Distribution {
        let Outputs { out, features } = said;
        let out = match self.config.value_output {
            true => out.narrow(1, 0, self.config.action.outputs()),
            false => out,
        };
        let log_std = self.log_std.as_ref().map(Param::val);
        let features = features.unwrap_or_else(|| out.clone());
        self.config.action.distribution(out, features, log_std, valid)
    }

    /// The most probable action for one observation, as an environment takes it, of all that there are: where some may
    /// be forbidden, [`distribution`](Self::distribution) takes the mask.
    ///
    /// # Errors
    /// When the observation has the wrong length or a NaN in it, the weights have diverged, or the
    /// policy remembers and needs an [`Actor`].
    pub fn act(&self, observation: &[f32]) -> Result<ActionBatch, PolicyError> {
        self.distribution(observation, None)?.mode().map(|action| self.to_env(action))
    }

    /// An action drawn from πθ(·|s) for one observation, as an environment takes it, of all that there are.
    ///
    /// # Errors
    /// As [`act`](Self::act).
    pub fn sample(
        &self,
        observation: &[f32],
        rng: &mut impl Rng,
    ) -> Result<ActionBatch, PolicyError> {
        self.distribution(observation, None)?.sample([rng]).map(|action| self.to_env(action))
    }

    /// Drawn actions as an environment takes them; see [`ActionHead::to_env`].
    #[must_use]
    pub fn to_env(&self, actions: ActionBatch) -> ActionBatch {
        self.config.action.to_env(actions)
    }

    /// πθ(·|s) for one observation, over the actions that `valid` allows; `None`: all of them.
    ///
    /// ```
    /// # use elegante_policy::{ActionBatch, Policy, PolicyError};
    /// /// The most probable of the actions that the environment's mask allows.
    /// fn allowed(policy: &Policy, obs: &[f32], mask: &[bool]) -> Result<ActionBatch, PolicyError> {
    ///     policy.distribution(obs, Some(mask))?.mode().map(|action| policy.to_env(action))
    /// }
    /// ```
    ///
    /// # Shapes
    /// `valid`: `[choices]`, discrete actions only.
    ///
    /// # Errors
    /// When the observation or the mask has the wrong length, the observation a NaN in it, the mask
    /// forbids everything, or the policy remembers and needs an [`Actor`].
    pub fn distribution(
        &self,
        observation: &[f32],
        valid: Option<&[bool]>,
    ) -> Result<Distribution, PolicyError> {
        if self.memory() > 0 {
            return Err(PolicyError::Remembers);
        }
        Actor::new(self, 1).look(&[0], observation, valid.unwrap_or_default())
    }

    /// Observations as the network takes them: checked, and normalised where the policy normalises.
    ///
    /// # Shapes
    /// `observations` and the result: `[rows × observation]`.
    ///
    /// # Errors
    /// When their number is wrong, or one of them is not finite.
    pub fn prepare(&self, observations: &[f32], rows: usize) -> Result<Vec<f32>, PolicyError> {
        let expected = self.config.observation;
        if observations.len() != rows * expected {
            let given = observations.len() / rows.max(1);
            return Err(PolicyError::ObservationLength { expected, given });
        }
        if let Some(at) = observations.iter().position(|x| !x.is_finite()) {
            let (index, value) = (at % expected, observations[at]);
            return Err(PolicyError::ObservationNotFinite { index, value });
        }
        let mut observations = observations.to_vec();
        self.config.input.iter().for_each(|input| input.apply(&mut observations));
        Ok(observations)
    }

    /// The device that holds the weights.
    pub fn device(&self) -> Device {
        self.net.devices().into_iter().next().unwrap_or_default()
    }

    /// The linear layers of its network.
    pub(crate) fn linear_layers(&self) -> Vec<LinearInfo> {
        self.net.linear_layers()
    }

    /// The same policy with `shifts` added to the weights and biases of those layers.
    #[must_use]
    pub(crate) fn shifted(&self, shifts: Vec<Shift>) -> Self {
        let (log_std, config) = (self.log_std.clone(), self.config.clone());
        Self { net: self.net.shifted(shifts), log_std, config }
    }

    /// The same policy without autodiff, for acting.
    #[must_use]
    pub fn valid(&self) -> Self {
        Self { net: self.net.valid(), log_std: self.log_std.valid(), config: self.config.clone() }
    }

    /// The same policy with autodiff, for learning.
    #[must_use]
    pub fn train(&self) -> Self {
        let log_std = self.log_std.clone().train();
        Self { net: self.net.train(), log_std, config: self.config.clone() }
    }
}

impl Parameters for Policy {
    fn describe(&self) -> Vec<ParamInfo> {
        let net = describe_part("net", &self.net);
        net.chain(describe_part("log_std", &self.log_std)).collect()
    }

    fn count(&self) -> usize {
        self.net.count() + self.log_std.count()
    }

    fn read(&self, reader: &mut Reader<'_>) {
        self.net.read(reader);
        self.log_std.read(reader);
    }

    fn write(&mut self, writer: &mut Writer<'_>) {
        self.net.write(writer);
        self.log_std.write(writer);
    }
}

/// A state-value network Vφ(s).
#[derive(Clone, Debug)]
pub struct ValueNet {
    net: AnyNetwork,
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
        Ok(Self { net: config.network(observation, &[VALUE_GAIN], rng, device)? })
    }

    /// A value network of anybody's making: it turns an observation into one number.
    pub fn of(net: AnyNetwork) -> Self {
        Self { net }
    }

    /// Numbers that the network carries from one step of an episode to the next.
    pub fn memory(&self) -> usize {
        self.net.memory()
    }

    /// Vφ(s), row by row, as at the beginning of an episode.
    ///
    /// # Shapes
    /// `observations`: `[rows, observation]`; result: `[rows]`.
    pub fn forward(&self, observations: Tensor<2>) -> Tensor<1> {
        self.column(observations).squeeze_dim(1)
    }

    /// The same as the network says it: `[rows, 1]`.
    pub(crate) fn column(&self, observations: Tensor<2>) -> Tensor<2> {
        self.net.forward(observations)
    }

    /// One step of each row's episode.
    ///
    /// # Shapes
    /// `memory` and the new one: `[rows, self.memory()]`; the value: `[rows, 1]`.
    pub fn step(&self, observations: Tensor<2>, memory: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        if self.memory() == 0 {
            return (self.net.forward(observations), memory);
        }
        self.net.step(observations, memory)
    }

    /// The same network without autodiff.
    #[must_use]
    pub fn valid(&self) -> Self {
        Self { net: self.net.valid() }
    }
}

impl Parameters for ValueNet {
    fn describe(&self) -> Vec<ParamInfo> {
        describe_part("net", &self.net).collect()
    }

    fn count(&self) -> usize {
        self.net.count()
    }

    fn read(&self, reader: &mut Reader<'_>) {
        self.net.read(reader);
    }

    fn write(&mut self, writer: &mut Writer<'_>) {
        self.net.write(writer);
    }
}
