//! AMQP 0.9.1 plumbing: connections, confirmed publishing, settled consuming.
//!
//! lapin's automatic recovery is not used. Whatever goes wrong on a connection, it is dropped and
//! built anew with its channels, topology and consumers: one way out of every failure.

mod access;
mod connection;
pub mod consumer;
mod declare;
mod headers;
mod publisher;
mod settlement;

pub use access::Access;
pub use connection::{AmqpSettings, Backoff, ConnectError, connect, consume};
pub use consumer::{Consumer, Delivery, Handler, Outcome};
pub use declare::declare_topology;
pub use headers::Headers;
pub use publisher::{Message, PublishError, Publisher, Refused};

pub use crate::trace::TraceHeaders;
