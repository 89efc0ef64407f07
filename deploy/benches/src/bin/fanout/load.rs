//! The load generator: thousands of clients on one thread, cheap enough to run beside the server.
//!
//! It does not read the event stream: it looks for the moment at which each message was sent, which
//! stands in the message, and counts.

use std::io::{ErrorKind, Read, Write, stdin, stdout};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use benches::latency::{Latencies, Quantiles};
use clap::Args;
use memchr::memmem::Finder;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use serde::{Deserialize, Serialize};

use crate::clock::now_ns;

/// What precedes the moment of sending in each message, in nanoseconds of the monotonic clock.
pub(crate) const SENT: &str = "\"sent\":";

/// Longer than [`SENT`] and the digits after it: so much of a read may belong to the next one.
const CARRIED: usize = 40;

/// Connects clients and counts what they get
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// The server, such as `127.0.0.1:8082`
    #[arg(long)]
    pub(crate) server: String,

    /// What each client asks for; `{}` is its number, modulo `--groups`
    #[arg(long)]
    pub(crate) path: String,

    /// Values that `{}` takes
    #[arg(long, default_value_t = 1)]
    pub(crate) groups: usize,

    /// The id after which they resume
    #[arg(long)]
    pub(crate) last_event_id: Option<String>,

    /// A line of each request's head, with its end
    #[arg(
        long,
        env = "FANOUT_AUTHORIZATION",
        hide_env_values = true,
        default_value = ""
    )]
    pub(crate) authorization: String,

    /// How many clients
    #[arg(long)]
    pub(crate) clients: usize,

    /// So many messages are expected by all of them together
    #[arg(long)]
    pub(crate) expected: u64,

    /// A client is connected when its answer holds this
    #[arg(long)]
    pub(crate) connected_at: String,

    /// Seconds after which what has not come is lost
    #[arg(long, default_value_t = 60)]
    pub(crate) patience_seconds: u64,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Messages that came, all clients together.
    pub(crate) received: u64,
    /// From the sending of the first until the last had come.
    pub(crate) seconds: f64,
    /// From the first connection until all were connected.
    pub(crate) connecting_seconds: f64,
    /// From the first connection until the last had come.
    pub(crate) total_seconds: f64,
    /// From the sending of a message until a client had it: half of them, and 99 of 100.
    pub(crate) p50_ms: f64,
    /// See `p50_ms`.
    pub(crate) p99_ms: f64,
}

struct Client {
    socket: TcpStream,
    carried: Vec<u8>,
    is_connected: bool,
}

/// Runs as a process of its own: says `connected`, and then, when all has come or standard input
/// has ended, the outcome as JSON.
pub(crate) fn run(load: &Load) -> Result<()> {
    let started = now_ns();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let mut reading = Reading::new(load);
    let mut clients = Vec::with_capacity(load.clients);
    for number in 0..load.clients {
        clients.push(connect(load, &epoll, number)?);
        // Who is there already reads while others come.
        reading.turn(&epoll, &mut clients, 0)?;
    }
    while reading.connected < clients.len() {
        let before = reading.connected;
        reading.turn(&epoll, &mut clients, 10_000)?;
        ensure!(
            reading.connected > before || reading.received > 0 || reading.last_ns > 0,
            "{} of {} clients are connected after 10 s of silence",
            reading.connected,
            clients.len()
        );
    }
    let connecting_seconds = seconds(now_ns() - started);
    println!("connected");
    stdout().flush()?;
    if load.expected == 0 {
        std::io::copy(&mut stdin().lock(), &mut std::io::sink())?;
    }
    let deadline = now_ns() + load.patience_seconds * 1_000_000_000;
    while reading.received < load.expected && now_ns() < deadline {
        reading.turn(&epoll, &mut clients, 100)?;
    }
    let Quantiles { p50_ms, p99_ms, .. } = reading.latencies.quantiles();
    let outcome = Outcome {
        received: reading.received,
        seconds: seconds(reading.last_ns.saturating_sub(reading.first_sent_ns)),
        connecting_seconds,
        total_seconds: seconds(reading.last_ns.saturating_sub(started)),
        p50_ms,
        p99_ms,
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

fn seconds(ns: u64) -> f64 {
    Duration::from_nanos(ns).as_secs_f64()
}

fn connect(load: &Load, epoll: &Epoll, number: usize) -> Result<Client> {
    let mut socket = TcpStream::connect(&load.server).context("a connection")?;
    let path = load
        .path
        .replace("{}", &(number % load.groups.max(1)).to_string());
    let id = load.last_event_id.as_ref();
    let resume = id.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
    let authorization = &load.authorization;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{authorization}{resume}\r\n"
    );
    socket.write_all(head.as_bytes())?;
    socket.set_nonblocking(true)?;
    let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::try_from(number)?);
    epoll.add(&socket, event)?;
    Ok(Client {
        socket,
        carried: Vec::new(),
        is_connected: false,
    })
}

struct Reading {
    room: Vec<u8>,
    events: Vec<EpollEvent>,
    sent: Finder<'static>,
    connected_at: Vec<u8>,
    connected: usize,
    received: u64,
    first_sent_ns: u64,
    last_ns: u64,
    latencies: Latencies,
}

impl Reading {
    fn new(load: &Load) -> Self {
        Self {
            room: vec![0; 256 * 1024],
            events: vec![EpollEvent::empty(); 1024],
            sent: Finder::new(SENT),
            connected_at: load.connected_at.clone().into_bytes(),
            connected: 0,
            received: 0,
            first_sent_ns: u64::MAX,
            last_ns: 0,
            latencies: Latencies::new(),
        }
    }

    /// Takes what is there, or waits for so many milliseconds until something is.
    fn turn(&mut self, epoll: &Epoll, clients: &mut [Client], milliseconds: u16) -> Result<()> {
        let mut events = std::mem::take(&mut self.events);
        let count = epoll.wait(&mut events, EpollTimeout::from(milliseconds))?;
        for event in events.iter().take(count) {
            let number = usize::try_from(event.data())?;
            let client = clients.get_mut(number).context("a client")?;
            self.take(client)?;
        }
        self.events = events;
        Ok(())
    }

    fn take(&mut self, client: &mut Client) -> Result<()> {
        let begin = client.carried.len();
        self.room
            .get_mut(..begin)
            .context("room")?
            .copy_from_slice(&client.carried);
        let room = self.room.get_mut(begin..).context("room")?;
        let count = match client.socket.read(room) {
            Ok(0) => anyhow::bail!("the server has closed a connection"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let now = now_ns();
        let bytes = self.room.get(..begin + count).context("room")?;
        if !client.is_connected {
            let found = memchr::memmem::find(bytes, &self.connected_at);
            client.is_connected = found.is_some();
            self.connected += usize::from(client.is_connected);
        }
        let mut rest = bytes;
        while let Some(at) = self.sent.find(rest) {
            let after = rest.get(at + SENT.len()..).unwrap_or_default();
            let digits = after.iter().take_while(|byte| byte.is_ascii_digit());
            let length = digits.count();
            if length == after.len() {
                // The number may go on.
                rest = rest.get(at..).unwrap_or_default();
                break;
            }
            let text = std::str::from_utf8(after.get(..length).unwrap_or_default())?;
            let sent: u64 = text.parse().context("a moment")?;
            self.received += 1;
            self.first_sent_ns = self.first_sent_ns.min(sent);
            self.latencies
                .record(Duration::from_nanos(now.saturating_sub(sent)));
            rest = after.get(length..).unwrap_or_default();
        }
        self.last_ns = now;
        // While it is not connected, what is looked for may be longer.
        let carried = if client.is_connected { CARRIED } else { 4096 };
        let from = rest.len().saturating_sub(carried);
        let tail = rest.get(from..).unwrap_or_default();
        client.carried.clear();
        client.carried.extend_from_slice(tail);
        Ok(())
    }
}
