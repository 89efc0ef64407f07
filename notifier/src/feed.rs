//! From the stream to the ring: one reader for all clients, which is built anew whenever it breaks.

use std::sync::Arc;
use std::time::Duration;

use lapin::Connection;
use shared_events::amqp::{self, AmqpSettings, Backoff, ConnectError};
use shared_events::service::Clock;
use shared_events::topology::{Part, UPDATES_STREAM};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::FeedSettings;
use crate::fanout::Fanout;
use crate::news::News;
use crate::position::Position;
use crate::ring::{self, Entry, Limits, Ring};
use crate::stream::{From, Message, ReadError, StreamReader};

/// So many messages become one batch of the ring at most.
const BATCH: usize = 256;

/// Between two markers lies at least so much, however often somebody asks to be sure.
const MARKER_PAUSE: Duration = Duration::from_millis(50);

/// How often what was read is acknowledged when little comes.
const ACKNOWLEDGE_EVERY: Duration = Duration::from_secs(5);

/// Reads the stream into the ring.
#[derive(Debug)]
pub struct Feed {
    amqp: AmqpSettings,
    settings: FeedSettings,
    limits: Limits,
    fanout: Arc<Fanout>,
    clock: Clock,
    instance: Uuid,
    news: News,
    /// The last message read of the stream that clients know.
    last: Option<Position>,
    metrics: Metrics,
}

#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("a marker did not come back within {0:?}")]
    MarkerLost(Duration),
    #[error("the stream was made anew, or no longer holds what comes next")]
    Replaced,
}

/// A marker that is on its way.
struct Awaited {
    marker: Uuid,
    answers: u64,
    deadline: Instant,
}

/// What is read before clients may see it: a stream's past, up to its head at the start.
struct Catching {
    head: Position,
    /// From this offset on entries go into the ring; what stands before it is only noted.
    shown_from: u64,
    ring: Ring,
}

impl Feed {
    /// A feed into `fanout`.
    #[must_use]
    pub fn new(
        amqp: AmqpSettings,
        settings: FeedSettings,
        limits: Limits,
        fanout: Arc<Fanout>,
        clock: Clock,
    ) -> Self {
        Self {
            news: News::new(settings.max_contractors),
            metrics: Metrics::new(),
            instance: Uuid::new_v4(),
            last: None,
            amqp,
            settings,
            limits,
            fanout,
            clock,
        }
    }

    /// Runs until `stop`, whatever happens to the broker.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let ended = stop.run_until_cancelled(self.session(&mut backoff)).await;
            self.fanout
                .progress()
                .update(|status| status.is_current = false);
            let Some(Err(error)) = ended else { return };
            if let FeedError::Read(ReadError::Broker(error)) = &error {
                self.amqp.was_not_let(UPDATES_STREAM, error);
            }
            self.metrics.reconnects.increment(1);
            if matches!(error, FeedError::Replaced) {
                tracing::warn!(last = ?self.last, %error, "the feed begins anew");
                self.last = None;
                continue;
            }
            if backoff.is_fresh() {
                tracing::warn!(%error, "the feed broke; building it anew");
            } else {
                tracing::debug!(%error, "the feed could not be built");
            }
            let wait = tokio::time::sleep(backoff.next_wait());
            if stop.run_until_cancelled(wait).await.is_none() {
                return;
            }
        }
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.settings.feed_timeout_seconds)
    }

    /// Connects, catches up and follows the stream until something breaks.
    async fn session(&mut self, backoff: &mut Backoff) -> Result<(), FeedError> {
        let connection = amqp::connect(&self.amqp, "notifier feed", Part::Notifier).await?;
        let timeout = self.timeout();
        let opening = tokio::time::timeout(timeout, self.open(&connection));
        let (mut reader, catching) = opening.await.map_err(|_| ReadError::Stalled(timeout))??;
        self.catch_up(&mut reader, catching).await?;
        self.amqp.was_let(UPDATES_STREAM);
        if !backoff.is_fresh() {
            tracing::info!("the feed follows the stream again");
        }
        backoff.reset();
        self.fanout.progress().update(|status| {
            status.is_current = true;
            status.is_positioned = true;
        });
        self.follow(&mut reader).await
    }

    /// Begins to read where the last session ended, or, where there is nothing to go on from, in
    /// the stream's past.
    async fn open(
        &mut self,
        connection: &Connection,
    ) -> Result<(StreamReader, Result<Position, Catching>), FeedError> {
        let head = self.send_and_find_marker(connection).await?;
        let prefetch = self.settings.feed_prefetch;
        if let Some(last) = self.last {
            // The marker is newer than all that was read, so in the same stream it comes later.
            if head.offset <= last.offset {
                return Err(FeedError::Replaced);
            }
            let from = From::Offset(last.offset);
            let mut reader = StreamReader::open(connection, from, prefetch).await?;
            let first = reader.next_within(self.timeout()).await?;
            if first.position != last {
                return Err(FeedError::Replaced);
            }
            return Ok((reader, Ok(head)));
        }
        let shown_from = self.ring_begins_at(connection, head).await?;
        let from = shown_from.saturating_sub(self.settings.prime_events);
        let reader = StreamReader::open(connection, From::Offset(from), prefetch).await?;
        self.news = News::new(self.settings.max_contractors);
        let ring = Ring::new(self.limits);
        Ok((
            reader,
            Err(Catching {
                head,
                shown_from,
                ring,
            }),
        ))
    }

    /// The end of the stream now: the position of a marker of our own.
    async fn send_and_find_marker(&self, connection: &Connection) -> Result<Position, FeedError> {
        let mut reader = StreamReader::open(connection, From::Next, 100).await?;
        let marker = reader.send_marker(self.instance).await?;
        loop {
            let message = reader.next_within(self.timeout()).await?;
            if message.marker == Some(marker) {
                return Ok(message.position);
            }
        }
    }

    /// The first offset that the ring shall hold at the start: of what came in the preload time,
    /// as much as fits.
    async fn ring_begins_at(
        &self,
        connection: &Connection,
        head: Position,
    ) -> Result<u64, FeedError> {
        let as_much_as_fits = head.offset.saturating_sub(self.limits.events as u64);
        let seconds = self.settings.ring_preload_seconds;
        if seconds == 0 {
            return Ok(head.offset);
        }
        // The marker is there, so something comes.
        let mut reader = StreamReader::open(connection, From::Ago(seconds), 1).await?;
        let first = reader.next_within(self.timeout()).await?.position.offset;
        Ok(first.clamp(as_much_as_fits, head.offset))
    }

    /// Reads up to what was the head of the stream when this session began.
    async fn catch_up(
        &mut self,
        reader: &mut StreamReader,
        catching: Result<Position, Catching>,
    ) -> Result<(), FeedError> {
        let mut last = self.last;
        match catching {
            Ok(head) => {
                while self.last.is_none_or(|last| last.offset < head.offset) {
                    let batch = self.batch_within(reader).await?;
                    self.append(&batch);
                }
            }
            Err(Catching {
                head,
                shown_from,
                mut ring,
            }) => {
                while last.is_none_or(|last| last.offset < head.offset) {
                    let mut entries = Vec::new();
                    for message in self.batch_within(reader).await? {
                        last = Some(message.position);
                        if message.position.offset < shown_from {
                            self.news.note(&message);
                        } else {
                            entries.push(self.entry(&message));
                        }
                    }
                    ring::pack(&mut entries);
                    for entry in entries {
                        ring.push(entry);
                    }
                }
                tracing::info!(position = %head, events = ring.len(), "the feed has caught up");
                self.last = last;
                self.fanout.replace(ring);
                self.has_read();
            }
        }
        Ok(())
    }

    async fn batch_within(&self, reader: &mut StreamReader) -> Result<Vec<Message>, FeedError> {
        let timeout = self.timeout();
        let batch = tokio::time::timeout(timeout, reader.next_batch(BATCH)).await;
        Ok(batch.map_err(|_| ReadError::Stalled(timeout))??)
    }

    /// Hands on what comes, and makes sure when somebody asks, or when nothing has come for long.
    async fn follow(&mut self, reader: &mut StreamReader) -> Result<(), FeedError> {
        let fanout = Arc::clone(&self.fanout);
        let progress = fanout.progress();
        let probe_after = Duration::from_secs(self.settings.feed_probe_seconds);
        let mut acknowledge = tokio::time::interval(ACKNOWLEDGE_EVERY);
        let mut awaited: Option<Awaited> = None;
        let mut wanted_at: Option<Instant> = None;
        let mut last_marker = Instant::now();
        let mut last_message = Instant::now();
        loop {
            let next_marker = wanted_at.unwrap_or(last_message + probe_after);
            tokio::select! {
                batch = reader.next_batch(BATCH) => {
                    let batch = batch?;
                    last_message = Instant::now();
                    let answered = awaited.take_if(|awaited| {
                        batch.iter().any(|message| message.marker == Some(awaited.marker))
                    });
                    self.append(&batch);
                    if let Some(answered) = answered {
                        progress.update(|status| status.checked = answered.answers);
                    }
                }
                () = progress.wanted(), if wanted_at.is_none() => {
                    wanted_at = Some(last_marker + MARKER_PAUSE);
                }
                () = tokio::time::sleep_until(next_marker), if awaited.is_none() => {
                    let answers = progress.requested();
                    let marker = reader.send_marker(self.instance).await?;
                    last_marker = Instant::now();
                    wanted_at = None;
                    awaited = Some(Awaited { marker, answers, deadline: last_marker + self.timeout() });
                }
                () = sleep_until(awaited.as_ref().map(|awaited| awaited.deadline)) => {
                    return Err(FeedError::MarkerLost(self.timeout()));
                }
                _ = acknowledge.tick() => reader.acknowledge().await?,
            }
        }
    }

    fn append(&mut self, batch: &[Message]) {
        let entries: Vec<Entry> = batch.iter().map(|message| self.entry(message)).collect();
        if let Some(newest) = entries.last() {
            self.last = Some(newest.position);
        }
        self.fanout.append(entries);
        self.has_read();
    }

    /// Tells the others how far the ring has come. Only after it has.
    fn has_read(&self) {
        if let Some(last) = self.last {
            self.fanout
                .progress()
                .update(|status| status.offset = last.offset);
            #[expect(clippy::cast_precision_loss, reason = "offsets are far below 2^53")]
            self.metrics.offset.set(last.offset as f64);
        }
    }

    fn entry(&mut self, message: &Message) -> Entry {
        let now = self.clock.now();
        let seen = self.news.show(message);
        if let Some(seen) = &seen {
            self.metrics.events.increment(1);
            if let Some(time) = seen.time {
                self.metrics
                    .lag
                    .record((now - time).as_seconds_f64().max(0.0));
            }
        }
        Entry {
            position: message.position,
            read_at: now,
            shown: seen.map(|seen| seen.shown),
        }
    }
}

/// Never, where there is no deadline.
async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[derive(Debug)]
struct Metrics {
    events: metrics::Counter,
    reconnects: metrics::Counter,
    offset: metrics::Gauge,
    lag: metrics::Histogram,
}

impl Metrics {
    fn new() -> Self {
        Self {
            events: metrics::counter!("notifier_feed_events_total"),
            reconnects: metrics::counter!("notifier_feed_reconnects_total"),
            offset: metrics::gauge!("notifier_feed_offset"),
            lag: metrics::histogram!("notifier_feed_lag_seconds"),
        }
    }
}
