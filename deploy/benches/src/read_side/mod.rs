//! The read side of availability-worker with many contractors: what the benchmarks `search`,
//! `growth` and `rebuild` have in common.

pub mod asking;
pub mod bare_read;
pub mod fill;
pub mod multiranges;
pub mod question;
pub mod roster;
pub mod throughput;
pub mod worker;
