//! RabbitMQ with its management, Prometheus and stream plugins, and the Erlang name server (epmd)
//! that belongs to it: ours, on a port of its own, so that it ends with the broker.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::signal::Signal;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::certificates::Identity;
use crate::management::Management;
use crate::ports::{self, Port};
use crate::process::{Launch, Process};
use crate::server::{self, Server};

/// Names the file in which the broker counts the rounds of [`SYNC_TABLES`].
const ROUNDS: &str = "ROSTERWIRE_TABLES_SYNCED";
/// That file's name.
const ROUNDS_FILE: &str = "tables-synced";

/// Runs inside the broker and flushes its disk tables several times a second. RabbitMQ leaves the
/// tables that name its quorum queues and the stream coordinator unflushed for minutes; killed
/// within that time, it comes back with queues that have neither messages nor a leader, for good
/// (seen on 3.10.8; rabbitmq-server #15725). Arguments are split at spaces, so there is none.
const SYNC_TABLES: &str = "spawn(fun()->F=fun(Again,Round)->\
     [catch(dets:sync(Table))||Table<-dets:all()],\
     file:write_file(os:getenv(\"ROSTERWIRE_TABLES_SYNCED\"),integer_to_list(Round)),\
     timer:sleep(100),Again(Again,Round+1)end,F(F,1)end).";

/// The broker's name among Erlang's nodes.
const NODE: &str = "rosterwire@localhost";

/// How long `rabbitmqctl` may take, on a busy machine.
const CONTROL_DEADLINE: Duration = Duration::from_mins(1);

/// How long two of those rounds may take, with a disk that others are using too.
const SETTLE_DEADLINE: Duration = Duration::from_secs(20);

/// The ports of one broker.
#[derive(Debug)]
pub struct Ports {
    /// AMQP 0.9.1.
    pub amqp: Port,
    /// The management API.
    pub management: Port,
    /// The Prometheus exporter.
    pub prometheus: Port,
    /// The stream protocol.
    pub stream: Port,
    /// Erlang distribution.
    pub distribution: Port,
    /// The Erlang name server.
    pub names: Port,
}

impl Ports {
    /// Takes six free ports.
    ///
    /// # Errors
    /// When there are none.
    pub fn reserve() -> std::io::Result<Self> {
        Ok(Self {
            amqp: ports::reserve()?,
            management: ports::reserve()?,
            prometheus: ports::reserve()?,
            stream: ports::reserve()?,
            distribution: ports::reserve()?,
            names: ports::reserve()?,
        })
    }
}

/// How often the broker refreshes the numbers that the management API shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistics {
    /// Every 5 s, its default.
    Default,
    /// Every second, for tests that look at them.
    Fast,
}

/// A RabbitMQ broker of our own.
#[derive(Debug)]
pub struct RabbitMq {
    server: Arc<Server>,
    amqp: u16,
    management: u16,
    names: u16,
    home: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Role {
    amqp: u16,
    management: Management,
    names: Launch,
    name_server: Mutex<Option<Process>>,
    rounds: PathBuf,
}

impl RabbitMq {
    /// Starts it with its data in `folder`, and gives the services' users their rights in the default
    /// virtual host.
    ///
    /// # Errors
    /// When it is not installed, or does not become healthy.
    pub async fn start(
        folder: &Path,
        log: &Path,
        ports: Ports,
        statistics: Statistics,
    ) -> Result<Self> {
        Self::start_with(folder, log, ports, statistics, None).await
    }

    /// The same; it also speaks TLS at the port that stands beside the certificate.
    ///
    /// # Errors
    /// When it is not installed, or does not become healthy.
    pub async fn start_with(
        folder: &Path,
        log: &Path,
        ports: Ports,
        statistics: Statistics,
        tls: Option<(Port, &Identity)>,
    ) -> Result<Self> {
        let home = folder.join("home");
        fs::create_dir_all(&home)?;
        let folder = folder.canonicalize()?;
        let (amqp, management) = (ports.amqp.number(), ports.management.number());
        let role = server::Role::RabbitMq(Box::new(Role {
            amqp,
            management: Management::new(&management_url(management), "/")?,
            names: names_launch(&folder, log, &ports)?,
            name_server: Mutex::new(None),
            rounds: folder.join(ROUNDS_FILE),
        }));
        let encrypted = match &tls {
            Some((port, identity)) => tls_configuration(port, &identity.write(&folder)?),
            None => String::new(),
        };
        let launch = broker_launch(&folder, log, &ports, statistics, &encrypted)?;
        let Ports {
            amqp: a,
            management: m,
            prometheus,
            stream,
            distribution,
            names,
        } = ports;
        let name_port = names.number();
        let mut held = vec![a, m, prometheus, stream, distribution, names];
        held.extend(tls.map(|(port, _)| port));
        let server = Arc::new(Server::start(role, launch, held).await?);
        Management::new(&management_url(management), "/")?
            .create_vhost()
            .await?;
        Ok(Self {
            server,
            amqp,
            management,
            names: name_port,
            home: folder.join("home"),
        })
    }

    /// Runs `rabbitmqctl` for this broker.
    ///
    /// # Errors
    /// When it is not installed, or does not succeed.
    pub async fn control(&self, arguments: &[&str]) -> Result<()> {
        let program = server::program(
            "rabbitmqctl",
            &[PathBuf::from("/usr/lib/rabbitmq/bin/rabbitmqctl")],
            "rabbitmq-server",
        )?;
        let run = tokio::process::Command::new(program)
            .args(arguments)
            .env("HOME", &self.home)
            .env("RABBITMQ_NODENAME", NODE)
            .env("ERL_EPMD_PORT", self.names.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(CONTROL_DEADLINE, run).await??;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            bail!("rabbitmqctl {arguments:?}: {told}");
        }
        Ok(())
    }

    /// The URL of the default virtual host.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.amqp)
    }

    /// Waits until all queues that have been declared so far survive a kill of the broker, which
    /// they do not from the first moment. [`Server::kill`] waits by itself; this is for those who
    /// send the signal themselves.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn settled(&self) -> Result<()> {
        self.server.settled().await
    }

    /// The URL of the management API, with user and password.
    #[must_use]
    pub fn management_url(&self) -> String {
        management_url(self.management)
    }
}

fn management_url(port: u16) -> String {
    format!("http://guest:guest@127.0.0.1:{port}")
}

impl RabbitMq {
    /// The handle on its process, to share.
    #[must_use]
    pub fn handle(&self) -> Arc<Server> {
        Arc::clone(&self.server)
    }
}

impl std::ops::Deref for RabbitMq {
    type Target = Server;
    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Role {
    pub(crate) fn prepare(&self) -> Result<()> {
        match fs::remove_file(&self.rounds) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut name_server = self.name_server.lock();
        if name_server
            .as_ref()
            .is_none_or(|process| process.exit_status().is_some())
        {
            *name_server = Some(Process::spawn(&self.names)?);
        }
        Ok(())
    }

    pub(crate) async fn probe(&self) -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.amqp)).await?;
        stream.write_all(b"AMQP\0\0\x09\x01").await?;
        // A method frame (type 1) on channel 0: connection.start.
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).await?;
        if answer != [1, 0, 0] {
            bail!("the broker answers {answer:?} to the protocol header");
        }
        self.management.overview().await?;
        Ok(())
    }

    /// Waits until what has been declared so far survives a crash: until a round of
    /// [`SYNC_TABLES`] that began after now is over.
    pub(crate) async fn settled(&self, process: &Process) -> Result<()> {
        let end = Instant::now() + SETTLE_DEADLINE;
        let mut wanted = None;
        while process.exit_status().is_none() {
            match (self.round(), wanted) {
                (Some(round), None) => wanted = Some(round + 2),
                (Some(round), Some(wanted)) if round >= wanted => break,
                _ => {}
            }
            if Instant::now() >= end {
                bail!("the broker's tables are not on disk after {SETTLE_DEADLINE:?}");
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The last round that is over, 0 before the first; none while the file is being written.
    fn round(&self) -> Option<u64> {
        match fs::read_to_string(&self.rounds) {
            Ok(text) => text.parse().ok(),
            Err(error) => (error.kind() == ErrorKind::NotFound).then_some(0),
        }
    }

    pub(crate) async fn stop_name_server(&self) -> Result<()> {
        let process = self.name_server.lock().take();
        match process {
            Some(process) => process.stop(Signal::SIGTERM, Duration::from_secs(5)).await,
            None => Ok(()),
        }
    }
}

fn names_launch(folder: &Path, log: &Path, ports: &Ports) -> Result<Launch> {
    let program = server::program("epmd", &[PathBuf::from("/usr/bin/epmd")], "erlang-base")?;
    Ok(Launch::new("epmd", &program, folder, log)
        .arg("-port")
        .arg(ports.names.number().to_string())
        .arg("-address")
        .arg("127.0.0.1"))
}

fn broker_launch(
    folder: &Path,
    log: &Path,
    ports: &Ports,
    statistics: Statistics,
    encrypted: &str,
) -> Result<Launch> {
    let config = folder.join("rabbitmq.conf");
    fs::write(&config, configuration(ports) + encrypted)?;
    let plugins = folder.join("enabled_plugins");
    fs::write(
        &plugins,
        "[rabbitmq_management,rabbitmq_prometheus,rabbitmq_stream].\n",
    )?;
    // The program in /usr/sbin is a wrapper that changes the user.
    let program = server::program(
        "rabbitmq-server",
        &[PathBuf::from("/usr/lib/rabbitmq/bin/rabbitmq-server")],
        "rabbitmq-server",
    )?;
    // No busy waiting of idle schedulers: on a small machine it takes the processor from the rest.
    let mut erlang = String::from(
        "-noinput -kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none",
    );
    erlang += " -eval ";
    erlang += SYNC_TABLES;
    if statistics == Statistics::Fast {
        erlang += " -rabbit collect_statistics_interval 1000 -rabbit quorum_tick_interval 1000";
    }
    let path = |name: &str| folder.join(name);
    Ok(Launch::new("rabbitmq", &program, folder, log)
        .env("HOME", path("home"))
        // Constant, because the data belongs to a node of this name.
        .env("RABBITMQ_NODENAME", NODE)
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", ports.amqp.number().to_string())
        .env(
            "RABBITMQ_DIST_PORT",
            ports.distribution.number().to_string(),
        )
        .env("ERL_EPMD_PORT", ports.names.number().to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_MNESIA_BASE", path("data"))
        .env("RABBITMQ_LOG_BASE", path("log"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins)
        .env("RABBITMQ_CONFIG_FILE", config)
        .env("RABBITMQ_PID_FILE", path("pid"))
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
        .env("RABBITMQ_LOG", "-color")
        .env(ROUNDS, path(ROUNDS_FILE))
        // The script then becomes the Erlang machine instead of watching over it, so the process
        // that we hold is the broker itself.
        .env("RABBITMQ_ALLOW_INPUT", "1")
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erlang))
}

fn tls_configuration(port: &Port, [certificate, key]: &[PathBuf; 2]) -> String {
    format!(
        "listeners.ssl.1 = 127.0.0.1:{}\n\
         ssl_options.certfile = {}\n\
         ssl_options.keyfile = {}\n\
         ssl_options.verify = verify_none\n\
         ssl_options.fail_if_no_peer_cert = false\n",
        port.number(),
        certificate.display(),
        key.display()
    )
}

fn configuration(ports: &Ports) -> String {
    format!(
        "listeners.tcp.1 = 127.0.0.1:{amqp}\n\
         management.tcp.ip = 127.0.0.1\n\
         management.tcp.port = {management}\n\
         prometheus.tcp.ip = 127.0.0.1\n\
         prometheus.tcp.port = {prometheus}\n\
         stream.listeners.tcp.1 = 127.0.0.1:{stream}\n\
         log.file = false\n\
         log.console = true\n\
         log.console.level = info\n\
         disk_free_limit.absolute = 50MB\n",
        amqp = ports.amqp.number(),
        management = ports.management.number(),
        prometheus = ports.prometheus.number(),
        stream = ports.stream.number(),
    )
}
