//! A policy and a value function that learn together.

use burn::tensor::{Bool, Device, Tensor};
use rand::Rng;

use crate::{
    Distribution, Outputs, Policy, PolicyConfig, PolicyError, ValueNet,
    params::{ParamInfo, Parameters, Reader, Writer, describe_part},
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
    policy: Outputs,
    /// `[rows, 1]`.
    value: Tensor<2>,
}

impl Said {
    /// What a policy and a value network of its own said; `value`: `[rows, 1]`.
    pub fn of(policy: Outputs, value: Tensor<2>) -> Self {
        Self { policy, value }
    }

    /// The rows of all of `parts`, one after the other.
    pub fn cat(parts: Vec<Self>) -> Self {
        let (policy, value): (Vec<_>, Vec<_>) =
            parts.into_iter().map(|said| (said.policy, said.value)).unzip();
        Self { policy: Outputs::cat(policy), value: Tensor::cat(value, 0) }
    }

    /// Vφ(s): `[rows]`.
    pub fn value(&self) -> Tensor<1> {
        self.value_column().squeeze_dim(1)
    }

    /// Vφ(s) as the network says it: `[rows, 1]`.
    pub fn value_column(&self) -> Tensor<2> {
        self.value.clone()
    }
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
        let value = (!config.value_output)
            .then(|| ValueNet::init(&config.network, config.observation, value_rng, device))
            .transpose()?;
        Ok(Self { policy: config.init(policy_rng, device)?, value })
    }

    /// A policy and a value network of anybody's making.
    ///
    /// # Panics
    /// When the policy has the value among its outputs already: that is a mistake in the caller.
    pub fn of(policy: Policy, value: ValueNet) -> Self {
        assert!(!policy.config().value_output, "the policy's network tells the value already");
        Self { policy, value: Some(value) }
    }

    /// A policy whose network tells the value too, as its last output.
    ///
    /// # Panics
    /// When it does not: that is a mistake in the caller.
    pub fn shared(policy: Policy) -> Self {
        assert!(policy.config().value_output, "the policy's network does not tell the value");
        Self { policy, value: None }
    }

    /// The policy by itself.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The value network where it has nothing to do with the policy's: neither layers nor a memory, which
    /// the two carry from step to step as one.
    pub fn independent_value(&self) -> Option<&ValueNet> {
        self.value.as_ref().filter(|_| self.memory() == 0)
    }

    /// Numbers that the networks carry from step to step: the policy's, then the value network's.
    pub fn memory(&self) -> usize {
        self.policy.memory() + self.value.as_ref().map_or(0, ValueNet::memory)
    }

    /// One step of each row's episode: what the networks say, and what they remember then.
    ///
    /// # Shapes
    /// `observations`: `[rows, observation]`; `memory` and the new one: `[rows, self.memory()]`.
    pub fn step(&self, observations: Tensor<2>, memory: Tensor<2>) -> (Said, Tensor<2>) {
        let mine = self.policy.memory();
        let Some(value) = &self.value else {
            let (policy, memory) = self.policy.step(observations, memory);
            let value = policy.value();
            return (Said { policy, value }, memory);
        };
        if self.memory() == 0 {
            let (policy, memory) = self.policy.step(observations.clone(), memory.clone());
            return (Said { policy, value: value.step(observations, memory.clone()).0 }, memory);
        }
        let part = |from, width| memory.clone().narrow(1, from, width);
        let (policy, a) = self.policy.step(observations.clone(), part(0, mine));
        let (value, b) = value.step(observations, part(mine, value.memory()));
        (Said { policy, value }, Tensor::cat(vec![a, b], 1))
    }

    /// What the networks say of a batch, as at the beginning of an episode.
    ///
    /// # Shapes
    /// `observations`: `[rows, observation]`.
    pub fn say(&self, observations: Tensor<2>) -> Said {
        let shape = [observations.dims()[0], self.memory().max(1)];
        let memory = Tensor::zeros(shape, &observations.device());
        self.step(observations, memory).0
    }

    /// Vφ(s) for every row, as at the beginning of an episode, without asking the policy where it has no
    /// part in it.
    ///
    /// # Shapes
    /// `observations`: `[rows, observation]`; result: `[rows]`.
    pub fn value(&self, observations: Tensor<2>) -> Tensor<1> {
        self.value_column(observations).squeeze_dim(1)
    }

    /// [`value`](Self::value) as the network says it, for a loss to which a column is as good as a vector.
    ///
    /// # Shapes
    /// `observations`: `[rows, observation]`; result: `[rows, 1]`.
    pub fn value_column(&self, observations: Tensor<2>) -> Tensor<2> {
        match &self.value {
            Some(value) => value.column(observations),
            None => self.say(observations).value_column(),
        }
    }

    /// πθ(·|s) for every row of what was said, over the actions that `valid` allows.
    pub fn distribution(&self, said: &Said, valid: Option<Tensor<2, Bool>>) -> Distribution {
        self.policy.distribution_of(said.policy.clone(), valid)
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

    fn count(&self) -> usize {
        self.policy.count() + self.value.as_ref().map_or(0, ValueNet::count)
    }

    fn read(&self, reader: &mut Reader<'_>) {
        self.policy.read(reader);
        self.value.iter().for_each(|value| value.read(reader));
    }

    fn write(&mut self, writer: &mut Writer<'_>) {
        self.policy.write(writer);
        self.value.iter_mut().for_each(|value| value.write(writer));
    }
}
