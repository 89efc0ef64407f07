//! PostgreSQL, RabbitMQ and Redis, all three our own.

use std::path::Path;

use anyhow::Result;

use crate::backends::Backends;
use crate::management::Management;
use crate::ports;
use crate::scratch::Scratch;
use crate::servers::postgres::Postgres;
use crate::servers::rabbitmq::{self, RabbitMq, Statistics};
use crate::servers::redis::Redis;

/// Three servers on free ports with data of their own: for tests that kill servers, and for the
/// time of one `stack exec`.
#[derive(Debug)]
pub struct PrivateServers {
    /// PostgreSQL.
    pub postgres: Postgres,
    /// RabbitMQ.
    pub rabbitmq: RabbitMq,
    /// Redis.
    pub redis: Redis,
    // Last, so that the folder goes after those who write in it.
    scratch: Scratch,
}

impl PrivateServers {
    /// Starts all three at once, empty; takes about as long as RabbitMQ does.
    ///
    /// # Errors
    /// When one is not installed, or does not become healthy.
    pub async fn start() -> Result<Self> {
        Self::start_with(Statistics::Fast).await
    }

    /// The same, with the broker refreshing its figures as often as said: that costs processor time.
    ///
    /// # Errors
    /// When one is not installed, or does not become healthy.
    pub async fn start_with(statistics: Statistics) -> Result<Self> {
        let scratch = Scratch::make()?;
        let folder = scratch.path();
        let log = |name: &str| folder.join(name);
        let (postgres_folder, rabbitmq_folder, redis_folder) = (
            folder.join("postgres"),
            folder.join("rabbitmq"),
            folder.join("redis"),
        );
        let (postgres_log, rabbitmq_log, redis_log) =
            (log("postgres.log"), log("rabbitmq.log"), log("redis.log"));
        let (postgres, rabbitmq, redis) = tokio::try_join!(
            Box::pin(Postgres::start(
                &postgres_folder,
                &postgres_log,
                ports::reserve()?
            )),
            Box::pin(RabbitMq::start(
                &rabbitmq_folder,
                &rabbitmq_log,
                rabbitmq::Ports::reserve()?,
                statistics
            )),
            Box::pin(Redis::start(&redis_folder, &redis_log, ports::reserve()?)),
        )?;
        Ok(Self {
            postgres,
            rabbitmq,
            redis,
            scratch,
        })
    }

    /// Their addresses.
    #[must_use]
    pub fn backends(&self) -> Backends {
        Backends {
            database_url: self.postgres.url(),
            amqp_url: format!("{}/%2f", self.rabbitmq.url()),
            redis_url: self.redis.url(),
        }
    }

    /// The management API of the broker, for the default virtual host.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn rabbitmq_management(&self) -> Result<Management> {
        Management::new(&self.rabbitmq.management_url(), "/")
    }

    /// The folder of their data and logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Ends all three at once, without waiting for an orderly end: their data is thrown away.
    ///
    /// # Errors
    /// When one does not go.
    pub async fn discard(self) -> Result<()> {
        let processes = (
            self.postgres.process(),
            self.rabbitmq.process(),
            self.redis.process(),
        );
        tokio::try_join!(processes.0.kill(), processes.1.kill(), processes.2.kill())?;
        Ok(())
    }
}
