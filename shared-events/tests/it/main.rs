//! The contract against its fixtures and committed descriptions, and the AMQP plumbing against a
//! real RabbitMQ.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod amqp;
mod contract;
mod jwks;
mod limits;
mod tls;
