//! PostgreSQL, RabbitMQ and Redis, all three our own.

use std::path::Path;

use anyhow::Result;

use crate::backends::Backends;
use crate::certificates::Identity;
use crate::management::Management;
use crate::ports;
use crate::scratch::Scratch;
use crate::servers::postgres::{DATABASE, Postgres};
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
    /// The ports at which RabbitMQ and Redis speak TLS, where they do; PostgreSQL's is the same.
    tls: Option<[u16; 2]>,
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
        Self::start_all(statistics, None).await
    }

    /// Starts all three so that they also speak TLS, with this certificate.
    ///
    /// # Errors
    /// When one is not installed, or does not become healthy.
    pub async fn start_tls(identity: &Identity) -> Result<Self> {
        Self::start_all(Statistics::Fast, Some(identity)).await
    }

    async fn start_all(statistics: Statistics, identity: Option<&Identity>) -> Result<Self> {
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
        let (amqps, rediss) = (ports::reserve()?, ports::reserve()?);
        let tls = identity.map(|_| [amqps.number(), rediss.number()]);
        let (redis_port, redis_tls) = (ports::reserve()?, identity.map(|own| (rediss, own)));
        let starting_redis = async {
            match redis_tls {
                None => Redis::start(&redis_folder, &redis_log, redis_port).await,
                Some((tls, own)) => {
                    Redis::start_tls(&redis_folder, &redis_log, redis_port, tls, own).await
                }
            }
        };
        let (postgres, rabbitmq, redis) = tokio::try_join!(
            Box::pin(Postgres::start_with(
                &postgres_folder,
                &postgres_log,
                ports::reserve()?,
                identity
            )),
            Box::pin(RabbitMq::start_with(
                &rabbitmq_folder,
                &rabbitmq_log,
                rabbitmq::Ports::reserve()?,
                statistics,
                identity.map(|own| (amqps, own))
            )),
            Box::pin(starting_redis),
        )?;
        Ok(Self {
            postgres,
            rabbitmq,
            redis,
            tls,
            scratch,
        })
    }

    /// Their addresses.
    #[must_use]
    pub fn backends(&self) -> Backends {
        Backends {
            database_url: self.postgres.url_of(DATABASE),
            amqp_url: format!("{}/%2f", self.rabbitmq.url()),
            redis_url: self.redis.url(),
        }
    }

    /// Their addresses where they speak TLS, by the name `host`.
    ///
    /// # Panics
    /// When they do not.
    #[must_use]
    pub fn tls_backends(&self, host: &str) -> Backends {
        let Some([amqps, rediss]) = self.tls else {
            panic!("these servers have no certificate")
        };
        let plain = self.backends();
        let database_url = plain.database_url.replace("127.0.0.1", host);
        let (user, _) = plain.amqp_url.split_once('@').unwrap_or_default();
        let user = user.replacen("amqp://", "amqps://", 1);
        Backends {
            database_url: format!("{database_url}?sslmode=verify-full"),
            amqp_url: format!("{user}@{host}:{amqps}/%2f"),
            redis_url: format!("rediss://{host}:{rediss}"),
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
