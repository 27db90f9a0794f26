//! The command as its users have it: the built binary, its files, its words and its exit codes.
#![allow(clippy::unwrap_used)] // a panic here is the report

mod bad_input;
mod bench;
mod doctor;
mod files;
mod harness;
mod interrupt;
mod logs;
mod replay;
mod report;
mod reproduce;
mod resume;
mod seeds;
mod show;
mod train;
mod tui;
mod tune;
