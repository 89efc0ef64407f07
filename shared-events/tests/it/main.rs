//! The contract against its fixtures and committed descriptions, and the AMQP plumbing against a
//! real RabbitMQ.

mod amqp;
mod contract;
