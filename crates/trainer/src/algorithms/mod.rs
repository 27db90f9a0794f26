//! The algorithms: one file each, that calls shared functions in the order of its pseudo-code.

mod reinforce;

pub(crate) use reinforce::Reinforce;
