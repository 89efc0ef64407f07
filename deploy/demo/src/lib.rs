//! A realistic roster that keeps changing.
//!
//! The demo is a client like any other: it knows schedule-service's public HTTP API and nothing
//! else. [`seed`] puts the roster there, [`run`] keeps changing it.

pub mod cities;
pub mod civil_time;
pub mod client;
pub mod contractor;
pub mod diary;
pub mod dispatch;
pub mod holidays;
pub mod names;
pub mod roster;
pub mod seeding;
pub mod settings;
pub mod shifts;
pub mod span;
pub mod trades;
pub mod working_time;

pub use dispatch::run;
pub use seeding::seed;
