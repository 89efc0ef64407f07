//! Opens streams, within bounds, and finds out where each begins.

use std::sync::Arc;
use std::time::Duration;

use shared_events::service::Clock;
use tokio::time::Instant;

use crate::admission::{Admission, Refused};
use crate::caller::Caller;
use crate::config::ClientSettings;
use crate::fanout::{Cursor, Delivered, Fanout, Located};
use crate::filter::Filter;
use crate::frame::{self, ResetReason};
use crate::position::Position;
use crate::replay::{ReplayError, Replayer};
use crate::slot::Slot;
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

/// Opens streams.
#[derive(Debug, Clone)]
pub struct Subscriptions {
    fanout: Arc<Fanout>,
    replayer: Arc<Replayer>,
    settings: ClientSettings,
    clock: Clock,
    admission: Admission,
    delivered: Delivered,
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
        Self {
            admission: Admission::new(&settings),
            delivered: Delivered::default(),
            fanout,
            replayer,
            settings,
            clock,
        }
    }

    /// Opens a stream for `caller`.
    pub fn open(
        &self,
        caller: Caller,
        filter: Filter,
        resume: Resume,
    ) -> Result<EventStream, Refused> {
        let place = self.admission.admit(&caller, Instant::now())?;
        let filter = Arc::new(filter);
        let slot = Slot::new(caller, Arc::clone(&filter), self.clock.now());
        let membership = self.fanout.wakers().join(slot);
        let start = Box::pin(self.clone().start(filter, resume));
        Ok(EventStream::new(
            Arc::clone(&self.fanout),
            membership,
            start,
            self.delivered.clone(),
            place,
        ))
    }

    /// The streams that are open, each with the number of events that it has yet to look at.
    #[must_use]
    pub fn all(&self) -> Vec<(Arc<Slot>, Option<u64>)> {
        let end = self.fanout.end();
        let all = self.fanout.wakers().all().into_iter();
        all.map(|slot| {
            let lag = slot.lag(end);
            (slot, lag)
        })
        .collect()
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
