//! The write side of Rosterwire and the system of record: contractors, their schedules and jobs.

pub mod app;
pub mod config;
pub mod outbox_relay;
