//! The SSE clients.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;

use crate::event_stream::{Chunks, Events, Kind, Seen};
use crate::http_client::{authority, connect, request};
use crate::pipeline::board::Board;

/// Subscribes `count` clients to everything and waits until each is told that it is.
///
/// # Errors
/// When one is refused.
pub async fn subscribe(notifier_url: &str, count: u32, board: &Board) -> Result<()> {
    let host = authority(notifier_url)?.to_owned();
    let mut readiness = Vec::new();
    for _ in 0..count {
        let (tell, told) = oneshot::channel();
        let (host, board) = (host.clone(), board.clone());
        tokio::spawn(async move {
            if let Err(error) = listen(&host, &board, tell).await {
                board.failed(format!("a client of the notifier: {error:#}"));
            }
        });
        readiness.push(told);
    }
    for told in readiness {
        told.await.map_err(|_| {
            anyhow::anyhow!(board.failure().unwrap_or_else(|| "no stream".to_owned()))
        })?;
    }
    Ok(())
}

/// The versions that one client has of one contractor.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    schedule: i64,
    availability: i64,
}

async fn listen(host: &str, board: &Board, ready: oneshot::Sender<()>) -> Result<()> {
    let (mut answers, writer) = connect(host).await?;
    let bytes = request("GET", "/v1/events", host, None, b"");
    writer.writable().await?;
    if writer.try_write(&bytes)? != bytes.len() {
        bail!("the request could not be sent at once");
    }
    let head = answers.head().await?.to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") || !head.contains("transfer-encoding: chunked") {
        bail!("the stream is answered {head}");
    }
    let (mut socket, mut buffer) = answers.into_parts();
    let (mut chunks, mut events) = (Chunks::default(), Events::default());
    let mut known = vec![Known::default(); board.contractors()];
    let mut ready = Some(ready);
    let mut had_reset = false;
    loop {
        let now = Instant::now();
        chunks.read(&buffer, |data| {
            events.read(data, |seen| match seen {
                Seen::Ready => {
                    if let Some(ready) = ready.take() {
                        let _ = ready.send(());
                    }
                }
                Seen::Reset => had_reset = true,
                Seen::Update {
                    kind,
                    contractor,
                    version,
                } => {
                    let Some(place) = board.place(contractor) else {
                        return;
                    };
                    let known = match kind {
                        Kind::Schedule => &mut known[place].schedule,
                        Kind::Availability => &mut known[place].availability,
                    };
                    board.arrived(kind, place, *known, version, now);
                    *known = version.max(*known);
                }
            });
        })?;
        if had_reset {
            bail!("it was reset, so it has missed something");
        }
        buffer.clear();
        buffer.reserve(64 << 10);
        let read = socket.read_buf(&mut buffer).await.context("its stream")?;
        if read == 0 {
            bail!("its stream was closed");
        }
    }
}
