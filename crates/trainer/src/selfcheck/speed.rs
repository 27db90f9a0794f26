//! How fast a device is with networks of a given size.

use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};
use elegante_env::EnvRng;
use elegante_policy::{ActionHead, ActionTensor, ActorCritic, MlpConfig, PolicyConfig};

use super::{choices, numbers};
use crate::{
    TrainError,
    bridge::{matrix, vector},
    loss::{clipped_surrogate, value_mse},
    optim::Learner,
};

/// A minibatch of PPO, and a policy and a value network to learn from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// Numbers in an observation.
    pub inputs: usize,
    /// Actions to choose from.
    pub actions: usize,
    /// Units of the hidden layers, in each of the two networks.
    pub hidden: Vec<usize>,
    /// Steps in the minibatch.
    pub rows: usize,
}

impl Work {
    fn networks(&self, device: &Device) -> Result<ActorCritic, TrainError> {
        let network = MlpConfig { hidden: self.hidden.clone(), ..MlpConfig::default() };
        let head = ActionHead::Categorical { n: self.actions };
        let config = PolicyConfig::new(self.inputs, head, network);
        let (mut policy, mut value) = (EnvRng::new(1), EnvRng::new(2));
        Ok(ActorCritic::init(&config, &mut policy, &mut value, device)?)
    }
}

/// What a minibatch holds.
pub(super) struct Task {
    observations: Tensor<2>,
    actions: ActionTensor,
    columns: [Tensor<1>; 3],
}

impl Task {
    pub(super) fn new(work: &Work, device: &Device) -> Self {
        let observations = numbers(work.rows * work.inputs, 5).iter().map(|&x| x as f32).collect();
        let old = vec![-(work.actions as f64).ln(); work.rows];
        let columns = [old, numbers(work.rows, 6), numbers(work.rows, 7)];
        Self {
            observations: matrix(observations, work.inputs, device),
            actions: ActionTensor::Discrete(choices(work.rows, work.actions, device)),
            columns: columns.map(|column| vector(&column, device)),
        }
    }

    /// PPO's loss.
    pub(super) fn loss(&self, networks: &ActorCritic) -> Tensor<1> {
        let [old, advantage, target] = self.columns.clone();
        let said = networks.say(self.observations.clone());
        let π = networks.distribution(&said, None);
        let log_prob = π.log_prob(self.actions.clone());
        let policy = clipped_surrogate(log_prob, old, advantage, 0.2) - π.entropy().mean() * 0.01;
        policy + value_mse(said.value(), target) * 0.5
    }
}

/// Minibatches that are learnt from in a second: forwards, backwards, clipping and Adam. Takes about as
/// long as `budget`, and a few updates before.
///
/// # Errors
/// When the device can't hold the networks, or computes something that is not finite.
pub fn updates_per_second(
    device: &Device,
    work: &Work,
    budget: Duration,
) -> Result<f64, TrainError> {
    let device = device.clone().autodiff();
    let mut learner = Learner::adam(work.networks(&device)?, 1e-5, 0.5);
    let task = Task::new(work, &device);
    rate(budget, || {
        let loss = task.loss(&learner.module);
        learner.descend(loss, 1e-4, 0).map(drop)
    })
}

/// Actions that a policy chooses in a second, one observation after the other. Takes about as long as
/// `budget`.
///
/// # Errors
/// When the device can't hold the network, or computes something that is not finite.
pub fn actions_per_second(
    device: &Device,
    work: &Work,
    budget: Duration,
) -> Result<f64, TrainError> {
    let networks = work.networks(device)?;
    let observation: Vec<f32> = numbers(work.inputs, 8).iter().map(|&x| x as f32).collect();
    rate(budget, || Ok(networks.policy().act(&observation).map(drop)?))
}

/// How often in a second `work` can be done.
fn rate(
    budget: Duration,
    mut work: impl FnMut() -> Result<(), TrainError>,
) -> Result<f64, TrainError> {
    // A GPU compiles its kernels the first time.
    for _ in 0..3 {
        work()?;
    }
    let (began, mut done) = (Instant::now(), 0u32);
    loop {
        work()?;
        done += 1;
        let elapsed = began.elapsed();
        if elapsed >= budget {
            return Ok(f64::from(done) / elapsed.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elegante_policy::DeviceChoice;

    #[test]
    fn rates_are_told_on_every_backend_that_works() {
        for choice in DeviceChoice::compiled_in() {
            let Ok(device) = choice.open() else { continue };
            let work = Work { inputs: 4, actions: 2, hidden: vec![8], rows: 16 };
            for rate in [updates_per_second, actions_per_second] {
                let rate = rate(&device, &work, Duration::from_millis(1)).unwrap();
                assert!(rate > 0.0 && rate.is_finite(), "{choice}: {rate}");
            }
        }
    }
}
