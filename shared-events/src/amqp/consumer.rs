//! Consuming with settlement: every delivery ends as done, retried later, or dead-lettered.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use lapin::message::Delivery as Received;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::connection::{AmqpSettings, Backoff, ConnectError, connect};
use super::publisher::{Message, PublishError, Publisher};
use crate::topology::{
    ATTEMPTS_HEADER, DEAD_LETTER_QUEUE, REASON_HEADER, RETRY_QUEUES, ROUTING_KEY_HEADER,
};
use crate::trace::TraceHeaders;

/// A consumer that has lived so long counts as well, and its next failure as a new one.
const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// A message as the handler sees it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The encoded envelope.
    pub body: Arc<[u8]>,
    /// The AMQP `type` property; empty if it has none.
    pub event_type: String,
    /// The AMQP `message-id` property; empty if it has none.
    pub message_id: String,
    /// The routing key under which the message was first published.
    pub routing_key: String,
    /// How many times handling it has failed before.
    pub attempts: u32,
    /// Whether the broker may have delivered it before.
    pub redelivered: bool,
    /// The trace of the request that caused it.
    pub trace: TraceHeaders,
    /// The AMQP `timestamp` property, seconds since the epoch.
    timestamp: u64,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Handled: it may be forgotten.
    Done,
    /// It may succeed later: it comes back after a growing wait, and is dead-lettered in the end.
    Retry(String),
    /// It can never succeed: it is dead-lettered at once, with this reason.
    DeadLetter(String),
}

/// Handles deliveries in batches.
pub trait Handler: Send + Sync + 'static {
    /// The outcome of each delivery of `batch`, in its order.
    ///
    /// A handler that panics has the batch handed to it again one delivery at a time; what panics
    /// alone is dead-lettered.
    fn handle(&self, batch: Vec<Delivery>) -> impl Future<Output = Vec<Outcome>> + Send;
}

/// The numbers that bound a consumer.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many unsettled deliveries the broker hands out.
    pub prefetch: u16,
    /// How many deliveries the handler gets at once, at most.
    pub batch: usize,
    /// How many batches are handled at once, at most.
    pub concurrency: usize,
}

/// A competing consumer of one queue that is built anew whenever it breaks.
#[derive(Debug)]
pub struct Consumer {
    settings: AmqpSettings,
    name: String,
    queue: &'static str,
    limits: Limits,
    publisher: Arc<Publisher>,
    consuming: watch::Sender<bool>,
}

#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the broker ended the consumer: {0}")]
    Broker(#[from] lapin::Error),
    #[error("the broker cancelled the consumer: its queue was deleted or has moved")]
    Cancelled,
    #[error("a delivery could not be settled: {0}")]
    Settle(#[from] PublishError),
    #[error("a delivery could not be settled: the broker refused it")]
    SettleRefused,
}

impl Consumer {
    /// A consumer of `queue`; retries and dead letters go through `publisher`.
    #[must_use]
    pub fn new(
        settings: AmqpSettings,
        name: impl Into<String>,
        queue: &'static str,
        limits: Limits,
        publisher: Arc<Publisher>,
    ) -> Self {
        Self {
            settings,
            name: name.into(),
            queue,
            limits,
            publisher,
            consuming: watch::Sender::new(false),
        }
    }

    /// Whether it is connected and consuming now.
    #[must_use]
    pub fn is_consuming(&self) -> bool {
        *self.consuming.borrow()
    }

    /// Tells of every change of [`is_consuming`](Self::is_consuming).
    #[must_use]
    pub fn watch_consuming(&self) -> watch::Receiver<bool> {
        self.consuming.subscribe()
    }

    /// Consumes until `stop`, then finishes and settles what is in hand. Dropping the future leaves
    /// what is in hand to another consumer.
    pub async fn run<H: Handler>(&self, handler: Arc<H>, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            let begun = Instant::now();
            let ended = self.session(&handler, &stop, &backoff).await;
            self.consuming.send_replace(false);
            let Err(error) = ended else { return };
            // A broker that accepts a consumer and drops it at once is not back yet.
            if begun.elapsed() >= SETTLED_AFTER {
                backoff.reset();
            }
            if backoff.is_fresh() {
                tracing::warn!(queue = self.queue, %error, "consumer broke; building it anew");
            }
            metrics::counter!("amqp_consumer_failures_total", "queue" => self.queue).increment(1);
            let _ = stop
                .run_until_cancelled(tokio::time::sleep(backoff.next_wait()))
                .await;
        }
    }

    async fn session<H: Handler>(
        &self,
        handler: &Arc<H>,
        stop: &CancellationToken,
        backoff: &Backoff,
    ) -> Result<(), SessionError> {
        let Some(connection) = stop
            .run_until_cancelled(connect(&self.settings, &self.name))
            .await
        else {
            return Ok(());
        };
        let connection = connection?;
        let channel = connection.create_channel().await?;
        channel
            .basic_qos(self.limits.prefetch, BasicQosOptions::default())
            .await?;
        let mut deliveries = channel
            .basic_consume(
                self.queue.into(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        if !backoff.is_fresh() {
            tracing::info!(queue = self.queue, "consuming again");
        }
        self.consuming.send_replace(true);

        let permits = Arc::new(Semaphore::new(self.limits.concurrency));
        let mut batches = JoinSet::new();
        let ended = loop {
            let first = tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                Some(done) = batches.join_next() => match joined(done) {
                    Ok(()) => continue,
                    Err(error) => break Err(error),
                },
                first = deliveries.next() => first,
            };
            let Some(first) = first else {
                break Err(SessionError::Cancelled);
            };
            let mut batch = vec![first?];
            // Wait for a free hand before looking further: under load the batch fills meanwhile.
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                break Err(SessionError::Cancelled);
            };
            while batch.len() < self.limits.batch
                && let Some(Some(Ok(next))) = deliveries.next().now_or_never()
            {
                batch.push(next);
            }
            let handler = Arc::clone(handler);
            let publisher = Arc::clone(&self.publisher);
            batches.spawn(async move {
                let _permit = permit;
                handle_and_settle(handler.as_ref(), &publisher, batch).await
            });
        };
        if ended.is_ok() {
            // Nothing new comes while what is in hand is settled.
            channel
                .basic_cancel(deliveries.tag(), BasicCancelOptions::default())
                .await?;
        }
        while let Some(done) = batches.join_next().await {
            joined(done)?;
        }
        ended
    }
}

fn joined(
    done: Result<Result<(), SessionError>, tokio::task::JoinError>,
) -> Result<(), SessionError> {
    // The task catches the handler's panics, so a join error is a cancellation at shutdown.
    done.unwrap_or(Err(SessionError::Cancelled))
}

async fn handle_and_settle<H: Handler>(
    handler: &H,
    publisher: &Publisher,
    batch: Vec<Received>,
) -> Result<(), SessionError> {
    let (deliveries, received): (Vec<Delivery>, Vec<Received>) =
        batch.into_iter().map(accept).unzip();
    let outcomes = outcomes_of(handler, &deliveries).await;

    let set_aside: Vec<Message> = deliveries
        .iter()
        .zip(&outcomes)
        .filter_map(|(delivery, outcome)| match outcome {
            Outcome::Done => None,
            Outcome::Retry(reason) => {
                let queue = usize::try_from(delivery.attempts)
                    .ok()
                    .and_then(|attempt| RETRY_QUEUES.get(attempt))
                    .map_or(DEAD_LETTER_QUEUE, |(name, _)| *name);
                Some(set_aside(delivery, queue, reason))
            }
            Outcome::DeadLetter(reason) => Some(set_aside(delivery, DEAD_LETTER_QUEUE, reason)),
        })
        .collect();
    if publisher
        .publish(&set_aside)
        .await?
        .iter()
        .any(Result::is_err)
    {
        return Err(SessionError::SettleRefused);
    }
    for message in received {
        message.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

/// Runs the handler; if it panics, finds the deliveries that make it panic.
async fn outcomes_of<H: Handler>(handler: &H, deliveries: &[Delivery]) -> Vec<Outcome> {
    if let Some(outcomes) = try_handle(handler, deliveries.to_vec()).await {
        return outcomes;
    }
    let mut outcomes = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        let outcome = try_handle(handler, vec![delivery.clone()])
            .await
            .and_then(|mut all| all.pop());
        outcomes.push(
            outcome.unwrap_or_else(|| Outcome::DeadLetter("the handler panicked".to_owned())),
        );
    }
    outcomes
}

async fn try_handle<H: Handler>(handler: &H, batch: Vec<Delivery>) -> Option<Vec<Outcome>> {
    let expected = batch.len();
    let outcomes = AssertUnwindSafe(handler.handle(batch))
        .catch_unwind()
        .await
        .ok()?;
    (outcomes.len() == expected).then_some(outcomes)
}

/// What the handler sees of a message, and what is left of it to settle.
fn accept(mut message: Received) -> (Delivery, Received) {
    let body = std::mem::take(&mut message.data).into();
    let properties = &message.properties;
    let headers = properties.headers().as_ref();
    let header = |name: &str| headers.and_then(|table| table.inner().get(name));
    let text = |name: &str| match header(name) {
        Some(AMQPValue::LongString(text)) => {
            Some(String::from_utf8_lossy(text.as_bytes()).into_owned())
        }
        _ => None,
    };
    let attempts = match header(ATTEMPTS_HEADER) {
        Some(AMQPValue::LongUInt(n)) => *n,
        Some(AMQPValue::LongLongInt(n)) => u32::try_from(*n).unwrap_or(0),
        Some(AMQPValue::LongInt(n)) => u32::try_from(*n).unwrap_or(0),
        _ => 0,
    };
    let delivery = Delivery {
        event_type: properties
            .kind()
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        message_id: properties
            .message_id()
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        routing_key: text(ROUTING_KEY_HEADER).unwrap_or_else(|| message.routing_key.to_string()),
        attempts,
        redelivered: message.redelivered,
        trace: TraceHeaders {
            traceparent: text("traceparent"),
            tracestate: text("tracestate"),
        },
        timestamp: properties.timestamp().unwrap_or(0),
        body,
    };
    (delivery, message)
}

fn set_aside(delivery: &Delivery, queue: &'static str, reason: &str) -> Message {
    tracing::warn!(
        message_id = delivery.message_id,
        attempts = delivery.attempts + 1,
        queue,
        reason,
        "a message could not be handled and is set aside"
    );
    metrics::counter!("amqp_set_aside_total", "queue" => queue).increment(1);
    Message {
        exchange: "",
        routing_key: queue.to_owned(),
        message_id: delivery.message_id.clone(),
        event_type: delivery.event_type.clone(),
        timestamp: i64::try_from(delivery.timestamp)
            .ok()
            .and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0))
            .unwrap_or_default(),
        body: delivery.body.to_vec(),
        trace: delivery.trace.clone(),
        headers: vec![
            (
                ATTEMPTS_HEADER,
                AMQPValue::LongUInt(delivery.attempts.saturating_add(1)),
            ),
            (REASON_HEADER, AMQPValue::LongString(reason.into())),
            (
                ROUTING_KEY_HEADER,
                AMQPValue::LongString(delivery.routing_key.as_str().into()),
            ),
        ],
    }
}
