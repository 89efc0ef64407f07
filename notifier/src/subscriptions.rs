//! Opens streams, within bounds, and finds out where each begins.

use std::sync::Arc;
use std::time::Duration;

use metrics::Gauge;
use shared_events::service::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::ClientSettings;
use crate::fanout::{Cursor, Delivered, Fanout, Located};
use crate::filter::Filter;
use crate::frame::{self, ResetReason};
use crate::position::Position;
use crate::replay::{ReplayError, Replayer};
use crate::subscription::{EventStream, Start};

/// What a client asks to begin after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Nothing: it begins with what comes.
    No,
    /// A position that it has been given.
    After(Position),
    /// Something that no notifier gives out.
    Unreadable,
}

/// There are as many streams open as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Opens streams.
#[derive(Debug, Clone)]
pub struct Subscriptions {
    fanout: Arc<Fanout>,
    replayer: Arc<Replayer>,
    settings: ClientSettings,
    clock: Clock,
    places: Arc<Semaphore>,
    open: Gauge,
    delivered: Delivered,
}

/// A stream's place among those that are open.
struct Place {
    open: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.decrement(1.0);
    }
}

impl Subscriptions {
    /// No streams yet.
    #[must_use]
    pub fn new(
        fanout: Arc<Fanout>,
        replayer: Arc<Replayer>,
        settings: ClientSettings,
        clock: Clock,
    ) -> Self {
        let places = Arc::new(Semaphore::new(
            settings.max_streams.min(Semaphore::MAX_PERMITS),
        ));
        let open = metrics::gauge!("notifier_streams_open");
        let delivered = Delivered::default();
        Self {
            fanout,
            replayer,
            settings,
            clock,
            places,
            open,
            delivered,
        }
    }

    /// Opens a stream.
    pub fn open(&self, filter: Filter, resume: Resume) -> Result<EventStream, Full> {
        let permit = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Full)?;
        self.open.increment(1.0);
        let place = Box::new(Place {
            open: self.open.clone(),
            _permit: permit,
        });
        let filter = Arc::new(filter);
        let membership = self.fanout.wakers().join(Arc::clone(&filter));
        let start = Box::pin(self.clone().start(filter, resume));
        let fanout = Arc::clone(&self.fanout);
        Ok(EventStream::new(
            fanout,
            membership,
            start,
            self.delivered.clone(),
            place,
        ))
    }

    /// Where the stream begins, and what it begins with.
    async fn start(self, filter: Arc<Filter>, resume: Resume) -> Start {
        let wait = Duration::from_secs(self.settings.start_wait_seconds);
        let progress = self.fanout.progress();
        if !progress.wait(wait, |status| status.is_positioned).await {
            return Start::NotNow;
        }
        let position = match resume {
            Resume::No => return self.begin_at_head(&filter, None),
            Resume::Unreadable => return self.begin_at_head(&filter, Some(ResetReason::UnknownId)),
            Resume::After(position) => position,
        };
        let mut located = self.fanout.locate(position);
        if located == Located::Newer {
            // Another notifier may be ahead of this one, so make sure before saying so.
            if !progress.wait_until_current(wait).await {
                return Start::NotNow;
            }
            located = self.fanout.locate(position);
        }
        match located {
            Located::Here(cursor) => Start::Live {
                cursor,
                first: vec![self.ready(&filter, Some(position), position)],
            },
            Located::Newer | Located::Unknown => {
                self.begin_at_head(&filter, Some(ResetReason::UnknownId))
            }
            Located::Older => match self.replayer.replay(position, Arc::clone(&filter)).await {
                Ok(frames) => {
                    let first = vec![self.ready(&filter, Some(position), position)];
                    Start::Replay { frames, first }
                }
                Err(ReplayError::Gone) => self.begin_at_head(&filter, Some(ResetReason::TooOld)),
                Err(ReplayError::Unknown) => {
                    self.begin_at_head(&filter, Some(ResetReason::UnknownId))
                }
                Err(error) => {
                    tracing::warn!(%position, %error, "a client cannot resume now");
                    Start::NotNow
                }
            },
        }
    }

    /// Begins with what comes, after a reset where there is a reason for one.
    fn begin_at_head(&self, filter: &Filter, reset: Option<ResetReason>) -> Start {
        let Some((head, cursor)): Option<(Position, Cursor)> = self.fanout.head() else {
            return Start::NotNow;
        };
        let first = match reset {
            None => vec![self.ready(filter, Some(head), head)],
            // Until it has the reset, the client keeps the id for which it gets it.
            Some(reason) => {
                vec![
                    self.ready(filter, None, head),
                    frame::counted_reset(head, reason),
                ]
            }
        };
        Start::Live { cursor, first }
    }

    fn ready(&self, filter: &Filter, id: Option<Position>, position: Position) -> bytes::Bytes {
        let id = id.map(|id| id.to_string());
        let seconds = self.settings.heartbeat_seconds;
        frame::ready(
            id.as_deref(),
            &position.to_string(),
            self.clock.now(),
            filter,
            seconds,
        )
    }
}
