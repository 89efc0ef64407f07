//! From publishing to consuming.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeleteOptions,
};
use lapin::{BasicProperties, Channel, Consumer};
use tokio::sync::Mutex;

use super::{AVAILABILITY_BYTES, SCHEDULE_BYTES, document, paced};
use crate::amqp::{declare, open, table};
use crate::latency::Quantiles;

/// AMQP's delivery mode for messages that survive a restart.
const PERSISTENT: u8 = 2;

pub(super) async fn queue(url: &str, each: Duration) -> Result<Quantiles> {
    measure(url, "quorum", &[], SCHEDULE_BYTES, each).await
}

pub(super) async fn stream(url: &str, each: Duration) -> Result<Quantiles> {
    let from_now = [("x-stream-offset", "next")];
    measure(url, "stream", &from_now, AVAILABILITY_BYTES, each).await
}

async fn measure(
    url: &str,
    kind: &str,
    consuming: &[(&str, &str)],
    size: usize,
    each: Duration,
) -> Result<Quantiles> {
    let name = format!("floor.{kind}");
    // Two connections, as two processes would have.
    let (sending, receiving) = (open(url).await?, open(url).await?);
    let (publisher, consumer) = (
        sending.create_channel().await?,
        receiving.create_channel().await?,
    );
    declare(&publisher, &name, kind).await?;
    publisher
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    consumer.basic_qos(300, BasicQosOptions::default()).await?;
    let deliveries = consumer
        .basic_consume(
            name.as_str().into(),
            "".into(),
            BasicConsumeOptions::default(),
            table(consuming),
        )
        .await?;
    let deliveries = Mutex::new(deliveries);
    let quantiles = paced(each, |number| {
        let body = document(size, number);
        there_and_back(&publisher, &name, &deliveries, body)
    })
    .await?;
    publisher
        .queue_delete(name.as_str().into(), QueueDeleteOptions::default())
        .await?;
    Ok(quantiles)
}

async fn there_and_back(
    publisher: &Channel,
    queue: &str,
    deliveries: &Mutex<Consumer>,
    body: Vec<u8>,
) -> Result<Duration> {
    let mut deliveries = deliveries.lock().await;
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let begun = Instant::now();
    let confirm = publisher
        .basic_publish(
            "".into(),
            queue.into(),
            BasicPublishOptions::default(),
            &body,
            properties,
        )
        .await?;
    let delivery = deliveries
        .next()
        .await
        .context("the consumer has ended")??;
    let took = begun.elapsed();
    ensure!(delivery.data == body, "another message was delivered");
    delivery.ack(BasicAckOptions::default()).await?;
    confirm.await?;
    Ok(took)
}
