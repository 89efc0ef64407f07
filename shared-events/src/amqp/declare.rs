//! Makes what [`topology`](crate::topology) names.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use crate::topology as t;

/// Declares exchanges, queues and bindings. Repeating it changes nothing.
pub async fn declare_topology(channel: &Channel) -> lapin::Result<()> {
    exchange(channel, t::UNROUTED_EXCHANGE, ExchangeKind::Fanout, &[]).await?;
    let alternate = [("alternate-exchange", text(t::UNROUTED_EXCHANGE))];
    exchange(channel, t::EXCHANGE, ExchangeKind::Topic, &alternate).await?;

    queue(
        channel,
        t::UNROUTED_QUEUE,
        &[
            ("x-queue-type", text("quorum")),
            ("x-max-length", AMQPValue::LongInt(t::UNROUTED_MAX_LENGTH)),
            ("x-overflow", text("drop-head")),
        ],
    )
    .await?;
    bind(channel, t::UNROUTED_QUEUE, t::UNROUTED_EXCHANGE, "").await?;

    queue(
        channel,
        t::DEAD_LETTER_QUEUE,
        &[
            ("x-queue-type", text("quorum")),
            // Looking at a letter gives it back, and nothing may drop it for having been looked at.
            ("x-delivery-limit", AMQPValue::LongInt(i32::MAX)),
        ],
    )
    .await?;

    // At-least-once dead-lettering needs reject-publish; without a length limit nothing is refused.
    let dead_letters_to = |queue: &str| {
        [
            ("x-queue-type", text("quorum")),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(queue)),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
        ]
    };

    let mut arguments = dead_letters_to(t::DEAD_LETTER_QUEUE).to_vec();
    arguments.push(("x-delivery-limit", AMQPValue::LongInt(t::DELIVERY_LIMIT)));
    queue(channel, t::SCHEDULE_UPDATED_QUEUE, &arguments).await?;
    bind(
        channel,
        t::SCHEDULE_UPDATED_QUEUE,
        t::EXCHANGE,
        t::SCHEDULE_UPDATED_BINDING,
    )
    .await?;

    queue(channel, t::SUSPECT_QUEUE, &arguments).await?;

    // A message that has waited its time out goes back to the queue that it came from.
    for (name, wait_ms) in t::RETRY_QUEUES {
        let mut arguments = dead_letters_to(t::SCHEDULE_UPDATED_QUEUE).to_vec();
        arguments.push(("x-message-ttl", AMQPValue::LongInt(wait_ms)));
        queue(channel, name, &arguments).await?;
    }

    queue(
        channel,
        t::UPDATES_STREAM,
        &[
            ("x-queue-type", text("stream")),
            ("x-max-age", text(t::UPDATES_MAX_AGE)),
            (
                "x-max-length-bytes",
                AMQPValue::LongLongInt(t::UPDATES_MAX_LENGTH_BYTES),
            ),
            (
                "x-stream-max-segment-size-bytes",
                AMQPValue::LongLongInt(t::UPDATES_SEGMENT_BYTES),
            ),
        ],
    )
    .await?;
    bind(
        channel,
        t::UPDATES_STREAM,
        t::EXCHANGE,
        t::SCHEDULE_UPDATED_BINDING,
    )
    .await?;
    bind(
        channel,
        t::UPDATES_STREAM,
        t::EXCHANGE,
        t::AVAILABILITY_UPDATED_BINDING,
    )
    .await
}

type Argument = (&'static str, AMQPValue);

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn table(arguments: &[Argument]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in arguments {
        table.insert((*key).into(), value.clone());
    }
    table
}

async fn exchange(
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    arguments: &[Argument],
) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(name.into(), kind, options, table(arguments))
        .await
}

async fn queue(channel: &Channel, name: &str, arguments: &[Argument]) -> lapin::Result<()> {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(name.into(), options, table(arguments))
        .await
        .map(|_| ())
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            options,
            FieldTable::default(),
        )
        .await
}
