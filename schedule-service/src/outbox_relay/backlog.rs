//! How much waits in the outbox, and how long it has waited.

use std::time::Duration;

use sqlx::PgExecutor;

/// Up to how many events are counted. Counting more would cost the database more than the figure is
/// worth.
const COUNTED: i64 = 100_000;

/// What waits in the outbox.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Backlog {
    /// How many events, as far as they are counted.
    pub(super) depth: i64,
    /// The age of the oldest; zero when there is none.
    pub(super) oldest: Duration,
}

impl Backlog {
    /// Looks. Events that a relay is about to publish wait too.
    pub(super) async fn measure(executor: impl PgExecutor<'_>) -> sqlx::Result<Self> {
        let row = sqlx::query!(
            r#"
            SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS counted) AS "depth!",
                (SELECT extract(epoch FROM clock_timestamp() - created_at)::float8
                 FROM outbox ORDER BY id LIMIT 1) AS oldest
            "#,
            COUNTED,
        )
        .fetch_one(executor)
        .await?;
        Ok(Self {
            depth: row.depth,
            oldest: Duration::try_from_secs_f64(row.oldest.unwrap_or(0.0)).unwrap_or_default(),
        })
    }

    /// Shows the figures on `/metrics`.
    pub(super) fn record(&self) {
        #[expect(clippy::cast_precision_loss, reason = "counted up to 100,000")]
        metrics::gauge!("outbox_depth").set(self.depth as f64);
        metrics::gauge!("outbox_oldest_unsent_age_seconds").set(self.oldest.as_secs_f64());
    }
}

/// Tells the metrics of the outbox to whoever reads `/metrics`.
pub(super) fn describe_metrics() {
    metrics::describe_gauge!(
        "outbox_depth",
        "Events that wait to be published, counted up to 100,000"
    );
    metrics::describe_gauge!(
        "outbox_oldest_unsent_age_seconds",
        "Age of the oldest event that waits to be published; 0 when none does"
    );
    metrics::describe_counter!(
        "outbox_published_total",
        "Events that the broker has confirmed"
    );
    metrics::describe_counter!(
        "outbox_failures_total",
        "By reason: `refused`, events that the broker does not take; `broker` and `database`, \
         attempts that failed as a whole"
    );
    metrics::describe_histogram!("outbox_batch_size", "Events that were published at once");
    metrics::describe_histogram!(
        "outbox_publish_delay_seconds",
        "From the start of an event's transaction to the broker's confirm"
    );
}
