//! The dispatchers against a roster in memory, for days.

use chrono::{DateTime, TimeDelta, Utc};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use shared_events::Schedule;
use shared_events::schedule::{DateOverride, Job, Status, TimeOff};
use uuid::Uuid;

use super::board::Board;
use super::kind::Kind;
use super::proposal::{Action, Proposal};
use super::round;
use crate::contractor::{NewContractor, NewJob};
use crate::roster;
use crate::span::Span;
use crate::working_time::blocked;

/// A contractor as the service would answer it.
fn stored(index: usize, new: NewContractor) -> Schedule {
    let rules = new.booking_rules;
    let id = Uuid::from_u128(index as u128 + 1);
    let job = |job: NewJob| booked(Uuid::new_v4(), job, rules);
    let off = |off: crate::contractor::NewTimeOff| TimeOff {
        id: Uuid::new_v4(),
        start: off.start,
        end: off.end,
        reason: Some(off.reason.to_owned()),
    };
    Schedule {
        contractor_id: id,
        name: new.name,
        territory: new.territory,
        skills: new.skills,
        status: new.status,
        time_zone: new.time_zone,
        working_hours: new.working_hours,
        date_overrides: new.date_overrides,
        time_off: new.time_off.into_iter().map(off).collect(),
        jobs: new.jobs.into_iter().map(job).collect(),
        booking_rules: rules,
        version: 1,
        updated_at: DateTime::UNIX_EPOCH,
    }
}

fn booked(id: Uuid, job: NewJob, rules: shared_events::schedule::BookingRules) -> Job {
    Job {
        id,
        title: job.title,
        start: job.start,
        end: job.end,
        buffer_before_minutes: job
            .buffer_before_minutes
            .unwrap_or(rules.buffer_before_minutes),
        buffer_after_minutes: job
            .buffer_after_minutes
            .unwrap_or(rules.buffer_after_minutes),
    }
}

fn overlaps(schedule: &Schedule, start: DateTime<Utc>, end: DateTime<Utc>, but: Uuid) -> bool {
    let span = Span::between(start, end);
    let others = schedule.jobs.iter().filter(|job| job.id != but);
    others
        .map(|job| Span::between(job.start, job.end))
        .any(|other| other.overlaps(span))
}

/// Makes the change as the service would; false where jobs would overlap.
fn apply(roster: &mut [Schedule], proposal: &Proposal) -> bool {
    let index = |id: Uuid| usize::try_from(id.as_u128()).unwrap() - 1;
    let schedule = &mut roster[index(proposal.contractor)];
    assert_eq!(schedule.version, proposal.version);
    match proposal.action.clone() {
        Action::Book(job) => {
            if overlaps(schedule, job.start, job.end, Uuid::nil()) {
                return false;
            }
            schedule
                .jobs
                .push(booked(Uuid::new_v4(), job, schedule.booking_rules));
        }
        Action::ChangeJob { job, to, patch } => {
            let at = schedule
                .jobs
                .iter()
                .position(|other| other.id == job)
                .unwrap();
            let mut moved = schedule.jobs.remove(at);
            let instant = |name: &str, old| match &patch[name] {
                Value::String(text) => text.parse().unwrap(),
                _ => old,
            };
            (moved.start, moved.end) = (instant("start", moved.start), instant("end", moved.end));
            let target = &mut roster[index(to.unwrap_or(proposal.contractor))];
            assert!(
                !overlaps(target, moved.start, moved.end, job),
                "{proposal:?}"
            );
            target.jobs.push(moved);
            target.jobs.sort_by_key(|job| job.start);
            target.version += i64::from(to.is_some());
        }
        Action::Cancel(job) => schedule.jobs.retain(|other| other.id != job),
        Action::TakeOff(off) => schedule.time_off.push(TimeOff {
            id: Uuid::new_v4(),
            start: off.start,
            end: off.end,
            reason: Some(off.reason.to_owned()),
        }),
        Action::EndTimeOff(off) => schedule.time_off.retain(|other| other.id != off),
        Action::PutDay(date, day) => schedule.date_overrides.push(DateOverride {
            date,
            windows: day.windows,
            reason: Some(day.reason.to_owned()),
        }),
        Action::DeleteDay(date) => schedule.date_overrides.retain(|day| day.date != date),
        Action::Patch(patch) => {
            let mut document = serde_json::to_value(&*schedule).unwrap();
            for (name, value) in patch.as_object().unwrap() {
                match value {
                    Value::Object(members) => members.iter().for_each(|(member, value)| {
                        document[name][member] = value.clone();
                    }),
                    _ => document[name] = value.clone(),
                }
            }
            *schedule = serde_json::from_value(document).unwrap();
        }
    }
    let schedule = &mut roster[index(proposal.contractor)];
    schedule.version += 1;
    schedule.jobs.sort_by_key(|job| job.start);
    schedule.date_overrides.sort_by_key(|day| day.date);
    true
}

#[test]
fn a_roster_stays_as_full_and_as_staffed_as_it_was_for_days_of_changes() {
    let mut now: DateTime<Utc> = "2026-12-18T07:03:20Z".parse().unwrap();
    let mut roster: Vec<Schedule> = roster::generate(1, 64, now)
        .into_iter()
        .enumerate()
        .map(|(i, c)| stored(i, c))
        .collect();
    let mut board = Board::new(roster.clone(), now);
    let mut kinds = std::collections::BTreeMap::<Kind, u32>::new();
    let (mut conflicts, mut idle) = (0, 0);
    // A change every minute and a half, for five days: for each contractor about as many as with the
    // default rate in an hour and a half.
    for round in 0..4800 {
        now += TimeDelta::seconds(90);
        let mut rng = StdRng::seed_from_u64(round);
        let Some(proposal) = round::any(&mut board, &mut rng, now) else {
            idle += 1;
            continue;
        };
        if apply(&mut roster, &proposal) {
            *kinds.entry(proposal.kind).or_default() += 1;
        } else {
            assert_eq!(proposal.kind, Kind::BookBlind, "{proposal:?}");
            conflicts += 1;
        }
        for id in proposal.changed() {
            let at = usize::try_from(id.as_u128()).unwrap() - 1;
            board.see(roster[at].clone(), now);
        }
        if round % 100 == 99 {
            // As a read of everything would show it.
            let fresh = Board::new(roster.clone(), now);
            let fill = fresh.mean_fill();
            assert!((0.25..=0.65).contains(&fill), "{fill} after {round}");
            let sick = fresh.share_of(|seen| seen.is_sick(now));
            let away = fresh.share_of(|seen| seen.schedule.status != Status::Active);
            assert!(sick <= 0.1 && away <= 0.2, "{sick} {away} after {round}");
        }
    }
    assert!(idle < 48, "{idle}");
    assert!(conflicts > 0);
    assert!(kinds.len() >= 14, "{kinds:?}");
    let bookings = kinds[&Kind::Book];
    assert!(kinds.values().all(|count| *count <= bookings), "{kinds:?}");
    for schedule in &roster {
        for job in &schedule.jobs {
            assert!(
                !overlaps(schedule, job.start, job.end, job.id),
                "{schedule:?}"
            );
            assert!(blocked(job).minutes() <= 12 * 60);
        }
        assert!(schedule.jobs.len() <= 1000 && schedule.time_off.len() <= 400);
        assert!(schedule.date_overrides.len() <= 400);
    }
}
