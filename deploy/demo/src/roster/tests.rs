//! What holds for every roster, whatever its seed.

use std::collections::BTreeSet;

use chrono::Timelike;
use shared_events::zones::Zone;

use super::*;
use crate::span::shared_minutes;

fn now() -> DateTime<Utc> {
    "2026-11-24T08:17:00Z".parse().unwrap()
}

/// The spans of a contractor's jobs: the work, and the work with its buffers.
fn spans(contractor: &NewContractor) -> Vec<(Span, Span)> {
    let rules = contractor.booking_rules;
    let jobs = contractor.jobs.iter().map(|job| {
        let work = Span::between(job.start, job.end);
        let before = job
            .buffer_before_minutes
            .unwrap_or(rules.buffer_before_minutes);
        let after = job
            .buffer_after_minutes
            .unwrap_or(rules.buffer_after_minutes);
        assert!((15..=60).contains(&before) && (15..=60).contains(&after));
        (
            work,
            Span::new(work.start - i64::from(before), work.end + i64::from(after)),
        )
    });
    jobs.collect()
}

fn staffed(contractor: &NewContractor) -> Vec<Span> {
    let zone = Zone::named(&contractor.time_zone).unwrap();
    let first = minute_of(start_of_utc_day(now()));
    let horizon = Span::new(first, first + HORIZON_DAYS * 24 * 60);
    let working = working_spans(
        zone,
        &contractor.working_hours,
        &contractor.date_overrides,
        horizon,
    );
    let off = contractor
        .time_off
        .iter()
        .map(|off| Span::between(off.start, off.end))
        .collect();
    subtract(&working, &merge(off))
}

#[test]
fn the_same_seed_and_day_give_the_same_roster_and_another_seed_another() {
    let roster = generate(7, 60, now());
    assert_eq!(roster, generate(7, 60, now() + chrono::Duration::hours(9)));
    assert_ne!(roster, generate(8, 60, now()));
    assert_eq!(roster, generate(7, 90, now())[..60]);
}

#[test]
fn names_do_not_depend_on_the_day_and_no_two_people_share_one() {
    let names = |at| {
        generate(1, 800, at)
            .into_iter()
            .map(|c| c.name)
            .collect::<Vec<_>>()
    };
    let today = names(now());
    assert_eq!(today, names(now() + chrono::Duration::days(90)));
    assert_eq!(today.iter().collect::<BTreeSet<_>>().len(), 800);
}

#[test]
fn every_field_is_inside_the_services_limits() {
    let slug = |text: &str| {
        (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    for contractor in (0..3).flat_map(|seed| generate(seed, 400, now())) {
        assert!((1..=200).contains(&contractor.name.chars().count()));
        assert!(slug(&contractor.territory));
        assert!((1..=50).contains(&contractor.skills.len()));
        assert!(contractor.skills.iter().all(|skill| slug(skill)));
        assert!(contractor.skills.is_sorted_by(|a, b| a < b));
        assert!(contractor.date_overrides.len() <= 400 && contractor.jobs.len() <= 1000);
        assert!(
            contractor
                .date_overrides
                .is_sorted_by(|a, b| a.date < b.date)
        );
        let rules = contractor.booking_rules;
        assert!([15, 20, 30, 45, 60].contains(&rules.slot_interval_minutes));
        assert!(rules.min_notice_minutes <= 24 * 60);
        for off in &contractor.time_off {
            let days = (off.end - off.start).num_hours();
            assert!((23..=14 * 24 + 1).contains(&days), "{off:?}");
        }
        for job in &contractor.jobs {
            assert!((1..=200).contains(&job.title.chars().count()));
            assert!((30..=480).contains(&(job.end - job.start).num_minutes()));
            assert_eq!((job.start.second(), job.end.second()), (0, 0));
        }
    }
}

#[test]
fn jobs_lie_inside_staffed_time_and_no_two_touch_each_others_buffers() {
    for contractor in (0..3).flat_map(|seed| generate(seed, 200, now())) {
        let staffed = staffed(&contractor);
        let spans = spans(&contractor);
        for (work, _) in &spans {
            assert!(
                staffed.iter().any(|span| span.contains(*work)),
                "{contractor:?}"
            );
        }
        assert!(
            spans.is_sorted_by(|(_, a), (_, b)| a.end <= b.start),
            "{contractor:?}"
        );
    }
}

#[test]
fn the_active_are_booked_for_thirty_to_sixty_percent_of_their_time_on_the_whole() {
    let (mut taken, mut all) = (0, 0);
    for contractor in generate(1, 400, now())
        .iter()
        .filter(|c| c.status == Status::Active)
    {
        let staffed = staffed(contractor);
        all += staffed.iter().map(|span| span.minutes()).sum::<i64>();
        let blocked = merge(
            spans(contractor)
                .into_iter()
                .map(|(_, blocked)| blocked)
                .collect(),
        );
        taken += blocked
            .iter()
            .map(|block| shared_minutes(&staffed, *block))
            .sum::<i64>();
    }
    let percent = taken * 100 / all;
    assert!((30..=60).contains(&percent), "{percent} %");
}

#[test]
fn holidays_are_off_for_most_and_a_morning_for_a_few() {
    let roster = generate(1, 400, now());
    let days = || {
        roster
            .iter()
            .flat_map(|contractor| &contractor.date_overrides)
    };
    let christmas: NaiveDate = "2026-12-25".parse().unwrap();
    assert!(days().any(|day| day.date == christmas && day.windows.is_empty()));
    let open = days().filter(|day| !day.windows.is_empty()).count();
    assert!(open > 0 && open * 5 < days().count());
    assert!(days().all(|day| day.date >= "2026-11-23".parse().unwrap()));
}
