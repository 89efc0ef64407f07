//! The service against real servers.

mod access;
mod command_line;
mod contractors;
mod database;
mod database_outage;
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
mod rights;
mod schedules;
mod service;
mod set_aside;
