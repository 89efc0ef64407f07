//! The worker against real RabbitMQ and Redis servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod cli;
mod cluster;
mod copies;
mod dead_letters;
mod events;
mod faults;
mod guard;
mod horizon;
mod loss;
mod multiranges;
mod orders;
mod reads;
mod search;
mod truth;
mod verify;
mod world;
