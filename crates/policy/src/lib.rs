#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]

#[cfg(not(any(feature = "flex", feature = "ndarray", feature = "wgpu", feature = "cuda")))]
compile_error!(
    "elegante needs a backend: enable at least one of the features flex (the default), ndarray, wgpu and cuda"
);

mod device;
mod distribution;
mod error;
mod file;
mod init;
mod network;
pub mod params;
mod policy;
mod settings;

pub use device::DeviceChoice;
pub use distribution::{ActionBatch, ActionTensor, Categorical, DiagGaussian, Distribution};
pub use error::PolicyError;
pub use file::{checksum, write_atomic};
pub use init::Init;
pub use network::{Activation, Mlp, MlpConfig, tanh};
pub use policy::{ActionHead, Policy, PolicyConfig, ValueNet};
pub use settings::{Setting, Settings};
