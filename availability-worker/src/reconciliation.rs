//! Compares the cache with the source of truth and makes good what differs.
//!
//! Events that were answered for are not lost by any crash. But an operator can delete or purge the
//! queue that they wait in, and then nothing else would ever tell the cache. So everything is gone
//! through after the broker has taken the queue away, and, since no broker tells of a purge, every few
//! minutes unasked. What is stored here is told like any other change, since the streams missed it
//! too. What a purge takes of an event that a crashed worker had stored and not told differs in
//! nothing: the contractor's next change tells it.

use std::sync::Arc;
use std::time::Duration;

use shared_events::Schedule;
use shared_events::amqp::Backoff;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cache::{Cache, CacheError};
use crate::handler::ScheduleUpdatedHandler;
use crate::recalculation::{Calculated, Origin, Recalculation, Stored};
use crate::source::{ScheduleSource, SourceError};

/// How many schedules are read and compared at once.
const PAGE: usize = 200;

/// Compares whenever that is due.
#[derive(Debug)]
pub struct Reconciliation {
    /// The cache that is compared.
    pub cache: Cache,
    /// What it is compared with.
    pub source: Arc<ScheduleSource>,
    /// Stores what differs.
    pub recalculation: Arc<Recalculation>,
    /// Tells of what was stored.
    pub handler: Arc<ScheduleUpdatedHandler>,
    /// How often one of all workers compares unasked; zero for never.
    pub every: Duration,
}

/// What is made good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// What the cache does not hold at the source's version.
    Differing,
    /// That, and everything is told again: what was to be told may be lost too.
    All,
}

#[derive(Debug, thiserror::Error)]
enum ReconciliationError {
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("an event cannot be encoded: {0}")]
    Encode(#[from] serde_json::Error),
}

impl Reconciliation {
    /// Runs until `stop`; `renewals` changes when the queue may have lost events.
    pub async fn run(self, mut renewals: watch::Receiver<u64>, stop: CancellationToken) {
        loop {
            let scope = tokio::select! {
                () = stop.cancelled() => return,
                changed = renewals.changed() => match changed {
                    Ok(()) => Scope::All,
                    Err(_) => return,
                },
                () = self.next_turn() => Scope::Differing,
            };
            let mut backoff = Backoff::default();
            loop {
                match stop.run_until_cancelled(self.compare(scope)).await {
                    None => return,
                    Some(Ok(())) => break,
                    Some(Err(error)) if backoff.is_fresh() => {
                        tracing::warn!(%error, "the cache cannot be compared yet");
                    }
                    Some(Err(_)) => {}
                }
                let wait = tokio::time::sleep(backoff.next_wait());
                if stop.run_until_cancelled(wait).await.is_none() {
                    return;
                }
            }
        }
    }

    /// Waits for the next comparison that nobody has asked for and no other worker has begun.
    async fn next_turn(&self) {
        if self.every.is_zero() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(self.every).await;
            // Over before the next turn, whichever worker was first this time.
            let claim = (self.every.as_secs() / 2).max(1);
            let claimed = self.cache.claim_comparison(claim).await;
            if matches!(claimed, Ok(true)) {
                return;
            }
        }
    }

    async fn compare(&self, scope: Scope) -> Result<(), ReconciliationError> {
        let (mut after, mut compared, mut repaired) = (None, 0_usize, 0_u64);
        loop {
            let page = self.source.page(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.contractor_id);
            compared += page.len();
            let places: Vec<_> = page
                .iter()
                .map(|s| (s.contractor_id, s.territory.as_str()))
                .collect();
            let versions = self.cache.versions(&places).await?;
            let (same, differing): (Vec<_>, Vec<_>) = page
                .into_iter()
                .zip(versions)
                .partition(|(schedule, version)| version.is_some_and(|v| v >= schedule.version));
            let mut told = self.store(differing).await?;
            repaired = repaired.saturating_add(told.len() as u64);
            if scope == Scope::All {
                told.extend(self.store(same).await?);
            }
            self.handler.tell(&told).await?;
        }
        metrics::counter!("availability_reconciliations_total").increment(1);
        metrics::counter!("availability_reconciled_contractors_total").increment(repaired);
        if repaired > 0 || scope == Scope::All {
            tracing::warn!(
                compared,
                repaired,
                "the cache was compared with schedule-service"
            );
        }
        Ok(())
    }

    /// Stores schedules; says what the cache holds of them now.
    async fn store(
        &self,
        schedules: Vec<(Schedule, Option<i64>)>,
    ) -> Result<Vec<Calculated>, ReconciliationError> {
        let schedules = schedules.into_iter().map(|(s, _)| Arc::new(s)).collect();
        let stored = self.recalculation.store(schedules, Origin::SourceOfTruth);
        Ok(stored
            .await?
            .into_iter()
            .filter_map(|stored| match stored {
                Stored::Held(calculated) => Some(*calculated),
                _ => None,
            })
            .collect())
    }
}
