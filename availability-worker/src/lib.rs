//! The read side of availability: consumes schedule changes, recalculates, caches and answers.

pub mod engine;
