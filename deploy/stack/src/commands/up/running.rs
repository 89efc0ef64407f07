//! All that `stack up` runs: started in order, ended in the reverse order.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use stack::ports::{self, Port};
use stack::process::{Launch, MARK};
use stack::servers::postgres::DATABASE;
use stack::servers::rabbitmq::{self, Statistics};
use stack::state::{Entry, State, Tokens};
use stack::{
    Backends, Postgres, RabbitMq, Redis, Server, Service, ServiceKind, ServiceSettings, service,
};
use tokio::task::JoinSet;

use super::Up;
use super::access::Access;
use super::progress::Progress;
use super::site::Site;

/// What the services' DRAIN_SECONDS is when the person has not said: the one who presses Ctrl-C
/// waits for it.
const DRAIN_SECONDS: &str = "5";

/// The processes, and the addresses of those that are not ours.
#[derive(Debug)]
pub(super) struct Running {
    backends: Backends,
    postgres: Option<Postgres>,
    rabbitmq: Option<RabbitMq>,
    redis: Option<Redis>,
    /// In the order of [`ServiceKind::ALL`].
    services: Vec<Service>,
    demo: Option<Arc<Server>>,
    tokens: Tokens,
}

impl Running {
    /// Starts everything and waits until it is healthy.
    pub(super) async fn start(
        up: &Up,
        site: &Site,
        access: &Access,
        progress: Progress,
    ) -> Result<Self> {
        let (postgres, rabbitmq, redis) = tokio::try_join!(
            Box::pin(start_postgres(up, site, progress)),
            Box::pin(start_rabbitmq(up, site, progress)),
            Box::pin(start_redis(up, site, progress)),
        )?;
        let url = |named: &Option<String>, own: Option<String>| named.clone().or(own);
        let backends = Backends {
            database_url: url(
                &up.database_url,
                postgres.as_ref().map(|s| s.url_of(DATABASE)),
            )
            .context("no PostgreSQL")?,
            amqp_url: url(
                &up.amqp_url,
                rabbitmq.as_ref().map(|s| format!("{}/%2f", s.url())),
            )
            .context("no RabbitMQ")?,
            redis_url: url(&up.redis_url, redis.as_ref().map(Redis::url)).context("no Redis")?,
        };
        if postgres.is_some() {
            let logs = site.folder().join("logs");
            service::migrate(&backends.database_url, &logs).await?;
        }
        let services = start_services(up, site, &backends, access, progress).await?;
        if let Some(rabbitmq) = &rabbitmq {
            // The services have declared their queues.
            rabbitmq.settled().await?;
        }
        let mut running = Self {
            backends,
            postgres,
            rabbitmq,
            redis,
            services,
            demo: None,
            tokens: access.tokens(),
        };
        if !up.no_demo {
            running.demo = Some(running.start_demo(site)?);
            progress.say("demo roster: it is filled now, and then keeps changing");
        }
        Ok(running)
    }

    fn start_demo(&self, site: &Site) -> Result<Arc<Server>> {
        let program = service::program("demo")?;
        let folder = std::env::current_dir()?;
        let mut launch = Launch::new("demo", &program, &folder, &site.log("demo"))
            .env(
                "SCHEDULE_SERVICE_URL",
                self.url(ServiceKind::ScheduleService),
            )
            .env(MARK, site.folder());
        launch.inherit_env = true;
        if !self.tokens.dispatcher.is_empty() {
            launch = launch.env("ROSTERWIRE_TOKEN", &self.tokens.dispatcher);
        }
        Ok(Arc::new(Server::run(launch)?))
    }

    fn service(&self, wanted: ServiceKind) -> Option<&Service> {
        self.services
            .iter()
            .find(|service| service.kind() == wanted)
    }

    fn url(&self, wanted: ServiceKind) -> &str {
        self.service(wanted).map_or("", Service::url)
    }

    /// What state.json says at the start.
    pub(super) fn state(&self) -> State {
        let service = |kind: ServiceKind| Entry {
            url: self.url(kind).to_owned(),
            pid: self.service(kind).map(|service| service.pid()),
        };
        let server = |url: &str, pid: Option<u32>| Entry {
            url: url.to_owned(),
            pid,
        };
        State {
            schedule_service: service(ServiceKind::ScheduleService),
            availability_worker: service(ServiceKind::AvailabilityWorker),
            notifier: service(ServiceKind::Notifier),
            postgres: server(
                &self.backends.database_url,
                self.postgres.as_ref().map(|s| s.pid()),
            ),
            rabbitmq: server(
                &self.backends.amqp_url,
                self.rabbitmq.as_ref().map(|s| s.pid()),
            ),
            redis: server(
                &self.backends.redis_url,
                self.redis.as_ref().map(|s| s.pid()),
            ),
            tokens: self.tokens.clone(),
        }
    }

    fn own_servers(&self) -> Vec<Arc<Server>> {
        let handles = [
            self.postgres.as_ref().map(Postgres::handle),
            self.rabbitmq.as_ref().map(RabbitMq::handle),
            self.redis.as_ref().map(Redis::handle),
        ];
        handles.into_iter().flatten().collect()
    }

    fn service_handles(&self) -> Vec<Arc<Server>> {
        self.services.iter().map(Service::handle).collect()
    }

    /// Every process that is started again when it dies.
    pub(super) fn supervised(&self) -> Vec<Arc<Server>> {
        let mut all = self.own_servers();
        all.extend(self.service_handles());
        all.extend(self.demo.clone());
        all
    }

    /// Tells where everything is.
    pub(super) fn welcome(&self, site: &Site) {
        let notifier = self.url(ServiceKind::Notifier);
        let token = if self.tokens.dispatcher.is_empty() {
            String::new()
        } else {
            let state = site.state();
            let cut = format!(
                "grep -o '\"dispatcher\": *\"[^\"]*' {} | cut -d'\"' -f4",
                state.display()
            );
            format!(" -H \"Authorization: Bearer $({cut})\"")
        };
        Progress::print(format!(
            "\nRosterwire runs; Ctrl-C ends it.\n\n  \
             board            {notifier}/\n  \
             live frames      curl -N '{notifier}/v1/events'{token}\n  \
             write side       {}/docs\n  \
             read side        {}/docs\n  \
             logs             {}/\n  \
             processes        {}\n",
            self.url(ServiceKind::ScheduleService),
            self.url(ServiceKind::AvailabilityWorker),
            site.folder().join("logs").display(),
            site.state().display(),
        ));
    }

    /// Ends everything in order: who writes first, the servers last.
    pub(super) async fn stop(&self, progress: Progress) {
        for group in self.groups() {
            let mut stopping = JoinSet::new();
            for server in group {
                let begin = Instant::now();
                stopping.spawn(async move {
                    match server.stop().await {
                        Ok(()) => progress.say(format!(
                            "{} has ended after {:.1} s",
                            server.name(),
                            begin.elapsed().as_secs_f64()
                        )),
                        Err(error) => progress.say(format!("{error:#}")),
                    }
                });
            }
            while stopping.join_next().await.is_some() {}
        }
    }

    /// Ends everything at once.
    pub(super) async fn kill(&self) {
        for server in self.groups().into_iter().flatten() {
            // What does not go by SIGKILL does not go by a second one either.
            let _ = server.process().kill().await;
        }
    }

    fn groups(&self) -> [Vec<Arc<Server>>; 3] {
        [
            self.demo.iter().cloned().collect(),
            self.service_handles(),
            self.own_servers(),
        ]
    }
}

async fn start_postgres(up: &Up, site: &Site, progress: Progress) -> Result<Option<Postgres>> {
    if up.database_url.is_some() {
        progress.say("PostgreSQL: the one that DATABASE_URL names");
        return Ok(None);
    }
    let folder = site.folder().join("postgres");
    let server = Postgres::start(&folder, &site.log("postgres"), ports::reserve()?).await?;
    progress.say(format!("PostgreSQL is ready: {}", server.url_of(DATABASE)));
    Ok(Some(server))
}

async fn start_rabbitmq(up: &Up, site: &Site, progress: Progress) -> Result<Option<RabbitMq>> {
    if up.amqp_url.is_some() {
        progress.say("RabbitMQ: the one that AMQP_URL names");
        return Ok(None);
    }
    let folder = site.folder().join("rabbitmq");
    let ports = rabbitmq::Ports::reserve()?;
    let server =
        RabbitMq::start(&folder, &site.log("rabbitmq"), ports, Statistics::Default).await?;
    progress.say(format!(
        "RabbitMQ is ready: {}, {}",
        server.url(),
        server.management_url()
    ));
    Ok(Some(server))
}

async fn start_redis(up: &Up, site: &Site, progress: Progress) -> Result<Option<Redis>> {
    if up.redis_url.is_some() {
        progress.say("Redis: the one that REDIS_URL names");
        return Ok(None);
    }
    let folder = site.folder().join("redis");
    let server = Redis::start(&folder, &site.log("redis"), ports::reserve()?).await?;
    progress.say(format!("Redis is ready: {}", server.url()));
    Ok(Some(server))
}

async fn start_services(
    up: &Up,
    site: &Site,
    backends: &Backends,
    access: &Access,
    progress: Progress,
) -> Result<Vec<Service>> {
    let mut planned = Vec::new();
    for kind in ServiceKind::ALL {
        planned.push((
            kind,
            settings(kind, site, &used_by(kind, up, backends)?, progress)?,
        ));
    }
    let url = |wanted: ServiceKind| {
        planned
            .iter()
            .find(|(kind, _)| *kind == wanted)
            .map(|(_, s)| s.url())
            .unwrap_or_default()
    };
    let (schedule, availability, notifier) = (
        url(ServiceKind::ScheduleService),
        url(ServiceKind::AvailabilityWorker),
        url(ServiceKind::Notifier),
    );
    let mut starting = JoinSet::new();
    for (position, (kind, settings)) in planned.into_iter().enumerate() {
        let mut settings = settings
            .env("SCHEDULE_SERVICE_URL", &schedule)
            .env("AVAILABILITY_URL", &availability);
        for (name, value) in access.env(&notifier) {
            settings = settings.env(name, &value);
        }
        starting.spawn(async move { (position, Service::spawn(kind, settings).await) });
    }
    let mut started = Vec::new();
    while let Some(joined) = starting.join_next().await {
        let (position, service) = joined?;
        let service = service?;
        progress.say(format!("{} is ready: {}", service.name(), service.url()));
        started.push((position, service));
    }
    started.sort_by_key(|(position, _)| *position);
    Ok(started.into_iter().map(|(_, service)| service).collect())
}

/// Where a service finds the servers: the private ones as a user of its own, those that the person has
/// named as named.
fn used_by(kind: ServiceKind, up: &Up, backends: &Backends) -> Result<Backends> {
    let own = backends.as_used_by(kind)?;
    Ok(Backends {
        database_url: up.database_url.clone().unwrap_or(own.database_url),
        amqp_url: up.amqp_url.clone().unwrap_or(own.amqp_url),
        redis_url: up.redis_url.clone().unwrap_or(own.redis_url),
    })
}

/// The settings of a service: the person's environment, and over it what it must be here.
fn settings(
    kind: ServiceKind,
    site: &Site,
    backends: &Backends,
    progress: Progress,
) -> Result<ServiceSettings> {
    let mut settings = ServiceSettings {
        name: kind.name().to_owned(),
        port: port(kind, progress)?,
        folder: std::env::current_dir()?,
        log: site.log(kind.name()),
        env: Vec::new(),
        inherit_env: true,
    };
    for (name, value) in backends.env() {
        // A file that the person has named has been read by now.
        let file = format!("{name}_FILE");
        settings = settings.env(name, value).env(&file, "");
    }
    // What they write goes to a file.
    settings = settings.env("NO_COLOR", "1");
    if std::env::var_os("DRAIN_SECONDS").is_none() {
        settings = settings.env("DRAIN_SECONDS", DRAIN_SECONDS);
    }
    Ok(settings.env(MARK, &site.folder().display().to_string()))
}

/// The port that everybody knows, or another one where it is taken.
fn port(kind: ServiceKind, progress: Progress) -> Result<Port> {
    let known = kind.default_port();
    if let Some(port) = ports::reserve_exactly(known)? {
        return Ok(port);
    }
    let port = ports::reserve()?;
    progress.say(format!(
        "port {known} is taken: {} is on {}",
        kind.name(),
        port.number()
    ));
    Ok(port)
}
