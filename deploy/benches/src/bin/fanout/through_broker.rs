//! Messages that reach the floor and plain axum as they reach the notifier: through a stream of
//! RabbitMQ. What it costs to get a message from there is then in their figures too.

use std::io::Write;
use std::os::fd::AsFd;

use anyhow::Result;
use benches::amqp::{declare, open, table};
use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::{BasicProperties, Channel, Connection};

const STREAM: &str = "fanout.lines";

/// So many are sent ahead of their acknowledgement, as to the notifier.
const PREFETCH: u16 = 500;

/// Publishes lines, each confirmed.
pub(crate) struct Lines {
    channel: Channel,
    _connection: Connection,
}

impl Lines {
    /// Connects; the stream is there afterwards.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let (connection, channel) = channel(url).await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        Ok(Self {
            channel,
            _connection: connection,
        })
    }

    /// Publishes one after the other, and waits until the broker has all.
    pub(crate) async fn publish(&self, lines: impl Iterator<Item = String>) -> Result<()> {
        let mut confirms = Vec::new();
        for line in lines {
            let confirm = self
                .channel
                .basic_publish(
                    "".into(),
                    STREAM.into(),
                    BasicPublishOptions::default(),
                    line.as_bytes(),
                    BasicProperties::default(),
                )
                .await?;
            confirms.push(confirm);
        }
        for confirm in confirms {
            confirm.await?;
        }
        Ok(())
    }
}

/// Makes what is published from now on the lines of this process's standard input; returns once
/// that has begun.
pub(crate) fn feed_standard_input(url: &str) -> Result<()> {
    let (read_end, write_end) = nix::unistd::pipe()?;
    nix::unistd::dup2_stdin(read_end.as_fd())?;
    let mut input = std::fs::File::from(write_end);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let (connection, mut deliveries) = runtime.block_on(async {
        let (connection, channel) = channel(url).await?;
        channel
            .basic_qos(PREFETCH, BasicQosOptions::default())
            .await?;
        let from_now = table(&[("x-stream-offset", "next")]);
        let deliveries = channel
            .basic_consume(
                STREAM.into(),
                "".into(),
                BasicConsumeOptions::default(),
                from_now,
            )
            .await?;
        anyhow::Ok((connection, deliveries))
    })?;
    std::thread::spawn(move || -> Result<()> {
        runtime.block_on(async {
            while let Some(delivery) = deliveries.next().await {
                let delivery = delivery?;
                input.write_all(&delivery.data)?;
                input.write_all(b"\n")?;
                delivery.ack(BasicAckOptions::default()).await?;
            }
            drop(connection);
            anyhow::Ok(())
        })
    });
    Ok(())
}

/// A channel on a connection of its own.
async fn channel(url: &str) -> Result<(Connection, Channel)> {
    let connection = open(url).await?;
    let channel = connection.create_channel().await?;
    declare(&channel, STREAM, "stream").await?;
    Ok((connection, channel))
}
