//! A second reading of the rules, minute by minute and with another source of civil time.
//!
//! Written from the contract, with nothing of the engine: a field of minutes is painted window by
//! window, and everything is read off it.

use shared_events::schedule::{Job, Status};
use shared_events::{ConflictReason, Schedule};
use tz::UtcDateTime;

use super::witness::{Meaning, Witness};

const DAY: i64 = 1_440;

/// Minutes of a stretch of days that are, or are not.
struct Field {
    origin: i64,
    minutes: Vec<bool>,
}

impl Field {
    fn new(first: i64, last: i64) -> Self {
        let days = usize::try_from(last - first + 1).unwrap();
        Self {
            origin: first * DAY,
            minutes: vec![false; days * 1_440],
        }
    }

    fn paint(&mut self, start: i64, end: i64, colour: bool) {
        let length = i64::try_from(self.minutes.len()).unwrap();
        let place = |minute: i64| usize::try_from((minute - self.origin).clamp(0, length)).unwrap();
        let (start, end) = (place(start), place(end));
        if start < end {
            self.minutes[start..end].fill(colour);
        }
    }

    fn get(&self, minute: i64) -> bool {
        usize::try_from(minute - self.origin)
            .ok()
            .and_then(|place| self.minutes.get(place).copied())
            .unwrap_or(false)
    }
}

/// What a schedule means in the minutes of some days.
pub(super) struct Oracle<'a> {
    schedule: &'a Schedule,
    zone: Witness,
    works: Field,
    free: Field,
    off: Field,
}

impl<'a> Oracle<'a> {
    /// Paints every window of every local day from `first` to `last`, days since the epoch. What
    /// lies within three days of either end is not to be relied on.
    pub(super) fn new(schedule: &'a Schedule, zone: Witness, first: i64, last: i64) -> Self {
        let mut works = Field::new(first, last);
        for day in first..=last {
            for (start, end) in windows_of(schedule, zone, day) {
                works.paint(start, end, true);
            }
        }
        let mut off = Field::new(first, last);
        for time_off in &schedule.time_off {
            off.paint(whole(time_off.start), whole(time_off.end), true);
        }
        let mut free = Field {
            origin: works.origin,
            minutes: works.minutes.clone(),
        };
        if schedule.status != Status::Active {
            free.minutes.fill(false);
        }
        for time_off in &schedule.time_off {
            free.paint(whole(time_off.start), whole(time_off.end), false);
        }
        for job in &schedule.jobs {
            let before = i64::from(job.buffer_before_minutes);
            let after = i64::from(job.buffer_after_minutes);
            free.paint(whole(job.start) - before, whole(job.end) + after, false);
        }
        Self {
            schedule,
            zone,
            works,
            free,
            off,
        }
    }

    /// Whether a minute is free, whatever is asked and whenever.
    pub(super) fn free(&self, minute: i64) -> bool {
        self.free.get(minute)
    }

    /// Whether a job of `duration` can start at `minute`, with `open` to be had and all of the
    /// free window's past within the days of this oracle.
    pub(super) fn is_slot(&self, minute: i64, open: (i64, i64), duration: i64, every: i64) -> bool {
        if minute < open.0
            || minute + duration > open.1
            || !(minute..minute + duration).all(|m| self.free(m))
        {
            return false;
        }
        if 60 % every == 0 {
            return self.zone.wall_clock(minute * 60) % every == 0;
        }
        let mut start = minute;
        while self.free(start - 1) {
            start -= 1;
        }
        (minute - start) % every == 0
    }

    /// Why the schedule does not cover a job.
    pub(super) fn conflict(&self, job: &Job) -> Option<ConflictReason> {
        let minutes = || whole(job.start)..whole(job.end);
        if self.schedule.status != Status::Active {
            Some(ConflictReason::ContractorInactive)
        } else if minutes().any(|m| self.off.get(m)) {
            Some(ConflictReason::TimeOff)
        } else if !minutes().all(|m| self.works.get(m)) {
            Some(ConflictReason::OutsideWorkingHours)
        } else {
            None
        }
    }
}

/// Instants of a schedule are whole minutes.
fn whole(instant: chrono::DateTime<chrono::Utc>) -> i64 {
    assert_eq!(instant.timestamp() % 60, 0);
    instant.timestamp() / 60
}

/// The instants of the windows that start on a local day, in minutes.
fn windows_of(schedule: &Schedule, zone: Witness, day: i64) -> Vec<(i64, i64)> {
    let date = UtcDateTime::from_timespec(day * DAY * 60, 0).unwrap();
    let is_today = |o: &&shared_events::schedule::DateOverride| {
        let written = format!(
            "{}-{:02}-{:02}",
            date.year(),
            date.month(),
            date.month_day()
        );
        o.date.to_string() == written
    };
    // Sunday is 0 there and 6 here.
    let weekday = (date.week_day() + 6) % 7;
    let local: Vec<(i64, i64)> = match schedule.date_overrides.iter().find(is_today) {
        Some(o) => o
            .windows
            .iter()
            .map(|w| (w.start.minutes().into(), w.end.minutes().into()))
            .collect(),
        None => schedule
            .working_hours
            .iter()
            .filter(|h| h.days.iter().any(|d| *d as u8 == weekday))
            .map(|h| (h.start.minutes().into(), h.end.minutes().into()))
            .collect(),
    };
    let at = |minute: i64| zone.meaning((day * DAY + minute) * 60);
    local
        .into_iter()
        .filter_map(|(start, end)| {
            let end = if end <= start { end + DAY } else { end };
            window(at(start), at(end))
        })
        .collect()
}

fn window(start: Meaning, end: Meaning) -> Option<(i64, i64)> {
    if let (Meaning::Never { jump: one, .. }, Meaning::Never { jump: other, .. }) = (start, end)
        && one == other
    {
        return None;
    }
    let (Meaning::Once(start) | Meaning::Twice(start, _) | Meaning::Never { before: start, .. }) =
        start;
    let (Meaning::Once(end) | Meaning::Twice(_, end) | Meaning::Never { before: end, .. }) = end;
    // Offsets had seconds before 1972: only whole minutes inside the window count.
    let (start, end) = ((start + 59).div_euclid(60), end.div_euclid(60));
    (start < end).then_some((start, end))
}
