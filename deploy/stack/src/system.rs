//! The three services, any number of each, on one set of servers: for tests and benchmarks of the
//! whole.

use std::path::Path;

use anyhow::Result;
use lapin::{Connection, ConnectionProperties};
use shared_events::amqp::declare_topology;
use shared_events::topology::Part;

use crate::backends::Backends;
use crate::scratch::Scratch;
use crate::secrecy::Secrecy;
use crate::service::{Service, ServiceKind, ServiceSettings, migrate};

/// How much of each log a failed test prints.
const LOG_TAIL_BYTES: u64 = 8_000;

/// What to start.
#[derive(Debug)]
pub struct SystemBuilder {
    backends: Backends,
    counts: [(ServiceKind, usize); 3],
    env: Vec<(ServiceKind, String, String)>,
    origins: Vec<String>,
}

impl SystemBuilder {
    /// How many of `kind`; one when not said.
    #[must_use]
    pub fn count(mut self, kind: ServiceKind, count: usize) -> Self {
        for entry in &mut self.counts {
            if entry.0 == kind {
                entry.1 = count;
            }
        }
        self
    }

    /// An environment variable for all of `kind`.
    #[must_use]
    pub fn env(mut self, kind: ServiceKind, name: &str, value: &str) -> Self {
        self.env.push((kind, name.to_owned(), value.to_owned()));
        self
    }

    /// Pages of `origin` may call all services, beside those of the notifiers.
    #[must_use]
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.origins.push(origin.to_owned());
        self
    }

    /// Starts all of them at once and waits until each is ready.
    ///
    /// # Errors
    /// When one is not built, or does not become ready.
    pub async fn start(self) -> Result<System> {
        let scratch = Scratch::make()?;
        let is_absent = |kind: ServiceKind| self.counts.contains(&(kind, 0));
        if !is_absent(ServiceKind::ScheduleService) {
            migrate(&self.backends.database_url, scratch.path()).await?;
        }
        if ServiceKind::ALL.into_iter().any(is_absent) {
            declare_all(&self.backends.amqp_url).await?;
        }
        let mut planned = Vec::new();
        for (kind, count) in self.counts {
            for _ in 0..count {
                planned.push((
                    kind,
                    ServiceSettings::new(kind, scratch.path(), &self.backends)?,
                ));
            }
        }
        // The first of a kind is the one that the others call; its port is known before it starts.
        let first = |wanted: ServiceKind| {
            planned
                .iter()
                .find(|(kind, _)| *kind == wanted)
                .map(|(_, settings)| settings.url())
        };
        let urls = [
            ("SCHEDULE_SERVICE_URL", first(ServiceKind::ScheduleService)),
            ("AVAILABILITY_URL", first(ServiceKind::AvailabilityWorker)),
        ];
        // Pages of the notifiers call all three.
        let notifiers = planned
            .iter()
            .filter(|(kind, _)| *kind == ServiceKind::Notifier)
            .map(|(_, settings)| settings.url());
        let origins = notifiers.chain(self.origins.clone());
        let origins = origins.collect::<Vec<_>>().join(",");
        let mut starting = tokio::task::JoinSet::new();
        for (position, (kind, mut settings)) in planned.into_iter().enumerate() {
            for (name, url) in &urls {
                if let Some(url) = url {
                    settings = settings.env(name, url);
                }
            }
            if !origins.is_empty() {
                settings = settings.env("ALLOWED_ORIGINS", &origins);
            }
            for (_, name, value) in self.env.iter().filter(|(of, ..)| *of == kind) {
                settings = settings.env(name, value);
            }
            starting.spawn(async move { (position, Service::spawn(kind, settings).await) });
        }
        let mut started = Vec::new();
        while let Some(joined) = starting.join_next().await {
            let (position, service) = joined?;
            started.push((position, service?));
        }
        started.sort_by_key(|(position, _)| *position);
        Ok(System {
            secrecy: Secrecy::of(&self.backends),
            services: started.into_iter().map(|(_, service)| service).collect(),
            scratch,
        })
    }
}

/// Makes what all services have at the broker, as a user with all rights: a service without the others
/// waits for what they would make.
///
/// # Errors
/// When the broker refuses.
pub async fn declare_all(amqp_url: &str) -> Result<()> {
    let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    declare_topology(&channel, Part::All).await?;
    connection.close(200, "declared".into()).await?;
    Ok(())
}

/// Running services. Dropping it kills them. When the test has failed, the end of each log is printed
/// first; when it has not, it fails now if a log gives a token, a password or the secret away.
#[derive(Debug)]
pub struct System {
    services: Vec<Service>,
    secrecy: Secrecy,
    scratch: Scratch,
}

impl System {
    /// One of each on these servers.
    ///
    /// # Errors
    /// When one is not built, or does not become ready.
    pub async fn start(backends: Backends) -> Result<Self> {
        Self::builder(backends).start().await
    }

    /// Any number of each on these servers.
    #[must_use]
    pub fn builder(backends: Backends) -> SystemBuilder {
        SystemBuilder {
            backends,
            counts: ServiceKind::ALL.map(|kind| (kind, 1)),
            env: Vec::new(),
            origins: Vec::new(),
        }
    }

    /// All services of `kind`, in order.
    pub fn services(&self, kind: ServiceKind) -> impl Iterator<Item = &Service> {
        self.services
            .iter()
            .filter(move |service| service.kind() == kind)
    }

    /// The first service of `kind`.
    ///
    /// # Panics
    /// When the system was built with none of it.
    #[must_use]
    pub fn service(&self, kind: ServiceKind) -> &Service {
        match self.services(kind).next() {
            Some(service) => service,
            None => panic!("this system has no {}", kind.name()),
        }
    }

    /// The address of the first schedule-service.
    #[must_use]
    pub fn schedule_url(&self) -> &str {
        self.service(ServiceKind::ScheduleService).url()
    }

    /// The address of the first availability-worker.
    #[must_use]
    pub fn availability_url(&self) -> &str {
        self.service(ServiceKind::AvailabilityWorker).url()
    }

    /// The address of the first notifier.
    #[must_use]
    pub fn notifier_url(&self) -> &str {
        self.service(ServiceKind::Notifier).url()
    }

    /// The end of each service's log.
    #[must_use]
    pub fn ends_of_logs(&self) -> String {
        let ends: Vec<String> = self
            .services
            .iter()
            .map(|service| {
                format!(
                    "--- the end of the log of {} ({})\n{}",
                    service.name(),
                    service.url(),
                    crate::process::tail(service.log_path(), LOG_TAIL_BYTES)
                )
            })
            .collect();
        ends.join("\n")
    }

    /// Where the logs are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.ends_of_logs());
            return;
        }
        for service in &self.services {
            let found = self.secrecy.given_away_by(service.log_path());
            assert_eq!(found, None, "in the log of {}", service.name());
        }
    }
}
