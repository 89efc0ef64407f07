//! The laws of the algebra, as properties over the same random cases as the oracle's.

use proptest::prelude::*;
use shared_events::Schedule;
use shared_events::schedule::{Job, TimeOff};
use shared_events::zones::Zone;

use super::civil_time::{DAY, FIRST_MINUTE, local_minute};
use super::differential::{Case, case, cases};
use super::intervals::{merge, subtract};
use super::{FreeTime, Interval, Minute, Query, availability, conflicts, instant, outlook};

fn windows(schedule: &Schedule, query: &Query) -> Vec<Interval> {
    availability(schedule, query).unwrap().windows
}

fn within(query: &Query, start: Minute, end: Minute) -> Query {
    Query {
        range: Interval::new(start, end),
        ..*query
    }
}

/// Nothing of `less` is outside of `more`.
fn is_part(less: &[Interval], more: &[Interval]) -> bool {
    subtract(less, more).is_empty()
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn windows_are_sorted_disjoint_merged_and_inside_the_range(Case { schedule, query, .. } in case()) {
        let found = windows(&schedule, &query);
        let open = query.open_range(schedule.booking_rules.min_notice_minutes);
        prop_assert!(found.windows(2).all(|w| w[0].end < w[1].start));
        prop_assert!(found.iter().all(|w| open.start <= w.start && w.start < w.end && w.end <= open.end));
    }

    #[test]
    fn a_job_or_time_off_more_never_adds_free_time(
        Case { schedule, query, .. } in case(),
        (after, length, before_it, after_it) in (-1440_i64..4320, 1_i64..600, 0_u32..90, 0_u32..90),
    ) {
        let before = windows(&schedule, &query);
        let (start, end) = (query.range.start + after, query.range.start + after + length);
        let id = uuid::Uuid::from_u128(99);
        let mut booked = schedule.clone();
        booked.jobs.push(Job {
            id, title: String::new(), start: instant(start), end: instant(end),
            buffer_before_minutes: before_it, buffer_after_minutes: after_it,
        });
        let mut off = schedule;
        off.time_off.push(TimeOff { id, start: instant(start), end: instant(end), reason: None });
        let (with_job, with_time_off) = (windows(&booked, &query), windows(&off, &query));
        prop_assert!(is_part(&with_job, &before));
        // A job blocks at least itself, and exactly what time off of its length and buffers would.
        prop_assert!(is_part(&with_job, &with_time_off));
        let blocked = [Interval::new(start - i64::from(before_it), end + i64::from(after_it))];
        prop_assert_eq!(with_job, subtract(&before, &blocked));
        prop_assert_eq!(with_time_off, subtract(&before, &[Interval::new(start, end)]));
    }

    #[test]
    fn the_order_of_inputs_never_matters(Case { schedule, query, .. } in case(), turn in 0_usize..7) {
        let mut turned = schedule.clone();
        turned.working_hours.reverse();
        for hours in &mut turned.working_hours {
            let days = hours.days.len();
            hours.days.rotate_left(turn % days.max(1));
        }
        turned.date_overrides.reverse();
        for date in &mut turned.date_overrides {
            date.windows.reverse();
        }
        turned.time_off.reverse();
        let jobs = turned.jobs.len();
        turned.jobs.rotate_left(turn % jobs.max(1));
        let (mut one, mut other) = (availability(&schedule, &query).unwrap(), availability(&turned, &query).unwrap());
        // Conflicts come in the order of the jobs.
        one.conflicts.sort_by_key(|c| c.job_id);
        other.conflicts.sort_by_key(|c| c.job_id);
        prop_assert_eq!(one, other);
    }

    #[test]
    fn the_parts_of_a_range_make_the_whole(Case { schedule, query, .. } in case(), split in any::<prop::sample::Index>()) {
        let Interval { start, end } = query.range;
        let middle = start + i64::try_from(split.index(usize::try_from(end - start).unwrap())).unwrap();
        let whole = availability(&schedule, &query).unwrap();
        let left = availability(&schedule, &within(&query, start, middle)).unwrap();
        let right = availability(&schedule, &within(&query, middle, end)).unwrap();
        let joined = merge([left.windows, right.windows].concat());
        prop_assert_eq!(joined, whole.windows);
        // Slots of the parts are those of the whole that do not cross the cut.
        let (slots, duration) = (whole.slots.unwrap(), query.duration.unwrap());
        let (before, after): (Vec<i64>, Vec<i64>) = (
            slots.iter().copied().filter(|s| s + duration <= middle).collect(),
            slots.iter().copied().filter(|s| *s >= middle).collect(),
        );
        prop_assert_eq!(left.slots.unwrap(), before);
        prop_assert_eq!(right.slots.unwrap(), after);
        prop_assert_eq!(&left.conflicts, &whole.conflicts);
        prop_assert_eq!(&right.conflicts, &whole.conflicts);
    }

    #[test]
    fn slots_are_exactly_the_grid_points_that_fit(Case { schedule, query, .. } in case()) {
        let answer = availability(&schedule, &query).unwrap();
        let zone = Zone::named(&schedule.time_zone).unwrap();
        let (duration, interval) = (query.duration.unwrap(), query.slot_interval.unwrap());
        let long_before = (query.range.start - 366 * DAY).max(FIRST_MINUTE);
        // Where each window would begin, were the range not there.
        let whole = FreeTime::new(&schedule, zone).windows(Interval::new(long_before, query.range.end));
        prop_assume!(whole.first().is_none_or(|w| w.start > long_before));
        let mut expected = Vec::new();
        for window in &answer.windows {
            let start = whole.iter().find(|w| w.contains(window.start)).unwrap().start;
            expected.extend((window.start..=window.end - duration).filter(|&slot| {
                let from = if 60 % interval == 0 { local_minute(zone, slot) } else { slot - start };
                from.rem_euclid(interval) == 0
            }));
        }
        prop_assert_eq!(answer.slots.unwrap(), expected);
    }

    #[test]
    fn the_outlook_is_the_answer_without_a_now(Case { schedule, query, .. } in case()) {
        let zone = Zone::named(&schedule.time_zone).unwrap();
        let outlook = outlook(&schedule, query.range).unwrap();
        let answer = availability(&schedule, &Query { now: Minute::MIN, ..query }).unwrap();
        prop_assert_eq!(outlook.free.windows, answer.windows);
        prop_assert_eq!(&outlook.conflicts, &conflicts(&schedule, zone));
        let told: Vec<_> = outlook.conflicts.iter().map(|c| c.conflict).collect();
        prop_assert_eq!(told, answer.conflicts);
    }
}
