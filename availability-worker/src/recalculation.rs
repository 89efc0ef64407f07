//! From schedules to the cache: calculate, then write through the version guard.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use shared_events::schedule::is_slug;
use shared_events::service::Clock;
use shared_events::zones::{UnknownZone, Zone};
use shared_events::{AvailabilityUpdated, Horizon, Schedule};
use uuid::Uuid;

use crate::cache::{Cache, CacheError, Entry, MAX_VERSION, Put, Registration, Settlement, Write};
use crate::engine::civil_time::DAY;
use crate::engine::{Interval, instant, outlook};
use crate::source::{ScheduleSource, SourceError};
use crate::watchers::Watchers;

/// How often one schedule is registered again because its home was lost or it came too late.
const ROUNDS: usize = 3;

/// Why a schedule cannot be taken, whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unacceptable {
    /// The zone is not known.
    #[error("timeZone: {0}")]
    Zone(#[from] UnknownZone),
    /// The version is not one that the cache can compare.
    #[error("version: {0} is not from 1 to 9007199254740991")]
    Version(i64),
    /// The territory is no slug.
    #[error("territory: {0:?} is not of the form [a-z0-9-]{{1,64}}")]
    Territory(String),
}

/// A schedule with what was calculated from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calculated {
    /// The schedule.
    pub schedule: Arc<Schedule>,
    /// What the cache holds of it.
    pub entry: Entry,
}

impl Calculated {
    /// The event that says that the cache holds it.
    #[must_use]
    pub fn event(&self) -> AvailabilityUpdated {
        let Entry {
            version,
            calculated_at,
            free,
            conflicts,
            ..
        } = &self.entry;
        AvailabilityUpdated {
            contractor_id: self.schedule.contractor_id,
            territory: self.schedule.territory.clone(),
            version: *version,
            calculated_at: *calculated_at,
            horizon: Horizon {
                from: instant(free.range.start),
                to: instant(free.range.end),
            },
            windows_epoch_minutes: free.windows.iter().map(|w| (w.start, w.end)).collect(),
            conflicts: conflicts.iter().map(|c| c.conflict).collect(),
        }
    }
}

/// Where a schedule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From an event, or from beside what is cached: it may be an old one.
    Event,
    /// From schedule-service, just now: it also replaces what is cached of the same version.
    SourceOfTruth,
}

/// What became of a schedule that was to be stored.
#[derive(Debug, Clone)]
pub enum Stored {
    /// The cache holds it, or a newer one that the source of truth had.
    Held(Box<Calculated>),
    /// The cache knows a higher version.
    Stale,
    /// It cannot be taken at all.
    Unacceptable(Unacceptable),
    /// Nothing is known of the contractor, and the source of truth does not answer.
    SourceFailed(SourceError),
    /// Its home was lost again and again meanwhile.
    Unsettled,
}

/// Calculates schedules and writes them to the cache.
#[derive(Debug)]
pub struct Recalculation {
    cache: Cache,
    source: Arc<ScheduleSource>,
    watchers: Arc<Watchers>,
    clock: Clock,
    horizon_days: i64,
}

impl Recalculation {
    /// Writes to `cache` what lies within `horizon_days` from the start of the current UTC day.
    #[must_use]
    pub fn new(
        cache: Cache,
        source: Arc<ScheduleSource>,
        watchers: Arc<Watchers>,
        clock: Clock,
        horizon_days: u16,
    ) -> Self {
        Self {
            cache,
            source,
            watchers,
            clock,
            horizon_days: i64::from(horizon_days),
        }
    }

    /// Calculates a schedule over the current horizon.
    pub fn calculate(&self, schedule: Arc<Schedule>) -> Result<Calculated, Unacceptable> {
        acceptable(&schedule)?;
        let begun = Instant::now();
        let now = self.clock.now();
        let today = now.timestamp().div_euclid(60 * DAY) * DAY;
        let horizon = Interval::new(today, today + self.horizon_days * DAY);
        let outlook = outlook(&schedule, horizon)?;
        let entry = Entry {
            version: schedule.version,
            calculated_at: whole_millis(now),
            status: schedule.status,
            min_notice_minutes: schedule.booking_rules.min_notice_minutes,
            slot_interval_minutes: schedule.booking_rules.slot_interval_minutes,
            time_zone: schedule.time_zone.clone(),
            skills: schedule.skills.clone(),
            free: outlook.free,
            conflicts: outlook.conflicts,
        };
        metrics::histogram!("availability_calculation_seconds")
            .record(begun.elapsed().as_secs_f64());
        Ok(Calculated { schedule, entry })
    }

    /// Stores schedules, at most one a contractor: the outcomes in their order.
    ///
    /// A contractor of whom the cache knows nothing (new, evicted, or Redis was emptied) is asked
    /// for at the source of truth first, and the higher version wins, so that an old event which
    /// comes again never gets in. Where the source knows no such contractor the event is the truth:
    /// the two cannot disagree for long, and a wrong guess is healed by the next event.
    ///
    /// An error means that Redis did not answer: nothing is known to be stored; do it all again.
    pub async fn store(
        &self,
        schedules: Vec<Arc<Schedule>>,
        origin: Origin,
    ) -> Result<Vec<Stored>, CacheError> {
        let mut outcomes: Vec<Option<Stored>> = schedules
            .iter()
            .map(|s| acceptable(s).err().map(Stored::Unacceptable))
            .collect();
        let mut schedules = schedules;
        for _ in 0..ROUNDS {
            let open: Vec<usize> = (0..schedules.len())
                .filter(|&i| outcomes[i].is_none())
                .collect();
            if open.is_empty() {
                break;
            }
            let registered = self
                .register(&open, origin, &mut schedules, &mut outcomes)
                .await?;
            self.write(registered, origin, &schedules, &mut outcomes)
                .await?;
        }
        Ok(outcomes
            .into_iter()
            .map(|o| o.unwrap_or(Stored::Unsettled))
            .collect())
    }

    /// Registers what is open; what may be written now is answered with its registration.
    async fn register(
        &self,
        open: &[usize],
        origin: Origin,
        schedules: &mut [Arc<Schedule>],
        outcomes: &mut [Option<Stored>],
    ) -> Result<BTreeMap<usize, (i64, Vec<String>)>, CacheError> {
        let claims: Vec<_> = open.iter().map(|&i| claim(&schedules[i])).collect();
        let mut registrations = self.cache.register(&claims).await?;

        let missing: Vec<usize> = (0..open.len())
            .filter(|&n| registrations[n] == Registration::Missing)
            .collect();
        let adopted = join_all(
            missing
                .iter()
                .map(|&n| self.adopt(&schedules[open[n]], origin)),
        )
        .await;
        for (n, adopted) in missing.into_iter().zip(adopted) {
            match adopted? {
                Ok((schedule, registration)) => {
                    schedules[open[n]] = schedule;
                    registrations[n] = registration;
                }
                Err(error) => outcomes[open[n]] = Some(Stored::SourceFailed(error)),
            }
        }

        let mut registered = BTreeMap::new();
        for (&i, registration) in open.iter().zip(registrations) {
            match registration {
                Registration::Registered { at, others } => {
                    registered.insert(i, (at, others));
                }
                Registration::Stale { version, territory } => {
                    self.clear_ghost(&schedules[i], version, &territory).await?;
                    outcomes[i] = Some(Stored::Stale);
                }
                // The source failed, which is told already.
                Registration::Missing => {}
            }
        }
        Ok(registered)
    }

    /// Takes in a contractor of whom the cache knows nothing: with what the source of truth has, if
    /// that is newer.
    async fn adopt(
        &self,
        schedule: &Arc<Schedule>,
        origin: Origin,
    ) -> Result<Result<(Arc<Schedule>, Registration), SourceError>, CacheError> {
        let truth = match origin {
            Origin::Event => self.source.schedule(schedule.contractor_id).await,
            Origin::SourceOfTruth => Ok(None),
        };
        let newest = match truth {
            Ok(Some(truth)) if truth.version > schedule.version => match acceptable(&truth) {
                Ok(()) => Arc::new(truth),
                Err(error) => {
                    tracing::warn!(contractor = %truth.contractor_id, %error, "schedule-service holds a schedule that cannot be taken");
                    Arc::clone(schedule)
                }
            },
            Ok(_) => Arc::clone(schedule),
            Err(error) => return Ok(Err(error)),
        };
        let registration = self.cache.register_anew(claim(&newest)).await?;
        Ok(Ok((newest, registration)))
    }

    async fn write(
        &self,
        registered: BTreeMap<usize, (i64, Vec<String>)>,
        origin: Origin,
        schedules: &[Arc<Schedule>],
        outcomes: &mut [Option<Stored>],
    ) -> Result<(), CacheError> {
        let (mut indexes, mut calculated, mut writes) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (at, others)) in registered {
            match self.calculate(Arc::clone(&schedules[i])) {
                Ok(done) => {
                    writes.push(Write {
                        replace: origin == Origin::SourceOfTruth,
                        ..write_of(&done, at, others)
                    });
                    calculated.push(done);
                    indexes.push(i);
                }
                Err(error) => outcomes[i] = Some(Stored::Unacceptable(error)),
            }
        }
        if writes.is_empty() {
            return Ok(());
        }
        let answers = self.cache.put(&writes).await?;
        for ((i, done), (put, settlement)) in indexes.into_iter().zip(calculated).zip(answers) {
            metrics::counter!("availability_cache_writes_total", "result" => word(put))
                .increment(1);
            outcomes[i] = match (put, settlement) {
                // Registered again in the next round.
                (Put::Late, _) | (_, Settlement::Missing) => None,
                (Put::Written | Put::Same, Settlement::Settled) => {
                    self.watchers.written(done.schedule.contractor_id);
                    Some(Stored::Held(Box::new(done)))
                }
                (Put::Stale, Settlement::Settled) => Some(Stored::Stale),
                (_, Settlement::Superseded { version, territory }) => {
                    self.clear_ghost(&done.schedule, version, &territory)
                        .await?;
                    Some(Stored::Stale)
                }
            };
        }
        Ok(())
    }

    /// A higher version is known: if it is of another territory, nothing may stay in this one.
    async fn clear_ghost(
        &self,
        schedule: &Schedule,
        version: i64,
        territory: &str,
    ) -> Result<(), CacheError> {
        if territory == schedule.territory {
            return Ok(());
        }
        self.cache
            .remove(schedule.contractor_id, version, &schedule.territory)
            .await
    }
}

fn claim(schedule: &Schedule) -> (Uuid, i64, &str) {
    (
        schedule.contractor_id,
        schedule.version,
        &schedule.territory,
    )
}

fn write_of(calculated: &Calculated, registered_at: i64, others: Vec<String>) -> Write {
    let Calculated { schedule, entry } = calculated;
    Write {
        id: schedule.contractor_id,
        version: schedule.version,
        territory: schedule.territory.clone(),
        registered_at,
        horizon_day: entry.horizon_day(),
        entry: entry.encode(),
        // Writing what was read cannot fail; an empty document would count as missing.
        schedule: serde_json::to_vec(schedule.as_ref()).unwrap_or_default(),
        others,
        replace: false,
    }
}

fn word(put: Put) -> &'static str {
    match put {
        Put::Written => "written",
        Put::Same => "same",
        Put::Stale => "stale",
        Put::Late => "late",
    }
}

/// Whether a schedule can be taken at all.
pub fn acceptable(schedule: &Schedule) -> Result<(), Unacceptable> {
    if !is_slug(&schedule.territory) {
        return Err(Unacceptable::Territory(
            schedule.territory.chars().take(80).collect(),
        ));
    }
    if !(1..=MAX_VERSION).contains(&schedule.version) {
        return Err(Unacceptable::Version(schedule.version));
    }
    Zone::named(&schedule.time_zone)?;
    Ok(())
}

/// What is told in milliseconds is kept in milliseconds.
fn whole_millis(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at.timestamp_millis()).unwrap_or(at)
}
