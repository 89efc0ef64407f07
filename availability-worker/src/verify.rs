//! Compares every cached answer with one that is calculated anew from schedule-service.
//!
//! The system goes on meanwhile, so what differs at first is looked at again, one contractor at a
//! time, until it agrees or a grace is over. A change that is on its way is no difference: an entry is
//! stale only if by the end of the grace it has not reached the version that schedule-service had when
//! it was first looked at again.

mod difference;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use shared_events::Schedule;
use shared_events::service::Clock;
use tokio::time::Instant;
use uuid::Uuid;

use crate::cache::{Cache, CacheError, Entry, Held};
use crate::engine::civil_time::DAY;
use crate::engine::intervals::clip;
use crate::engine::{EndingConflict, Interval, Minute, minute_ceil, outlook};
use crate::rebuild::PAGE;
use crate::recalculation::acceptable;
use crate::source::{ScheduleSource, SourceError};

pub use difference::Difference;

/// The pause between two looks at what differs.
const PAUSE: Duration = Duration::from_millis(200);

/// How patient a comparison is.
#[derive(Debug, Clone, clap::Args)]
pub struct VerifySettings {
    /// Milliseconds within which what differs may come to agree, since changes go on meanwhile
    #[arg(long, env = "VERIFY_GRACE_MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(0..=600_000))]
    pub verify_grace_ms: u64,
}

/// What a comparison came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The contractors that were compared.
    pub contractors: u64,
    /// What differs, by contractor; of no contractor where it is about the cache itself.
    pub differences: BTreeMap<Option<Uuid>, Vec<Difference>>,
}

/// The comparison could not be made.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Redis did not answer.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// schedule-service did not answer.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Compares the cache with its source.
#[derive(Debug)]
pub struct Verification {
    cache: Cache,
    source: Arc<ScheduleSource>,
    clock: Clock,
    horizon_days: i64,
    grace: Duration,
}

impl Verification {
    /// A comparison of `cache` with `source`, whose entries should cover `horizon_days`.
    #[must_use]
    pub fn new(
        cache: Cache,
        source: Arc<ScheduleSource>,
        clock: Clock,
        horizon_days: u16,
        settings: &VerifySettings,
    ) -> Self {
        Self {
            cache,
            source,
            clock,
            horizon_days: horizon_days.into(),
            grace: Duration::from_millis(settings.verify_grace_ms),
        }
    }

    /// Compares everything. `tell` hears how many contractors have been compared so far.
    pub async fn run(&self, mut tell: impl FnMut(u64)) -> Result<Report, VerifyError> {
        let mut suspects = self.elsewhere().await?;
        let (mut contractors, mut after) = (0, None);
        loop {
            let page = self.source.page(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.contractor_id);
            let mut by_territory: BTreeMap<&str, Vec<&Schedule>> = BTreeMap::new();
            for schedule in &page {
                by_territory
                    .entry(&schedule.territory)
                    .or_default()
                    .push(schedule);
            }
            for (territory, schedules) in by_territory {
                let ids: Vec<Uuid> = schedules.iter().map(|s| s.contractor_id).collect();
                let held = self.cache.values(territory, &ids).await?;
                let kept = self.cache.schedules(territory, &ids).await?;
                for ((schedule, held), kept) in schedules.iter().zip(held).zip(kept) {
                    let live = held.filter(|held| !matches!(held, Held::Tombstone { .. }));
                    let places: Vec<_> = live
                        .map(|held| (territory.to_owned(), held))
                        .into_iter()
                        .collect();
                    let seen = suspects.remove(&schedule.contractor_id);
                    let elsewhere = seen.is_some_and(|t| t.iter().any(|t| t != territory));
                    let found = self.differences(schedule, &places, kept, schedule.version);
                    if elsewhere || !found.is_empty() {
                        suspects.insert(schedule.contractor_id, BTreeSet::new());
                    }
                }
            }
            contractors += page.len() as u64;
            tell(contractors);
        }
        let mut differences = self.look_again(suspects.into_keys().collect()).await?;
        if self.cache.mark().await?.is_none() {
            differences.insert(None, vec![Difference::Unmarked]);
        }
        Ok(Report {
            contractors,
            differences,
        })
    }

    /// Everybody who is cached, with the territories.
    async fn elsewhere(&self) -> Result<HashMap<Uuid, BTreeSet<String>>, CacheError> {
        let mut cached: HashMap<Uuid, BTreeSet<String>> = HashMap::new();
        for territory in self.cache.territories().await? {
            for (id, held) in self.cache.scan(&territory).await? {
                if !matches!(held, Held::Tombstone { .. }) {
                    cached.entry(id).or_default().insert(territory.clone());
                }
            }
        }
        Ok(cached)
    }

    /// Looks at suspects until they agree or the grace is over: what differs then.
    async fn look_again(
        &self,
        mut suspects: Vec<Uuid>,
    ) -> Result<BTreeMap<Option<Uuid>, Vec<Difference>>, VerifyError> {
        suspects.sort_unstable();
        let deadline = Instant::now() + self.grace;
        let mut wanted: HashMap<Uuid, i64> = HashMap::new();
        let mut before: BTreeMap<Option<Uuid>, Vec<Difference>> = BTreeMap::new();
        loop {
            let over = Instant::now() >= deadline;
            let mut differing = BTreeMap::new();
            for id in &suspects {
                let found = self.look(*id, &mut wanted).await?;
                if !found.is_empty() {
                    differing.insert(Some(*id), found);
                }
            }
            if differing.is_empty() {
                return Ok(differing);
            }
            if over {
                // What passes by while a contractor changes looks different each time.
                for (id, found) in &mut differing {
                    let seen = before.get(id);
                    found.retain(|difference| {
                        let lasts = seen.is_none_or(|seen| seen.contains(difference));
                        lasts || matches!(difference, Difference::Stale { .. })
                    });
                }
                differing.retain(|_, found| !found.is_empty());
                return Ok(differing);
            }
            suspects = differing.keys().copied().flatten().collect();
            before = differing;
            tokio::time::sleep(PAUSE.min(self.grace)).await;
        }
    }

    /// Looks at one contractor. The cache is read first, so that it cannot rightly be ahead.
    async fn look(
        &self,
        id: Uuid,
        wanted: &mut HashMap<Uuid, i64>,
    ) -> Result<Vec<Difference>, VerifyError> {
        let mut places = self.cache.places(id).await?;
        places.retain(|(_, held)| !matches!(held, Held::Tombstone { .. }));
        let newest = places.iter().max_by_key(|(_, held)| held.rank());
        let kept = match newest {
            Some((territory, _)) => self.cache.schedules(territory, &[id]).await?.pop(),
            None => None,
        };
        let Some(schedule) = self.source.schedule(id).await? else {
            let unknown = places
                .into_iter()
                .map(|(territory, _)| Difference::Unknown { territory });
            return Ok(unknown.collect());
        };
        let wanted = *wanted.entry(id).or_insert(schedule.version);
        Ok(self.differences(&schedule, &places, kept.flatten(), wanted))
    }

    /// How what is cached of a contractor differs from `schedule`, if it is to be of version
    /// `wanted` or later. `places` has no tombstones, `kept` is the schedule beside the newest.
    fn differences(
        &self,
        schedule: &Schedule,
        places: &[(String, Held)],
        kept: Option<Schedule>,
        wanted: i64,
    ) -> Vec<Difference> {
        if let Err(error) = acceptable(schedule) {
            return vec![Difference::Unacceptable(error.to_string())];
        }
        let Some((territory, newest)) = places.iter().max_by_key(|(_, held)| held.rank()) else {
            return vec![Difference::Missing];
        };
        let (held, known) = (newest.version(), schedule.version);
        let mut found: Vec<_> = places
            .iter()
            .filter(|(elsewhere, _)| elsewhere != territory)
            .map(|(territory, held)| Difference::Ghost {
                territory: territory.clone(),
                version: held.version(),
            })
            .collect();
        if held < wanted {
            found.push(Difference::Stale { held, wanted });
        } else if held > known {
            found.push(Difference::Ahead { held, known });
        } else if held == known && *territory != schedule.territory {
            found.push(Difference::Ghost {
                territory: territory.clone(),
                version: held,
            });
        }
        match newest {
            Held::Live(entry) => {
                if held == known {
                    let what = self.unlike(schedule, entry, kept);
                    if !what.is_empty() {
                        found.push(Difference::Different { what });
                    }
                }
                let today = self.today();
                let wanted = today + (self.horizon_days - 1) * DAY;
                let end = entry.free.range.end;
                if end < wanted {
                    found.push(Difference::HorizonShort { end, wanted });
                }
            }
            Held::Unreadable { .. } => found.push(Difference::Unreadable),
            Held::Tombstone { .. } => {}
        }
        found
    }

    /// What of an entry is not as `schedule`, of the same version, gives it. Only from now on: what is
    /// over is left out of schedules as they are published, so it depends on when that was.
    fn unlike(
        &self,
        schedule: &Schedule,
        entry: &Entry,
        kept: Option<Schedule>,
    ) -> Vec<&'static str> {
        let now = minute_ceil(self.clock.now());
        let mut what = Vec::new();
        let rules = schedule.booking_rules;
        for (name, same) in [
            ("status", entry.status == schedule.status),
            (
                "minimum notice",
                entry.min_notice_minutes == rules.min_notice_minutes,
            ),
            (
                "slot interval",
                entry.slot_interval_minutes == rules.slot_interval_minutes,
            ),
            ("time zone", entry.time_zone == schedule.time_zone),
            ("skills", entry.skills == schedule.skills),
            (
                "schedule beside it",
                kept.is_some_and(|kept| lasting(kept, now) == lasting(schedule.clone(), now)),
            ),
        ] {
            if !same {
                what.push(name);
            }
        }
        let Ok(anew) = outlook(schedule, entry.free.range) else {
            what.push("time zone");
            return what;
        };
        let ahead = Interval::new(now, entry.free.range.end);
        if clip(&anew.free.windows, ahead) != clip(&entry.free.windows, ahead) {
            what.push("windows");
        }
        let current = |conflicts: &[EndingConflict]| {
            let current = conflicts.iter().filter(|c| c.ends > now);
            let mut current: Vec<_> = current.copied().collect();
            current.sort_by_key(|c| (c.conflict.job_id, c.ends));
            current
        };
        if current(&anew.conflicts) != current(&entry.conflicts) {
            what.push("conflicts");
        }
        what
    }

    fn today(&self) -> Minute {
        self.clock.now().timestamp().div_euclid(60 * DAY) * DAY
    }
}

/// A schedule without what is over, in one order.
fn lasting(mut schedule: Schedule, now: Minute) -> Schedule {
    schedule
        .jobs
        .retain(|job| minute_ceil(job.end).saturating_add(job.buffer_after_minutes.into()) > now);
    schedule
        .time_off
        .retain(|time_off| minute_ceil(time_off.end) > now);
    let yesterday = crate::engine::instant(now.saturating_sub(2 * DAY)).date_naive();
    schedule.date_overrides.retain(|o| o.date > yesterday);
    schedule.jobs.sort_by_key(|job| job.id);
    schedule.time_off.sort_by_key(|time_off| time_off.id);
    schedule.date_overrides.sort_by_key(|o| o.date);
    schedule
}
