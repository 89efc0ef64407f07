//! A wire that can be cut: a TCP proxy in front of a server.

use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::ports::{self, Port};

/// The state of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    /// Bytes pass.
    Whole,
    /// Connections are closed, new ones at once.
    Cut,
    /// Connections stay open and new ones are taken, but no byte passes.
    Silent,
    /// Every chunk waits so long, and no more than so many bytes a second pass, each way.
    Slow { delay: Duration, rate: u32 },
}

impl Wire {
    fn pace(self) -> Pace {
        match self {
            Self::Slow { delay, rate } => Pace { delay, rate },
            Self::Whole | Self::Cut | Self::Silent => Pace::default(),
        }
    }
}

/// How fast bytes pass.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    delay: Duration,
    /// Bytes a second; 0 for as many as come.
    rate: u32,
}

/// Passes connections on to a server until it is told otherwise.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    wire: Arc<watch::Sender<Wire>>,
    resets: Arc<watch::Sender<u64>>,
    target: Arc<watch::Sender<String>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// One before the server of `url`, and the URL that leads through it.
    ///
    /// # Errors
    /// When `url` names no server, or it cannot listen.
    pub async fn before(url: &str) -> Result<(Self, String)> {
        let place = authority(url).with_context(|| format!("{url} is no URL"))?;
        let proxy = Self::start(&url[place.clone()]).await?;
        let mut through = url.to_owned();
        through.replace_range(place, &proxy.address());
        Ok((proxy, through))
    }

    async fn start(target: &str) -> Result<Self> {
        let port = ports::reserve()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).await?;
        let wire = Arc::new(watch::Sender::new(Wire::Whole));
        let resets = Arc::new(watch::Sender::new(0));
        let target = Arc::new(watch::Sender::new(target.to_owned()));
        let (present, states) = (Arc::clone(&target), Arc::clone(&wire));
        let wishes = Arc::clone(&resets);
        let accepting = tokio::spawn(async move {
            // Ends with the proxy: the connections are tasks of this set.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => if let Ok((client, _)) = accepted {
                        let (wire, resets) = (states.subscribe(), wishes.subscribe());
                        let target = present.borrow().clone();
                        connections.spawn(pass(client, target, wire, resets));
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self {
            port,
            wire,
            resets,
            target,
            accepting,
        })
    }

    /// Where it listens: a `host:port` to put in the place of the server's.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// Closes all connections and refuses new ones.
    pub fn cut(&self) {
        self.wire.send_replace(Wire::Cut);
    }

    /// Lets no more bytes pass, either way, while everything looks open.
    pub fn silence(&self) {
        self.wire.send_replace(Wire::Silent);
    }

    /// Holds every chunk for `delay`, each way.
    pub fn delay(&self, delay: Duration) {
        self.wire.send_replace(Wire::Slow { delay, rate: 0 });
    }

    /// Lets no more than `rate` bytes a second of each connection pass, each way.
    pub fn throttle(&self, rate: u32) {
        let delay = Duration::ZERO;
        self.wire.send_replace(Wire::Slow { delay, rate });
    }

    /// Resets all connections (RST, not an orderly end); new ones are taken.
    pub fn reset(&self) {
        self.resets.send_modify(|count| *count += 1);
    }

    /// Passes new connections on to the server of `url`, as a name or a virtual address does after a
    /// failover; those that are open stay where they are.
    ///
    /// # Errors
    /// When `url` names no server.
    pub fn retarget(&self, url: &str) -> Result<()> {
        let place = authority(url).with_context(|| format!("{url} is no URL"))?;
        self.target.send_replace(url[place].to_owned());
        Ok(())
    }

    /// Lets everything pass again.
    pub fn mend(&self) {
        self.wire.send_replace(Wire::Whole);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Where the `host:port` of a URL stands in it.
fn authority(url: &str) -> Option<Range<usize>> {
    let start = url.find("://")? + "://".len();
    let end = url[start..]
        .find('/')
        .map_or(url.len(), |length| start + length);
    let user = url[start..end].rfind('@').map_or(0, |length| length + 1);
    Some(start + user..end)
}

async fn pass(
    mut client: TcpStream,
    target: String,
    mut wire: watch::Receiver<Wire>,
    mut resets: watch::Receiver<u64>,
) {
    if *wire.borrow() == Wire::Cut {
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    let has_reset = relay(&mut client, &mut server, &mut wire, &mut resets).await;
    if has_reset {
        // What is sent when such a socket closes is a reset.
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

/// Passes bytes on until an end; true where that is a reset.
async fn relay(
    client: &mut TcpStream,
    server: &mut TcpStream,
    wire: &mut watch::Receiver<Wire>,
    resets: &mut watch::Receiver<u64>,
) -> bool {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let mut up = Relay::default();
    let mut down = Relay::default();
    loop {
        let now = *wire.borrow_and_update();
        match now {
            Wire::Cut => return false,
            Wire::Silent => tokio::select! {
                changed = wire.changed() => if changed.is_err() { return false },
                changed = resets.changed() => return changed.is_ok(),
            },
            Wire::Whole | Wire::Slow { .. } => tokio::select! {
                changed = wire.changed() => if changed.is_err() { return false },
                changed = resets.changed() => return changed.is_ok(),
                more = up.step(&mut from_client, &mut to_server, now.pace()) => if !more { return false },
                more = down.step(&mut from_server, &mut to_client, now.pace()) => if !more { return false },
            },
        }
    }
}

/// One direction. What has been read and not yet written outlives an interruption.
#[derive(Debug)]
struct Relay {
    buffer: Box<[u8]>,
    from: usize,
    to: usize,
    /// Nothing is written before.
    due: Instant,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            buffer: vec![0; 16 << 10].into_boxed_slice(),
            from: 0,
            to: 0,
            due: Instant::now(),
        }
    }
}

impl Relay {
    /// Reads or writes once; false at the end. May be dropped while it waits and loses nothing:
    /// one read and one write are all or nothing.
    async fn step(
        &mut self,
        source: &mut (impl tokio::io::AsyncRead + Unpin),
        sink: &mut (impl tokio::io::AsyncWrite + Unpin),
        pace: Pace,
    ) -> bool {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        if self.from == self.to {
            match source.read(&mut self.buffer).await {
                Ok(0) | Err(_) => return false,
                Ok(count) => (self.from, self.to) = (0, count),
            }
            self.due = Instant::now() + pace.delay;
            return true;
        }
        tokio::time::sleep_until(self.due).await;
        let most = match pace.rate {
            0 => self.to - self.from,
            // Four times a second.
            rate => (self.to - self.from).min(rate as usize / 4 + 1),
        };
        match sink.write(&self.buffer[self.from..self.from + most]).await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.from += count;
                if pace.rate > 0 {
                    let written = u32::try_from(count).unwrap_or(u32::MAX);
                    self.due = Instant::now() + Duration::from_secs(1) * written / pace.rate;
                }
                true
            }
        }
    }
}
