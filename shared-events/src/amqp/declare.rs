//! Makes what [`topology`](crate::topology) names.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use crate::topology::{self as t, Part};

/// Declares exchanges, queues and bindings of a part. Repeating it changes nothing.
///
/// Where what others have to declare is missing, that is the error (404): they will.
pub async fn declare_topology(channel: &Channel, part: Part) -> lapin::Result<()> {
    match part {
        Part::ScheduleService => events(channel).await?,
        Part::AvailabilityWorker => settlement(channel).await?,
        Part::Notifier => stream(channel).await?,
        Part::All => {
            events(channel).await?;
            settlement(channel).await?;
            stream(channel).await?;
        }
    }
    // The publisher binds its subscribers too: deleting the exchange takes their bindings along, and
    // only who publishes gets to know of it.
    if part != Part::Notifier {
        let (queue, key) = (t::SCHEDULE_UPDATED_QUEUE, t::SCHEDULE_UPDATED_BINDING);
        bind(channel, queue, t::EXCHANGE, key).await?;
    }
    if part != Part::AvailabilityWorker {
        for key in [t::SCHEDULE_UPDATED_BINDING, t::AVAILABILITY_UPDATED_BINDING] {
            bind(channel, t::UPDATES_STREAM, t::EXCHANGE, key).await?;
        }
    }
    Ok(())
}

/// Where events are published, and what becomes of those that nobody is bound for.
async fn events(channel: &Channel) -> lapin::Result<()> {
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
    bind(channel, t::UNROUTED_QUEUE, t::UNROUTED_EXCHANGE, "").await
}

/// What the workers take events from, and where they set them aside.
async fn settlement(channel: &Channel) -> lapin::Result<()> {
    exchange(channel, t::SETTLEMENT_EXCHANGE, ExchangeKind::Direct, &[]).await?;
    let dead_letters = [
        ("x-queue-type", text("quorum")),
        // Looking at a letter gives it back, and nothing may drop it for having been looked at.
        ("x-delivery-limit", AMQPValue::LongInt(i32::MAX)),
    ];
    settled_into(channel, t::DEAD_LETTER_QUEUE, &dead_letters).await?;

    // At-least-once dead-lettering needs reject-publish; without a length limit nothing is refused.
    let dead_letters_to = |queue: &str| {
        [
            ("x-queue-type", text("quorum")),
            ("x-dead-letter-exchange", text(t::SETTLEMENT_EXCHANGE)),
            ("x-dead-letter-routing-key", text(queue)),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
        ]
    };
    let mut arguments = dead_letters_to(t::DEAD_LETTER_QUEUE).to_vec();
    arguments.push(("x-delivery-limit", AMQPValue::LongInt(t::DELIVERY_LIMIT)));
    for name in [t::SCHEDULE_UPDATED_QUEUE, t::SUSPECT_QUEUE] {
        settled_into(channel, name, &arguments).await?;
    }

    // A message that has waited its time out goes back to the queue that it came from.
    for (name, wait_ms) in t::RETRY_QUEUES {
        let mut arguments = dead_letters_to(t::SCHEDULE_UPDATED_QUEUE).to_vec();
        arguments.push(("x-message-ttl", AMQPValue::LongInt(wait_ms)));
        settled_into(channel, name, &arguments).await?;
    }
    Ok(())
}

/// A queue that the workers put messages into by its name.
async fn settled_into(channel: &Channel, name: &str, arguments: &[Argument]) -> lapin::Result<()> {
    queue(channel, name, arguments).await?;
    bind(channel, name, t::SETTLEMENT_EXCHANGE, name).await
}

/// What the notifiers read.
async fn stream(channel: &Channel) -> lapin::Result<()> {
    exchange(channel, t::MARKER_EXCHANGE, ExchangeKind::Fanout, &[]).await?;
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
    bind(channel, t::UPDATES_STREAM, t::MARKER_EXCHANGE, "").await
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
