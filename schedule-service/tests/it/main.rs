//! The service against real servers.

mod contractors;
mod days;
mod events;
mod idempotency;
mod import;
mod jobs;
mod limits;
mod openapi;
mod outbox_relay;
mod queries;
mod races;
mod refusals;
mod retention;
mod schedules;
mod service;
