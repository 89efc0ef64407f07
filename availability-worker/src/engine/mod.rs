//! Availability as a pure function: a schedule and a range give windows, slots and conflicts.
//!
//! Everything is a sorted half-open interval of whole minutes since the epoch; local time becomes
//! instants in [`civil_time`] alone. No clock is read here: "now" is an argument where it matters.

pub mod civil_time;
pub mod conflicts;
pub mod explain;
pub mod intervals;
pub mod slots;
pub mod windows;

use chrono::{DateTime, Utc};
use shared_events::zones::{UnknownZone, Zone};
use shared_events::{Conflict, Schedule};

pub use conflicts::{EndingConflict, conflicts};
use conflicts::{Working, conflicts_beside};
pub use explain::{Explanation, explain};
pub use intervals::{Interval, Minute};
pub use slots::{SlotRequest, first_slot, slots};
pub use windows::{FreeTime, FreeWindows};

/// What is asked of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// The range, in whole minutes.
    pub range: Interval,
    /// The first whole minute that is not in the past.
    pub now: Minute,
    /// Minutes that a job takes; without it no slots are wanted.
    pub duration: Option<i64>,
    /// Minutes between slots; the schedule's own interval without it.
    pub slot_interval: Option<i64>,
}

impl Query {
    /// What remains of the range from `now` and the minimum notice on; may be empty.
    #[must_use]
    pub fn open_range(&self, min_notice_minutes: u32) -> Interval {
        let earliest = self.now.saturating_add(i64::from(min_notice_minutes));
        Interval::new(self.range.start.max(earliest), self.range.end)
    }
}

/// The answer to a [`Query`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Availability {
    /// Merged free windows in the range, from now and the minimum notice on.
    pub windows: Vec<Interval>,
    /// Slots, if a duration was given.
    pub slots: Option<Vec<Minute>>,
    /// Conflicts of all jobs of the schedule, whatever the range.
    pub conflicts: Vec<Conflict>,
}

/// Answers `query` for `schedule` from nothing else.
pub fn availability(schedule: &Schedule, query: &Query) -> Result<Availability, UnknownZone> {
    let zone = Zone::named(&schedule.time_zone)?;
    let range = query.open_range(schedule.booking_rules.min_notice_minutes);
    let free_time = FreeTime::new(schedule, zone);
    let working = free_time.working(range);
    let windows = free_time.free_of(&working, range);
    let conflicts = conflicts_beside(
        schedule,
        &free_time,
        Working {
            range,
            windows: &working,
        },
    );
    let own = i64::from(schedule.booking_rules.slot_interval_minutes);
    let (windows, slots) = match query.duration {
        Some(duration) => {
            let free = free_time.with_first_start(windows, range);
            let interval = query.slot_interval.unwrap_or(own);
            let found = slots(zone, &free, range, SlotRequest { duration, interval });
            (free.windows, Some(found))
        }
        None => (windows, None),
    };
    Ok(Availability {
        windows,
        slots,
        conflicts: conflicts.into_iter().map(|c| c.conflict).collect(),
    })
}

/// What the cache and AvailabilityUpdated hold of a schedule over a horizon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// The free windows of the horizon.
    pub free: FreeWindows,
    /// The conflicts of all jobs.
    pub conflicts: Vec<EndingConflict>,
}

/// Calculates the outlook of `schedule` over `horizon`, independent of any now.
pub fn outlook(schedule: &Schedule, horizon: Interval) -> Result<Outlook, UnknownZone> {
    let zone = Zone::named(&schedule.time_zone)?;
    let free_time = FreeTime::new(schedule, zone);
    let working = free_time.working(horizon);
    let windows = free_time.free_of(&working, horizon);
    let known = Working {
        range: horizon,
        windows: &working,
    };
    Ok(Outlook {
        free: free_time.with_first_start(windows, horizon),
        conflicts: conflicts_beside(schedule, &free_time, known),
    })
}

/// The first whole minute at or after an instant.
#[must_use]
pub fn minute_ceil(instant: DateTime<Utc>) -> Minute {
    let minute = instant.timestamp().div_euclid(60);
    let whole = instant.timestamp().rem_euclid(60) == 0 && instant.timestamp_subsec_nanos() == 0;
    minute + i64::from(!whole)
}

/// The last whole minute at or before an instant.
#[must_use]
pub fn minute_floor(instant: DateTime<Utc>) -> Minute {
    instant.timestamp().div_euclid(60)
}

/// The instant of a minute, kept within what chrono can express.
#[must_use]
pub fn instant(minute: Minute) -> DateTime<Utc> {
    let bounded = minute.clamp(
        DateTime::<Utc>::MIN_UTC.timestamp() / 60 + 1,
        DateTime::<Utc>::MAX_UTC.timestamp() / 60,
    );
    DateTime::from_timestamp(bounded * 60, 0).unwrap_or_default()
}

#[cfg(test)]
mod differential;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod witness;
