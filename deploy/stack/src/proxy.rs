//! A wire that can be cut: a TCP proxy in front of a server.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

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
}

/// Passes connections on to a server until it is told otherwise.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    wire: Arc<watch::Sender<Wire>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port and passes on to `target`, such as `127.0.0.1:5432`.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(target: &str) -> Result<Self> {
        let port = ports::reserve()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).await?;
        let wire = Arc::new(watch::Sender::new(Wire::Whole));
        let (target, states) = (target.to_owned(), Arc::clone(&wire));
        let accepting = tokio::spawn(async move {
            // Ends with the proxy: the connections are tasks of this set.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => if let Ok((client, _)) = accepted {
                        connections.spawn(pass(client, target.clone(), states.subscribe()));
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self {
            port,
            wire,
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

async fn pass(mut client: TcpStream, target: String, mut wire: watch::Receiver<Wire>) {
    if *wire.borrow() == Wire::Cut {
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let mut up = Relay::default();
    let mut down = Relay::default();
    loop {
        let now = *wire.borrow_and_update();
        match now {
            Wire::Cut => return,
            Wire::Silent => {
                if wire.changed().await.is_err() {
                    return;
                }
            }
            Wire::Whole => tokio::select! {
                changed = wire.changed() => if changed.is_err() { return },
                more = up.step(&mut from_client, &mut to_server) => if !more { return },
                more = down.step(&mut from_server, &mut to_client) => if !more { return },
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
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            buffer: vec![0; 16 << 10].into_boxed_slice(),
            from: 0,
            to: 0,
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
    ) -> bool {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        if self.from == self.to {
            match source.read(&mut self.buffer).await {
                Ok(0) | Err(_) => return false,
                Ok(count) => (self.from, self.to) = (0, count),
            }
            return true;
        }
        match sink.write(&self.buffer[self.from..self.to]).await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.from += count;
                true
            }
        }
    }
}
