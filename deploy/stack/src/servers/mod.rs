//! The three real servers.

pub mod postgres;
pub mod rabbitmq;
pub mod redis;
