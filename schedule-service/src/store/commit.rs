//! Committing a change: the schedule, its jobs, the history, the event and the remembered answer in
//! one statement, which is a transaction of its own or part of one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared_events::amqp::Message;
use shared_events::schedule::Job;
use shared_events::service::failpoint;
use shared_events::trace::TraceHeaders;
use shared_events::{Envelope, IntegrationEvent, ScheduleUpdated};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::error::StoreError;
use super::idempotency::Remembered;
use super::schedules::status_name;
use crate::domain::Change;
use crate::domain::event::schedule_updated;
use crate::outbox_relay::Committed;

/// Creates the contractor of `change`; none if there is one of that id already. With `hold` the
/// event is the caller's to hand over once it is committed: the relays are not told of it, and leave
/// it alone for so long.
pub async fn create(
    connection: &mut PgConnection,
    change: &Change,
    answer: Option<&Remembered<'_>>,
    hold: Option<Duration>,
) -> Result<Option<Committed>, StoreError> {
    let row = &change.after;
    let jobs = JobRows::of(change);
    let event = OutboxRow::of(change)?;
    let done = sqlx::query!(
        r#"
        WITH changed AS (
            INSERT INTO contractors (
                id, name, territory, status, time_zone, skills, working_hours, date_overrides,
                time_off, booking_rules, version, created_at, updated_at
            )
            VALUES ($1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $2, $12, $12)
            ON CONFLICT (id) DO NOTHING
            RETURNING id
        ),
        booked AS (
            INSERT INTO jobs (
                contractor_id, id, title, starts_at, ends_at, buffer_before_minutes,
                buffer_after_minutes
            )
            SELECT changed.id, j.*
            FROM changed,
                 unnest($13::uuid[], $14::text[], $15::timestamptz[], $16::timestamptz[],
                        $17::int[], $18::int[]) AS j
        ),
        remembered AS (
            INSERT INTO idempotency_keys (actor, key, request_hash, status, headers, body, created_at)
            SELECT $24, $25, $26, $27, $28, $29, $12 FROM changed WHERE $25::text IS NOT NULL
        ),
        history AS (
            INSERT INTO schedule_changes (contractor_id, version, occurred_at, data)
            SELECT changed.id, $2, $12, $19 FROM changed
        ),
        event AS (
            INSERT INTO outbox (
                event_id, event_type, routing_key, payload, traceparent, tracestate, next_attempt_at
            )
            SELECT $20, $30, $21, $22, $23, $31,
                   clock_timestamp() + make_interval(secs => $32::float8)
            FROM changed
            RETURNING id
        )
        SELECT id AS "id!",
               CASE WHEN $32::float8 IS NULL THEN pg_notify('outbox', '')::text END AS told
        FROM event
        "#,
        row.contractor_id,
        row.version,
        row.name,
        row.territory,
        status_name(row.status),
        row.time_zone,
        &row.skills,
        Json(&row.working_hours) as _,
        Json(&row.date_overrides) as _,
        Json(&row.time_off) as _,
        Json(&row.booking_rules) as _,
        row.updated_at,
        &jobs.ids,
        &jobs.titles as _,
        &jobs.starts,
        &jobs.ends,
        &jobs.buffers_before,
        &jobs.buffers_after,
        Json(&change.data) as _,
        event.id,
        &event.routing_key,
        &event.payload,
        event.trace.traceparent.as_deref(),
        answer.map(|answer| answer.actor),
        answer.map(|answer| answer.key),
        answer.map(|answer| answer.request_hash),
        answer.map(|answer| answer.status),
        answer.map(|answer| Json(answer.headers)) as _,
        answer.map(|answer| answer.body),
        ScheduleUpdated::TYPE,
        event.trace.tracestate.as_deref(),
        hold.map(|hold| hold.as_secs_f64()),
    )
    .fetch_optional(connection)
    .await?;
    Ok(done.map(|row| event.committed(row.id)))
}

/// Commits `change` if the schedule still has the version that it was made from, else
/// [`StoreError::Stale`]. The guard makes the read before it safe without a lock: whoever was
/// faster has taken the version away. `hold` is as in [`create`].
pub async fn update(
    connection: &mut PgConnection,
    change: &Change,
    answer: Option<&Remembered<'_>>,
    hold: Option<Duration>,
) -> Result<Committed, StoreError> {
    let row = &change.after;
    let jobs = JobRows::of(change);
    let event = OutboxRow::of(change)?;
    let done = sqlx::query!(
        r#"
        WITH changed AS (
            UPDATE contractors
            SET name = $3, territory = $4, status = $5, time_zone = $6, skills = $7,
                working_hours = $8, date_overrides = $9, time_off = $10, booking_rules = $11,
                version = $2, updated_at = $12
            WHERE id = $1 AND version = $2::bigint - 1
            RETURNING id
        ),
        cancelled AS (
            DELETE FROM jobs USING changed
            WHERE jobs.id = ANY ($32::uuid[]) AND jobs.contractor_id = changed.id
        ),
        booked AS (
            INSERT INTO jobs (
                contractor_id, id, title, starts_at, ends_at, buffer_before_minutes,
                buffer_after_minutes
            )
            SELECT changed.id, j.*
            FROM changed,
                 unnest($13::uuid[], $14::text[], $15::timestamptz[], $16::timestamptz[],
                        $17::int[], $18::int[]) AS j
            ON CONFLICT (id) DO UPDATE
            SET title = excluded.title, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
                buffer_before_minutes = excluded.buffer_before_minutes,
                buffer_after_minutes = excluded.buffer_after_minutes
        ),
        remembered AS (
            INSERT INTO idempotency_keys (actor, key, request_hash, status, headers, body, created_at)
            SELECT $24, $25, $26, $27, $28, $29, $12 FROM changed WHERE $25::text IS NOT NULL
        ),
        history AS (
            INSERT INTO schedule_changes (contractor_id, version, occurred_at, data)
            SELECT changed.id, $2, $12, $19 FROM changed
        ),
        event AS (
            INSERT INTO outbox (
                event_id, event_type, routing_key, payload, traceparent, tracestate, next_attempt_at
            )
            SELECT $20, $30, $21, $22, $23, $31,
                   clock_timestamp() + make_interval(secs => $33::float8)
            FROM changed
            RETURNING id
        )
        SELECT id AS "id!",
               CASE WHEN $33::float8 IS NULL THEN pg_notify('outbox', '')::text END AS told
        FROM event
        "#,
        row.contractor_id,
        row.version,
        row.name,
        row.territory,
        status_name(row.status),
        row.time_zone,
        &row.skills,
        Json(&row.working_hours) as _,
        Json(&row.date_overrides) as _,
        Json(&row.time_off) as _,
        Json(&row.booking_rules) as _,
        row.updated_at,
        &jobs.ids,
        &jobs.titles as _,
        &jobs.starts,
        &jobs.ends,
        &jobs.buffers_before,
        &jobs.buffers_after,
        Json(&change.data) as _,
        event.id,
        &event.routing_key,
        &event.payload,
        event.trace.traceparent.as_deref(),
        answer.map(|answer| answer.actor),
        answer.map(|answer| answer.key),
        answer.map(|answer| answer.request_hash),
        answer.map(|answer| answer.status),
        answer.map(|answer| Json(answer.headers)) as _,
        answer.map(|answer| answer.body),
        ScheduleUpdated::TYPE,
        event.trace.tracestate.as_deref(),
        &jobs.removed,
        hold.map(|hold| hold.as_secs_f64()),
    )
    .fetch_optional(&mut *connection)
    .await?;
    let row = done.ok_or(StoreError::Stale)?;
    if failpoint::mutant("outbox-after-commit") {
        // The change is committed, and only memory knows of its event.
        sqlx::query("DELETE FROM outbox WHERE id = $1")
            .bind(row.id)
            .execute(connection)
            .await?;
    }
    Ok(event.committed(row.id))
}

/// The jobs that a change puts or removes, column by column.
#[derive(Default)]
struct JobRows<'a> {
    ids: Vec<Uuid>,
    titles: Vec<&'a str>,
    starts: Vec<chrono::DateTime<chrono::Utc>>,
    ends: Vec<chrono::DateTime<chrono::Utc>>,
    buffers_before: Vec<i32>,
    buffers_after: Vec<i32>,
    removed: Vec<Uuid>,
}

impl<'a> JobRows<'a> {
    fn of(change: &'a Change) -> Self {
        let mut rows = Self::default();
        for (id, job) in change.data.current_values.jobs.iter().flatten() {
            match job {
                Some(job) => rows.put(job),
                None => rows.removed.push(*id),
            }
        }
        rows
    }

    fn put(&mut self, job: &'a Job) {
        // Bounded by the largest buffer, far below the largest integer.
        let minutes = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        self.ids.push(job.id);
        self.titles.push(&job.title);
        self.starts.push(job.start);
        self.ends.push(job.end);
        self.buffers_before.push(minutes(job.buffer_before_minutes));
        self.buffers_after.push(minutes(job.buffer_after_minutes));
    }
}

/// The event of a change, ready to send, with the trace of the request that caused it.
struct OutboxRow {
    id: Uuid,
    routing_key: String,
    time: DateTime<Utc>,
    payload: Vec<u8>,
    trace: TraceHeaders,
}

impl OutboxRow {
    fn of(change: &Change) -> Result<Self, StoreError> {
        let envelope: Envelope<ScheduleUpdated> = schedule_updated(change, Uuid::now_v7());
        let payload = serde_json::to_vec(&envelope)
            .map_err(|error| StoreError::Defect(sqlx::Error::Encode(error.into())))?;
        Ok(Self {
            id: envelope.id,
            routing_key: envelope.data.routing_key(),
            time: envelope.time,
            payload,
            trace: TraceHeaders::current(),
        })
    }
    /// The event that is now in the outbox as row `id`.
    fn committed(self, id: i64) -> Committed {
        let message = Message::event(
            self.routing_key,
            self.id.to_string(),
            ScheduleUpdated::TYPE.to_owned(),
            self.time,
            self.payload,
            self.trace,
        );
        Committed { id, message }
    }
}
