use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use shared_events::event::FieldValues;
use shared_events::schedule::{
    BookingRules, DateOverride, Job, LocalTime, LocalWindow, Schedule, Status, TimeOff, Weekday,
    WorkingHours,
};
use uuid::Uuid;

use super::{Author, Change, diff};

fn instant(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
}

fn local_time() -> impl Strategy<Value = LocalTime> {
    (0..1440u16).prop_map(|minutes| LocalTime::from_minutes(minutes).unwrap())
}

fn reason() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[a-b]{1,2}")
}

fn schedules() -> impl Strategy<Value = Schedule> {
    // Few values each, so that two schedules often agree in a field or an entry.
    let scalars = (
        "[a-b]",
        "[a-b]",
        btree_set("[a-c]", 0..3),
        prop_oneof![
            Just(Status::Active),
            Just(Status::Inactive),
            Just(Status::OnLeave)
        ],
        prop_oneof![Just("Europe/London"), Just("Asia/Kathmandu")],
    );
    let hours = vec((local_time(), local_time()), 0..2);
    let overrides = btree_map(0..4u64, reason(), 0..3);
    let time_off = btree_map(0..4u128, (0..3i64, reason()), 0..3);
    let jobs = btree_map(0..4u128, (0..3i64, 0..2u32), 0..3);
    (scalars, hours, overrides, time_off, jobs, 29..31u32).prop_map(
        |((name, territory, skills, status, zone), hours, overrides, time_off, jobs, slot)| {
            let mut schedule = Schedule {
                contractor_id: Uuid::from_u128(7),
                name,
                territory,
                skills: skills.into_iter().collect(),
                status,
                time_zone: zone.to_owned(),
                working_hours: hours
                    .into_iter()
                    .map(|(start, end)| WorkingHours {
                        days: vec![Weekday::Mo],
                        start,
                        end,
                    })
                    .collect(),
                date_overrides: overrides
                    .into_iter()
                    .map(|(day, reason)| DateOverride {
                        date: NaiveDate::default() + chrono::Days::new(day),
                        windows: vec![LocalWindow {
                            start: LocalTime::parse("08:00").unwrap(),
                            end: LocalTime::END_OF_DAY,
                        }],
                        reason,
                    })
                    .collect(),
                time_off: time_off
                    .into_iter()
                    .map(|(id, (start, reason))| TimeOff {
                        id: Uuid::from_u128(id),
                        start: instant(start),
                        end: instant(start + 1),
                        reason,
                    })
                    .collect(),
                jobs: jobs
                    .into_iter()
                    .map(|(id, (start, buffer))| Job {
                        id: Uuid::from_u128(id),
                        title: "job".to_owned(),
                        start: instant(start),
                        end: instant(start + 1),
                        buffer_before_minutes: buffer,
                        buffer_after_minutes: buffer,
                    })
                    .collect(),
                booking_rules: BookingRules {
                    slot_interval_minutes: slot,
                    ..Default::default()
                },
                version: 3,
                updated_at: instant(0),
            };
            schedule
                .time_off
                .sort_by_key(|entry| (entry.start, entry.id));
            schedule.jobs.sort_by_key(|entry| (entry.start, entry.id));
            schedule
        },
    )
}

/// What a subscriber does with one side of a change.
fn apply(schedule: &Schedule, values: FieldValues) -> Schedule {
    let mut schedule = schedule.clone();
    macro_rules! scalar {
        ($($field:ident)*) => {
            $(if let Some(value) = values.$field {
                schedule.$field = value.expect("no side of a change between two versions is null");
            })*
        };
    }
    scalar!(booking_rules name skills status territory time_zone working_hours);
    macro_rules! entries {
        ($($field:ident by $key:ident)*) => {
            $(for (key, entry) in values.$field.into_iter().flatten() {
                schedule.$field.retain(|existing| existing.$key != key);
                schedule.$field.extend(entry);
            })*
        };
    }
    entries!(date_overrides by date jobs by id time_off by id);
    schedule.date_overrides.sort_by_key(|entry| entry.date);
    schedule
        .time_off
        .sort_by_key(|entry| (entry.start, entry.id));
    schedule.jobs.sort_by_key(|entry| (entry.start, entry.id));
    schedule
}

proptest! {
    #[test]
    fn each_side_of_a_change_turns_the_other_schedule_into_its_own(
        before in schedules(), after in schedules(),
    ) {
        let difference = diff(Some(&before), &after);
        prop_assert_eq!(apply(&before, difference.current), after.clone());
        prop_assert_eq!(apply(&after, difference.previous), before);
    }

    #[test]
    fn both_sides_name_the_updated_fields_and_no_others(before in schedules(), after in schedules()) {
        let difference = diff(Some(&before), &after);
        let mut sorted = difference.fields.clone();
        sorted.sort();
        prop_assert_eq!(&sorted, &difference.fields);
        let names = serde_json::to_value(&difference.fields).unwrap();
        let names: Vec<&str> = names.as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
        for side in [&difference.previous, &difference.current] {
            let side = serde_json::to_value(side).unwrap();
            let mut keys: Vec<&str> = side.as_object().unwrap().keys().map(String::as_str).collect();
            keys.sort_unstable();
            prop_assert_eq!(&keys, &names);
        }
    }

    #[test]
    fn a_schedule_does_not_differ_from_itself(schedule in schedules()) {
        let change = Change::between(Some(&schedule), schedule.clone(), instant(9), &author());
        prop_assert_eq!(change, None);
    }

    #[test]
    fn a_creation_gives_every_scalar_field_and_only_the_entries_that_there_are(after in schedules()) {
        let difference = diff(None, &after);
        let scalars = 7;
        let lists = [!after.date_overrides.is_empty(), !after.jobs.is_empty(), !after.time_off.is_empty()];
        let lists = lists.iter().filter(|there| **there).count();
        prop_assert_eq!(difference.fields.len(), scalars + lists);
        prop_assert_eq!(&difference.previous.name, &Some(None));
        prop_assert_eq!(&difference.current.name, &Some(Some(after.name.clone())));
        let blank = Schedule {
            name: String::new(), territory: String::new(), skills: Vec::new(),
            status: Status::Inactive, time_zone: String::new(), working_hours: Vec::new(),
            date_overrides: Vec::new(), time_off: Vec::new(), jobs: Vec::new(),
            booking_rules: BookingRules::default(), ..after.clone()
        };
        prop_assert_eq!(apply(&blank, difference.current), after);
    }
}

fn plain() -> Schedule {
    Schedule {
        contractor_id: Uuid::from_u128(7),
        name: "Ada".to_owned(),
        territory: "north".to_owned(),
        skills: Vec::new(),
        status: Status::Active,
        time_zone: "Europe/London".to_owned(),
        working_hours: Vec::new(),
        date_overrides: Vec::new(),
        time_off: Vec::new(),
        jobs: Vec::new(),
        booking_rules: BookingRules::default(),
        version: 3,
        updated_at: instant(10),
    }
}

#[test]
fn a_change_has_the_next_version_and_a_commit_time_that_never_goes_back() {
    let before = plain();
    let after = Schedule {
        name: "Grace".to_owned(),
        ..before.clone()
    };
    let late = instant(11) + TimeDelta::microseconds(1_999);
    let change = Change::between(Some(&before), after.clone(), late, &author()).unwrap();
    assert_eq!(
        (change.previous_version, change.after.version),
        (Some(3), 4)
    );
    assert_eq!(
        change.after.updated_at,
        instant(11) + TimeDelta::milliseconds(1)
    );
    assert_eq!(change.data.timestamp, change.after.updated_at);
    assert_eq!(
        (change.data.version, change.data.actor.as_str()),
        (4, "ada")
    );

    let early = Change::between(Some(&before), after, instant(9), &author()).unwrap();
    assert_eq!(early.after.updated_at, before.updated_at);
}

fn author() -> Author {
    Author {
        actor: "ada".to_owned(),
        request_id: None,
    }
}
