#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(clippy::print_stdout)]

#[cfg(not(any(feature = "flex", feature = "ndarray", feature = "wgpu", feature = "cuda")))]
compile_error!(
    "elegante needs a backend: enable at least one of the features flex (the default), ndarray, wgpu and cuda"
);

mod action_values;
mod actor;
mod actor_critic;
mod any_network;
mod critics;
mod device;
mod distribution;
mod error;
mod file;
mod head;
mod init;
mod linear;
mod network;
mod noisy;
pub mod params;
mod policy;
mod recurrent;
mod settings;
mod snapshot;

pub use action_values::ActionValues;
pub use actor::Actor;
pub use actor_critic::{ActorCritic, Said};
pub use any_network::{AnyNetwork, Network};
pub use critics::Critics;
pub use device::{DeviceChoice, in_memory};
pub use distribution::{
    ActionBatch, ActionTensor, Bernoulli, Beta, Categorical, Deterministic, DiagGaussian,
    Distribution, EpsilonGreedy, Exploration, Gsde, MultiCategorical, SquashedGaussian,
};
pub use elegante_kernels::{Perceptron, tanh};
pub use error::PolicyError;
pub use file::{checksum, write_atomic};
pub use head::ActionHead;
pub use init::Init;
pub use network::{Activation, Mlp, MlpConfig};
pub use noisy::{NoisyPolicy, WeightNoise};
pub use policy::{InputScale, Outputs, Policy, PolicyConfig, ValueNet};
pub use recurrent::{Cell, Recurrent};
pub use settings::{Setting, Settings};
pub use snapshot::Snapshot;
