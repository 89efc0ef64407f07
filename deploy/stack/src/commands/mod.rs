//! One file for each command.

pub(crate) mod exec;
pub(crate) mod up;
