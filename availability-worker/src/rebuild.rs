//! Fills a cache that is new or was emptied from the source of truth.
//!
//! A mark in Redis says that every contractor has been taken in since Redis began to hold
//! anything. It goes with everything else, so its absence is what a loss looks like. Until it is
//! there, single contractors are answered from schedule-service, and searches are refused: an
//! answer that leaves people out would be a wrong one.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future;
use shared_events::amqp::Backoff;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cache::{Cache, CacheError, Held};
use crate::recalculation::{Origin, Recalculation, Stored};
use crate::source::{ScheduleSource, SourceError};

/// How often the mark is looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How often the log tells how far it is.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// How many schedules are read and stored at once.
pub(crate) const PAGE: usize = 200;

/// Watches the cache, and rebuilds it when its mark is missing. Any number of workers may do so at
/// once: the version guard settles what they write, and each marks only what it has seen through.
#[derive(Debug)]
pub struct Rebuild {
    cache: Cache,
    source: Arc<ScheduleSource>,
    recalculation: Arc<Recalculation>,
    filling: Arc<Filling>,
}

/// How far a rebuild is, for whoever wants to know.
#[derive(Debug, Default)]
pub struct Filling {
    under_way: AtomicBool,
    contractors: AtomicU64,
}

/// What a rebuild came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilt {
    /// The contractors that schedule-service has.
    pub contractors: u64,
    /// Those of them whose schedules cannot be calculated.
    pub unacceptable: u64,
    /// Entries of earlier versions that were found in territories that had been left.
    pub ghosts: u64,
}

/// Why the cache is not whole.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Redis did not answer.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// schedule-service did not answer.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// All has to begin anew.
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
            filling: Arc::default(),
        }
    }

    /// How far it is, at any time.
    #[must_use]
    pub fn filling(&self) -> Arc<Filling> {
        Arc::clone(&self.filling)
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
            // Where this one broke off, another worker has seen it through.
            self.filling.rest();
            return Ok(());
        }
        tracing::info!("the cache does not hold every contractor: it is being rebuilt");
        let begun = Instant::now();
        let mut told = begun;
        let rebuilt = self
            .fill(|contractors| {
                if told.elapsed() >= LOG_INTERVAL {
                    told = Instant::now();
                    tracing::info!(contractors, "the cache is being rebuilt");
                }
            })
            .await?;
        let Rebuilt {
            contractors,
            unacceptable,
            ghosts,
        } = rebuilt;
        let duration_ms = begun.elapsed().as_millis();
        tracing::info!(
            contractors,
            unacceptable,
            ghosts,
            duration_ms,
            "the cache holds every contractor"
        );
        Ok(())
    }

    /// Takes every contractor in, whatever is there, and marks the cache as whole. `tell` hears how
    /// many have been taken in so far.
    pub async fn fill(&self, mut tell: impl FnMut(u64)) -> Result<Rebuilt, RebuildError> {
        self.filling.begin();
        let token = Uuid::new_v4();
        self.cache.begin_rebuild(token).await?;
        let (mut contractors, mut unacceptable) = (0, 0);
        let mut page = self.source.page(None, PAGE).await?;
        while let Some(last) = page.last().map(|schedule| schedule.contractor_id) {
            contractors += page.len() as u64;
            let schedules = page.into_iter().map(Arc::new).collect();
            // The next page comes while this one is stored, and may take longer.
            let storing = async {
                let stored = self.recalculation.store(schedules, Origin::SourceOfTruth);
                let stored = stored.await?;
                self.filling.reached(contractors);
                tell(contractors);
                Ok::<_, RebuildError>(stored)
            };
            let (stored, next) = future::join(storing, self.source.page(Some(last), PAGE)).await;
            for stored in stored? {
                if let Stored::Unacceptable(error) = stored {
                    unacceptable += 1;
                    tracing::warn!(%error, "schedule-service holds a schedule that cannot be taken");
                }
            }
            page = next?;
        }
        let ghosts = self.clear_ghosts().await?;
        if !self.cache.finish_rebuild(token).await? {
            return Err(RebuildError::Emptied);
        }
        self.filling.rest();
        metrics::counter!("availability_rebuilds_total").increment(1);
        Ok(Rebuilt {
            contractors,
            unacceptable,
            ghosts,
        })
    }

    /// Removes entries from territories whose contractors are elsewhere by a higher version: what a
    /// crash between two steps, together with a loss of keys, can leave behind.
    async fn clear_ghosts(&self) -> Result<u64, CacheError> {
        let mut ghosts = 0;
        let mut newest: HashMap<Uuid, (i64, usize)> = HashMap::new();
        let territories = self.cache.territories().await?;
        for (at, territory) in territories.iter().enumerate() {
            for (id, held) in self.cache.scan(territory).await? {
                let version = held.version();
                if matches!(held, Held::Tombstone { .. }) {
                    continue;
                }
                let (known, elsewhere) = *newest.entry(id).or_insert((version, at));
                let (highest, left) = match known.cmp(&version) {
                    std::cmp::Ordering::Equal => continue,
                    std::cmp::Ordering::Greater => (known, at),
                    std::cmp::Ordering::Less => {
                        newest.insert(id, (version, at));
                        (version, elsewhere)
                    }
                };
                self.cache.remove(id, highest, &territories[left]).await?;
                ghosts += 1;
            }
        }
        Ok(ghosts)
    }
}

impl Filling {
    fn begin(&self) {
        self.contractors.store(0, Ordering::Relaxed);
        self.under_way.store(true, Ordering::Relaxed);
        metrics::gauge!("availability_rebuild_under_way").set(1.0);
        metrics::gauge!("availability_rebuild_contractors").set(0.0);
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    fn reached(&self, contractors: u64) {
        self.contractors.store(contractors, Ordering::Relaxed);
        metrics::gauge!("availability_rebuild_contractors").set(contractors as f64);
    }

    fn rest(&self) {
        self.under_way.store(false, Ordering::Relaxed);
        metrics::gauge!("availability_rebuild_under_way").set(0.0);
    }
}

impl fmt::Display for Filling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.under_way.load(Ordering::Relaxed) {
            let contractors = self.contractors.load(Ordering::Relaxed);
            write!(
                f,
                "being rebuilt: {contractors} contractors so far; searches wait for it, and after SEARCH_WAIT_MS are 503"
            )
        } else {
            f.write_str("no rebuild under way")
        }
    }
}
