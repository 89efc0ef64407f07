//! Local wall-clock time to instants, by the contract's rule for gaps and folds.

use chrono::{DateTime, Days, Duration, LocalResult, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use shared_events::schedule::{LocalTime, LocalWindow};

use crate::span::{Span, minute_of};

/// Which of the two instants an ambiguous local time means.
#[derive(Clone, Copy)]
enum Fold {
    First,
    Second,
}

/// The instants of a window that starts on the local day `date`. Empty when its resolved end is
/// not after its start.
#[must_use]
pub fn window_span(zone: Tz, date: NaiveDate, window: LocalWindow) -> Span {
    let last_day = if window.end <= window.start {
        next_day(date)
    } else {
        date
    };
    Span::new(
        resolve(zone, local(date, window.start), Fold::First),
        resolve(zone, local(last_day, window.end), Fold::Second),
    )
}

/// The first minute of the local day `date`, which is not midnight where the clocks skip it.
#[must_use]
pub fn start_of_day(zone: Tz, date: NaiveDate) -> i64 {
    resolve(zone, date.and_time(chrono::NaiveTime::MIN), Fold::First)
}

/// The local day on which `instant` lies.
#[must_use]
pub fn local_date(zone: Tz, instant: DateTime<Utc>) -> NaiveDate {
    instant.with_timezone(&zone).date_naive()
}

/// The day after `date`.
#[must_use]
pub fn next_day(date: NaiveDate) -> NaiveDate {
    date.checked_add_days(Days::new(1)).unwrap_or(date)
}

fn local(date: NaiveDate, time: LocalTime) -> NaiveDateTime {
    date.and_time(chrono::NaiveTime::MIN) + Duration::minutes(i64::from(time.minutes()))
}

fn resolve(zone: Tz, local: NaiveDateTime, fold: Fold) -> i64 {
    let instant = match zone.from_local_datetime(&local) {
        LocalResult::Single(only) => only.to_utc(),
        LocalResult::Ambiguous(first, second) => match fold {
            Fold::First => first.to_utc(),
            Fold::Second => second.to_utc(),
        },
        // A gap: the local time three hours before it tells the offset that held until then. No
        // zone of today skips more; where one did (a whole day at the date line), a day before does.
        LocalResult::None => [3, 27]
            .into_iter()
            .find_map(|hours| {
                let back = Duration::hours(hours);
                zone.from_local_datetime(&(local - back))
                    .latest()
                    .map(|at| at.to_utc() + back)
            })
            .unwrap_or_else(|| local.and_utc()),
    };
    minute_of(instant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::instant_at;

    fn window(start: &str, end: &str) -> LocalWindow {
        LocalWindow {
            start: LocalTime::parse(start).unwrap(),
            end: LocalTime::parse(end).unwrap(),
        }
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_night_shift_is_an_hour_shorter_when_the_clocks_go_forward_and_longer_when_they_go_back() {
        let night = window("22:00", "06:00");
        let minutes = |zone, date| window_span(zone, day(date), night).minutes();
        assert_eq!(minutes(Tz::Europe__London, "2026-03-28"), 7 * 60);
        assert_eq!(minutes(Tz::Europe__London, "2026-10-24"), 9 * 60);
        assert_eq!(minutes(Tz::Pacific__Auckland, "2026-09-26"), 7 * 60);
        assert_eq!(minutes(Tz::Pacific__Auckland, "2027-04-03"), 9 * 60);
        assert_eq!(minutes(Tz::Asia__Kolkata, "2026-03-28"), 8 * 60);
    }

    #[test]
    fn a_window_wholly_inside_a_gap_keeps_the_offset_before_it_and_one_across_a_fold_spans_both() {
        let gap = window_span(
            Tz::Europe__Berlin,
            day("2027-03-28"),
            window("02:15", "02:45"),
        );
        assert_eq!(
            instant_at(gap.start).to_rfc3339(),
            "2027-03-28T01:15:00+00:00"
        );
        let fold = window_span(
            Tz::Europe__Berlin,
            day("2026-10-25"),
            window("02:00", "03:00"),
        );
        assert_eq!(fold.minutes(), 120);
    }

    #[test]
    fn a_day_whose_midnight_is_skipped_starts_at_one() {
        let start = instant_at(start_of_day(Tz::America__Santiago, day("2026-09-06")));
        let local = start.with_timezone(&Tz::America__Santiago).naive_local();
        assert_eq!(local.to_string(), "2026-09-06 01:00:00");
    }
}
