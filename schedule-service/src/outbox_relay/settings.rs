//! The settings of the outbox relay.

use std::time::Duration;

use clap::Args;

use super::refusal::Patience;

/// How the outbox is emptied.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Outbox relay")]
pub struct OutboxSettings {
    /// How many relay tasks this process runs; each holds one database connection. With two, a
    /// batch that waits for its confirms does not hold up the next one. 0: this process relays
    /// nothing, and other processes must
    #[arg(long, env = "OUTBOX_RELAYS", default_value_t = 2,
          value_parser = clap::value_parser!(u16).range(0..=64))]
    pub outbox_relays: u16,

    /// How many events are claimed and published at once, at most
    #[arg(long, env = "OUTBOX_BATCH", default_value_t = 200,
          value_parser = clap::value_parser!(u16).range(1..=5000))]
    pub outbox_batch: u16,

    /// The size in bytes at which a batch takes no further event: what a relay task holds in memory
    #[arg(long, env = "OUTBOX_BATCH_BYTES", default_value_t = 8 << 20,
          value_parser = clap::value_parser!(u32).range(1..=256 << 20))]
    pub outbox_batch_bytes: u32,

    /// How many committed events wait in memory to be published without being read from the outbox
    /// again, at most; those beyond go through the outbox alone. 0: all do
    #[arg(long, env = "OUTBOX_HAND_OVER", default_value_t = 256,
          value_parser = clap::value_parser!(u16).range(0..=10_000))]
    pub outbox_hand_over: u16,

    /// For how many seconds the relays leave an event alone that was handed over in memory. After a
    /// crash such an event is published this much later
    #[arg(long, env = "OUTBOX_HOLD_SECONDS", default_value_t = 2,
          value_parser = clap::value_parser!(u16).range(1..=300))]
    pub outbox_hold_seconds: u16,

    /// How often what was handed over and confirmed is deleted from the outbox, in milliseconds. After
    /// a crash, what was confirmed since is published again, which subscribers expect
    #[arg(long, env = "OUTBOX_DELETE_EVERY_MS", default_value_t = 100,
          value_parser = clap::value_parser!(u16).range(0..=500))]
    pub outbox_delete_every_ms: u16,

    /// How often the outbox is looked at without being told to, in seconds. The database's NOTIFY
    /// wakes the relay at once; this bounds what a lost one costs, and how old the gauges are
    #[arg(long, env = "OUTBOX_POLL_SECONDS", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub outbox_poll_seconds: u32,

    /// The age of the oldest unsent event, in seconds, from which on this process says that it is
    /// not ready
    #[arg(long, env = "OUTBOX_MAX_AGE_SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub outbox_max_age_seconds: u32,

    /// How long one statement of the relay may take, in seconds; then its connection is given up
    /// and made anew
    #[arg(long, env = "OUTBOX_STATEMENT_TIMEOUT_SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=600))]
    pub outbox_statement_timeout_seconds: u32,

    /// After how many refusals by the broker an event is set aside with the reason, until `outbox retry`
    /// sends it again; 20 take about an hour. A broker that is away, or does not answer, refuses nothing
    #[arg(long, env = "OUTBOX_MAX_ATTEMPTS", default_value_t = 20,
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub outbox_max_attempts: u16,

    /// The longest wait before an event that the broker refused is tried again, in seconds; the
    /// first wait is one second, and each doubles the one before
    #[arg(long, env = "OUTBOX_REFUSED_BACKOFF_MAX_SECONDS", default_value_t = 300,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub outbox_refused_backoff_max_seconds: u32,
}

impl OutboxSettings {
    /// For how long the relays leave alone what was handed over.
    pub(super) fn hold(&self) -> Duration {
        Duration::from_secs(self.outbox_hold_seconds.into())
    }

    /// How long confirmed rows are gathered before they are deleted: always shorter than the hold.
    pub(super) fn delete_every(&self) -> Duration {
        Duration::from_millis(self.outbox_delete_every_ms.into())
    }

    /// How often the outbox is looked at unasked.
    pub(super) fn poll(&self) -> Duration {
        Duration::from_secs(self.outbox_poll_seconds.into())
    }

    /// The age from which on the oldest unsent event makes the process unready.
    pub(super) fn max_age(&self) -> Duration {
        Duration::from_secs(self.outbox_max_age_seconds.into())
    }

    /// The bound on one statement.
    pub(super) fn statement_timeout(&self) -> Duration {
        Duration::from_secs(self.outbox_statement_timeout_seconds.into())
    }

    /// How a refused event is tried again.
    pub(super) fn patience(&self) -> Patience {
        Patience {
            attempts: self.outbox_max_attempts.into(),
            longest_wait: Duration::from_secs(self.outbox_refused_backoff_max_seconds.into()),
        }
    }
}
