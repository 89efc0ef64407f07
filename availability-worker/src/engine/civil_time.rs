//! The one place where local wall-clock time becomes an instant, and back.

use std::iter;

use chrono::{Datelike, NaiveDate};
use shared_events::zones::{self, Change, Zone};

use super::intervals::{Interval, Minute};

/// Minutes of a civil day.
pub const DAY: i64 = 24 * 60;

/// The first minute that the engine knows: 1970-01-01T00:00Z.
pub const FIRST_MINUTE: Minute = 0;

/// The end of the time that the engine knows: 2201-01-01T00:00Z.
pub const LAST_MINUTE: Minute = 84_371 * DAY;

/// How far beyond its range a [`WallClock`] can be asked: no window of a local day that reaches
/// into the range has an edge further away.
const MARGIN: i64 = 5 * DAY;

const _: () = assert!(
    (LAST_MINUTE + MARGIN) * 60 <= zones::END,
    "clock changes are known for all the time that the engine knows"
);

/// Which end of a window a local time is: it decides what an ambiguous time means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The first of two occurrences.
    Start,
    /// The second of two occurrences.
    End,
}

/// The instant that a local time means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// The instant.
    pub minute: Minute,
    /// Where the local time does not exist: the second at which the clocks jump over it, which
    /// tells one gap from another.
    pub gap: Option<i64>,
}

/// The wall clock of one zone over a stretch of time: its offset at the beginning of the stretch,
/// and its clock changes within. All that follows is arithmetic on whole numbers.
#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    /// Seconds east of UTC before the first change.
    first: i64,
    changes: &'static [Change],
}

impl WallClock {
    /// The wall clock of `zone` for what happens around `range`.
    #[must_use]
    pub fn over(zone: Zone, range: Interval) -> Self {
        let begin = range.start.saturating_sub(MARGIN);
        let end = range.end.saturating_add(MARGIN);
        let (first, changes) = zone.between(begin.saturating_mul(60), end.saturating_mul(60));
        Self { first, changes }
    }

    /// The instant that `local`, minutes since 1970-01-01T00:00 on the wall clock, means.
    ///
    /// A time that does not exist is taken with the offset before the gap; one that exists twice
    /// means the first occurrence for a start and the second for an end.
    ///
    /// Where an offset has seconds (before 1972 only), a start is rounded up and an end down, so
    /// that nothing outside the local window counts as inside.
    #[must_use]
    pub fn resolve(&self, local: i64, edge: Edge) -> Resolved {
        let local = local.saturating_mul(60);
        let mut offset = self.first;
        let mut gap = None;
        for change in self.changes {
            // The wall clock jumps from `reaches` to `resumes`.
            let (reaches, resumes) = (change.at + offset, change.at + change.offset);
            if local < reaches {
                // What the new offset shows again is its second occurrence.
                if local < resumes || edge == Edge::Start {
                    break;
                }
            } else if local < resumes {
                gap = Some(change.at);
                break;
            }
            offset = change.offset;
        }
        let seconds = local.saturating_sub(offset);
        let minute = match edge {
            Edge::Start => minute_at_or_after(seconds),
            Edge::End => seconds.div_euclid(60),
        };
        Resolved { minute, gap }
    }
}

/// The pieces of `range` with one offset each, ascending, and that offset as [`offset_minutes`].
pub fn even_stretches(zone: Zone, range: Interval) -> impl Iterator<Item = (Interval, i64)> {
    let Interval { start, end } = range;
    let (first, changes) = zone.between(start.saturating_mul(60), end.saturating_mul(60));
    // The minute in which the clocks change begins with the old offset.
    let minutes = || changes.iter().map(|change| minute_at_or_after(change.at));
    let begins = iter::once(start).chain(minutes());
    let ends = minutes().chain(iter::once(end));
    let offsets = iter::once(first).chain(changes.iter().map(|change| change.offset));
    begins
        .zip(ends)
        .zip(offsets)
        .map(|((begin, end), offset)| (Interval::new(begin, end), offset.div_euclid(60)))
}

const fn minute_at_or_after(second: i64) -> Minute {
    second.div_euclid(60) + (second.rem_euclid(60) > 0) as i64
}

/// The zone's offset at an instant, in minutes east of UTC, rounded down.
#[must_use]
pub fn offset_minutes(zone: Zone, minute: Minute) -> i64 {
    zone.offset_at(minute.saturating_mul(60)).div_euclid(60)
}

/// The wall clock at an instant, in minutes since 1970-01-01T00:00 local.
#[must_use]
pub fn local_minute(zone: Zone, minute: Minute) -> i64 {
    minute.saturating_add(offset_minutes(zone, minute))
}

/// The days since 1970-01-01 of a date.
#[must_use]
pub fn day_number(date: NaiveDate) -> i64 {
    i64::from(date.num_days_from_ce()) - 719_163
}

/// The date of a day number.
#[must_use]
pub fn date_of(day: i64) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(i32::try_from(day.checked_add(719_163)?).ok()?)
}

/// The weekday of a day number, 0 for Monday to 6 for Sunday.
#[must_use]
pub fn weekday(day: i64) -> usize {
    // 1970-01-01 was a Thursday.
    usize::try_from((day + 3).rem_euclid(7)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Edge, Interval, LAST_MINUTE, Resolved, WallClock, date_of, day_number, weekday};
    use chrono::{Datelike, NaiveDate};
    use shared_events::zones::Zone;

    fn local(text: &str) -> i64 {
        chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M")
            .unwrap()
            .and_utc()
            .timestamp()
            / 60
    }

    fn resolve(zone: &str, local: i64, edge: Edge) -> Resolved {
        WallClock::over(Zone::named(zone).unwrap(), Interval::new(local, local + 1))
            .resolve(local, edge)
    }

    fn utc(zone: &str, text: &str, edge: Edge) -> String {
        let minute = resolve(zone, local(text), edge).minute;
        chrono::DateTime::from_timestamp(minute * 60, 0)
            .unwrap()
            .format("%Y-%m-%dT%H:%MZ")
            .to_string()
    }

    #[test]
    fn a_gap_takes_the_offset_before_it() {
        for (zone, text, expected) in [
            ("Europe/London", "2026-03-29T01:30", "2026-03-29T01:30Z"),
            ("America/New_York", "2026-03-08T02:15", "2026-03-08T07:15Z"),
            ("America/Santiago", "2026-09-06T00:00", "2026-09-06T04:00Z"),
            (
                "Australia/Lord_Howe",
                "2026-10-04T02:10",
                "2026-10-03T15:40Z",
            ),
            ("Pacific/Apia", "2011-12-30T08:00", "2011-12-30T18:00Z"),
        ] {
            assert_eq!(utc(zone, text, Edge::Start), expected, "{zone} {text}");
            assert_eq!(utc(zone, text, Edge::End), expected, "{zone} {text}");
            assert!(resolve(zone, local(text), Edge::Start).gap.is_some());
        }
    }

    #[test]
    fn a_fold_is_the_first_for_a_start_and_the_second_for_an_end() {
        for (zone, text, start, end) in [
            (
                "Europe/London",
                "2026-10-25T01:30",
                "2026-10-25T00:30Z",
                "2026-10-25T01:30Z",
            ),
            (
                "America/New_York",
                "2026-11-01T01:00",
                "2026-11-01T05:00Z",
                "2026-11-01T06:00Z",
            ),
            (
                "Australia/Lord_Howe",
                "2026-04-05T01:45",
                "2026-04-04T14:45Z",
                "2026-04-04T15:15Z",
            ),
        ] {
            assert_eq!(utc(zone, text, Edge::Start), start, "{zone} {text}");
            assert_eq!(utc(zone, text, Edge::End), end, "{zone} {text}");
        }
    }

    #[test]
    fn clock_changes_go_on_to_the_last_year() {
        for (text, expected) in [
            ("2100-07-01T08:00", "2100-07-01T07:00Z"),
            ("2100-01-01T00:00", "2100-01-01T00:00Z"),
            ("2200-03-30T01:30", "2200-03-30T01:30Z"),
            ("2200-12-31T23:00", "2200-12-31T23:00Z"),
        ] {
            assert_eq!(utc("Europe/London", text, Edge::Start), expected);
        }
        assert!(
            resolve("Europe/London", local("2200-03-30T01:30"), Edge::Start)
                .gap
                .is_some()
        );
    }

    #[test]
    fn days_have_their_dates_and_weekdays() {
        for date in ["1970-01-01", "2000-02-29", "2026-11-24", "2200-12-31"] {
            let date: NaiveDate = date.parse().unwrap();
            assert_eq!(date_of(day_number(date)), Some(date));
            assert_eq!(
                weekday(day_number(date)),
                date.weekday().num_days_from_monday() as usize
            );
        }
        assert_eq!(
            date_of(LAST_MINUTE / 1440).unwrap().to_string(),
            "2201-01-01"
        );
        assert_eq!(date_of(i64::MAX), None);
    }
}
