//! A peer: axum's `Sse` over `tokio::sync::broadcast`, as its documentation shows it.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::get;
use futures::Stream;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::broadcast;

use crate::floor::BACKLOG;

/// More than any work sends, so that nobody lags and nothing is lost.
const CHANNEL: usize = 65_536;

/// Runs as a process of its own: each line of standard input is a message.
#[tokio::main]
pub(crate) async fn run(port: u16) -> Result<()> {
    let (sender, _) = broadcast::channel::<String>(CHANNEL);
    let router = Router::new()
        .route("/", get(follow))
        .with_state(sender.clone());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    socket2::SockRef::from(&listener).listen(BACKLOG)?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let _ = sender.send(line);
    }
    Ok(())
}

async fn follow(
    State(sender): State<broadcast::Sender<String>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stream = futures::stream::unfold(sender.subscribe(), |mut receiver| async {
        let line = receiver.recv().await.ok()?;
        Some((Ok(Event::default().data(line)), receiver))
    });
    let alive = KeepAlive::new().interval(Duration::from_secs(15));
    Sse::new(stream).keep_alive(alive)
}
