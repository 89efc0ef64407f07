//! Local wall-clock time to instants, by the contract's rule for gaps and folds.

use chrono::{DateTime, Days, Duration, NaiveDate, NaiveDateTime, Utc};
use shared_events::schedule::{LocalTime, LocalWindow};
use shared_events::zones::Zone;

use crate::span::Span;

/// Which of the two instants an ambiguous local time means.
#[derive(Clone, Copy)]
enum Fold {
    First,
    Second,
}

/// The instants of a window that starts on the local day `date`. Empty when its resolved end is
/// not after its start.
#[must_use]
pub fn window_span(zone: Zone, date: NaiveDate, window: LocalWindow) -> Span {
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
pub fn start_of_day(zone: Zone, date: NaiveDate) -> i64 {
    resolve(zone, date.and_time(chrono::NaiveTime::MIN), Fold::First)
}

/// What the clocks show at `instant`.
#[must_use]
pub fn local_time(zone: Zone, instant: DateTime<Utc>) -> NaiveDateTime {
    instant.naive_utc() + Duration::seconds(zone.offset_at(instant.timestamp()))
}

/// The local day on which `instant` lies.
#[must_use]
pub fn local_date(zone: Zone, instant: DateTime<Utc>) -> NaiveDate {
    local_time(zone, instant).date()
}

/// The day after `date`.
#[must_use]
pub fn next_day(date: NaiveDate) -> NaiveDate {
    date.checked_add_days(Days::new(1)).unwrap_or(date)
}

fn local(date: NaiveDate, time: LocalTime) -> NaiveDateTime {
    date.and_time(chrono::NaiveTime::MIN) + Duration::minutes(i64::from(time.minutes()))
}

fn resolve(zone: Zone, local: NaiveDateTime, fold: Fold) -> i64 {
    let local = local.and_utc().timestamp();
    // Wall clocks are less than a day from UTC, and change once in two days at most.
    let day = 24 * 60 * 60;
    let (before, changes) = zone.between(local - day, local + day);
    let after = changes.last().map_or(before, |change| change.offset);
    let instants = [local - before, local - after];
    let mut showing = instants
        .into_iter()
        .filter(|instant| instant + zone.offset_at(*instant) == local);
    let found = match fold {
        Fold::First => showing.next(),
        Fold::Second => showing.next_back(),
    };
    // A time that is skipped counts by the offset before.
    found.unwrap_or(local - before).div_euclid(60)
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

    fn zone(name: &str) -> Zone {
        Zone::named(name).unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_night_shift_is_an_hour_shorter_when_the_clocks_go_forward_and_longer_when_they_go_back() {
        let night = window("22:00", "06:00");
        let minutes = |zone, date| window_span(zone, day(date), night).minutes();
        assert_eq!(minutes(zone("Europe/London"), "2026-03-28"), 7 * 60);
        assert_eq!(minutes(zone("Europe/London"), "2026-10-24"), 9 * 60);
        assert_eq!(minutes(zone("Pacific/Auckland"), "2026-09-26"), 7 * 60);
        assert_eq!(minutes(zone("Pacific/Auckland"), "2027-04-03"), 9 * 60);
        assert_eq!(minutes(zone("Asia/Kolkata"), "2026-03-28"), 8 * 60);
    }

    #[test]
    fn a_window_wholly_inside_a_gap_keeps_the_offset_before_it_and_one_across_a_fold_spans_both() {
        let gap = window_span(
            zone("Europe/Berlin"),
            day("2027-03-28"),
            window("02:15", "02:45"),
        );
        assert_eq!(
            instant_at(gap.start).to_rfc3339(),
            "2027-03-28T01:15:00+00:00"
        );
        let fold = window_span(
            zone("Europe/Berlin"),
            day("2026-10-25"),
            window("02:00", "03:00"),
        );
        assert_eq!(fold.minutes(), 120);
    }

    #[test]
    fn a_day_whose_midnight_is_skipped_starts_at_one() {
        let start = instant_at(start_of_day(zone("America/Santiago"), day("2026-09-06")));
        let local = local_time(zone("America/Santiago"), start);
        assert_eq!(local.to_string(), "2026-09-06 01:00:00");
    }
}
