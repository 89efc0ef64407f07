//! The availability of one contractor as readers see it: from the cache, or from its source.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared_events::zones::Zone;
use shared_events::{Conflict, Schedule};
use tokio::time::Instant;
use uuid::Uuid;

use crate::cache::{Cache, Entry};
use crate::engine::intervals::clip;
use crate::engine::{
    FreeTime, FreeWindows, Interval, Minute, Query, SlotRequest, conflicts, slots,
};
use crate::loads::{LoadError, Loads};
use crate::watchers::Watchers;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such contractor, or it cannot be had for now.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The version that was asked for has not come in time.
    #[error("version {asked} has not reached the cache within {waited:?}; it holds version {held}")]
    NotYet {
        /// The version that was asked for.
        asked: i64,
        /// The version that is there.
        held: i64,
        /// The contractor's territory at that version.
        territory: String,
        /// How long was waited.
        waited: Duration,
    },
    /// What is cached cannot be used by this build.
    #[error("what the cache holds of this contractor cannot be used: {0}")]
    Unusable(String),
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// From the cache.
    Cache,
    /// Calculated from what schedule-service has now, since the cache has nothing or is away.
    ScheduleService,
}

/// One contractor's availability over a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The contractor's territory.
    pub territory: String,
    /// The contractor's time zone.
    pub time_zone: String,
    /// The version that it was calculated from.
    pub version: i64,
    /// When it was calculated.
    pub calculated_at: DateTime<Utc>,
    /// Where it comes from.
    pub source: Source,
    /// The free windows.
    pub windows: Vec<Interval>,
    /// The slots, if a duration was given.
    pub slots: Option<Vec<Minute>>,
    /// The conflicts of jobs that have not ended.
    pub conflicts: Vec<Conflict>,
}

/// A contractor as it is known: the packed entry, and the schedule where it is at hand.
struct View {
    territory: String,
    entry: Entry,
    schedule: Option<Arc<Schedule>>,
    source: Source,
}

/// Reads single contractors.
#[derive(Debug)]
pub struct Readings {
    cache: Cache,
    loads: Arc<Loads>,
    watchers: Arc<Watchers>,
    min_version_wait: Duration,
}

impl Readings {
    /// How often the cache is looked at again because others were loaded since the last look.
    const LOOKS: usize = 3;

    /// The longest wait between two looks at the cache for a version that another process writes.
    const LONGEST_LOOK: Duration = Duration::from_millis(100);

    /// Reads from `cache`; what is missing there comes from `loads`.
    #[must_use]
    pub fn new(
        cache: Cache,
        loads: Arc<Loads>,
        watchers: Arc<Watchers>,
        min_version_wait: Duration,
    ) -> Self {
        Self {
            cache,
            loads,
            watchers,
            min_version_wait,
        }
    }

    /// Answers `query` for a contractor, with at least `min_version` if one is given.
    pub async fn read(
        &self,
        id: Uuid,
        query: &Query,
        min_version: Option<i64>,
        now: DateTime<Utc>,
    ) -> Result<Reading, ReadError> {
        let view = match min_version {
            None => self.view(id).await?,
            Some(version) => self.view_of(id, version).await?,
        };
        self.answer(id, view, query, now).await
    }

    /// The schedule of a contractor, from beside the cached windows or from its source.
    pub async fn schedule(&self, id: Uuid) -> Result<Arc<Schedule>, ReadError> {
        let View {
            territory,
            schedule,
            ..
        } = self.view(id).await?;
        match schedule {
            Some(schedule) => Ok(schedule),
            None => self.stored_schedule(id, &territory).await,
        }
    }

    async fn view(&self, id: Uuid) -> Result<View, ReadError> {
        // Where others land all the time, the last look is followed by a load in any case.
        for _ in 0..Self::LOOKS {
            let missed = self.loads.landed();
            match self.look(id, Some(missed)).await {
                Err(ReadError::Load(LoadError::Landed)) => {}
                seen => return seen,
            }
        }
        self.look(id, None).await
    }

    /// What the cache has, or else what is loaded now; see [`Loads::load`].
    async fn look(&self, id: Uuid, missed: Option<u64>) -> Result<View, ReadError> {
        let cache_answers = match self.cache.find(id).await {
            Ok(Some(found)) => {
                return Ok(View {
                    territory: found.territory,
                    entry: found.entry,
                    schedule: None,
                    source: Source::Cache,
                });
            }
            Ok(None) => true,
            Err(error) => {
                tracing::debug!(%error, "read without the cache");
                false
            }
        };
        let missed = missed.filter(|_| cache_answers);
        let loaded = self.loads.load(id, cache_answers, missed).await?;
        let calculated = loaded.calculated;
        Ok(View {
            territory: calculated.schedule.territory.clone(),
            entry: calculated.entry.clone(),
            schedule: Some(Arc::clone(&calculated.schedule)),
            source: Source::ScheduleService,
        })
    }

    /// Waits for a version: woken by a write of this process, else looking again and again.
    async fn view_of(&self, id: Uuid, asked: i64) -> Result<View, ReadError> {
        let deadline = Instant::now() + self.min_version_wait;
        let watch = self.watchers.watch(id);
        let mut look = Duration::from_millis(5);
        loop {
            let write = watch.next_write();
            tokio::pin!(write);
            write.as_mut().enable();
            let view = self.view(id).await?;
            if view.entry.version >= asked {
                return Ok(view);
            }
            if Instant::now() >= deadline {
                let (held, waited) = (view.entry.version, self.min_version_wait);
                return Err(ReadError::NotYet {
                    asked,
                    held,
                    territory: view.territory,
                    waited,
                });
            }
            let _ = tokio::time::timeout_at(deadline.min(Instant::now() + look), write).await;
            look = (look * 2).min(Self::LONGEST_LOOK);
        }
    }

    async fn answer(
        &self,
        id: Uuid,
        view: View,
        query: &Query,
        now: DateTime<Utc>,
    ) -> Result<Reading, ReadError> {
        let View {
            territory,
            entry,
            schedule,
            source,
        } = view;
        let open = query.open_range(entry.min_notice_minutes);
        let horizon = entry.free.range;
        let within = open.is_empty() || (horizon.start <= open.start && open.end <= horizon.end);
        if within {
            let zone =
                Zone::named(&entry.time_zone).map_err(|e| ReadError::Unusable(e.to_string()))?;
            let interval = query
                .slot_interval
                .unwrap_or(entry.slot_interval_minutes.into());
            let request = |duration| SlotRequest { duration, interval };
            return Ok(Reading {
                windows: clip(&entry.free.windows, open),
                slots: query
                    .duration
                    .map(|d| slots(zone, &entry.free, open, request(d))),
                conflicts: current(entry.conflicts, query.now),
                territory,
                time_zone: entry.time_zone,
                version: entry.version,
                calculated_at: entry.calculated_at,
                source,
            });
        }
        // Outside the horizon the schedule kept beside the windows is calculated.
        let schedule = match schedule {
            Some(schedule) => schedule,
            None => self.stored_schedule(id, &territory).await?,
        };
        let zone =
            Zone::named(&schedule.time_zone).map_err(|e| ReadError::Unusable(e.to_string()))?;
        let open = query.open_range(schedule.booking_rules.min_notice_minutes);
        let free: FreeWindows = FreeTime::new(&schedule, zone).in_range(open);
        let own = i64::from(schedule.booking_rules.slot_interval_minutes);
        let interval = query.slot_interval.unwrap_or(own);
        Ok(Reading {
            slots: query
                .duration
                .map(|duration| slots(zone, &free, open, SlotRequest { duration, interval })),
            windows: free.windows,
            conflicts: current(conflicts(&schedule, zone), query.now),
            territory: schedule.territory.clone(),
            time_zone: schedule.time_zone.clone(),
            version: schedule.version,
            calculated_at: now,
            source,
        })
    }

    async fn stored_schedule(&self, id: Uuid, territory: &str) -> Result<Arc<Schedule>, ReadError> {
        let stored = self.cache.schedules(territory, &[id]).await;
        let cache_answers = stored.is_ok();
        if let Some(schedule) = stored.ok().and_then(|mut all| all.pop()).flatten() {
            return Ok(Arc::new(schedule));
        }
        // It has just moved to another territory, or Redis has gone away.
        Ok(Arc::clone(
            &self
                .loads
                .load(id, cache_answers, None)
                .await?
                .calculated
                .schedule,
        ))
    }
}

/// Conflicts whose jobs have not ended by `now`.
fn current(conflicts: Vec<crate::engine::EndingConflict>, now: Minute) -> Vec<Conflict> {
    conflicts
        .into_iter()
        .filter(|c| c.ends > now)
        .map(|c| c.conflict)
        .collect()
}
