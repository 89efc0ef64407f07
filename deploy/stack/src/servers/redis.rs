//! Redis, in memory only: all that Rosterwire keeps there can be calculated again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::certificates::Identity;
use crate::ports::Port;
use crate::process::Launch;
use crate::rights;
use crate::server::{self, Server};

/// A Redis server of our own.
#[derive(Debug)]
pub struct Redis {
    server: Arc<Server>,
    port: u16,
}

#[derive(Debug)]
pub(crate) struct Role {
    port: u16,
}

impl Redis {
    /// Starts it, empty, with `folder` to work in.
    ///
    /// # Errors
    /// When it is not installed, or does not become healthy.
    pub async fn start(folder: &Path, log: &Path, port: Port) -> Result<Self> {
        Self::launch(folder, log, vec![port], &[]).await
    }

    /// The same; it also speaks TLS at the port `tls`.
    ///
    /// # Errors
    /// When it is not installed, or does not become healthy.
    pub async fn start_tls(
        folder: &Path,
        log: &Path,
        port: Port,
        tls: Port,
        identity: &Identity,
    ) -> Result<Self> {
        let [certificate, key] = identity
            .write(folder)?
            .map(|path| path.display().to_string());
        let number = tls.number().to_string();
        let more = [
            "--tls-port",
            &number,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-auth-clients",
            "no",
        ];
        Self::launch(folder, log, vec![port, tls], &more).await
    }

    /// Starts it as the only node of a Redis Cluster, whose other nodes would reach it at `bus`. It
    /// has no slots yet.
    ///
    /// # Errors
    /// When it is not installed, or does not become healthy.
    pub async fn start_cluster_node(
        folder: &Path,
        log: &Path,
        port: Port,
        bus: Port,
    ) -> Result<Self> {
        let bus_number = bus.number().to_string();
        let cluster = ["--cluster-enabled", "yes", "--cluster-port", &bus_number];
        Self::launch(folder, log, vec![port, bus], &cluster).await
    }

    /// `ports` begin with the one that clients use.
    async fn launch(folder: &Path, log: &Path, ports: Vec<Port>, more: &[&str]) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let number = ports.first().map_or(0, Port::number);
        let program = program()?;
        let mut launch = Launch::new("redis", &program, &folder, log);
        let number_text = number.to_string();
        let own = [
            "--port",
            &number_text,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ];
        for arg in own.iter().chain(more).chain(&["--user"]) {
            launch = launch.arg(arg);
        }
        // Beside the default user, who may do everything.
        for word in rights::redis() {
            launch = launch.arg(word);
        }
        let role = server::Role::Redis(Role { port: number });
        Ok(Self {
            server: Arc::new(Server::start(role, launch, ports).await?),
            port: number,
        })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Redis {
    /// The handle on its process, to share.
    #[must_use]
    pub fn handle(&self) -> Arc<Server> {
        Arc::clone(&self.server)
    }
}

impl std::ops::Deref for Redis {
    type Target = Server;
    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Role {
    pub(crate) async fn probe(&self) -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).await?;
        if &answer != b"+PONG\r\n" {
            bail!("PING was answered {:?}", String::from_utf8_lossy(&answer));
        }
        Ok(())
    }
}

fn program() -> Result<PathBuf> {
    server::program(
        "redis-server",
        &[PathBuf::from("/usr/bin/redis-server")],
        "redis-server",
    )
}
