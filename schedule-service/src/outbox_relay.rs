//! Publishes what the outbox holds, at least once each, and lets go of it on the broker's word.
//!
//! A change and its event are one transaction, so the event is in the outbox exactly when the
//! change is in the database. Relays, any number in any number of processes, claim batches that the
//! others do not hold, publish each and await its confirms. Nothing orders them: a subscriber keeps
//! the highest version. What a process has just committed it publishes from memory where it can
//! (`hand_over.rs`); the relays see to all the rest.

mod backlog;
mod batch;
mod confirmed;
mod hand_over;
mod link;
mod lookout;
mod refusal;
mod settings;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use shared_events::amqp::{AmqpSettings, Backoff, Message, PublishError, Publisher};
use shared_events::service::{Shutdown, failpoint};
use shared_events::topology::Part;
use shared_events::trust::told;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection, PgPool};
use tokio::sync::Notify;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use backlog::Backlog;
use batch::{Batch, Limits};
use link::Link;

pub use hand_over::{Committed, HandOver, Place};
pub use settings::OutboxSettings;

/// The shortest wait after a failure, however soon the server seems to be back.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);

/// How often what this service owns at the broker is looked after.
const DECLARE_EVERY: Duration = Duration::from_secs(10);

/// How many events are published each over a channel of its own at once.
const ALONE_AT_ONCE: usize = 16;

/// The relay of one process. Clones are the same relay.
#[derive(Debug, Clone)]
pub struct OutboxRelay {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: OutboxSettings,
    /// For the readiness check, and for how to reach the database. Each relay task has a connection
    /// of its own, so that requests and relays never wait for each other.
    pool: PgPool,
    publisher: Publisher,
    /// How long a batch may stay claimed before the database ends the transaction by itself.
    longest_claim: Duration,
    /// Something may be due. Wakes one task, which wakes the next if there is more than it takes.
    wake: Notify,
    broker: Link,
    database: Link,
    /// What the broker refuses, as it was seen last.
    refused: Mutex<String>,
    hand_over: HandOver,
    /// What was handed over, until the task that publishes it takes this.
    handed_over: Mutex<Option<Receiver<(Instant, Committed)>>>,
}

/// Why a batch was not published, or not let go of. Its events are in the outbox still.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The broker did not take it.
    #[error(transparent)]
    Broker(#[from] PublishError),
    /// The database failed.
    #[error("the database failed: {}", told(.0))]
    Database(#[from] sqlx::Error),
    /// The database did not answer.
    #[error("the database did not answer within {0:?}")]
    Silent(Duration),
    /// The connection that listens was closed.
    #[error("the database closed the connection")]
    Lost,
}

/// What became of one batch.
#[derive(Debug, Clone, Copy)]
struct Relayed {
    /// Whether there may be more.
    full: bool,
    /// How many events were claimed.
    claimed: usize,
    /// How many of them the broker has.
    confirmed: usize,
}

impl OutboxRelay {
    /// A relay that does nothing yet.
    #[must_use]
    pub fn new(pool: PgPool, amqp: AmqpSettings, settings: OutboxSettings) -> Self {
        let seconds = 2 * amqp.amqp_connect_timeout_seconds + amqp.amqp_publish_timeout_seconds;
        let longest_claim = Duration::from_secs(seconds + 10);
        let (hand_over, handed_over) = HandOver::new(settings.outbox_hand_over, settings.hold());
        Self {
            shared: Arc::new(Shared {
                settings,
                pool,
                publisher: Publisher::new(amqp, "schedule-service outbox", Part::ScheduleService),
                longest_claim,
                wake: Notify::new(),
                broker: Link::new("broker"),
                database: Link::new("database"),
                refused: Mutex::default(),
                hand_over,
                handed_over: Mutex::new(Some(handed_over)),
            }),
        }
    }

    /// Starts `OUTBOX_RELAYS` tasks and the one that wakes them. At the soft signal they claim
    /// nothing more, finish the batch in hand and end.
    pub fn start(&self, shutdown: &Shutdown) {
        backlog::describe_metrics();
        shutdown.spawn(lookout::keep_watch(self.clone(), shutdown.soft().clone()));
        let settings = &self.shared.settings;
        if settings.outbox_relays > 0
            && settings.outbox_hand_over > 0
            && let Some(receiver) = self.take_handed_over()
        {
            let stop = shutdown.soft().clone();
            shutdown.spawn(hand_over::publish_handed_over(self.clone(), receiver, stop));
        }
        if settings.outbox_relays > 0 {
            shutdown.spawn(self.clone().keep_declared(shutdown.soft().clone()));
        }
        for _ in 0..self.shared.settings.outbox_relays {
            shutdown.spawn(self.clone().run(shutdown.soft().clone()));
        }
    }

    fn take_handed_over(&self) -> Option<Receiver<(Instant, Committed)>> {
        let slot = self.shared.handed_over.lock();
        slot.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Where events that are committed in this process may be handed over.
    #[must_use]
    pub fn hand_over(&self) -> &HandOver {
        &self.shared.hand_over
    }

    /// Publishes all that is due, then says how many events that was. For tests, which drain the
    /// outbox instead of waiting. Events that another relay holds, or that were refused and wait to
    /// be tried again, stay.
    pub async fn relay_pending(&self) -> Result<usize, RelayError> {
        let mut connection = None;
        let mut confirmed = 0;
        loop {
            let relayed = self.relay_batch(&mut connection).await?;
            confirmed += relayed.confirmed;
            if relayed.claimed == 0 {
                return Ok(confirmed);
            }
        }
    }

    /// The readiness check: says what is wrong when the oldest unsent event is older than
    /// `OUTBOX_MAX_AGE_SECONDS`.
    pub async fn check(&self) -> Result<(), String> {
        let backlog = Backlog::measure(&self.shared.pool)
            .await
            .map_err(|e| e.to_string())?;
        let longest = self.shared.settings.max_age();
        if backlog.oldest <= longest {
            return Ok(());
        }
        Err(format!(
            "the oldest unsent event has waited {} s, longer than {} s; {} wait",
            backlog.oldest.as_secs(),
            longest.as_secs(),
            backlog.depth
        ))
    }

    /// What the readiness report tells of events that the broker refuses, as it was seen last.
    #[must_use]
    pub fn refused(&self) -> String {
        let refused = self.shared.refused.lock();
        refused.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_refused(&self, told: String) {
        let refused = self.shared.refused.lock();
        *refused.unwrap_or_else(PoisonError::into_inner) = told;
    }

    /// Declares the exchange before there is anything to publish, and again when it is gone: the
    /// subscribers wait for it.
    async fn keep_declared(self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        while let Some(declared) = stop
            .run_until_cancelled(self.shared.publisher.declare())
            .await
        {
            let wait = match declared {
                Ok(()) => {
                    self.shared.broker.works();
                    backoff.reset();
                    DECLARE_EVERY
                }
                Err(error) => {
                    self.failed(&error.into());
                    backoff.next_wait()
                }
            };
            let _ = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
    }

    /// Relays until `stop`.
    async fn run(self, stop: CancellationToken) {
        let mut connection = None;
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            let waited = match self.relay_batch(&mut connection).await {
                Ok(relayed) => {
                    backoff.reset();
                    if relayed.full {
                        continue;
                    }
                    stop.run_until_cancelled(self.shared.wake.notified()).await
                }
                Err(error) => {
                    let link = self.failed(&error);
                    let wait = backoff.next_wait();
                    stop.run_until_cancelled(async {
                        tokio::time::sleep(SHORTEST_WAIT.min(wait)).await;
                        link.back_within(wait.saturating_sub(SHORTEST_WAIT)).await;
                    })
                    .await
                }
            };
            if waited.is_none() {
                break;
            }
        }
    }

    /// Claims one batch, publishes it and settles it. The connection is kept for the next batch
    /// unless something went wrong with it.
    async fn relay_batch(
        &self,
        connection: &mut Option<PgConnection>,
    ) -> Result<Relayed, RelayError> {
        let mut database = match connection.take() {
            Some(open) => open,
            None => self.bounded(self.connect_options().connect()).await?,
        };
        let settings = &self.shared.settings;
        let limits = Limits {
            events: settings.outbox_batch,
            bytes: settings.outbox_batch_bytes,
        };
        let Some(batch) = self.bounded(Batch::claim(&mut database, limits)).await? else {
            self.shared.database.works();
            *connection = Some(database);
            return Ok(Relayed {
                full: false,
                claimed: 0,
                confirmed: 0,
            });
        };
        self.shared.database.works();
        let claimed = batch.messages().len();
        let full = limits.reached_by(batch.messages());
        if full {
            // Another task claims the next batch while this one waits for its confirms.
            self.shared.wake.notify_one();
        }
        let span = tracing::info_span!("outbox.relay", batch = claimed);
        let confirmed = self.publish_and_settle(batch).instrument(span).await?;
        *connection = Some(database);
        Ok(Relayed {
            full,
            claimed,
            confirmed,
        })
    }

    /// Says how many events the broker has.
    async fn publish_and_settle(&self, batch: Batch<'_>) -> Result<usize, RelayError> {
        failpoint::reached("relay.publishing");
        let answers = match self.publish(&batch).await {
            Ok(answers) => answers,
            Err(error) => {
                // Whether the database heard it or not: the claim ends with the transaction.
                let _ = self.bounded(batch.release()).await;
                return Err(error.into());
            }
        };
        self.shared.broker.works();
        failpoint::reached("relay.published");

        let ages: Vec<Duration> = batch.ages().collect();
        let messages = answers.len();
        let mut confirmed: u32 = 0;
        for ((answer, age), message) in answers.iter().zip(&ages).zip(batch.messages()) {
            match answer {
                Ok(()) => {
                    confirmed += 1;
                    metrics::histogram!("outbox_publish_delay_seconds").record(age.as_secs_f64());
                }
                Err(reason) => tracing::warn!(
                    event_id = message.message_id,
                    routing_key = message.routing_key,
                    reason,
                    "the broker refused an event: it is kept, and tried again later"
                ),
            }
        }
        self.bounded(batch.settle(answers, self.shared.settings.patience()))
            .await?;
        let published = usize::try_from(confirmed).unwrap_or(usize::MAX);
        metrics::counter!("outbox_published_total").increment(confirmed.into());
        metrics::histogram!("outbox_batch_size").record(f64::from(confirmed));
        if published < messages {
            metrics::counter!("outbox_failures_total", "reason" => "refused")
                .increment(u64::try_from(messages - published).unwrap_or(u64::MAX));
        }
        Ok(published)
    }

    /// Publishes a batch: the answers, in its order.
    async fn publish(&self, batch: &Batch<'_>) -> Result<Vec<Result<(), String>>, PublishError> {
        let (fresh, refused_before) = batch.messages().split_at(batch.fresh());
        let (mut answers, alone): (Vec<_>, _) = match self.shared.publisher.publish(fresh).await {
            Ok(answers) => {
                let answers = answers.into_iter();
                let answers = answers.map(|answer| answer.map_err(|refused| refused.to_string()));
                (answers.collect(), refused_before)
            }
            // One of them it was, or one that another task published at the same time.
            Err(error) if refusal::is_about_a_message(&error) => (Vec::new(), batch.messages()),
            Err(error) => return Err(error),
        };
        for some in alone.chunks(ALONE_AT_ONCE) {
            let some = some.iter().map(|message| self.publish_alone(message));
            answers.extend(try_join_all(some).await?);
        }
        Ok(answers)
    }

    /// Publishes an event over a channel of its own: what closes it takes nobody along, and is about
    /// this event.
    async fn publish_alone(&self, message: &Message) -> Result<Result<(), String>, PublishError> {
        match self.shared.publisher.publish_alone(message).await {
            Ok(answer) => Ok(answer.map_err(|refused| refused.to_string())),
            Err(error) if refusal::is_about_a_message(&error) => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// How a relay reaches the database: with bounds on what a relay that has vanished can hold up.
    fn connect_options(&self) -> PgConnectOptions {
        let millis = |limit: Duration| limit.as_millis().to_string();
        PgConnectOptions::clone(&self.shared.pool.connect_options())
            .application_name("schedule-service outbox")
            .options([
                (
                    "statement_timeout",
                    millis(self.shared.settings.statement_timeout()),
                ),
                // The locks of a relay whose machine is gone without a word would else stay until
                // the operating system gives the connection up, after hours.
                (
                    "idle_in_transaction_session_timeout",
                    millis(self.shared.longest_claim),
                ),
                // Losing the last deletes in a crash publishes those events again, no more.
                ("synchronous_commit", "off".to_owned()),
            ])
    }

    async fn bounded<T>(
        &self,
        statement: impl Future<Output = sqlx::Result<T>>,
    ) -> Result<T, RelayError> {
        let limit = self.shared.settings.statement_timeout();
        Ok(timeout(limit, statement)
            .await
            .map_err(|_| RelayError::Silent(limit))??)
    }

    /// Notes a failure with the server that it is about, and names that.
    fn failed(&self, error: &RelayError) -> &Link {
        match error {
            RelayError::Broker(reason) => {
                metrics::counter!("outbox_failures_total", "reason" => "broker").increment(1);
                self.shared.broker.failed(reason);
                &self.shared.broker
            }
            RelayError::Database(_) | RelayError::Silent(_) | RelayError::Lost => {
                metrics::counter!("outbox_failures_total", "reason" => "database").increment(1);
                self.shared.database.failed(error);
                &self.shared.database
            }
        }
    }
}
