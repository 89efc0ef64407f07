//! One batch of the outbox: taken out in a transaction that is committed on the broker's word.
//!
//! The claim is itself the `DELETE`: whatever happens before the commit (a crash of this process,
//! of the broker or of the database), the transaction is undone and the rows are there again. If it
//! happens after the broker's confirm, they are published twice, which every subscriber expects.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use shared_events::amqp::{Message, TraceHeaders};
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use uuid::Uuid;

use super::refusal::{Fate, Patience};

/// A due row, as it is claimed.
struct Row {
    id: i64,
    event_id: Uuid,
    event_type: String,
    routing_key: String,
    payload: Vec<u8>,
    traceparent: Option<String>,
    tracestate: Option<String>,
    created_at: DateTime<Utc>,
    attempts: i32,
    age_seconds: f64,
}

/// What a message does not carry of its row.
struct Held {
    id: i64,
    event_id: Uuid,
    attempts: i32,
    /// The event's age when it was claimed, in seconds.
    age_seconds: f64,
}

/// How much one batch holds at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How many events.
    pub(super) events: u16,
    /// The size of their payloads together, in bytes, from which on no more is added.
    pub(super) bytes: u32,
}

impl Limits {
    /// Whether a batch of these `messages` left something behind, for all that it knows.
    pub(super) fn reached_by(self, messages: &[Message]) -> bool {
        let bytes: usize = messages.iter().map(|message| message.body.len()).sum();
        messages.len() >= usize::from(self.events)
            || u32::try_from(bytes).map_or(true, |bytes| bytes >= self.bytes)
    }
}

/// Events that this relay alone holds, until it settles them or is gone.
pub(super) struct Batch<'c> {
    transaction: Transaction<'c, Postgres>,
    claimed_at: Instant,
    /// In the order in which they were written, those that were refused before last.
    held: Vec<Held>,
    /// One for each of `held`, in the same order.
    messages: Vec<Message>,
}

impl<'c> Batch<'c> {
    /// Takes due events that no other relay holds, oldest first, within `limits`. `None`: there are
    /// none.
    pub(super) async fn claim(
        connection: &'c mut PgConnection,
        limits: Limits,
    ) -> sqlx::Result<Option<Self>> {
        let mut transaction = connection.begin().await?;
        // MATERIALIZED makes the inner query run exactly once, so that its limit holds. The event
        // with which the batch reaches its size is the last, so that none is too large to be claimed.
        let mut rows = sqlx::query_as!(
            Row,
            r#"
            WITH due AS MATERIALIZED (
                SELECT id, octet_length(payload) AS bytes FROM outbox
                WHERE next_attempt_at IS NULL OR next_attempt_at <= now()
                ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
            ),
            summed AS (SELECT id, sum(bytes) OVER (ORDER BY id) - bytes AS before FROM due)
            DELETE FROM outbox WHERE id IN (SELECT id FROM summed WHERE before < $2::bigint)
            RETURNING id, event_id, event_type, routing_key, payload, traceparent, tracestate,
                created_at, attempts,
                extract(epoch FROM clock_timestamp() - created_at)::float8 AS "age_seconds!"
            "#,
            i64::from(limits.events),
            i64::from(limits.bytes),
        )
        .fetch_all(&mut *transaction)
        .await?;
        if rows.is_empty() {
            transaction.rollback().await?;
            return Ok(None);
        }
        rows.sort_unstable_by_key(|row| (row.attempts > 0, row.id));
        let (held, messages) = rows.into_iter().map(Row::split).unzip();
        Ok(Some(Self {
            transaction,
            claimed_at: Instant::now(),
            held,
            messages,
        }))
    }

    /// The events: one at least, in the order in which they were written, those that were refused
    /// before last.
    pub(super) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// How many of the events, the first ones, were never refused.
    pub(super) fn fresh(&self) -> usize {
        self.held.partition_point(|held| held.attempts == 0)
    }

    /// How long each event has been waiting by now.
    pub(super) fn ages(&self) -> impl Iterator<Item = Duration> {
        let since = self.claimed_at.elapsed();
        self.held.iter().map(move |held| {
            since + Duration::try_from_secs_f64(held.age_seconds).unwrap_or_default()
        })
    }

    /// Puts everything back as it was.
    pub(super) async fn release(self) -> sqlx::Result<()> {
        self.transaction.rollback().await
    }

    /// Lets go of what was confirmed, and puts back what was refused, with the reason: in its old
    /// place, to be tried again, or aside, as `patience` says. `answers` are in the order of
    /// [`messages`](Self::messages).
    pub(super) async fn settle(
        self,
        answers: Vec<Result<(), String>>,
        patience: Patience,
    ) -> sqlx::Result<()> {
        let Self {
            mut transaction,
            held,
            messages,
            ..
        } = self;
        let events = held.into_iter().zip(messages);
        let mut set_aside = Vec::new();
        for ((event, message), answer) in events.zip(answers) {
            let Err(reason) = answer else { continue };
            // Refused events are rare: a statement for each is simple enough.
            let attempts = event.attempts.saturating_add(1);
            match patience.after(attempts) {
                Fate::Again(wait) => {
                    put_back(&mut transaction, event, message, &reason, wait).await?;
                }
                Fate::SetAside => {
                    let event_id = event.event_id;
                    put_aside(&mut transaction, event, message, &reason).await?;
                    set_aside.push((event_id, attempts, reason));
                }
            }
        }
        transaction.commit().await?;
        for (event_id, attempts, reason) in set_aside {
            metrics::counter!("outbox_failures_total", "reason" => "set_aside").increment(1);
            tracing::error!(
                %event_id,
                attempts,
                reason,
                "an event is set aside: `schedule-service outbox retry` sends it again"
            );
        }
        Ok(())
    }
}

async fn put_back(
    connection: &mut PgConnection,
    event: Held,
    message: Message,
    reason: &str,
    wait: Duration,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        INSERT INTO outbox (
            id, event_id, event_type, routing_key, payload, traceparent, tracestate, created_at,
            attempts, next_attempt_at, last_error
        )
        OVERRIDING SYSTEM VALUE
        VALUES (
            $1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp() + make_interval(secs => $10), $11
        )
        "#,
        event.id,
        event.event_id,
        message.event_type,
        message.routing_key,
        message.body,
        message.trace.traceparent,
        message.trace.tracestate,
        message.timestamp,
        event.attempts.saturating_add(1),
        wait.as_secs_f64(),
        reason,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn put_aside(
    connection: &mut PgConnection,
    event: Held,
    message: Message,
    reason: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        INSERT INTO outbox_set_aside (
            id, event_id, event_type, routing_key, payload, traceparent, tracestate, created_at,
            attempts, reason, set_aside_at
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, clock_timestamp())
        "#,
        event.id,
        event.event_id,
        message.event_type,
        message.routing_key,
        message.body,
        message.trace.traceparent,
        message.trace.tracestate,
        message.timestamp,
        event.attempts.saturating_add(1),
        reason,
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl Row {
    fn split(self) -> (Held, Message) {
        let held = Held {
            id: self.id,
            event_id: self.event_id,
            attempts: self.attempts,
            age_seconds: self.age_seconds,
        };
        let trace = TraceHeaders {
            traceparent: self.traceparent,
            tracestate: self.tracestate,
        };
        let message = Message::event(
            self.routing_key,
            self.event_id.to_string(),
            self.event_type,
            self.created_at,
            self.payload,
            trace,
        );
        (held, message)
    }
}
