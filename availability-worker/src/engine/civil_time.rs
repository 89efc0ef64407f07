//! The one place where local wall-clock time becomes an instant, and back.

use std::sync::LazyLock;

use chrono::{DateTime, Datelike, NaiveDate, Offset, TimeZone};
use chrono_tz::Tz;

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

const fn known(minute: Minute) -> Minute {
    if minute < FIRST_MINUTE - MARGIN {
        FIRST_MINUTE - MARGIN
    } else if minute > LAST_MINUTE + MARGIN {
        LAST_MINUTE + MARGIN
    } else {
        minute
    }
}

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

/// The name of a time zone that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone {0:?}")]
pub struct UnknownZone(pub String);

/// Finds an IANA time zone by its name.
pub fn zone(name: &str) -> Result<Tz, UnknownZone> {
    name.parse()
        .map_err(|_| UnknownZone(name.chars().take(64).collect()))
}

/// The wall clock of one zone over a stretch of time.
///
/// The zone is asked once a day of the stretch when this is made, and never again: what follows is
/// arithmetic on whole numbers.
#[derive(Debug)]
pub struct WallClock {
    /// What comes before the first change.
    first: Regime,
    /// The changes of the offset, ascending.
    changes: Vec<Regime>,
}

/// A stretch of time of one offset: it lasts until the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Regime {
    /// The second since the epoch with which it begins.
    begin: i64,
    /// Seconds east of UTC.
    offset: i64,
}

impl Regime {
    const fn instant_of(self, local: i64) -> i64 {
        local.saturating_sub(self.offset)
    }
}

impl WallClock {
    /// The wall clock of `zone` for what happens around `range`.
    ///
    /// No zone changes its clocks twice within a day, so a look at each day's offset finds every
    /// change; `every_clock_change_of_every_zone_is_found` holds that against all zones.
    #[must_use]
    pub fn over(zone: Tz, range: Interval) -> Self {
        let begin = known(range.start.saturating_sub(MARGIN));
        let end = known(range.end.saturating_add(MARGIN));
        let mut last = Regime {
            begin: begin * 60,
            offset: offset_seconds(zone, begin * 60),
        };
        let mut clock = Self {
            first: last,
            changes: Vec::new(),
        };
        while last.begin < end * 60 {
            let next = last.begin + DAY * 60;
            let offset = offset_seconds(zone, next);
            if offset != last.offset {
                clock.changes.push(Regime {
                    begin: change_between(zone, last, next),
                    offset,
                });
            }
            last = Regime {
                begin: next,
                offset,
            };
        }
        clock
    }

    /// The changes of the offset: the second with which each begins, and the new offset in seconds.
    pub fn changes(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.changes
            .iter()
            .map(|change| (change.begin, change.offset))
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
        let mut found = self.first;
        let mut gap = None;
        for change in &self.changes {
            // The wall clock jumps from `reaches` to `resumes`.
            let (reaches, resumes) = (change.begin + found.offset, change.begin + change.offset);
            if local < reaches {
                // What the new offset shows again is its second occurrence.
                if local < resumes || edge == Edge::Start {
                    break;
                }
            } else if local < resumes {
                gap = Some(change.begin);
                break;
            }
            found = *change;
        }
        let seconds = found.instant_of(local);
        let minute = match edge {
            Edge::Start => seconds.div_euclid(60) + i64::from(seconds.rem_euclid(60) > 0),
            Edge::End => seconds.div_euclid(60),
        };
        Resolved { minute, gap }
    }
}

/// The second between an offset and another one a day later at which the clocks change.
fn change_between(zone: Tz, before: Regime, after: i64) -> i64 {
    let (mut old, mut new) = (before.begin, after);
    while new - old > 1 {
        let middle = old + (new - old) / 2;
        if offset_seconds(zone, middle) == before.offset {
            old = middle;
        } else {
            new = middle;
        }
    }
    new
}

fn offset_seconds(zone: Tz, second: i64) -> i64 {
    let known = second - shift_to_known_rules(second.div_euclid(60)) * 60;
    DateTime::from_timestamp(known, 0).map_or(0, |utc| {
        let offset = zone.offset_from_utc_datetime(&utc.naive_utc());
        i64::from(offset.fix().local_minus_utc())
    })
}

/// The zone's offset at an instant, in minutes east of UTC, rounded down.
#[must_use]
pub fn offset_minutes(zone: Tz, minute: Minute) -> i64 {
    offset_seconds(zone, known(minute) * 60).div_euclid(60)
}

/// The wall clock at an instant, in minutes since 1970-01-01T00:00 local.
#[must_use]
pub fn local_minute(zone: Tz, minute: Minute) -> i64 {
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

/// The first minute for which the compiled time zone data has no rules any more: 2100-01-01T00:00.
const RULES_END: i64 = 47_482 * DAY;

/// How far a minute lies after the same minute of a year before 2100 that has the same calendar.
///
/// The compiled data ends each zone's clock changes with the year 2099, while the rules (such as
/// "last Sunday of March") go on. The 28 years before hold every calendar that a year can have.
fn shift_to_known_rules(minute: Minute) -> i64 {
    static SHIFTS: LazyLock<Vec<(Minute, i64)>> = LazyLock::new(|| {
        let new_year = |year: i32| NaiveDate::from_ymd_opt(year, 1, 1).map_or(0, day_number);
        let calendar = |year: i32| (weekday(new_year(year)), new_year(year + 1) - new_year(year));
        let shift = |year: i32| {
            let known = (2072..2100).find(|known| calendar(*known) == calendar(year))?;
            Some((
                new_year(year) * DAY,
                (new_year(year) - new_year(known)) * DAY,
            ))
        };
        (2100..=2201).filter_map(shift).collect()
    });
    if minute < RULES_END {
        return 0;
    }
    let later = SHIFTS.partition_point(|(new_year, _)| *new_year <= minute);
    later.checked_sub(1).map_or(0, |year| SHIFTS[year].1)
}

#[cfg(test)]
mod tests {
    use super::{
        Edge, Interval, LAST_MINUTE, Resolved, WallClock, date_of, day_number, weekday, zone,
    };
    use chrono::{Datelike, NaiveDate};
    use chrono_tz::Tz;

    fn local(text: &str) -> i64 {
        chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M")
            .unwrap()
            .and_utc()
            .timestamp()
            / 60
    }

    fn resolve(zone: Tz, local: i64, edge: Edge) -> Resolved {
        WallClock::over(zone, Interval::new(local, local + 1)).resolve(local, edge)
    }

    fn utc(zone: Tz, text: &str, edge: Edge) -> String {
        let minute = resolve(zone, local(text), edge).minute;
        chrono::DateTime::from_timestamp(minute * 60, 0)
            .unwrap()
            .format("%Y-%m-%dT%H:%MZ")
            .to_string()
    }

    #[test]
    fn a_gap_takes_the_offset_before_it() {
        for (zone, text, expected) in [
            (Tz::Europe__London, "2026-03-29T01:30", "2026-03-29T01:30Z"),
            (
                Tz::America__New_York,
                "2026-03-08T02:15",
                "2026-03-08T07:15Z",
            ),
            (
                Tz::America__Santiago,
                "2026-09-06T00:00",
                "2026-09-06T04:00Z",
            ),
            (
                Tz::Australia__Lord_Howe,
                "2026-10-04T02:10",
                "2026-10-03T15:40Z",
            ),
            (Tz::Pacific__Apia, "2011-12-30T08:00", "2011-12-30T18:00Z"),
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
                Tz::Europe__London,
                "2026-10-25T01:30",
                "2026-10-25T00:30Z",
                "2026-10-25T01:30Z",
            ),
            (
                Tz::America__New_York,
                "2026-11-01T01:00",
                "2026-11-01T05:00Z",
                "2026-11-01T06:00Z",
            ),
            (
                Tz::Australia__Lord_Howe,
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
    fn clock_changes_go_on_after_the_compiled_rules_end() {
        for (text, expected) in [
            ("2099-07-01T08:00", "2099-07-01T07:00Z"),
            ("2100-07-01T08:00", "2100-07-01T07:00Z"),
            ("2100-01-01T00:00", "2100-01-01T00:00Z"),
            ("2200-03-30T01:30", "2200-03-30T01:30Z"),
            ("2200-12-31T23:00", "2200-12-31T23:00Z"),
        ] {
            assert_eq!(utc(Tz::Europe__London, text, Edge::Start), expected);
        }
        assert!(
            resolve(Tz::Europe__London, local("2200-03-30T01:30"), Edge::Start)
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
        assert!(zone("Europe/Atlantis").is_err());
    }
}
