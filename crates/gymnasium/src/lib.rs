#![doc = include_str!("../README.md")]
#![warn(clippy::print_stdout)]

mod env;
mod python;
mod registry;
mod workers;

pub use env::{GymnasiumEnv, make};
pub use python::PythonError;
pub use registry::{PREFIX, registry};
pub use workers::Workers;
