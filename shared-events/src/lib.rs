//! The contract of Rosterwire's events.
//!
//! By default this crate is the contract alone and compiles serde, chrono and uuid only: the event
//! types, the CloudEvents envelope, the schedule as it travels, and the names of the topology.
//! A subscriber reads a message's body as an [`Envelope`] of the event it expects:
//!
//! ```
//! use shared_events::{Envelope, ScheduleUpdated};
//!
//! # let body = include_bytes!("../fixtures/schedule.updated.v1.json");
//! let event: Envelope<ScheduleUpdated> = serde_json::from_slice(body)?;
//! println!("{} is now at version {}", event.data.contractor_id, event.data.version);
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! Behind features stands the plumbing that the contract needs: `amqp` (connections, confirmed
//! publishing, settled consuming), `service` (settings, telemetry, health, metrics, problem
//! documents, shutdown), `zones` (the time zones that a schedule may name) and `schema` (OpenAPI,
//! JSON Schema and AsyncAPI descriptions).

pub mod envelope;
pub mod event;
#[cfg(any(feature = "amqp", feature = "service"))]
pub mod failpoint;
pub mod schedule;
#[cfg(feature = "schema")]
pub mod schema;
pub mod topology;

#[cfg(feature = "amqp")]
pub mod amqp;
#[cfg(feature = "service")]
pub mod service;
#[cfg(any(feature = "amqp", feature = "service"))]
pub mod trace;
#[cfg(any(feature = "amqp", feature = "service"))]
pub mod trust;
#[cfg(feature = "zones")]
pub mod zones;

pub use envelope::Envelope;
pub use event::{
    AvailabilityUpdated, Conflict, ConflictReason, Horizon, IntegrationEvent, ScheduleUpdated,
};
pub use schedule::Schedule;
