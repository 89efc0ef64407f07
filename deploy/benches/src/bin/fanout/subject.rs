//! What is measured: the notifier, its peers and the floor, each a process that takes messages in its
//! own way.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::http_client::authorization;
use chrono::DateTime;
use clap::{Parser, ValueEnum};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared_events::amqp::{AmqpSettings, Message, Publisher, TraceHeaders};
use shared_events::topology;
use stack::system::declare_all;
use stack::{PrivateServers, Service, ServiceKind, ServiceSettings};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::clock::now_ns;
use crate::load::SENT;
use crate::pushpin::{self, Pushpin};
use crate::through_broker::Lines;

/// Messages are of this length, as a client gets them.
const FRAME_BYTES: usize = 600;

/// Every server that has heartbeats sends one so often.
pub(crate) const HEARTBEAT_SECONDS: u64 = 15;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// One thread, epoll, the same bytes written to each socket
    Floor,
    /// axum's `Sse` over `tokio::sync::broadcast`
    Axum,
    /// The floor, its messages through RabbitMQ as the notifier's
    FloorThroughBroker,
    /// Plain axum, its messages through RabbitMQ as the notifier's
    AxumThroughBroker,
    /// nginx with nchan, two workers
    Nchan,
    /// Pushpin, by its HTTP control port
    Pushpin,
    /// Rosterwire's
    Notifier,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Axum => "plain axum",
            Self::FloorThroughBroker => "floor through RabbitMQ",
            Self::AxumThroughBroker => "plain axum through RabbitMQ",
            Self::Nchan => "Nchan",
            Self::Pushpin => "Pushpin",
            Self::Notifier => "notifier",
        }
    }
}

/// A process of ours that ends with this.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // Asked and not killed, since nginx's workers would outlive their master.
        if let Ok(pid) = i32::try_from(self.0.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ = self.0.wait();
    }
}

enum Door {
    Lines(ChildStdin),
    /// Each line begins with its territory's number.
    LinesOfTerritories(ChildStdin),
    /// Lines that take the way through RabbitMQ.
    ThroughBroker(Box<Lines>),
    Posts(Posts),
    Stream(Box<Publisher>),
}

/// A server that is being measured.
pub(crate) struct Subject {
    pub(crate) pid: u32,
    /// `host:port`.
    pub(crate) address: String,
    /// What clients ask for; `{}` is the territory's number.
    pub(crate) path: &'static str,
    /// What an answer holds once the client follows.
    pub(crate) connected_at: &'static str,
    door: Door,
    service: Option<Service>,
    _process: Option<Owned>,
}

/// What subjects are started with.
pub(crate) struct Ground {
    pub(crate) runtime: Runtime,
    pub(crate) servers: PrivateServers,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) nginx: PathBuf,
    pub(crate) nchan_module: PathBuf,
    pub(crate) pushpin: PathBuf,
}

#[derive(Parser)]
struct Amqp {
    #[command(flatten)]
    settings: AmqpSettings,
}

impl Subject {
    /// Starts one and waits until it is there.
    pub(crate) fn start(kind: Kind, ground: &Ground, by_territory: bool) -> Result<Self> {
        match kind {
            Kind::Floor => Self::of_lines("floor", None, by_territory),
            Kind::Axum => Self::of_lines("axum", None, by_territory),
            Kind::FloorThroughBroker => Self::of_lines("floor", Some(ground), by_territory),
            Kind::AxumThroughBroker => Self::of_lines("axum", Some(ground), by_territory),
            Kind::Nchan => Self::nchan(ground),
            Kind::Pushpin => Self::pushpin(ground),
            Kind::Notifier => Self::notifier(ground, by_territory),
        }
    }

    fn of_lines(word: &str, broker: Option<&Ground>, by_territory: bool) -> Result<Self> {
        let port = stack::ports::reserve()?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args([word, &port.number().to_string()])
            .stdin(Stdio::piped());
        let through_broker = match broker {
            Some(ground) => {
                let url = ground.servers.backends().amqp_url;
                command.arg(&url);
                Some(Box::new(ground.runtime.block_on(Lines::open(&url))?))
            }
            None => None,
        };
        let mut child = command.spawn()?;
        let lines = child.stdin.take().context("its standard input")?;
        let address = format!("127.0.0.1:{}", port.number());
        let pid = child.id();
        let process = Owned(child);
        wait_for(&address)?;
        Ok(Self {
            pid,
            address,
            path: if by_territory { "/t{}" } else { "/" },
            connected_at: "\r\n\r\n",
            door: match through_broker {
                Some(through_broker) => Door::ThroughBroker(through_broker),
                None if by_territory => Door::LinesOfTerritories(lines),
                None => Door::Lines(lines),
            },
            service: None,
            _process: Some(process),
        })
    }

    fn nchan(ground: &Ground) -> Result<Self> {
        for file in [&ground.nginx, &ground.nchan_module] {
            ensure!(
                file.exists(),
                "Nchan is not installed: there is no {} (Debian: apt-get install nginx-light \
                 libnginx-mod-nchan). Name it with --nginx and --nchan-module, or leave nchan out",
                file.display()
            );
        }
        let port = stack::ports::reserve()?;
        let folder = ground.servers.folder().join("nginx");
        fs::create_dir_all(&folder)?;
        let text = nginx_configuration(&folder, &ground.nchan_module, port.number());
        let file = folder.join("nginx.conf");
        fs::write(&file, text)?;
        let child = Command::new(&ground.nginx)
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&file)
            .stderr(Stdio::null())
            .spawn()
            .context("nginx")?;
        let pid = child.id();
        let process = Owned(child);
        let address = format!("127.0.0.1:{}", port.number());
        wait_for(&address)?;
        let posts = Posts::connect(&address, "/publish", str::to_owned)?;
        Ok(Self {
            pid,
            address,
            path: "/follow",
            connected_at: "\r\n\r\n",
            door: Door::Posts(posts),
            service: None,
            _process: Some(process),
        })
    }

    fn pushpin(ground: &Ground) -> Result<Self> {
        let Pushpin {
            runner,
            address,
            control,
        } = pushpin::start(&ground.pushpin, ground.servers.folder())?;
        let pid = runner.id();
        let process = Owned(runner);
        wait_for(&control)?;
        pushpin::wait_until_it_holds(&address)?;
        Ok(Self {
            pid,
            address,
            path: "/follow",
            connected_at: "\r\n\r\n",
            door: Door::Posts(Posts::connect(&control, "/publish/", pushpin::item)?),
            service: None,
            _process: Some(process),
        })
    }

    fn notifier(ground: &Ground, by_territory: bool) -> Result<Self> {
        let backends = ground.servers.backends();
        let folder = ground.servers.folder();
        // Where few clients are written to, the heartbeats of the others are not what is measured.
        let heartbeat_seconds = if by_territory { 300 } else { HEARTBEAT_SECONDS };
        let mut settings = ServiceSettings::new(ServiceKind::Notifier, folder, &backends)?
            .env("RUST_LOG", "warn")
            .env("HEARTBEAT_SECONDS", &heartbeat_seconds.to_string())
            .env("NEW_STREAMS_PER_SECOND", "100000")
            // All clients are one user.
            .env("MAX_STREAMS_PER_USER", "1000000");
        for (name, value) in &ground.environment {
            settings = settings.env(name, value);
        }
        ground.runtime.block_on(declare_all(&backends.amqp_url))?;
        let service = ground
            .runtime
            .block_on(Service::spawn(ServiceKind::Notifier, settings))?;
        let amqp = Amqp::try_parse_from(["fanout", "--amqp-url", &backends.amqp_url])?;
        let publisher = Publisher::new(amqp.settings, "fanout", topology::Part::All);
        // Its connection stands before the first message, as the doors of the others do.
        ground.runtime.block_on(publisher.connect())?;
        let url = service.url();
        Ok(Self {
            pid: service.pid(),
            address: url.strip_prefix("http://").unwrap_or(url).to_owned(),
            path: if by_territory {
                "/v1/events?territory=t{}"
            } else {
                "/v1/events"
            },
            connected_at: "event: ready",
            door: Door::Stream(Box::new(publisher)),
            service: Some(service),
            _process: None,
        })
    }

    /// Ends the notifier and starts it again at the same address.
    pub(crate) fn restart(&mut self, ground: &Ground) -> Result<()> {
        if let Some(service) = &self.service {
            ground.runtime.block_on(service.restart())?;
            self.pid = service.pid();
        }
        Ok(())
    }

    /// The id of a client that has all there is.
    pub(crate) fn last_event_id(&self) -> Result<String> {
        if self.service.is_none() {
            return Ok("0".to_owned());
        }
        let mut socket = TcpStream::connect(&self.address)?;
        let authorization = authorization();
        let request = format!("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n");
        socket.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        let mut room = [0; 4096];
        loop {
            let count = socket.read(&mut room)?;
            ensure!(count > 0, "the stream has ended");
            answer.extend_from_slice(room.get(..count).unwrap_or_default());
            let text = String::from_utf8_lossy(&answer);
            if let Some((_, after)) = text.split_once("\nid: ")
                && let Some((id, _)) = after.split_once('\n')
            {
                return Ok(id.to_owned());
            }
        }
    }

    /// Sends so many messages, one after the other, to the territory of each one's number.
    pub(crate) fn publish(
        &mut self,
        ground: &Ground,
        count: usize,
        territory: impl Fn(usize) -> usize,
    ) -> Result<()> {
        match &mut self.door {
            Door::Lines(lines) => {
                let text: String = (0..count).map(|_| line() + "\n").collect();
                lines.write_all(text.as_bytes())?;
                lines.flush()?;
            }
            Door::LinesOfTerritories(lines) => {
                let mut text = String::new();
                for number in 0..count {
                    text += &territory(number).to_string();
                    text += " ";
                    text += &line();
                    text += "\n";
                }
                lines.write_all(text.as_bytes())?;
                lines.flush()?;
            }
            Door::ThroughBroker(lines) => {
                ground
                    .runtime
                    .block_on(lines.publish((0..count).map(|_| line())))?;
            }
            Door::Posts(posts) => (0..count).try_for_each(|_| posts.post(&line()))?,
            Door::Stream(publisher) => {
                let messages: Vec<Message> = (0..count).map(|n| event(territory(n))).collect();
                let answers = ground.runtime.block_on(publisher.publish(&messages))?;
                for answer in answers {
                    answer.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
                }
            }
        }
        Ok(())
    }
}

/// A connection on which messages are posted, one after the other.
struct Posts {
    address: String,
    socket: TcpStream,
    path: &'static str,
    body: fn(&str) -> String,
}

impl Posts {
    fn connect(address: &str, path: &'static str, body: fn(&str) -> String) -> Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        Ok(Self {
            address: address.to_owned(),
            socket,
            path,
            body,
        })
    }

    fn post(&mut self, message: &str) -> Result<()> {
        let body = (self.body)(message);
        let post = format!(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            self.path,
            body.len()
        );
        self.socket.write_all(post.as_bytes())?;
        let mut answer = Vec::new();
        let mut room = [0; 4096];
        while !is_whole(&answer) {
            let count = self.socket.read(&mut room)?;
            ensure!(count > 0, "{} has closed", self.address);
            answer.extend_from_slice(room.get(..count).unwrap_or_default());
        }
        ensure!(
            answer.starts_with(b"HTTP/1.1 20") || answer.starts_with(b"HTTP/1.0 20"),
            "{} refuses: {}",
            self.address,
            String::from_utf8_lossy(&answer)
        );
        // Who answers in this older version closes after it.
        if answer.starts_with(b"HTTP/1.0")
            || memchr::memmem::find(&answer, b"onnection: close").is_some()
        {
            *self = Self::connect(&self.address, self.path, self.body)?;
        }
        Ok(())
    }
}

/// True where the bytes are an answer with all of its body.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(answer.get(..end).unwrap_or_default()).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0_usize);
    answer.len() >= end + 4 + length
}

fn wait_for(address: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).is_err() {
        ensure!(Instant::now() < deadline, "nobody listens at {address}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A message for those who pass on lines: `data: `, this, and a blank line.
fn line() -> String {
    let begin = format!("{{{SENT}{},\"pad\":\"", now_ns());
    let pad = FRAME_BYTES - "data: \n\n".len() - begin.len() - "\"}".len();
    format!("{begin}{}\"}}", "x".repeat(pad))
}

/// A message for the notifier, whose frame has the same length. It is an `availability.updated`: a
/// `schedule.updated` alone would wait for one.
fn event(territory: usize) -> Message {
    const TYPE: &str = "rosterwire.availability.updated.v1";
    /// What the frame has before and after its data; the offset is the longest of most works.
    const AROUND: &str = "id: 1000-00000000\nevent: availability.updated\ndata: \n\n";
    let id = Uuid::new_v4();
    let fields = format!(
        "{{\"contractorId\":\"{id}\",\"territory\":\"t{territory}\",\"version\":1,\
         \"calculatedAt\":\"2026-11-24T08:00:00.127Z\",{SENT}{},\"pad\":\"",
        now_ns()
    );
    let pad = "x".repeat(FRAME_BYTES - AROUND.len() - fields.len() - "\"}".len());
    let body = format!(
        "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"/bench\",\"type\":\"{TYPE}\",\
         \"time\":\"2026-11-24T08:00:00.127Z\",\"data\":{fields}{pad}\"}}}}"
    );
    Message::event(
        topology::availability_updated_routing_key(&format!("t{territory}")),
        id.to_string(),
        TYPE.to_owned(),
        DateTime::UNIX_EPOCH,
        body.into_bytes(),
        TraceHeaders::default(),
    )
}

fn nginx_configuration(folder: &Path, module: &Path, port: u16) -> String {
    let folder = folder.display();
    let module = module.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {folder}/{name};\n"))
        .concat();
    format!(
        "load_module {module};\nuser root;\ndaemon off;\nworker_processes 2;\n\
         worker_rlimit_nofile 20000;\npid {folder}/pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 15000; }}\n\
         http {{\naccess_log off;\n{temporary}nchan_shared_memory_size 512M;\n\
         keepalive_requests 1000000;\n\
         server {{\nlisten 127.0.0.1:{port} backlog=4096;\n\
         location = /publish {{ nchan_publisher; nchan_channel_id all; \
         nchan_message_buffer_length 2000; nchan_message_timeout 5m; }}\n\
         location = /follow {{ nchan_subscriber eventsource; nchan_channel_id all; \
         nchan_subscriber_first_message newest; \
         nchan_eventsource_ping_interval {HEARTBEAT_SECONDS}; }}\n}}\n}}\n"
    )
}
