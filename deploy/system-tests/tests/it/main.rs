//! The whole system: real processes on real servers, seen from outside.
#![expect(
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

mod backlog;
mod board;
mod bookings;
mod browser;
mod clocks;
mod crashes;
mod demo;
mod descriptions;
mod every_write;
mod exact_payloads;
mod failover;
mod foreign_clients;
mod full_disk;
mod hostile_clients;
mod kills;
mod load;
mod model;
mod notifier_restarts;
mod order_free;
mod schemathesis;
mod second_signal;
mod secrets;
mod soak;
mod tls;
mod week;
