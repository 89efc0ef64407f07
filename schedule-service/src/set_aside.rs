//! Events that the broker refused too often: looking at them, sending them again, throwing them away
//! (`schedule-service outbox`).

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::ensure;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use futures::TryStreamExt;
use serde::Deserialize;
use shared_events::trust::TrustSettings;
use sqlx::PgPool;
use uuid::Uuid;

use crate::config::DatabaseSettings;
use crate::store;

/// How many events one statement moves, at most.
const BATCH: i64 = 500;

/// What to do with events that were set aside.
#[derive(Debug, Clone, Subcommand)]
pub enum SetAside {
    /// One line each: event id, contractor, version, attempts, when it was set aside, its bytes, its
    /// routing key and the reason, separated by tabs
    List(Selection),
    /// Puts them back into the outbox, with their attempts forgotten, to be published at once. Harmless
    /// when later events of the contractor were published: whoever has those drops these
    Retry(Changing),
    /// Throws them away for good: subscribers never get them, and the next event of the contractor makes
    /// that good
    Discard(Changing),
}

/// Which events, and where.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    /// With this event id; may be repeated
    #[arg(long, value_name = "ID")]
    pub event_id: Vec<Uuid>,

    /// Whose reason contains this text
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// Whose certificates are taken.
    #[command(flatten)]
    pub trust: TrustSettings,
}

/// Which events are changed, and whether they are.
#[derive(Debug, Clone, Args)]
pub struct Changing {
    #[command(flatten)]
    selection: Selection,

    /// Where neither id nor reason is given: yes, all of them
    #[arg(long)]
    all: bool,

    /// Lists what would be changed, and changes nothing
    #[arg(long)]
    dry_run: bool,
}

/// Does what was asked, with results on standard output and the sum on standard error.
pub async fn run(command: SetAside) -> ExitCode {
    match obey(&command, &mut io::stdout()).await {
        Ok(sum) => {
            eprintln!("{sum}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("schedule-service outbox: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn obey(command: &SetAside, output: &mut (impl Write + Send)) -> anyhow::Result<String> {
    let (selection, done) = match command {
        SetAside::List(selection) => (selection, None),
        SetAside::Retry(changing) => (changing.selection()?, changing.unless_dry("retried")),
        SetAside::Discard(changing) => (changing.selection()?, changing.unless_dry("discarded")),
    };
    let pool = store::connect(&selection.database, &selection.trust)?;
    let Some(done) = done else {
        let count = list(&pool, selection, output).await?;
        return Ok(format!("{count} events"));
    };
    let is_retry = matches!(command, SetAside::Retry(_));
    // What is set aside from now on is for the next run, so that this one ends.
    let until = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#)
        .fetch_one(&pool)
        .await?;
    let mut count = 0;
    loop {
        let changed = if is_retry {
            retry(&pool, selection, until).await?
        } else {
            discard(&pool, selection, until).await?
        };
        if changed == 0 {
            return Ok(format!("{count} events {done}"));
        }
        count += changed;
    }
}

impl Changing {
    fn selection(&self) -> anyhow::Result<&Selection> {
        let is_open = self.selection.event_id.is_empty() && self.selection.reason.is_none();
        ensure!(
            self.all || !is_open,
            "say which events: --event-id, --reason, or --all if you mean all of them"
        );
        Ok(&self.selection)
    }

    fn unless_dry(&self, done: &'static str) -> Option<&'static str> {
        (!self.dry_run).then_some(done)
    }
}

/// What a line tells of the event itself.
#[derive(Default, Deserialize)]
struct Envelope {
    data: About,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    contractor_id: Option<Uuid>,
    version: Option<i64>,
}

async fn list(
    pool: &PgPool,
    selection: &Selection,
    output: &mut (impl Write + Send),
) -> anyhow::Result<u64> {
    let mut rows = sqlx::query!(
        r#"
        SELECT event_id, payload, attempts, set_aside_at, routing_key, reason FROM outbox_set_aside
        WHERE (event_id = ANY ($1) OR cardinality($1::uuid[]) = 0)
            AND ($2::text IS NULL OR strpos(reason, $2) > 0)
        ORDER BY id
        "#,
        &selection.event_id,
        selection.reason,
    )
    .fetch(pool);
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        // What is no event of ours is told all the same.
        let Envelope { data } = serde_json::from_slice(&row.payload).unwrap_or_default();
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        writeln!(
            output,
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
            row.event_id,
            or_dash(data.contractor_id.map(|id| id.to_string())),
            or_dash(data.version.map(|version| version.to_string())),
            row.attempts,
            row.set_aside_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            row.payload.len(),
            row.routing_key,
            row.reason.replace(['\t', '\n', '\r'], " "),
        )?;
        count += 1;
    }
    Ok(count)
}

async fn retry(pool: &PgPool, selection: &Selection, until: DateTime<Utc>) -> sqlx::Result<u64> {
    let moved = sqlx::query!(
        r#"
        WITH taken AS MATERIALIZED (
            DELETE FROM outbox_set_aside WHERE id IN (
                SELECT id FROM outbox_set_aside
                WHERE (event_id = ANY ($1) OR cardinality($1::uuid[]) = 0)
                    AND ($2::text IS NULL OR strpos(reason, $2) > 0)
                    AND set_aside_at <= $3
                ORDER BY id LIMIT $4 FOR UPDATE SKIP LOCKED
            )
            RETURNING *
        ),
        put_back AS (
            INSERT INTO outbox (
                id, event_id, event_type, routing_key, payload, traceparent, tracestate, created_at
            )
            OVERRIDING SYSTEM VALUE
            SELECT id, event_id, event_type, routing_key, payload, traceparent, tracestate, created_at
            FROM taken
            RETURNING id
        )
        SELECT count(*) AS "count!", pg_notify('outbox', '')::text AS told FROM put_back
        "#,
        &selection.event_id,
        selection.reason,
        until,
        BATCH,
    )
    .fetch_one(pool)
    .await?;
    Ok(u64::try_from(moved.count).unwrap_or(0))
}

async fn discard(pool: &PgPool, selection: &Selection, until: DateTime<Utc>) -> sqlx::Result<u64> {
    let gone = sqlx::query!(
        r#"
        DELETE FROM outbox_set_aside WHERE id IN (
            SELECT id FROM outbox_set_aside
            WHERE (event_id = ANY ($1) OR cardinality($1::uuid[]) = 0)
                AND ($2::text IS NULL OR strpos(reason, $2) > 0)
                AND set_aside_at <= $3
            ORDER BY id LIMIT $4 FOR UPDATE SKIP LOCKED
        )
        "#,
        &selection.event_id,
        selection.reason,
        until,
        BATCH,
    )
    .execute(pool)
    .await?;
    Ok(gone.rows_affected())
}
