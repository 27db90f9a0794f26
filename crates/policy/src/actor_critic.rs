//! A policy and a value function that learn together.

use burn::tensor::{Bool, Device, Gradients, Tensor};
use rand::Rng;

use crate::{
    Distribution, Policy, PolicyConfig, PolicyError, ValueNet,
    params::{ParamInfo, Parameters, describe_part},
};

/// πθ(a|s) and Vφ(s), each with a network of its own or both on one.
#[derive(Clone, Debug)]
pub struct ActorCritic {
    policy: Policy,
    /// `None`: the policy's network has one output more, and that is the value.
    value: Option<ValueNet>,
}

/// What an actor and critic said of a batch of observations.
#[derive(Clone, Debug)]
pub struct Said {
    /// πθ(·|s), row by row.
    pub distribution: Distribution,
    /// Vφ(s): `[rows]`.
    pub value: Tensor<1>,
}

impl ActorCritic {
    /// Networks with weights drawn from their own streams; where they share one, from the policy's.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub fn init(
        config: &PolicyConfig,
        policy_rng: &mut impl Rng,
        value_rng: &mut impl Rng,
        device: &Device,
    ) -> Result<Self, PolicyError> {
        let policy = config.init(policy_rng, device)?;
        let value = (!config.value_output)
            .then(|| ValueNet::init(&config.network, config.observation, value_rng, device))
            .transpose()?;
        Ok(Self { policy, value })
    }

    /// The policy by itself.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Numbers that the networks carry from step to step: the policy's, then the value network's.
    pub fn memory(&self) -> usize {
        self.policy.memory() + self.value.as_ref().map_or(0, ValueNet::memory)
    }

    /// πθ(·|s) and Vφ(s) for every row, for networks without memory.
    ///
    /// # Shapes
    /// `observations`: `[rows, observation]`; `valid`: `[rows, actions]`.
    pub fn forward(&self, observations: Tensor<2>, valid: Option<Tensor<2, Bool>>) -> Said {
        let memory = Tensor::zeros([observations.dims()[0], self.memory()], &observations.device());
        let (outputs, _) = self.step(observations, memory);
        self.read(outputs, valid)
    }

    /// One step of each row's episode: the networks' outputs, the value in the last column, and what
    /// they remember then. [`read`](Self::read) says what the outputs mean.
    ///
    /// # Shapes
    /// `observations`: `[rows, observation]`; `memory`: `[rows, self.memory()]`; results:
    /// `[rows, outputs + 1]` and `[rows, self.memory()]`.
    pub fn step(&self, observations: Tensor<2>, memory: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let mine = self.policy.memory();
        let Some(value) = &self.value else { return self.policy.step(observations, memory) };
        if self.memory() == 0 {
            let outputs = self.policy.outputs(observations.clone());
            return (Tensor::cat(vec![outputs, value.outputs(observations)], 1), memory);
        }
        let (a, b) = (memory.clone().narrow(1, 0, mine), memory.narrow(1, mine, value.memory()));
        let (outputs, a) = self.policy.step(observations.clone(), a);
        let (v, b) = value.step(observations, b);
        (Tensor::cat(vec![outputs, v], 1), Tensor::cat(vec![a, b], 1))
    }

    /// The distribution and the value that a row of outputs stands for.
    pub fn read(&self, outputs: Tensor<2>, valid: Option<Tensor<2, Bool>>) -> Said {
        let n = self.policy.config().action.outputs();
        let value = outputs.clone().narrow(1, n, 1).squeeze_dim(1);
        Said { distribution: self.policy.distribution_of(outputs.narrow(1, 0, n), valid), value }
    }

    /// Vφ(s), for networks without memory.
    ///
    /// # Shapes
    /// `observations`: `[rows, observation]`; result: `[rows]`.
    pub fn value(&self, observations: Tensor<2>) -> Tensor<1> {
        let n = self.policy.config().action.outputs();
        match &self.value {
            Some(value) => value.forward(observations),
            None => self.policy.outputs(observations).narrow(1, n, 1).squeeze_dim(1),
        }
    }

    /// The same networks without autodiff, for acting.
    #[must_use]
    pub fn valid(&self) -> Self {
        Self { policy: self.policy.valid(), value: self.value.as_ref().map(ValueNet::valid) }
    }
}

impl Parameters for ActorCritic {
    fn describe(&self) -> Vec<ParamInfo> {
        let policy = describe_part("policy", &self.policy);
        policy.chain(self.value.iter().flat_map(|value| describe_part("value", value))).collect()
    }

    fn extend_flat(&self, flat: &mut Vec<f32>) {
        self.policy.extend_flat(flat);
        self.value.iter().for_each(|value| value.extend_flat(flat));
    }

    fn extend_gradients(&self, gradients: &mut Gradients, flat: &mut Vec<f32>) {
        self.policy.extend_gradients(gradients, flat);
        self.value.iter().for_each(|value| value.extend_gradients(gradients, flat));
    }

    fn take_flat<'a>(&mut self, flat: &'a [f32]) -> &'a [f32] {
        let rest = self.policy.take_flat(flat);
        self.value.iter_mut().fold(rest, |rest, value| value.take_flat(rest))
    }
}
