//! The search for settings that train well: what may vary, what is tried next, what is given up early,
//! and a directory that has it all.

mod dimension;
mod page;
mod pruner;
mod sampler;
mod space;
mod study;
#[cfg(test)]
mod testing;
mod trial;

pub use dimension::{Dimension, Domain, Scale};
pub use pruner::Pruner;
pub use sampler::Sampler;
pub use space::SearchSpace;
pub use study::{Assignment, Study, StudyInfo, StudyOptions, study_files};
pub use trial::{Params, Reading, SeedScore, Trial, TrialState};
