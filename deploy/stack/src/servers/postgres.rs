//! PostgreSQL, with its default durability.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::{User, getuid};
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

use crate::certificates::Identity;
use crate::database;
use crate::ports::Port;
use crate::process::{Launch, RunAs, finish, send};
use crate::procfs;
use crate::rights;
use crate::server::{self, Server};

/// The user that runs the server when we are root, whom PostgreSQL refuses.
const SYSTEM_USER: &str = "postgres";
/// The database of schedule-service.
pub const DATABASE: &str = "rosterwire";
/// How long `initdb` may take.
const INITDB_DEADLINE: Duration = Duration::from_mins(2);
/// How long a copy of a small database may take.
const COPY_DEADLINE: Duration = Duration::from_mins(1);
/// How long the children of a killed postmaster may take to notice it.
const ORPHANS_DEADLINE: Duration = Duration::from_secs(10);

/// A PostgreSQL server of our own.
#[derive(Debug)]
pub struct Postgres {
    server: Arc<Server>,
    port: u16,
}

#[derive(Debug)]
pub(crate) struct Role {
    data: PathBuf,
    url: String,
}

impl Postgres {
    /// Starts it with its data in `folder`, made anew when there is none, with the database of
    /// schedule-service and its roles.
    ///
    /// # Errors
    /// When it is not installed, or does not become healthy.
    pub async fn start(folder: &Path, log: &Path, port: Port) -> Result<Self> {
        Self::start_with(folder, log, port, None).await
    }

    /// The same; with a certificate it also speaks TLS.
    ///
    /// # Errors
    /// When it is not installed, or does not become healthy.
    pub async fn start_with(
        folder: &Path,
        log: &Path,
        port: Port,
        tls: Option<&Identity>,
    ) -> Result<Self> {
        let place = Place::new(folder)?;
        if !place.data.is_dir() {
            make_data(&place, log).await?;
        }
        let mut more = Vec::new();
        if let Some(identity) = tls {
            let [certificate, key] = identity.write(&place.folder)?;
            let owner = fs::metadata(&place.folder)?;
            for path in [&certificate, &key] {
                chown(path, Some(owner.uid()), Some(owner.gid()))?;
            }
            more.push("ssl=on".to_owned());
            more.push(format!("ssl_cert_file={}", certificate.display()));
            more.push(format!("ssl_key_file={}", key.display()));
        }
        let server = Self::run(place, log, port, &more).await?;
        database::create_if_missing(&server.url(), DATABASE).await?;
        let mut connection = PgConnection::connect(&server.url_of(DATABASE)).await?;
        sqlx::raw_sql(rights::POSTGRES)
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(server)
    }

    /// Starts a standby that follows this server by streaming replication and from now on confirms each
    /// of its commits, so that what was committed is on both.
    ///
    /// # Errors
    /// When it cannot be made or does not become healthy.
    pub async fn standby(&self, folder: &Path, log: &Path, port: Port) -> Result<Self> {
        let place = Place::new(folder)?;
        let copying = place.launch("pg_basebackup", log);
        let copying = [
            "--wal-method=stream",
            "--checkpoint=fast",
            "--write-recovery-conf",
            "-D",
        ]
        .into_iter()
        .fold(copying, Launch::arg)
        .arg(&place.data)
        .arg(format!("--dbname={}", self.url()));
        finish(&copying, COPY_DEADLINE).await?;
        let standby = Self::run(place, log, port, &[]).await?;
        let mut primary = PgConnection::connect(&self.url()).await?;
        for statement in [
            "ALTER SYSTEM SET synchronous_standby_names = '*'",
            "SELECT pg_reload_conf()",
        ] {
            sqlx::raw_sql(statement).execute(&mut primary).await?;
        }
        primary.close().await?;
        Ok(standby)
    }

    /// Makes a standby the server that is written to.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn promote(&self) -> Result<()> {
        let mut standby = PgConnection::connect(&self.url()).await?;
        sqlx::raw_sql("SELECT pg_promote()")
            .execute(&mut standby)
            .await?;
        Ok(standby.close().await?)
    }

    async fn run(place: Place, log: &Path, port: Port, more: &[String]) -> Result<Self> {
        let number = port.number();
        let url = format!("postgres://postgres@127.0.0.1:{number}/postgres");
        let mut launch = place.launch("postgres", log).arg("-D").arg(&place.data);
        for setting in [
            &format!("port={number}"),
            "listen_addresses=127.0.0.1",
            // The path of a socket file is limited to 107 bytes; nobody needs one here.
            "unix_socket_directories=",
            "shared_buffers=128MB",
            "max_connections=200",
            "timezone=UTC",
            "log_timezone=UTC",
        ] {
            launch = launch.arg("-c").arg(setting);
        }
        for setting in more {
            launch = launch.arg("-c").arg(setting);
        }
        // "Immediate shutdown": it takes its children with it, which SIGKILL would not.
        launch.on_parent_death = Signal::SIGQUIT;
        let role = server::Role::Postgres(Role {
            data: place.data,
            url,
        });
        Ok(Self {
            server: Arc::new(Server::start(role, launch, vec![port]).await?),
            port: number,
        })
    }

    /// The URL of the maintenance database.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The URL of the database `name`.
    #[must_use]
    pub fn url_of(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }
}

impl Postgres {
    /// The handle on its process, to share.
    #[must_use]
    pub fn handle(&self) -> Arc<Server> {
        Arc::clone(&self.server)
    }
}

impl std::ops::Deref for Postgres {
    type Target = Server;
    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Role {
    /// After a crash of the postmaster alone: its children notice and go, and only then may its
    /// pid file go too, which would stop the start if its number were another process's by now.
    pub(crate) async fn prepare(&self) -> Result<()> {
        let end = Instant::now() + ORPHANS_DEADLINE;
        // Every PostgreSQL process works in the data folder.
        loop {
            let orphans = procfs::working_in(&self.data);
            if orphans.is_empty() {
                break;
            }
            if Instant::now() >= end {
                for pid in &orphans {
                    send(*pid, Signal::SIGKILL);
                }
                if Instant::now() >= end + ORPHANS_DEADLINE {
                    bail!("processes {orphans:?} hold {}", self.data.display());
                }
            }
            sleep(Duration::from_millis(10)).await;
        }
        match fs::remove_file(self.data.join("postmaster.pid")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    pub(crate) async fn probe(&self) -> Result<()> {
        let mut connection = PgConnection::connect(&self.url).await?;
        sqlx::raw_sql("SELECT 1").execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }
}

/// The folder of the newest installed version's programs: Debian's and Ubuntu's layout, else PATH.
fn programs() -> Result<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|item| {
            let item = item.ok()?;
            Some((
                item.file_name().to_str()?.parse().ok()?,
                item.path().join("bin"),
            ))
        })
        .filter(|(_, bin)| bin.join("postgres").is_file() && bin.join("initdb").is_file())
        .collect();
    versions.sort();
    if let Some((_, bin)) = versions.pop() {
        return Ok(bin);
    }
    let initdb = server::program("initdb", &[], "postgresql")?;
    let parent = initdb.parent().map(Path::to_owned);
    parent.with_context(|| format!("{} has no folder", initdb.display()))
}

/// Whom to run as: ourselves, or as root the package's user.
fn run_as(folder: &Path) -> Result<Option<RunAs>> {
    if !getuid().is_root() {
        return Ok(None);
    }
    let Some(user) = User::from_name(SYSTEM_USER)? else {
        bail!("PostgreSQL refuses to run as root, and there is no user {SYSTEM_USER}");
    };
    chown(folder, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
    let closed = |path: &Path| {
        fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 == 0)
    };
    let pass_closed_folders = folder.ancestors().skip(1).any(closed);
    Ok(Some(RunAs {
        user: SYSTEM_USER.to_owned(),
        pass_closed_folders,
    }))
}

/// Where a server's data is, and what it is run with.
struct Place {
    programs: PathBuf,
    folder: PathBuf,
    data: PathBuf,
    user: Option<RunAs>,
}

impl Place {
    fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        Ok(Self {
            programs: programs()?,
            user: run_as(&folder)?,
            data: folder.join("data"),
            folder,
        })
    }

    fn launch(&self, program: &str, log: &Path) -> Launch {
        let mut launch = Launch::new(program, &self.programs.join(program), &self.folder, log);
        launch.user.clone_from(&self.user);
        launch
    }
}

/// Runs `initdb` beside the place and moves the result there, so that a half-made folder is never
/// taken for data.
async fn make_data(place: &Place, log: &Path) -> Result<()> {
    let making = place.folder.join("data.new");
    if making.exists() {
        fs::remove_dir_all(&making)?;
    }
    let launch = [
        "--auth=trust",
        "--username=postgres",
        "--locale=C.UTF-8",
        "--encoding=UTF8",
        "--no-sync",
        "-D",
    ]
    .into_iter()
    .fold(place.launch("initdb", log), Launch::arg)
    .arg(&making);
    finish(&launch, INITDB_DEADLINE).await?;
    fs::rename(&making, &place.data)?;
    Ok(())
}
