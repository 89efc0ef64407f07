//! The works, and what is told of each.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::http_client::authorization;
use benches::spread::Spread;
use benches::usage::{self, Program};
use clap::ValueEnum;
use stack::procfs::{Resident, resident_kib};

use crate::load::Outcome;
use crate::subject::{Ground, HEARTBEAT_SECONDS, Kind, Subject};

/// So many messages are a burst.
const BURST: usize = 500;

/// So many messages are behind a client that resumes.
const MISSED: usize = 1000;

/// So many messages a second to all clients, for five seconds.
const STEADY: usize = 100;
const STEADY_PAUSE: Duration = Duration::from_millis(50);

/// So many messages, each to a hundredth of the clients, for five seconds.
const TO_ONE: usize = 1000;
const TO_ONE_PAUSE: Duration = Duration::from_millis(5);

/// Two intervals of the heartbeats.
const IDLE_SECONDS: u64 = 2 * HEARTBEAT_SECONDS;

/// What the server is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// 500 messages at once, to all clients
    Burst,
    /// 20 messages a second for five seconds, to all clients
    Steady,
    /// Clients of 100 territories, 200 messages a second for five seconds, each to one of them
    Territories,
    /// The hundredth part of the clients, all of one territory; 200 messages a second to it
    OneTerritory,
    /// Nothing but heartbeats, for 30 seconds
    Idle,
    /// All clients resume at once after a restart, 1,000 messages behind
    Resume,
}

impl Work {
    /// Whether such a server can do it at all.
    pub(crate) fn suits(self, kind: Kind) -> bool {
        match self {
            Self::Burst | Self::Steady | Self::Idle => true,
            Self::Territories | Self::OneTerritory | Self::Resume => {
                matches!(kind, Kind::Floor | Kind::Notifier)
            }
        }
    }
}

/// What came of one work with one server.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    messages: f64,
    received: f64,
    lost: f64,
    pub(crate) seconds: f64,
    connecting_seconds: f64,
    pub(crate) cpu_seconds: f64,
    p50_ms: f64,
    pub(crate) p99_ms: f64,
    kib_per_connection: f64,
    peak_mib: f64,
}

impl Figures {
    pub(crate) const HEAD: &str = "| work | clients | server | deliveries/s | its CPU s per million | \
        its CPU ms per message | p50 ms | p99 ms | lost | KiB per connection | seconds | its CPU s | \
        peak MiB |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|";

    pub(crate) fn deliveries_per_second(&self) -> f64 {
        self.received / self.seconds.max(1e-9)
    }

    pub(crate) fn cpu_per_million(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.received.max(1.0)
    }

    fn cpu_ms_per_message(&self) -> f64 {
        self.cpu_seconds * 1e3 / self.messages.max(1.0)
    }

    /// A row of the table; `of` tells how a figure came out over the runs.
    pub(crate) fn row(
        work: Work,
        clients: usize,
        name: &str,
        of: impl Fn(fn(&Self) -> f64) -> Spread,
    ) -> String {
        format!(
            "| {work:?} | {clients} | {name} | {:.0} | {:.3} | {:.3} | {:.1} | {:.1} | {:.0} | {:.2} | {:.2} | {:.2} | {:.0} |",
            of(Self::deliveries_per_second),
            of(Self::cpu_per_million),
            of(Self::cpu_ms_per_message),
            of(|f| f.p50_ms),
            of(|f| f.p99_ms),
            of(|f| f.lost),
            of(|f| f.kib_per_connection),
            of(|f| f.seconds),
            of(|f| f.cpu_seconds),
            of(|f| f.peak_mib),
        )
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0}/s, CPU {:.2} s, {:.3} s per million, p50 {:.1} ms, p99 {:.1} ms, lost {:.0}, \
             {:.2} KiB a connection, {:.2} s, connected in {:.2} s, peak {:.0} MiB",
            self.deliveries_per_second(),
            self.cpu_seconds,
            self.cpu_per_million(),
            self.p50_ms,
            self.p99_ms,
            self.lost,
            self.kib_per_connection,
            self.seconds,
            self.connecting_seconds,
            self.peak_mib
        )
    }
}

/// The load, in a process of its own.
struct Clients {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Clients {
    fn start(
        subject: &Subject,
        clients: usize,
        groups: usize,
        expected: usize,
        id: Option<&str>,
    ) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .env("FANOUT_AUTHORIZATION", authorization())
            .arg("load")
            .args(["--server", &subject.address, "--path", subject.path])
            .args(["--connected-at", subject.connected_at])
            .args(["--clients", &clients.to_string()])
            .args(["--groups", &groups.to_string()])
            .args(["--expected", &expected.to_string()]);
        if let Some(id) = id {
            command.args(["--last-event-id", id]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("its output")?);
        Ok(Self { child, lines })
    }

    fn connected(&mut self) -> Result<()> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        ensure!(line.trim() == "connected", "the load says {line:?}");
        Ok(())
    }

    /// Closes its input, which ends a load that expects nothing.
    fn outcome(mut self) -> Result<Outcome> {
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        self.child.wait()?;
        serde_json::from_str(&line).with_context(|| format!("the load says {line:?}"))
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Does the work once.
pub(crate) fn measure(work: Work, kind: Kind, clients: usize, ground: &Ground) -> Result<Figures> {
    let by_territory = matches!(work, Work::Territories | Work::OneTerritory);
    let mut subject = Subject::start(kind, ground, by_territory)?;
    let (clients, groups, messages, expected) = match work {
        Work::Burst => (clients, 1, BURST, BURST * clients),
        Work::Steady => (clients, 1, STEADY, STEADY * clients),
        Work::Territories => (clients, 100, TO_ONE, TO_ONE * clients / 100),
        Work::OneTerritory => (clients / 100, 1, TO_ONE, TO_ONE * clients / 100),
        Work::Idle => (clients, 1, 0, 0),
        Work::Resume => (clients, 1, MISSED, MISSED * clients),
    };
    let mut id = None;
    if work == Work::Resume {
        id = Some(subject.last_event_id()?);
        for _ in 0..MISSED / 100 {
            subject.publish(ground, 100, |_| 0)?;
        }
        subject.restart(ground)?;
    }
    let programs = [Program {
        name: kind.name(),
        pid: subject.pid,
    }];
    let start = usage::read(&programs)?;
    let empty_mib = memory_mib(&start.until(&start, &programs));
    let mut load = Clients::start(&subject, clients, groups, expected, id.as_deref())?;
    load.connected()?;
    let mut before = usage::read(&programs)?;
    let full_mib = memory_mib(&before.until(&before, &programs));
    match work {
        Work::Burst => subject.publish(ground, messages, |_| 0)?,
        Work::Steady => evenly(messages, STEADY_PAUSE, |_| {
            subject.publish(ground, 1, |_| 0)
        })?,
        Work::Territories | Work::OneTerritory => evenly(messages, TO_ONE_PAUSE, |number| {
            subject.publish(ground, 1, |_| number % groups)
        })?,
        Work::Idle => sleep(Duration::from_secs(IDLE_SECONDS)),
        // The messages were on their way as soon as the clients were.
        Work::Resume => before = start,
    }
    let outcome = load.outcome()?;
    let used = before.until(&usage::read(&programs)?, &programs);
    let connections = float(clients);
    let seconds = if work == Work::Resume {
        outcome.total_seconds
    } else {
        outcome.seconds
    };
    Ok(Figures {
        messages: float(messages),
        received: count(outcome.received),
        lost: float(expected) - count(outcome.received),
        seconds,
        connecting_seconds: outcome.connecting_seconds,
        cpu_seconds: used.first().map_or(0.0, |usage| usage.cpu_seconds),
        p50_ms: outcome.p50_ms,
        p99_ms: outcome.p99_ms,
        kib_per_connection: (full_mib - empty_mib) * 1024.0 / connections,
        peak_mib: peak_mib(subject.pid),
    })
}

/// Sends each message at its moment, however long the ones before it took.
fn evenly(
    messages: usize,
    pause: Duration,
    mut send: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    let mut next = Instant::now();
    for number in 0..messages {
        sleep(next.saturating_duration_since(Instant::now()));
        send(number)?;
        next += pause;
    }
    Ok(())
}

fn memory_mib(usages: &[usage::Usage]) -> f64 {
    usages.first().map_or(0.0, |usage| usage.memory_mib)
}

/// The most memory that a process has had resident.
fn peak_mib(pid: u32) -> f64 {
    f64::from(resident_kib(pid, Resident::Most).unwrap_or(0)) / 1024.0
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn float(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}
