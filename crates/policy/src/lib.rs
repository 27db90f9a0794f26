#![doc = include_str!("../README.md")]

#[cfg(not(any(feature = "flex", feature = "ndarray", feature = "wgpu", feature = "cuda")))]
compile_error!(
    "elegante needs a backend: enable at least one of the features flex (the default), ndarray, wgpu and cuda"
);

mod device;
mod distribution;
mod error;
mod file;
mod head;
mod init;
mod network;
pub mod params;
mod policy;
mod settings;

pub use device::DeviceChoice;
pub use distribution::{
    ActionBatch, ActionTensor, Bernoulli, Beta, Categorical, DiagGaussian, Distribution,
    Exploration, Gsde, MultiCategorical, SquashedGaussian,
};
pub use error::PolicyError;
pub use file::write_atomic;
pub use head::ActionHead;
pub use init::Init;
pub use network::{Activation, Mlp, MlpConfig, tanh};
pub use policy::{Policy, PolicyConfig, ValueNet};
pub use settings::{Setting, Settings};
