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
    /// How many of them the broker has refused, and will be asked again to take.
    pub(super) refused: i64,
    /// The age of the oldest that was never refused; zero when there is none. A refused one is the
    /// broker's or its own fault: no process is less ready for it, and all have the same outbox.
    pub(super) oldest: Duration,
    /// How many events are set aside, as far as they are counted.
    pub(super) set_aside: i64,
}

impl Backlog {
    /// Looks. Events that a relay is about to publish wait too.
    pub(super) async fn measure(executor: impl PgExecutor<'_>) -> sqlx::Result<Self> {
        let row = sqlx::query!(
            r#"
            SELECT counted.depth AS "depth!", counted.refused AS "refused!",
                (SELECT extract(epoch FROM clock_timestamp() - created_at)::float8
                 FROM outbox WHERE attempts = 0 ORDER BY id LIMIT 1) AS oldest,
                (SELECT count(*) FROM (SELECT FROM outbox_set_aside LIMIT $1) AS counted)
                    AS "set_aside!"
            FROM (SELECT count(*) AS depth, count(*) FILTER (WHERE attempts > 0) AS refused
                  FROM (SELECT attempts FROM outbox LIMIT $1) AS first) AS counted
            "#,
            COUNTED,
        )
        .fetch_one(executor)
        .await?;
        Ok(Self {
            depth: row.depth,
            refused: row.refused,
            oldest: Duration::try_from_secs_f64(row.oldest.unwrap_or(0.0)).unwrap_or_default(),
            set_aside: row.set_aside,
        })
    }

    /// Says what the broker refuses.
    pub(super) fn told(&self) -> String {
        let Self {
            refused, set_aside, ..
        } = self;
        format!(
            "{refused} refused by the broker and tried again, {set_aside} set aside (`schedule-service \
             outbox list`)"
        )
    }

    /// Shows the figures on `/metrics`.
    pub(super) fn record(&self) {
        #[expect(clippy::cast_precision_loss, reason = "counted up to 100,000")]
        let [depth, refused, set_aside] =
            [self.depth, self.refused, self.set_aside].map(|count| count as f64);
        metrics::gauge!("outbox_depth").set(depth);
        metrics::gauge!("outbox_refused").set(refused);
        metrics::gauge!("outbox_set_aside").set(set_aside);
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
        "Age of the oldest event that waits to be published and was never refused; 0 when none does"
    );
    metrics::describe_gauge!(
        "outbox_refused",
        "Those of `outbox_depth` that the broker has refused, and that are tried again"
    );
    metrics::describe_gauge!(
        "outbox_set_aside",
        "Events that the broker refused too often, counted up to 100,000: see `outbox list`"
    );
    metrics::describe_counter!(
        "outbox_published_total",
        "Events that the broker has confirmed"
    );
    metrics::describe_counter!(
        "outbox_failures_total",
        "By reason: `refused`, events that the broker did not take; `set_aside`, events that it refused \
         for good; `broker` and `database`, attempts that failed as a whole"
    );
    metrics::describe_histogram!("outbox_batch_size", "Events that were published at once");
    metrics::describe_histogram!(
        "outbox_publish_delay_seconds",
        "From the start of an event's transaction to the broker's confirm"
    );
}
