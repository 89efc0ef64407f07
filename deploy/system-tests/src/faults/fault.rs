//! What is broken, and how it is mended.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use stack::{Proxy, Server, Service, ServiceKind, ServiceSettings};
use tokio::time::{sleep, timeout};

use super::load::Load;
use super::site::{INSTANCES, MUTANT, Site};
use super::witness::{Witness, waiting};
use crate::http::{Answer, client};
use crate::subscriber::SCHEDULE_UPDATED_QUEUE;

const STREAM: &str = "notifier.updates";

/// Longer than two heartbeats and than every wait for an answer of the broker.
const LONG: Duration = Duration::from_secs(6);
/// Long enough for everything that is in hand to feel it.
const SHORT: Duration = Duration::from_secs(3);
/// How many events a purge takes at least.
const PURGED: u32 = 20;
/// How long the broker may take until it notices what alarms it.
const ALARM: Duration = Duration::from_mins(1);
/// How long a service may take until it comes to a crash point.
const CRASH: Duration = Duration::from_secs(30);

/// One of the three servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backend {
    /// The database.
    Postgres,
    /// The broker.
    RabbitMq,
    /// The cache.
    Redis,
}

/// A kind of fault. Which instance it hits is drawn when it is injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// SIGKILL for one instance.
    KillService(&'static str),
    /// SIGTERM for one instance.
    StopService(&'static str),
    /// SIGSTOP for one instance, longer than the heartbeats.
    PauseService(&'static str),
    /// SIGKILL for one instance of each service at once.
    KillOneOfEach,
    /// SIGKILL for all workers while they hold events that Redis does not take.
    KillWaitingWorkers,
    /// An instance that ends itself when it comes to this point.
    Crash(&'static str, &'static str),
    /// SIGKILL.
    KillServer(Backend),
    /// An orderly stop, and a start.
    RestartServer(Backend),
    /// SIGSTOP.
    PauseServer(Backend),
    /// Connections are refused.
    Cut(Backend),
    /// Connections stay open and nothing passes.
    HalfOpen(Backend),
    /// Every chunk is half a second late.
    Delay(Backend),
    /// 10 KB/s a connection.
    Throttle(Backend),
    /// Connections are reset now and then.
    Resets(Backend),
    /// The workers' queue is deleted.
    DeleteQueue,
    /// The workers' queue is purged of what waits in it.
    PurgeQueue,
    /// The notifiers' stream is deleted.
    DeleteStream,
    /// The exchange is deleted.
    DeleteExchange,
    /// The operator closes all connections to the broker.
    CloseConnections,
    /// The broker has no memory left for a while, and blocks publishers.
    MemoryAlarm,
    /// The broker has too little disk space for a while, and blocks publishers.
    DiskAlarm,
    /// FLUSHALL.
    FlushRedis,
    /// Redis becomes a read-only replica for a while.
    ReadOnlyRedis,
    /// Redis has no memory left for a while.
    FullRedis,
    /// Redis answers nothing for a while.
    SlowRedis,
    /// All connections of the database are taken.
    ConnectionsExhausted,
    /// The schedules are locked: statements time out.
    LockedTables,
    /// Messages that nobody can handle.
    Poison,
}

const SCHEDULE: &str = "schedule-service";
const WORKER: &str = "availability-worker";
const NOTIFIER: &str = "notifier";

impl Fault {
    /// Every kind.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for name in [SCHEDULE, WORKER, NOTIFIER] {
            all.extend([
                Self::KillService(name),
                Self::StopService(name),
                Self::PauseService(name),
            ]);
        }
        for backend in [Backend::Postgres, Backend::RabbitMq, Backend::Redis] {
            all.extend([
                Self::KillServer(backend),
                Self::RestartServer(backend),
                Self::PauseServer(backend),
                Self::Cut(backend),
                Self::HalfOpen(backend),
                Self::Delay(backend),
                Self::Throttle(backend),
                Self::Resets(backend),
            ]);
        }
        all.extend([
            Self::KillOneOfEach,
            Self::KillWaitingWorkers,
            Self::Crash(SCHEDULE, "relay.published"),
            Self::Crash(SCHEDULE, "relay.publishing"),
            Self::Crash(WORKER, "worker.cached"),
            Self::Crash(WORKER, "worker.told"),
            Self::DeleteQueue,
            Self::PurgeQueue,
            Self::DeleteStream,
            Self::DeleteExchange,
            Self::CloseConnections,
            Self::MemoryAlarm,
            Self::DiskAlarm,
            Self::FlushRedis,
            Self::ReadOnlyRedis,
            Self::FullRedis,
            Self::SlowRedis,
            Self::ConnectionsExhausted,
            Self::LockedTables,
            Self::Poison,
        ]);
        all
    }

    /// What tables call it.
    #[must_use]
    pub fn name(self) -> String {
        let server = |backend| match backend {
            Backend::Postgres => "PostgreSQL",
            Backend::RabbitMq => "RabbitMQ",
            Backend::Redis => "Redis",
        };
        match self {
            Self::KillService(name) => format!("kill -9 {name}"),
            Self::StopService(name) => format!("SIGTERM {name}"),
            Self::PauseService(name) => format!("SIGSTOP {name}"),
            Self::KillOneOfEach => "kill -9 one of each service".to_owned(),
            Self::KillWaitingWorkers => "kill -9 workers that wait for Redis".to_owned(),
            Self::Crash(name, point) => format!("{name} crashes at {point}"),
            Self::KillServer(backend) => format!("kill -9 {}", server(backend)),
            Self::RestartServer(backend) => format!("stop and start {}", server(backend)),
            Self::PauseServer(backend) => format!("SIGSTOP {}", server(backend)),
            Self::Cut(backend) => format!("link to {} cut", server(backend)),
            Self::HalfOpen(backend) => format!("link to {} half-open", server(backend)),
            Self::Delay(backend) => format!("link to {} 500 ms late", server(backend)),
            Self::Throttle(backend) => format!("link to {} at 10 KB/s", server(backend)),
            Self::Resets(backend) => format!("link to {} reset", server(backend)),
            Self::DeleteQueue => "workers' queue deleted".to_owned(),
            Self::PurgeQueue => "workers' queue purged".to_owned(),
            Self::DeleteStream => "stream deleted".to_owned(),
            Self::DeleteExchange => "exchange deleted".to_owned(),
            Self::CloseConnections => "connections closed by the operator".to_owned(),
            Self::MemoryAlarm => "RabbitMQ memory alarm".to_owned(),
            Self::DiskAlarm => "RabbitMQ disk alarm".to_owned(),
            Self::FlushRedis => "FLUSHALL".to_owned(),
            Self::ReadOnlyRedis => "Redis read-only".to_owned(),
            Self::FullRedis => "Redis out of memory".to_owned(),
            Self::SlowRedis => "Redis slow".to_owned(),
            Self::ConnectionsExhausted => "PostgreSQL connections exhausted".to_owned(),
            Self::LockedTables => "PostgreSQL tables locked".to_owned(),
            Self::Poison => "poison messages".to_owned(),
        }
    }

    /// Breaks something under the load, and mends it. Half of the time the load ends with the
    /// breaking, so that no later write heals what the fault has lost.
    ///
    /// # Errors
    /// When breaking or mending fails.
    pub async fn inject(
        self,
        site: &Site,
        load: &Load,
        witness: &Witness,
        rng: &mut StdRng,
    ) -> Result<(), String> {
        let instance = rng.random_range(0..INSTANCES);
        let silent = rng.random_bool(0.5);
        let hold = || {
            if silent {
                load.hold();
            }
        };
        match self {
            Self::KillService(name) => {
                let victim = service(site, name, instance)?;
                kill_and_start(&[victim], hold).await
            }
            Self::StopService(name) => {
                let victim = service(site, name, instance)?;
                hold();
                victim.restart().await.map_err(words)
            }
            Self::PauseService(name) => {
                let victim = service(site, name, instance)?;
                paused(&victim, hold).await;
                Ok(())
            }
            Self::KillOneOfEach => {
                let victims = [SCHEDULE, WORKER, NOTIFIER]
                    .into_iter()
                    .map(|name| service(site, name, instance))
                    .collect::<Result<Vec<_>, _>>()?;
                kill_and_start(&victims, hold).await
            }
            Self::KillWaitingWorkers => {
                let redis = server(site, Backend::Redis);
                redis.pause();
                sleep(SHORT).await;
                load.hold();
                let victims: Vec<_> = (0..INSTANCES)
                    .map(|number| service(site, WORKER, number))
                    .collect::<Result<_, _>>()?;
                for victim in &victims {
                    victim.kill().await.map_err(words)?;
                }
                redis.resume();
                kill_and_start(&victims, hold).await
            }
            Self::Crash(name, point) => crash(site, load, name, point, hold).await,
            Self::KillServer(backend) => kill_and_start(&[server(site, backend)], hold).await,
            Self::RestartServer(backend) => {
                hold();
                server(site, backend).restart().await.map_err(words)
            }
            Self::PauseServer(backend) => {
                paused(&server(site, backend), hold).await;
                Ok(())
            }
            Self::Cut(backend)
            | Self::HalfOpen(backend)
            | Self::Delay(backend)
            | Self::Throttle(backend) => {
                self.degrade(link(site, backend), hold).await;
                Ok(())
            }
            Self::Resets(backend) => {
                for _ in 0..5 {
                    link(site, backend).reset();
                    sleep(Duration::from_millis(rng.random_range(50..800))).await;
                }
                hold();
                link(site, backend).reset();
                Ok(())
            }
            Self::DeleteQueue
            | Self::DeleteStream
            | Self::DeleteExchange
            | Self::CloseConnections => {
                self.operate(site, witness).await?;
                hold();
                Ok(())
            }
            Self::PurgeQueue => purge(site, hold).await,
            Self::MemoryAlarm => {
                let raise = ["set_vm_memory_high_watermark", "absolute", "1MB"];
                let end = ["set_vm_memory_high_watermark", "0.4"];
                alarm(site, &raise, &end, hold).await
            }
            Self::DiskAlarm => {
                let raise = ["set_disk_free_limit", "100000GB"];
                alarm(site, &raise, &["set_disk_free_limit", "50MB"], hold).await
            }
            Self::FlushRedis | Self::ReadOnlyRedis | Self::FullRedis | Self::SlowRedis => {
                self.trouble_redis(site, hold).await
            }
            Self::ConnectionsExhausted => exhaust(site, hold).await,
            Self::LockedTables => lock(site, hold).await,
            Self::Poison => poison(site).await,
        }
    }

    /// Makes a link bad for a while.
    async fn degrade(self, link: &Proxy, then: impl Fn()) {
        let time = match self {
            Self::Cut(_) => SHORT,
            _ => LONG,
        };
        match self {
            Self::Cut(_) => link.cut(),
            Self::Delay(_) => link.delay(Duration::from_millis(500)),
            Self::Throttle(_) => link.throttle(10_000),
            _ => link.silence(),
        }
        then();
        sleep(time).await;
        link.mend();
    }

    /// Does what an operator of the broker can do.
    async fn operate(self, site: &Site, witness: &Witness) -> Result<(), String> {
        let management = site.management()?;
        match self {
            Self::DeleteQueue => management.delete_queue(SCHEDULE_UPDATED_QUEUE).await,
            Self::DeleteStream => management.delete_queue(STREAM).await,
            Self::DeleteExchange => {
                witness.excuse();
                management.delete_exchange("rosterwire.events").await
            }
            _ => management.close_connections().await.map(|_| ()),
        }
        .map_err(words)
    }

    /// Makes Redis unfit for a while.
    async fn trouble_redis(self, site: &Site, then: impl Fn()) -> Result<(), String> {
        let (trouble, end) = match self {
            Self::ReadOnlyRedis => ("REPLICAOF 127.0.0.1 1", Some("REPLICAOF NO ONE")),
            Self::FullRedis => ("CONFIG SET maxmemory 1", Some("CONFIG SET maxmemory 0")),
            Self::SlowRedis => ("CLIENT PAUSE 4000 ALL", None),
            _ => ("FLUSHALL", None),
        };
        redis(site, trouble).await?;
        then();
        if let Some(end) = end {
            sleep(SHORT).await;
            redis(site, end).await?;
        }
        Ok(())
    }
}

fn words(error: impl std::fmt::Display) -> String {
    format!("{error:#}")
}

fn kind(name: &str) -> Option<ServiceKind> {
    ServiceKind::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
}

fn service(site: &Site, name: &str, instance: usize) -> Result<Arc<Server>, String> {
    let kind = kind(name).ok_or("no such service")?;
    let found = site.system.services(kind).nth(instance);
    Ok(found.ok_or("no such instance")?.handle())
}

fn server(site: &Site, backend: Backend) -> Arc<Server> {
    match backend {
        Backend::Postgres => site.servers.postgres.handle(),
        Backend::RabbitMq => site.servers.rabbitmq.handle(),
        Backend::Redis => site.servers.redis.handle(),
    }
}

fn link(site: &Site, backend: Backend) -> &Proxy {
    match backend {
        Backend::Postgres => &site.postgres_link,
        Backend::RabbitMq => &site.rabbitmq_link,
        Backend::Redis => &site.redis_link,
    }
}

async fn kill_and_start(victims: &[Arc<Server>], then: impl Fn()) -> Result<(), String> {
    for victim in victims {
        victim.kill().await.map_err(words)?;
    }
    then();
    sleep(Duration::from_millis(500)).await;
    for victim in victims {
        victim.restart().await.map_err(words)?;
    }
    Ok(())
}

/// Takes away what waits in the workers' queue, and has one more worker compare its cache with
/// schedule-service as every worker does by default.
async fn purge(site: &Site, then: impl Fn()) -> Result<(), String> {
    let workers: Vec<_> = (0..INSTANCES)
        .map(|number| service(site, WORKER, number))
        .collect::<Result<_, _>>()?;
    for worker in &workers {
        worker.pause();
    }
    // What they held waits again once their connections have been closed for want of heartbeats.
    let amqp_url = site.direct().amqp_url;
    let wait = async {
        while waiting(&amqp_url, &[SCHEDULE_UPDATED_QUEUE])
            .await
            .is_none_or(|events| events < PURGED)
        {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = timeout(ALARM, wait).await;
    then();
    let management = site.management()?;
    let purged = management.purge_queue(SCHEDULE_UPDATED_QUEUE).await;
    for worker in &workers {
        worker.resume();
    }
    waited.map_err(|_| format!("no {PURGED} events wait within {ALARM:?}"))?;
    purged.map_err(words)?;
    if management.purge_queue(STREAM).await.is_ok() {
        return Err("the broker has purged a stream, which nothing makes good".to_owned());
    }
    compare(site).await
}

/// Runs one more worker until it has compared everything.
async fn compare(site: &Site) -> Result<(), String> {
    let setting = ("RECONCILE_SECONDS", "1");
    let worker = spawn(site, ServiceKind::AvailabilityWorker, setting).await?;
    let (metrics, client) = (format!("{}/metrics", worker.url()), client());
    let compared = async {
        loop {
            let answer = Answer::to(client.get(&metrics)).await.map_err(words)?;
            let text = answer.body.as_str().unwrap_or_default();
            if text.contains("\navailability_reconciliations_total") {
                return worker.stop().await.map_err(words);
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(ALARM, compared)
        .await
        .map_err(|_| format!("nothing is compared within {ALARM:?}"))?
}

/// Starts one more instance.
async fn spawn(site: &Site, kind: ServiceKind, setting: (&str, &str)) -> Result<Service, String> {
    let mut settings = ServiceSettings::new(kind, site.system.folder(), &site.direct())
        .map_err(words)?
        .env("SCHEDULE_SERVICE_URL", site.system.schedule_url())
        .env(setting.0, setting.1);
    if let Some(mutant) = &site.mutant {
        settings = settings.env(MUTANT, mutant);
    }
    Service::spawn(kind, settings).await.map_err(words)
}

/// Has the broker raise an alarm, and end it, by changing a limit.
async fn alarm(site: &Site, raise: &[&str], end: &[&str], then: impl Fn()) -> Result<(), String> {
    let management = site.management()?;
    let until = async |raised: bool| {
        while management.has_alarm().await.map_err(words)? != raised {
            sleep(Duration::from_millis(100)).await;
        }
        Ok::<_, String>(())
    };
    let broker = &site.servers.rabbitmq;
    broker.control(raise).await.map_err(words)?;
    let raised = timeout(ALARM, until(true)).await;
    then();
    sleep(LONG).await;
    broker.control(end).await.map_err(words)?;
    raised.map_err(|_| "the broker raises no alarm")??;
    timeout(ALARM, until(false))
        .await
        .map_err(|_| "the broker's alarm does not end")?
}

async fn paused(victim: &Server, then: impl Fn()) {
    victim.pause();
    then();
    sleep(LONG).await;
    victim.resume();
}

/// Runs one more instance that ends when it comes to `point`, and gives it work until it has.
async fn crash(
    site: &Site,
    load: &Load,
    name: &str,
    point: &str,
    then: impl Fn(),
) -> Result<(), String> {
    let kind = kind(name).ok_or("no such service")?;
    // It may come to the point while it starts, which ends it just as well.
    let Ok(doomed) = spawn(site, kind, ("ROSTERWIRE_FAILPOINT", point)).await else {
        return Ok(());
    };
    let ends = async {
        while doomed.is_running() {
            if kind == ServiceKind::ScheduleService {
                load.try_change_through(doomed.url()).await;
            }
            sleep(Duration::from_millis(5)).await;
        }
        then();
    };
    timeout(CRASH, ends)
        .await
        .map_err(|_| format!("{name} did not come to {point} within {CRASH:?}"))
}

/// Sends a Redis command past the proxy.
async fn redis(site: &Site, command: &str) -> Result<(), String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let url = site.direct().redis_url;
    let address = url.trim_start_matches("redis://").to_owned();
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .map_err(words)?;
    let line = format!("{command}\r\n");
    stream.write_all(line.as_bytes()).await.map_err(words)?;
    let mut answer = [0; 256];
    let length = stream.read(&mut answer).await.map_err(words)?;
    if answer.first() == Some(&b'+') {
        return Ok(());
    }
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    Err(format!("{command} is answered {answer}"))
}

async fn exhaust(site: &Site, then: impl Fn()) -> Result<(), String> {
    let url = site.direct().database_url;
    let mut taken = Vec::new();
    // The server allows a hundred and keeps three for itself.
    while taken.len() < 200 {
        match PgConnection::connect(&url).await {
            Ok(connection) => taken.push(connection),
            Err(_) => break,
        }
    }
    then();
    sleep(SHORT).await;
    for connection in taken {
        let _ = connection.close().await;
    }
    Ok(())
}

async fn lock(site: &Site, then: impl Fn()) -> Result<(), String> {
    let mut connection = PgConnection::connect(&site.direct().database_url)
        .await
        .map_err(words)?;
    let mut transaction = connection.begin().await.map_err(words)?;
    sqlx::query("LOCK TABLE contractors, outbox IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await
        .map_err(words)?;
    then();
    sleep(LONG).await;
    transaction.rollback().await.map_err(words)?;
    Ok(())
}

/// No JSON, an event of another type, and a body of absurd size.
async fn poison(site: &Site) -> Result<(), String> {
    use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
    let url = site.direct().amqp_url;
    let connection = lapin::Connection::connect(&url, lapin::ConnectionProperties::default())
        .await
        .map_err(words)?;
    let channel = connection.create_channel().await.map_err(words)?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .map_err(words)?;
    let other = json!({"specversion": "1.0", "type": "somebody.else.v1", "data": {}}).to_string();
    for body in [b"{".to_vec(), other.into_bytes(), vec![b'['; 9 << 20]] {
        let confirm = channel
            .basic_publish(
                "".into(),
                SCHEDULE_UPDATED_QUEUE.into(),
                BasicPublishOptions::default(),
                &body,
                lapin::BasicProperties::default()
                    .with_delivery_mode(2)
                    .with_message_id(POISON.into()),
            )
            .await
            .map_err(words)?;
        confirm.await.map_err(words)?;
    }
    connection.close(200, "done".into()).await.map_err(words)
}

/// The message id of what was poisoned.
pub const POISON: &str = "poison";
/// How many messages one [`Fault::Poison`] sends.
pub const POISONS: u32 = 3;
