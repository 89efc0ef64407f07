//! Consuming with settlement: every delivery ends as done, retried later, or dead-lettered.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use lapin::options::{BasicCancelOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ErrorKind};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::connection::{AmqpSettings, Backoff, ConnectError, connect, consume};
use super::publisher::{PublishError, Publisher};
use super::settlement::{Settlement, handle_and_settle};
use crate::topology::{SCHEDULE_UPDATED_QUEUE, SUSPECT_QUEUE};
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
    /// How often the broker has taken it back from a consumer that ended or broke while holding it.
    pub returns: u32,
    /// The AMQP `timestamp` property, seconds since the epoch.
    pub(super) timestamp: u64,
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
    /// The largest body that the handler gets, in bytes; what is larger is dead-lettered unread.
    pub body_bytes: usize,
}

/// A competing consumer of one queue that is built anew whenever it breaks.
///
/// A message that ends the process that handles it comes back with everything that process held.
/// What has come back too often is therefore moved to a queue of suspects, where each consumer holds
/// one message at a time: there only the culprit comes back again, and is dead-lettered.
#[derive(Debug)]
pub struct Consumer {
    settings: AmqpSettings,
    name: String,
    queue: &'static str,
    limits: Limits,
    settlement: Settlement,
    publisher: Arc<Publisher>,
    consuming: watch::Sender<bool>,
    /// Set when the broker has taken the consumer away, until it is there again.
    cancelled: AtomicBool,
    renewals: watch::Sender<u64>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
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
    #[error("the broker did not answer within {0:?}")]
    Silent(Duration),
}

impl SessionError {
    /// Whether the queue was gone, with what was in it.
    fn is_about_the_queue(&self) -> bool {
        match self {
            Self::Cancelled => true,
            Self::Broker(error) => matches!(
                error.kind(),
                ErrorKind::ProtocolError(error)
                    if *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND)
            ),
            _ => false,
        }
    }
}

impl Consumer {
    /// A consumer of the schedule changes; retries, suspects and dead letters go through
    /// `publisher`.
    #[must_use]
    pub fn of_schedule_updates(
        settings: AmqpSettings,
        name: impl Into<String>,
        limits: Limits,
        publisher: Arc<Publisher>,
    ) -> Self {
        Self {
            settings,
            name: name.into(),
            queue: SCHEDULE_UPDATED_QUEUE,
            settlement: Settlement {
                body_bytes: limits.body_bytes,
                alone: false,
            },
            limits,
            publisher,
            consuming: watch::Sender::new(false),
            cancelled: AtomicBool::new(false),
            renewals: watch::Sender::new(0),
        }
    }

    /// The consumer of this one's suspects, one at a time. It needs to run beside it.
    #[must_use]
    pub fn of_suspects(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            name: format!("{} (suspects)", self.name),
            queue: SUSPECT_QUEUE,
            limits: Limits {
                prefetch: 1,
                batch: 1,
                concurrency: 1,
                body_bytes: self.limits.body_bytes,
            },
            settlement: Settlement {
                body_bytes: self.limits.body_bytes,
                alone: true,
            },
            publisher: Arc::clone(&self.publisher),
            consuming: watch::Sender::new(false),
            cancelled: AtomicBool::new(false),
            renewals: watch::Sender::new(0),
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

    /// Counts how often it consumes again after the broker had taken it away, as happens when its
    /// queue is deleted: what was published before may be lost then, what comes from now on is not.
    #[must_use]
    pub fn watch_renewals(&self) -> watch::Receiver<u64> {
        self.renewals.subscribe()
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
            if let SessionError::Broker(error) = &error {
                self.settings.was_not_let(self.queue, error);
            }
            if error.is_about_the_queue() {
                self.cancelled.store(true, Ordering::Relaxed);
            }
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
            .run_until_cancelled(connect(&self.settings, &self.name, self.publisher.part()))
            .await
        else {
            return Ok(());
        };
        let connection = connection?;
        let limit = self.settings.connect_timeout();
        let (channel, mut deliveries) = tokio::time::timeout(limit, self.subscribe(&connection))
            .await
            .map_err(|_| SessionError::Silent(limit))??;
        if !backoff.is_fresh() {
            tracing::info!(queue = self.queue, "consuming again");
        }
        self.settings.was_let(self.queue);
        self.consuming.send_replace(true);
        if self.cancelled.swap(false, Ordering::Relaxed) {
            self.renewals.send_modify(|count| *count += 1);
        }

        let permits = Arc::new(Semaphore::new(self.limits.concurrency));
        let mut batches = JoinSet::new();
        let mut looks = tokio::time::interval(self.settings.heartbeat());
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut idle = Idle::default();
        let ended = loop {
            let first = tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                Some(done) = batches.join_next() => match joined(done) {
                    Ok(()) => continue,
                    Err(error) => break Err(error),
                },
                first = deliveries.next() => first,
                _ = looks.tick() => {
                    if !batches.is_empty() {
                        idle = Idle::default();
                        continue;
                    }
                    match tokio::time::timeout(limit, self.look(&channel)).await {
                        Err(_) => break Err(SessionError::Silent(limit)),
                        Ok(Err(error)) => break Err(error.into()),
                        Ok(Ok(seen)) if idle.overlooked(seen) => {
                            break Err(SessionError::Cancelled);
                        }
                        Ok(Ok(_)) => continue,
                    }
                }
            };
            idle = Idle::default();
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
            let settlement = self.settlement;
            batches.spawn(async move {
                let _permit = permit;
                handle_and_settle(handler.as_ref(), &publisher, settlement, batch).await
            });
        };
        if ended.is_ok() {
            // Nothing new comes while what is in hand is settled.
            let cancel = channel.basic_cancel(deliveries.tag(), BasicCancelOptions::default());
            tokio::time::timeout(limit, cancel)
                .await
                .map_err(|_| SessionError::Silent(limit))??;
        }
        let mut ended = ended;
        while let Some(done) = batches.join_next().await {
            // The first failure is the one that says why.
            ended = ended.and(joined(done));
        }
        ended
    }

    /// Asks the queue itself: a broker says so when it deletes a queue, but where that word is lost the
    /// consumer of a queue that is no more would wait for ever.
    async fn look(&self, channel: &Channel) -> lapin::Result<Seen> {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = channel
            .queue_declare(self.queue.into(), passive, FieldTable::default())
            .await?;
        Ok(Seen {
            messages: queue.message_count(),
            consumers: queue.consumer_count(),
        })
    }

    async fn subscribe(
        &self,
        connection: &Connection,
    ) -> lapin::Result<(Channel, lapin::Consumer)> {
        let channel = connection.create_channel().await?;
        channel
            .basic_qos(self.limits.prefetch, BasicQosOptions::default())
            .await?;
        let deliveries = consume(&channel, self.queue, FieldTable::default()).await?;
        Ok((channel, deliveries))
    }
}

/// What a queue says of itself.
#[derive(Debug, Clone, Copy)]
struct Seen {
    messages: u32,
    consumers: u32,
}

/// A consumer that has nothing in hand and gets nothing.
#[derive(Debug, Default)]
struct Idle {
    has_waiting: bool,
}

impl Idle {
    /// Whether the queue does not know this consumer: it has none at all, or messages wait for two
    /// looks in a row and none of them comes.
    fn overlooked(&mut self, seen: Seen) -> bool {
        let waits = seen.messages > 0;
        seen.consumers == 0 || (std::mem::replace(&mut self.has_waiting, waits) && waits)
    }
}

fn joined(
    done: Result<Result<(), SessionError>, tokio::task::JoinError>,
) -> Result<(), SessionError> {
    // The task catches the handler's panics, so a join error is a cancellation at shutdown.
    done.unwrap_or(Err(SessionError::Cancelled))
}
