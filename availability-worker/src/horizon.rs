//! Rolls the horizon of what is cached forward, before it runs short.
//!
//! Every entry is calculated for a number of whole UTC days from the day of its calculation on. A
//! contractor whose schedule does not change would have one day less of it each midnight. So every
//! worker sweeps the cache again and again for entries that begin on an earlier day, and calculates
//! them anew from the schedules beside them. Each contractor has a time of the night of its own, made
//! from its id, so that not all of them come due at midnight.
//!
//! Nothing says which worker does what, so nothing of that can be lost: whoever finds an entry behind
//! rolls it, and whoever comes later finds it done. Two that come at once write the same, and the
//! version guard lets one of them. A roll is no new version, so no AvailabilityUpdated tells of it:
//! subscribers keep the highest version, and would drop it.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use shared_events::service::Clock;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cache::{Behind, Cache, CacheError, TOMBSTONE_SECONDS};
use crate::engine::civil_time::DAY;
use crate::recalculation::{Origin, Recalculation, Stored};
use crate::source::ScheduleSource;

/// Seconds of a day.
const DAY_SECONDS: i64 = DAY * 60;

/// How far ahead is calculated.
#[derive(Debug, Clone, clap::Args)]
pub struct HorizonSettings {
    /// Days that are calculated ahead, from the start of the current UTC day
    #[arg(long, env = "HORIZON_DAYS", default_value_t = 28, value_parser = clap::value_parser!(u16).range(1..=366))]
    pub horizon_days: u16,
}

/// How the horizon is kept up.
#[derive(Debug, Clone, clap::Args)]
pub struct RollSettings {
    /// Seconds between two looks for entries whose horizon is to be rolled forward
    #[arg(long, env = "ROLL_INTERVAL_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub roll_interval_seconds: u32,

    /// Minutes from midnight UTC on over which the contractors' horizons are rolled forward
    #[arg(long, env = "ROLL_SPREAD_MINUTES", default_value_t = 240, value_parser = clap::value_parser!(u16).range(0..=1_380))]
    pub roll_spread_minutes: u16,

    /// How many entries are looked at, and how many are rolled, at once
    #[arg(long, env = "ROLL_BATCH", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub roll_batch: u32,
}

/// Sweeps the cache for entries whose horizon is behind.
#[derive(Debug)]
pub struct HorizonRoll {
    cache: Cache,
    source: Arc<ScheduleSource>,
    recalculation: Arc<Recalculation>,
    clock: Clock,
    settings: RollSettings,
}

impl HorizonRoll {
    /// A sweep over `cache`.
    #[must_use]
    pub fn new(
        cache: Cache,
        source: Arc<ScheduleSource>,
        recalculation: Arc<Recalculation>,
        clock: Clock,
        settings: RollSettings,
    ) -> Self {
        Self {
            cache,
            source,
            recalculation,
            clock,
            settings,
        }
    }

    /// Sweeps until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let interval = Duration::from_secs(self.settings.roll_interval_seconds.into());
        let mut failing = false;
        loop {
            // Jitter, so that workers that were started together do not sweep together.
            let wait = interval.mul_f64(rand::rng().random_range(0.5..=1.0));
            let pause = tokio::time::sleep(wait);
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
            match stop.run_until_cancelled(self.sweep()).await {
                None => return,
                Some(Ok(rolled)) => {
                    failing = false;
                    if rolled > 0 {
                        tracing::debug!(rolled, "horizons rolled forward");
                    }
                }
                Some(Err(error)) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "horizons cannot be rolled forward yet");
                    }
                }
            }
        }
    }

    /// Looks at every entry once, and rolls forward what is due: how many were.
    pub async fn sweep(&self) -> Result<usize, CacheError> {
        let now = self.clock.now().timestamp();
        let (today, long_ago) = (now.div_euclid(DAY_SECONDS), now - TOMBSTONE_SECONDS);
        let batch = self.settings.roll_batch;
        let mut rolled = 0;
        for territory in self.cache.territories().await? {
            let mut cursor = 0;
            loop {
                let (next, behind) = self
                    .cache
                    .behind(&territory, cursor, batch, today, long_ago)
                    .await?;
                let due = behind.into_iter().filter(|b| self.is_due(*b, now));
                let due: Vec<Uuid> = due.map(|b| b.id).collect();
                for ids in due.chunks(usize::try_from(batch).unwrap_or(1)) {
                    rolled += self.roll(&territory, ids).await?;
                }
                if next == 0 {
                    break;
                }
                cursor = next;
            }
        }
        metrics::counter!("availability_horizons_rolled_total").increment(rolled as u64);
        Ok(rolled)
    }

    /// Whether an entry that is behind is to be rolled by now: at a time after midnight of its own,
    /// but at once if it missed that of the day before, or is of an earlier format.
    fn is_due(&self, behind: Behind, now: i64) -> bool {
        let (today, second) = (now.div_euclid(DAY_SECONDS), now.rem_euclid(DAY_SECONDS));
        match behind.horizon_day {
            Some(day) if day + 1 >= today => second >= self.offset(behind.id),
            _ => true,
        }
    }

    /// Seconds after midnight at which a contractor's horizon is rolled.
    fn offset(&self, id: Uuid) -> i64 {
        let spread = u64::from(self.settings.roll_spread_minutes) * 60;
        // The last bytes of an id are random in every version that is in use; mixed all the same, for
        // ids that were numbered by hand.
        let (high, low) = id.as_u64_pair();
        let mixed = (high ^ low.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        i64::try_from(mixed % spread.max(1)).unwrap_or(0)
    }

    /// Calculates contractors of a territory anew from the schedules beside their windows.
    async fn roll(&self, territory: &str, ids: &[Uuid]) -> Result<usize, CacheError> {
        let kept = self.cache.schedules(territory, ids).await?;
        let (mut schedules, mut missing) = (Vec::new(), Vec::new());
        for (id, schedule) in ids.iter().zip(kept) {
            match schedule {
                Some(schedule) => schedules.push(Arc::new(schedule)),
                None => missing.push(*id),
            }
        }
        let mut stored = self.recalculation.store(schedules, Origin::Event).await?;
        // It has just moved away, or has no schedule that this build can read.
        for id in missing {
            if let Ok(Some(schedule)) = self.source.schedule(id).await {
                let schedules = vec![Arc::new(schedule)];
                stored.extend(
                    self.recalculation
                        .store(schedules, Origin::SourceOfTruth)
                        .await?,
                );
            }
        }
        Ok(stored
            .iter()
            .filter(|s| matches!(s, Stored::Held(_)))
            .count())
    }
}
