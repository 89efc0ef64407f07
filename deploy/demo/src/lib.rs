//! A realistic roster that keeps changing.
//!
//! The demo is a client like any other: it knows schedule-service's public HTTP API and nothing
//! else.

pub mod cities;
pub mod civil_time;
pub mod contractor;
pub mod diary;
pub mod holidays;
pub mod names;
pub mod roster;
pub mod shifts;
pub mod span;
pub mod trades;
pub mod working_time;
