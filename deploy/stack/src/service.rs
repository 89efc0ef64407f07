//! The three services of Rosterwire as processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Client, Url};

use crate::access::AccessKey;
use crate::backends::Backends;
use crate::ports::{self, Port};
use crate::process::{Launch, finish};
use crate::rights::{OWNER, as_user};
use crate::server::{Role, Server};

/// Names the folder of the services' programs, when it is not that of the running program.
pub const BIN_DIR: &str = "STACK_BIN_DIR";

/// How long the migrations of a new database may take.
const MIGRATION_DEADLINE: Duration = Duration::from_mins(1);

/// Which service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceKind {
    /// The write side.
    ScheduleService,
    /// The calculation and the read side.
    AvailabilityWorker,
    /// The fan-out.
    Notifier,
}

impl ServiceKind {
    /// All of them, in the order in which they need each other.
    pub const ALL: [Self; 3] = [
        Self::ScheduleService,
        Self::AvailabilityWorker,
        Self::Notifier,
    ];

    /// The name of the program, and of the service everywhere.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ScheduleService => "schedule-service",
            Self::AvailabilityWorker => "availability-worker",
            Self::Notifier => "notifier",
        }
    }

    /// The port it has when nobody says otherwise.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::ScheduleService => 8080,
            Self::AvailabilityWorker => 8081,
            Self::Notifier => 8082,
        }
    }
}

/// How to run a service.
#[derive(Debug)]
pub struct ServiceSettings {
    /// What it is called in messages and the name of its log.
    pub name: String,
    /// Where it listens.
    pub port: Port,
    /// Its working directory; its log goes there too.
    pub folder: PathBuf,
    /// Where its output goes.
    pub log: PathBuf,
    /// Environment variables, the last of a name wins.
    pub env: Vec<(String, String)>,
    /// Whether it also gets our environment.
    pub inherit_env: bool,
}

impl ServiceSettings {
    /// Settings for a test: any free port, a user of its own on each server, access by the key of this
    /// process, one line of JSON per log entry.
    ///
    /// # Errors
    /// When no port is free.
    pub fn new(kind: ServiceKind, folder: &Path, backends: &Backends) -> Result<Self> {
        let port = ports::reserve()?;
        let name = kind.name().to_owned();
        let log = folder.join(format!("{name}-{}.log", port.number()));
        let mut settings = Self {
            name,
            port,
            folder: folder.to_owned(),
            log,
            env: Vec::new(),
            inherit_env: false,
        };
        let access = AccessKey::of_this_process().env();
        let backends = backends.as_used_by(kind)?;
        for (name, value) in backends.env().into_iter().chain(access) {
            settings = settings.env(name, value);
        }
        // All calls are of the same caller.
        let boundless = [
            ("CALLER_REQUESTS_PER_SECOND", "1000000"),
            ("CALLER_BURST", "1000000"),
            ("CALLER_CONCURRENCY", "10000"),
        ];
        for (name, value) in boundless {
            settings = settings.env(name, value);
        }
        Ok(settings.env("LOG_FORMAT", "json").env("RUST_LOG", "info"))
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The address at which it will be.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }
}

/// A running service.
#[derive(Debug)]
pub struct Service {
    server: Arc<Server>,
    kind: ServiceKind,
    url: String,
}

impl Service {
    /// Starts it and waits until `GET /health/ready` answers 200.
    ///
    /// # Errors
    /// When its program is not there, or it does not become ready: with the end of its log.
    pub async fn spawn(kind: ServiceKind, settings: ServiceSettings) -> Result<Self> {
        let url = settings.url();
        let program = program(kind.name())?;
        let mut launch = Launch::new(&settings.name, &program, &settings.folder, &settings.log);
        launch.inherit_env = settings.inherit_env;
        launch = launch.env("BIND_ADDR", format!("127.0.0.1:{}", settings.port.number()));
        for (name, value) in &settings.env {
            launch = launch.env(name, value);
        }
        let role = Role::Service(Http::new(&url)?);
        let server = Arc::new(Server::start(role, launch, vec![settings.port]).await?);
        Ok(Self { server, kind, url })
    }

    /// Its address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The handle on its process, to share.
    #[must_use]
    pub fn handle(&self) -> Arc<Server> {
        Arc::clone(&self.server)
    }

    /// Which it is.
    #[must_use]
    pub fn kind(&self) -> ServiceKind {
        self.kind
    }
}

impl std::ops::Deref for Service {
    type Target = Server;
    fn deref(&self) -> &Server {
        &self.server
    }
}

/// Runs the migrations of schedule-service as the role that owns its database.
///
/// # Errors
/// When they fail: with the end of their log.
pub async fn migrate(database_url: &str, folder: &Path) -> Result<()> {
    let program = program(ServiceKind::ScheduleService.name())?;
    let log = folder.join("migrate.log");
    let launch = Launch::new("schedule-service migrate", &program, folder, &log)
        .arg("migrate")
        .env("DATABASE_URL", as_user(database_url, OWNER)?)
        .env("DATABASE_RUNTIME_ROLE", "schedule_service");
    finish(&launch, MIGRATION_DEADLINE).await
}

/// Asks a service whether it is ready.
#[derive(Debug)]
pub(crate) struct Http {
    ready: Url,
    client: Client,
}

impl Http {
    fn new(url: &str) -> Result<Self> {
        let ready = Url::parse(&format!("{url}/health/ready"))?;
        // No connection is kept: an idle one would be a client that the service has to drain.
        let client = Client::builder()
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()?;
        Ok(Self { ready, client })
    }

    pub(crate) async fn probe(&self) -> Result<()> {
        let response = self.client.get(self.ready.clone()).send().await?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        bail!(
            "GET {} is answered {status}: {}",
            self.ready,
            response.text().await?
        )
    }
}

/// The folder of the build profile that the running program belongs to (`target/debug`).
pub(crate) fn profile_folder() -> Option<PathBuf> {
    let program = fs::canonicalize(std::env::current_exe().ok()?).ok()?;
    let folder = program.parent()?;
    // Test programs are one level deeper.
    let profile = if folder.ends_with("deps") {
        folder.parent()?
    } else {
        folder
    };
    // A build folder has this beside the programs; /usr/local/bin has not.
    profile.join("deps").is_dir().then(|| profile.to_owned())
}

/// The path of the program `name` of this workspace.
///
/// # Errors
/// When it has not been built.
pub fn program(name: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os(BIN_DIR) {
        Some(folder) => PathBuf::from(folder),
        None => match profile_folder() {
            Some(folder) => folder,
            None => std::env::current_exe()?
                .parent()
                .map(Path::to_owned)
                .context("the running program has no folder")?,
        },
    };
    let path = folder.join(name);
    if !path.is_file() {
        bail!(
            "there is no {}: build it with `cargo build -p {name}`, or set {BIN_DIR}",
            path.display()
        );
    }
    Ok(path)
}
