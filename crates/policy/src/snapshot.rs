//! A policy between two changes of its weights.

use burn::tensor::{Bool, Device, Tensor, TensorData};
use elegante_kernels::Perceptron;

use crate::{Distribution, Outputs, Policy};

/// A policy that is asked often before its weights change. Where its network is a chain of fully connected layers on
/// burn-flex, without autodiff, it says what [`Policy::forward`] does, bit by bit, without tensors between the layers,
/// which take longer than a few observations do; elsewhere it is that function.
#[derive(Clone, Debug)]
pub struct Snapshot<'a> {
    policy: &'a Policy,
    device: Device,
    /// Where the network is nothing else, and its outputs are all that the head asks for.
    layers: Option<Perceptron>,
}

impl<'a> Snapshot<'a> {
    pub(crate) fn new(policy: &'a Policy, layers: Option<Perceptron>) -> Self {
        Self { policy, device: policy.device(), layers }
    }

    /// The policy.
    pub fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// The device that holds its weights.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// πθ(·|s) for every row, over the actions that `valid` allows, as at the beginning of an episode.
    ///
    /// # Shapes
    /// `observations`: `[rows × observation]`, already normalised where the policy normalises
    /// ([`Policy::prepare`] does so); `valid` as [`Policy::forward`] takes it.
    ///
    /// # Panics
    /// When `observations` is no whole number of rows: that is a mistake in the caller.
    pub fn forward(&self, observations: &[f32], valid: Option<Tensor<2, Bool>>) -> Distribution {
        let config = self.policy.config();
        let rows = observations.len() / config.observation;
        let matrix = |numbers: Vec<f32>, columns: usize| {
            Tensor::from_data(TensorData::new(numbers, [rows, columns]), &self.device)
        };
        match &self.layers {
            Some(layers) => {
                let out = matrix(layers.forward(observations), config.outputs());
                self.policy.distribution_of(Outputs::of(out), valid)
            }
            None => {
                let seen = matrix(observations.to_vec(), config.observation);
                self.policy.forward(seen, valid)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    use crate::{
        ActionHead, Cell, DeviceChoice, Distribution, MlpConfig, Policy, PolicyConfig, in_memory,
    };

    use super::*;

    fn log_probs(said: &Distribution) -> Vec<f32> {
        let Distribution::Categorical(said) = said else { panic!("a choice") };
        said.log_probs().into_data().iter::<f32>().collect()
    }

    fn policy(network: MlpConfig, value_output: bool) -> Policy {
        let mut config = PolicyConfig::new(3, ActionHead::Categorical { n: 4 }, network);
        config.value_output = value_output;
        let device = DeviceChoice::Auto.open().unwrap();
        config.init(&mut Pcg64::seed_from_u64(5), &device).unwrap()
    }

    #[test]
    fn a_snapshot_says_what_the_policy_does() {
        let networks = [
            MlpConfig::default(),
            MlpConfig { hidden: vec![], ..MlpConfig::default() },
            MlpConfig { hidden: vec![7, 5], ..MlpConfig::default() },
            MlpConfig { recurrent: Cell::Gru, recurrent_size: 6, ..MlpConfig::default() },
        ];
        for (network, value_output) in networks.iter().flat_map(|n| [(n, false), (n, true)]) {
            let policy = policy(network.clone(), value_output);
            let here = cfg!(feature = "flex") && in_memory(&policy.device());
            let plain = network.recurrent == Cell::None;
            assert_eq!(policy.snapshot().layers.is_some(), plain && here, "{network:?}");
            for rows in [0, 1, 9] {
                let seen: Vec<f32> = (0..3 * rows).map(|i| (i as f32).sin()).collect();
                let valid: Vec<bool> = (0..4 * rows).map(|i| i % 3 > 0).collect();
                let device = policy.device();
                let mask = || Tensor::from_data(TensorData::new(valid.clone(), [rows, 4]), &device);
                for masked in [false, true] {
                    let valid = || masked.then(mask);
                    let tensor =
                        Tensor::from_data(TensorData::new(seen.clone(), [rows, 3]), &device);
                    let expected = log_probs(&policy.forward(tensor, valid()));
                    let said = policy.snapshot().forward(&seen, valid());
                    assert_eq!(log_probs(&said), expected, "{network:?}");
                }
            }
        }
    }

    #[test]
    fn state_dependent_exploration_needs_more_than_outputs() {
        let head = ActionHead::Gsde {
            low: vec![None; 2],
            high: vec![None; 2],
            initial_log_std: 0.0,
            learn_features: false,
            squash: false,
        };
        let device = DeviceChoice::Auto.open().unwrap();
        let config = PolicyConfig::new(3, head, MlpConfig::default());
        let policy = config.init(&mut Pcg64::seed_from_u64(5), &device).unwrap();
        let snapshot = policy.snapshot();
        assert!(snapshot.layers.is_none());
        assert!(matches!(snapshot.forward(&[0.1, 0.2, 0.3], None), Distribution::Gsde(_)));
    }
}
