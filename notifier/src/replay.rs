//! Events that are no longer in memory, read for one client from the stream itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lapin::Connection;
use shared_events::amqp::{self, AmqpSettings, ConnectError};
use shared_events::topology::Part;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::config::{FeedSettings, ReplaySettings};
use crate::fanout::Fanout;
use crate::filter::Filter;
use crate::news::News;
use crate::position::Position;
use crate::stream::{From, Message, ReadError, StreamReader};

/// So many frames are read ahead of a client that takes them slowly.
const READ_AHEAD: usize = 64;

/// Reads the past for clients, a bounded number at once, over a connection of its own, so that the
/// past never queues before the present.
#[derive(Debug)]
pub struct Replayer {
    amqp: AmqpSettings,
    settings: ReplaySettings,
    feed: FeedSettings,
    fanout: Arc<Fanout>,
    turns: Arc<Semaphore>,
    connection: Mutex<Option<Arc<Connection>>>,
    stop: CancellationToken,
}

/// Why there is no replay.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The stream no longer holds what follows the position.
    #[error("the position is no longer kept")]
    Gone,
    /// Another message stands there.
    #[error("the position is of another stream")]
    Unknown,
    /// Too many others are being served.
    #[error("no turn came within {0:?}")]
    Busy(Duration),
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Reading broke.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// What a replay brings.
#[derive(Debug)]
pub enum Replayed {
    /// The next frame.
    Frame(Bytes),
    /// The ring holds what comes after this position.
    HandOver(Position),
}

impl Replayer {
    /// Replays until `stop`.
    #[must_use]
    pub fn new(
        amqp: AmqpSettings,
        settings: ReplaySettings,
        feed: FeedSettings,
        fanout: Arc<Fanout>,
        stop: CancellationToken,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(settings.replay_readers.into()));
        Self {
            amqp,
            settings,
            feed,
            fanout,
            turns,
            connection: Mutex::new(None),
            stop,
        }
    }

    /// Finds `from` in the stream and begins to read what follows it.
    ///
    /// The frames come in order and bounded in number. Where they end without a hand-over, reading
    /// broke or took too long: the client is to resume after the last one that it got.
    pub async fn replay(
        self: &Arc<Self>,
        from: Position,
        filter: Arc<Filter>,
    ) -> Result<mpsc::Receiver<Replayed>, ReplayError> {
        let outcome = self.begin(from, filter).await;
        let word = match &outcome {
            Ok(_) => "begun",
            Err(ReplayError::Gone | ReplayError::Unknown) => "reset",
            Err(ReplayError::Busy(_)) => "busy",
            Err(ReplayError::Connect(_) | ReplayError::Read(_)) => "failed",
        };
        metrics::counter!("notifier_replays_total", "outcome" => word).increment(1);
        outcome
    }

    async fn begin(
        self: &Arc<Self>,
        from: Position,
        filter: Arc<Filter>,
    ) -> Result<mpsc::Receiver<Replayed>, ReplayError> {
        let wait = Duration::from_secs(self.settings.replay_wait_seconds);
        let turn = tokio::time::timeout(wait, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(ReplayError::Busy(wait));
        };
        let connection = self.connection().await?;
        let offset = from.offset.saturating_sub(self.feed.prime_events);
        let prefetch = self.settings.replay_prefetch;
        let opening = StreamReader::open(&connection, From::Offset(offset), prefetch);
        let timeout = self.timeout();
        let opened = tokio::time::timeout(timeout, opening).await;
        let mut reader = opened.map_err(|_| ReadError::Stalled(timeout))??;
        let mut news = News::new(self.feed.max_contractors);
        loop {
            let message = reader.next_within(timeout).await?;
            if message.position.offset > from.offset {
                return Err(ReplayError::Gone);
            }
            news.note(&message);
            if message.position.offset == from.offset {
                if message.position != from {
                    return Err(ReplayError::Unknown);
                }
                break;
            }
        }
        let (frames, receiver) = mpsc::channel(READ_AHEAD);
        let reading = Reading {
            news,
            reader,
            filter,
            at: from,
            shown: 0,
            frames,
            _turn: turn,
        };
        tokio::spawn(Arc::clone(self).read(reading));
        Ok(receiver)
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.feed.feed_timeout_seconds)
    }

    /// The connection for replays, made when first needed and again when it broke.
    async fn connection(&self) -> Result<Arc<Connection>, ConnectError> {
        let mut shared = self.connection.lock().await;
        if let Some(connection) = shared.as_ref().filter(|c| c.status().connected()) {
            return Ok(Arc::clone(connection));
        }
        let connection =
            Arc::new(amqp::connect(&self.amqp, "notifier replays", Part::Notifier).await?);
        *shared = Some(Arc::clone(&connection));
        Ok(connection)
    }

    async fn read(self: Arc<Self>, reading: Reading) {
        let limit = Duration::from_secs(self.settings.replay_seconds);
        let reading = tokio::time::timeout(limit, self.read_until_ring(reading));
        match self.stop.run_until_cancelled(reading).await {
            Some(Ok(Err(error))) => tracing::warn!(%error, "a replay broke"),
            Some(Err(_)) => tracing::info!(?limit, "a replay took too long"),
            Some(Ok(Ok(()))) | None => {}
        }
    }

    async fn read_until_ring(&self, mut reading: Reading) -> Result<(), ReadError> {
        let timeout = self.timeout();
        loop {
            let at = reading.at;
            if self.fanout.can_follow(at.offset) {
                #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
                metrics::histogram!("notifier_replay_events").record(reading.shown as f64);
                let _ = reading.frames.send(Replayed::HandOver(at)).await;
                return Ok(());
            }
            // A replay can be ahead of the feed: both read the same stream.
            let progress = self.fanout.progress();
            if progress.status().offset < at.offset {
                if !progress
                    .wait(timeout, |status| status.offset >= at.offset)
                    .await
                {
                    return Err(ReadError::Stalled(timeout));
                }
                continue;
            }
            let message = reading.reader.next_within(timeout).await?;
            reading.at = message.position;
            let Some(frame) = reading.frame_of(&message) else {
                continue;
            };
            reading.shown += 1;
            if reading.frames.send(Replayed::Frame(frame)).await.is_err() {
                // The client has gone.
                return Ok(());
            }
        }
    }
}

struct Reading {
    news: News,
    reader: StreamReader,
    filter: Arc<Filter>,
    at: Position,
    /// So many events were sent to the client.
    shown: u64,
    frames: mpsc::Sender<Replayed>,
    _turn: OwnedSemaphorePermit,
}

impl Reading {
    fn frame_of(&mut self, message: &Message) -> Option<Bytes> {
        let shown = self.news.show(message)?.shown;
        self.filter.shows(&shown.facts).then(|| shown.frame.bytes())
    }
}
