//! The one place where local wall-clock time becomes an instant, and back.

use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDate, NaiveDateTime, Offset, TimeZone};
use chrono_tz::{GapInfo, Tz};

use super::intervals::Minute;

/// Minutes of a civil day.
pub const DAY: i64 = 24 * 60;

/// The first minute that the engine knows: 1970-01-01T00:00Z.
pub const FIRST_MINUTE: Minute = 0;

/// The end of the time that the engine knows: 2201-01-01T00:00Z.
pub const LAST_MINUTE: Minute = 84_371 * DAY;

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
    /// Where the local time does not exist: the local second at which the gap begins, which tells
    /// one gap from another.
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

/// The instant that `local`, minutes since 1970-01-01T00:00 on the zone's wall clock, means.
///
/// A time that does not exist is taken with the offset before the gap; one that exists twice means
/// the first occurrence for a start and the second for an end. None beyond what chrono can express.
///
/// Where an offset has seconds (before 1972 only), a start is rounded up and an end down, so that
/// nothing outside the local window counts as inside.
#[must_use]
pub fn resolve(zone: Tz, local: i64, edge: Edge) -> Option<Resolved> {
    let shift = shift_to_known_rules(local);
    if shift != 0 {
        let known = resolve(zone, local - shift, edge)?;
        return Some(Resolved {
            minute: known.minute + shift,
            gap: known.gap,
        });
    }
    let naive = naive(local)?;
    let (offset, gap) = match zone.offset_from_local_datetime(&naive) {
        MappedLocalTime::Single(offset) => (offset.fix(), None),
        MappedLocalTime::Ambiguous(first, second) => {
            let (first, second) = (first.fix(), second.fix());
            // The earlier instant is the one with the larger offset.
            let (earlier, later) = if first.local_minus_utc() >= second.local_minus_utc() {
                (first, second)
            } else {
                (second, first)
            };
            (if edge == Edge::Start { earlier } else { later }, None)
        }
        MappedLocalTime::None => {
            let (begin, before) = GapInfo::new(&naive, &zone)?.begin?;
            (before.fix(), Some(begin.and_utc().timestamp()))
        }
    };
    let seconds = local
        .checked_mul(60)?
        .checked_sub(i64::from(offset.local_minus_utc()))?;
    let minute = match edge {
        Edge::Start => seconds.div_euclid(60) + i64::from(seconds.rem_euclid(60) > 0),
        Edge::End => seconds.div_euclid(60),
    };
    Some(Resolved { minute, gap })
}

/// The zone's offset at an instant, in minutes east of UTC, rounded down.
#[must_use]
pub fn offset_minutes(zone: Tz, minute: Minute) -> i64 {
    naive(minute - shift_to_known_rules(minute)).map_or(0, |utc| {
        i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()).div_euclid(60)
    })
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
fn shift_to_known_rules(minute: i64) -> i64 {
    if minute < RULES_END {
        return 0;
    }
    let new_year = |year: i32| NaiveDate::from_ymd_opt(year, 1, 1).map(day_number);
    let calendar = |year: i32| {
        Some((
            weekday(new_year(year)?),
            new_year(year + 1)? - new_year(year)?,
        ))
    };
    let Some(year) = date_of(minute.div_euclid(DAY)).map(|date| date.year()) else {
        return 0;
    };
    (2072..2100)
        .find(|known| calendar(*known).is_some_and(|c| Some(c) == calendar(year)))
        .and_then(|known| Some((new_year(year)? - new_year(known)?) * DAY))
        .unwrap_or(0)
}

fn naive(minute: i64) -> Option<NaiveDateTime> {
    Some(DateTime::from_timestamp(minute.checked_mul(60)?, 0)?.naive_utc())
}

#[cfg(test)]
mod tests {
    use super::{Edge, LAST_MINUTE, date_of, day_number, resolve, weekday, zone};
    use chrono::{Datelike, NaiveDate};
    use chrono_tz::Tz;

    fn local(text: &str) -> i64 {
        chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M")
            .unwrap()
            .and_utc()
            .timestamp()
            / 60
    }

    fn utc(zone: Tz, text: &str, edge: Edge) -> String {
        let minute = resolve(zone, local(text), edge).unwrap().minute;
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
            assert!(
                resolve(zone, local(text), Edge::Start)
                    .unwrap()
                    .gap
                    .is_some()
            );
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
                .unwrap()
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
