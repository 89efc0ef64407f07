//! The write side of Rosterwire and the system of record: contractors, their schedules and jobs.
//!
//! A change goes one way through the modules. [`http`] reads a request, [`request`] parses its body
//! into values that are known to be acceptable, [`domain`] turns the schedule as it is into the
//! schedule as it will be and the difference of the two, and [`store`] commits both, with the
//! event, in one statement guarded by the schedule's version. [`outbox_relay`] publishes what was
//! committed, and [`set_aside`] deals with what the broker would not take. [`import`] goes the same way with a file in the place of requests;
//! [`migrations`] brings the schema up to date.

pub mod app;
pub mod config;
pub mod domain;
pub mod error;
pub mod http;
pub mod import;
pub mod migrations;
pub mod outbox_relay;
pub mod request;
pub mod retention;
pub mod set_aside;
pub mod store;
pub mod token;
