//! The search for settings that train well: what may vary, what is tried next, what is given up early,
//! and a directory that has it all.

mod association;
mod dimension;
mod page;
mod pruner;
mod record;
mod sampler;
mod space;
mod study;
#[cfg(test)]
pub(crate) mod testing;
mod trial;

pub(crate) use dimension::figure;
pub use dimension::{Dimension, Domain, Scale};
pub(crate) use page::{reached, score, seeds, shown, state};
pub use pruner::Pruner;
pub use record::StudyRecord;
pub use sampler::Sampler;
pub use space::SearchSpace;
pub use study::{Assignment, Study, StudyInfo, StudyOptions, study_files};
pub use trial::{Params, Reading, SeedScore, Trial, TrialState};
