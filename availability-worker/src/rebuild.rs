//! Fills a cache that is new, was emptied, or lost part of its keys, from the source of truth.
//!
//! A mark in Redis says that every contractor has been taken in since Redis began to hold
//! anything. It goes with everything else, so its absence is what a loss looks like. Until it is
//! there, single contractors are answered from schedule-service, and searches are refused: an
//! answer that leaves people out would be a wrong one.

use std::sync::Arc;
use std::time::Duration;

use shared_events::amqp::Backoff;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cache::{Cache, CacheError};
use crate::recalculation::{Origin, Recalculation, Stored};
use crate::source::{ScheduleSource, SourceError};

/// How often the mark is looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How many schedules are read and stored at once.
const PAGE: usize = 200;

/// Watches the cache, and rebuilds it when its mark is missing. Any number of workers may do so at
/// once: the version guard settles what they write, and each marks only what it has seen through.
#[derive(Debug)]
pub struct Rebuild {
    cache: Cache,
    source: Arc<ScheduleSource>,
    recalculation: Arc<Recalculation>,
}

#[derive(Debug, thiserror::Error)]
enum RebuildError {
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("Redis was emptied again meanwhile")]
    Emptied,
}

impl Rebuild {
    /// A rebuild of `cache` from `source`.
    #[must_use]
    pub fn new(
        cache: Cache,
        source: Arc<ScheduleSource>,
        recalculation: Arc<Recalculation>,
    ) -> Self {
        Self {
            cache,
            source,
            recalculation,
        }
    }

    /// Watches until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            let wait = match stop.run_until_cancelled(self.look()).await {
                None => return,
                Some(Ok(())) => {
                    backoff.reset();
                    LOOK_INTERVAL
                }
                Some(Err(error)) => {
                    if backoff.is_fresh() {
                        tracing::warn!(%error, "the cache cannot be rebuilt yet");
                    }
                    backoff.next_wait()
                }
            };
            let _ = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
    }

    /// Rebuilds if that is needed.
    async fn look(&self) -> Result<(), RebuildError> {
        if self.cache.mark().await?.is_some() {
            return Ok(());
        }
        let token = Uuid::new_v4();
        self.cache.begin_rebuild(token).await?;
        let (mut after, mut contractors) = (None, 0_usize);
        loop {
            let page = self.source.page(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.contractor_id);
            contractors += page.len();
            let page = page.into_iter().map(Arc::new).collect();
            for stored in self
                .recalculation
                .store(page, Origin::SourceOfTruth)
                .await?
            {
                if let Stored::Unacceptable(error) = stored {
                    tracing::warn!(%error, "schedule-service holds a schedule that cannot be taken");
                }
            }
            metrics::gauge!("availability_rebuild_contractors").set(gauge(contractors));
        }
        if !self.cache.finish_rebuild(token).await? {
            return Err(RebuildError::Emptied);
        }
        metrics::counter!("availability_rebuilds_total").increment(1);
        tracing::info!(contractors, "the cache holds every contractor");
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn gauge(count: usize) -> f64 {
    count as f64
}
