//! Servers of their own behind proxies, and two of each service.

use std::time::Duration;

use parking_lot::Mutex;
use sqlx::{Connection, PgConnection, Row};
use stack::procfs::{Resident, resident_kib};
use stack::{Backends, Management, PrivateServers, Proxy, ServiceKind, System};
use tokio::time::{Instant, sleep, timeout};

use super::load::Load;
use crate::AvailabilityApi;
use crate::subscriber::SCHEDULE_UPDATED_QUEUE;

/// How many of each service run.
pub const INSTANCES: usize = 2;

/// How long the system may take until it is well again after a fault.
const RECOVERY: Duration = Duration::from_mins(2);

/// So many events waiting are what a live load leaves at any moment.
const LIVE_BACKLOG: u32 = 40;

/// Everything that runs.
#[derive(Debug)]
pub struct Site {
    /// The services, which know the servers only through the proxies.
    pub system: System,
    /// Between the services and PostgreSQL.
    pub postgres_link: Proxy,
    /// Between the services and RabbitMQ.
    pub rabbitmq_link: Proxy,
    /// Between the services and Redis.
    pub redis_link: Proxy,
    /// A fault of the services' own, which every instance has.
    pub mutant: Option<String>,
    /// The servers. Last, so that the services end first.
    pub servers: PrivateServers,
}

fn text(error: impl std::fmt::Display) -> String {
    format!("{error:#}")
}

impl Site {
    /// Starts everything.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start(mutant: Option<String>) -> Result<Self, String> {
        let servers = PrivateServers::start().await.map_err(text)?;
        let direct = servers.backends();
        let (postgres_link, database_url) =
            Proxy::before(&direct.database_url).await.map_err(text)?;
        let (rabbitmq_link, amqp_url) = Proxy::before(&direct.amqp_url).await.map_err(text)?;
        let (redis_link, redis_url) = Proxy::before(&direct.redis_url).await.map_err(text)?;
        let backends = Backends {
            database_url,
            amqp_url,
            redis_url,
        };
        let mut builder = System::builder(backends);
        for kind in ServiceKind::ALL {
            builder = builder
                .count(kind, INSTANCES)
                .env(kind, "AMQP_HEARTBEAT_SECONDS", "2")
                .env(kind, "AMQP_CONNECT_TIMEOUT_SECONDS", "4")
                .env(kind, "AMQP_PUBLISH_TIMEOUT_SECONDS", "4");
        }
        builder = builder
            // What is lost is to be seen, not made good by the next comparison.
            .env(ServiceKind::AvailabilityWorker, "RECONCILE_SECONDS", "0")
            .env(
                ServiceKind::ScheduleService,
                "OUTBOX_STATEMENT_TIMEOUT_SECONDS",
                "4",
            );
        if let Some(mutant) = &mutant {
            for kind in ServiceKind::ALL {
                builder = builder.env(kind, MUTANT, mutant);
            }
        }
        let system = Box::pin(builder.start()).await.map_err(text)?;
        Ok(Self {
            system,
            postgres_link,
            rabbitmq_link,
            redis_link,
            mutant,
            servers,
        })
    }

    /// The servers themselves, past the proxies.
    #[must_use]
    pub fn direct(&self) -> Backends {
        self.servers.backends()
    }

    /// The broker's management API.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn management(&self) -> Result<Management, String> {
        self.servers.rabbitmq_management().map_err(text)
    }

    /// The addresses of all services of a kind.
    #[must_use]
    pub fn urls(&self, kind: ServiceKind) -> Vec<String> {
        self.system
            .services(kind)
            .map(|service| service.url().to_owned())
            .collect()
    }

    /// The resident memory of each service in MiB, and its name.
    #[must_use]
    pub fn memory(&self) -> Vec<(String, u32)> {
        ServiceKind::ALL
            .into_iter()
            .flat_map(|kind| self.system.services(kind))
            .map(|service| {
                let kib = resident_kib(service.pid(), Resident::Now);
                (service.name().to_owned(), kib.unwrap_or(0) / 1_024)
            })
            .collect()
    }

    /// Waits until every instance does its work again and the backlog is gone: how long that took.
    ///
    /// # Errors
    /// What is not well in time.
    pub async fn recovered(&self, load: &Load) -> Result<Duration, String> {
        let begun = Instant::now();
        let awaited = Mutex::new("answers to writes".to_owned());
        let well = async {
            let version = load.probe(self).await;
            for url in self.urls(ServiceKind::AvailabilityWorker) {
                let api = AvailabilityApi::new(&url);
                let least = version.to_string();
                *awaited.lock() = format!("version {version} from the cache by {url}");
                loop {
                    let query = [("minVersion", least.as_str())];
                    match timeout(Duration::from_secs(5), api.ask(load.probed(), &query)).await {
                        Ok(Ok(answer))
                            if answer.status == 200 && answer.body["source"] == "cache" =>
                        {
                            break;
                        }
                        _ => sleep(Duration::from_millis(50)).await,
                    }
                }
            }
            "the end of the backlog".clone_into(&mut awaited.lock());
            while self.backlog().await.is_none_or(|n| n > LIVE_BACKLOG) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(RECOVERY, well).await.is_ok() {
            return Ok(begun.elapsed());
        }
        let backlog = self.backlog().await;
        let awaited = awaited.lock();
        Err(format!(
            "not well within {RECOVERY:?}, which lacks {awaited}; events waiting: {backlog:?}"
        ))
    }

    /// How many events wait in the outbox and in the workers' queues; none where a server does not
    /// say.
    pub async fn backlog(&self) -> Option<u32> {
        let look = async {
            let mut database = PgConnection::connect(&self.direct().database_url)
                .await
                .ok()?;
            let row = sqlx::query("SELECT count(*) FROM outbox")
                .fetch_one(&mut database)
                .await
                .ok()?;
            let outbox: i64 = row.get(0);
            let _ = database.close().await;
            let queues = super::witness::waiting(
                &self.direct().amqp_url,
                &[SCHEDULE_UPDATED_QUEUE, SUSPECT_QUEUE],
            )
            .await?;
            u32::try_from(outbox).ok()?.checked_add(queues)
        };
        timeout(Duration::from_secs(10), look).await.ok().flatten()
    }
}

/// Names the mistake that services are to make on purpose.
pub const MUTANT: &str = "ROSTERWIRE_MUTANT";

/// The queue of what is tried alone.
pub const SUSPECT_QUEUE: &str = "availability-worker.schedule-updated.suspect";
