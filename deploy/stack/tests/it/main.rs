//! The stack against real servers.

#![expect(
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

mod containers;
mod eventually;
mod exec;
mod proxy;
mod rights;
mod servers;
mod supervise;
mod testbed;
mod up;
