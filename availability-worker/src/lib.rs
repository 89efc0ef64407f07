//! The read side of availability: consumes schedule changes, recalculates, caches and answers.
//!
//! An event goes through [`handler`] (which decodes and coalesces), [`recalculation`] (which calls
//! the [`engine`] and writes the [`cache`] through its version guard) and back out as
//! AvailabilityUpdated. A request goes through [`http`] to [`readings`] or [`search`], which read the
//! cache and, where it has nothing, let [`loads`] fetch the schedule from its [`source`]. Beside both,
//! [`horizon`] rolls what is cached forward day by day, and [`rebuild`] fills a cache that was
//! emptied; [`verify`] compares all of it with the source.

pub mod app;
pub mod bounds;
pub mod cache;
pub mod calculate;
pub mod cli;
pub mod config;
pub mod dead_letters;
pub mod engine;
pub mod handler;
pub mod horizon;
pub mod http;
pub mod loads;
pub mod readings;
pub mod rebuild;
pub mod recalculation;
pub mod reconciliation;
pub mod search;
pub mod source;
pub mod stamp;
pub mod upkeep;
pub mod verify;
pub mod watchers;
