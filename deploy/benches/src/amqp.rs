//! RabbitMQ as the benchmarks use it beside the services.

use anyhow::{Context, Result};
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties};

/// Connects.
///
/// # Errors
/// When nobody answers there.
pub async fn open(url: &str) -> Result<Connection> {
    Connection::connect(url, ConnectionProperties::default())
        .await
        .context("RabbitMQ")
}

/// Declares a durable queue of `kind`: `quorum` or `stream`.
///
/// # Errors
/// When the broker refuses.
pub async fn declare(channel: &Channel, name: &str, kind: &str) -> Result<()> {
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(name.into(), durable, table(&[("x-queue-type", kind)]))
        .await?;
    Ok(())
}

/// Arguments, all of them strings.
#[must_use]
pub fn table(arguments: &[(&str, &str)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert((*name).into(), AMQPValue::LongString((*value).into()));
    }
    table
}
