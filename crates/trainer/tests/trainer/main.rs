//! The trainer as a library: what it collects, what it promises, what it learns.
#![allow(clippy::unwrap_used)] // a panic here is the report

mod actor_critics;
mod batches;
mod checkpoints;
mod control;
mod failures;
mod inspect;
mod learning;
mod learning_actor_critics;
mod learning_dqn;
mod learning_judged;
mod networks;
mod recorder;
mod settings;
mod worlds;
