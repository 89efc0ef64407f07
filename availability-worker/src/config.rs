//! The settings of the service.

use std::net::SocketAddr;

use shared_events::amqp::AmqpSettings;
use shared_events::amqp::consumer::Limits;
use shared_events::service::ServiceSettings;

use crate::cache::{CacheSettings, CopySettings};
use crate::horizon::{HorizonSettings, RollSettings};
use crate::source::SourceSettings;

/// Where the worker listens unless it is told otherwise.
pub(crate) const BIND_ADDR: &str = "127.0.0.1:8081";

/// All settings; each is a flag and an environment variable.
#[derive(Debug, Clone, clap::Args)]
pub struct Config {
    /// Where HTTP is served; port 0 takes a free one, which the log tells
    #[arg(long, env = "BIND_ADDR", default_value = BIND_ADDR)]
    pub bind_addr: SocketAddr,

    /// How many unsettled events the broker hands out
    #[arg(long, env = "PREFETCH", default_value_t = 300, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    pub prefetch: u16,

    /// How many events are handled at once, at most
    #[arg(long, env = "BATCH", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    pub batch: u16,

    /// How many batches are in hand at once, at most
    #[arg(long, env = "CONCURRENCY", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: u16,

    /// Bytes of an event that are read; what is larger is dead-lettered. In hand are at most so many
    /// times PREFETCH
    #[arg(long, env = "EVENT_MAX_BYTES", default_value_t = 8_388_608, value_parser = clap::value_parser!(u32).range(1_024..=67_108_864))]
    pub event_max_bytes: u32,

    /// Seconds after which one of all workers compares the whole cache with schedule-service and makes
    /// good what differs: what a purge of the queue takes is missing for so long; 0: never unasked. A
    /// deleted queue is noticed at once whatever this says
    #[arg(long, env = "RECONCILE_SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(0..=604_800))]
    pub reconcile_seconds: u64,

    /// Milliseconds that a request waits for its `minVersion` before it is answered 503
    #[arg(long, env = "MIN_VERSION_WAIT_MS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(0..=30_000))]
    pub min_version_wait_ms: u64,

    /// How many contractors are loaded into the cache at once because someone asks; over it 503
    #[arg(long, env = "MAX_LOADS", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_loads: u32,

    /// How many searches run at once; over it 503
    #[arg(long, env = "MAX_SEARCHES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_searches: u32,

    /// Milliseconds that a search waits for an emptied cache to be filled again before it is answered 503
    #[arg(long, env = "SEARCH_WAIT_MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub search_wait_ms: u64,

    /// Minutes that the cursor of a search holds: its pages keep the now of the first
    #[arg(long, env = "SEARCH_CURSOR_MINUTES", default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1_440))]
    pub search_cursor_minutes: u16,

    /// Copies of territories.
    #[command(flatten)]
    pub copies: CopySettings,

    /// The horizon.
    #[command(flatten, next_help_heading = "Horizon")]
    pub horizon: HorizonSettings,

    /// How it is kept up.
    #[command(flatten)]
    pub roll: RollSettings,

    /// Redis.
    #[command(flatten)]
    pub cache: CacheSettings,

    /// schedule-service.
    #[command(flatten)]
    pub source: SourceSettings,

    /// RabbitMQ.
    #[command(flatten, next_help_heading = "RabbitMQ")]
    pub amqp: AmqpSettings,

    /// What all services have.
    #[command(flatten)]
    pub service: ServiceSettings,
}

impl Config {
    /// The bounds of the consumer.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            prefetch: self.prefetch,
            batch: usize::from(self.batch),
            concurrency: usize::from(self.concurrency),
            body_bytes: usize::try_from(self.event_max_bytes).unwrap_or(usize::MAX),
        }
    }
}
