//! Arbitrary schedules and queries: no panic, and the laws of the algebra hold.

#![no_main]

// The engine's sources alone, so that nothing else is instrumented and a build takes a minute.
#[path = "../../src/engine/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the worker uses more of it")]
mod engine;

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use chrono::{DateTime, Utc};
use engine::{Availability, Interval, Query, SlotRequest, availability, civil_time, explain, first_slot};
use libfuzzer_sys::fuzz_target;
use shared_events::Schedule;
use shared_events::schedule::{
    BookingRules, DateOverride, Job, LocalTime, LocalWindow, Status, TimeOff, Weekday, WorkingHours,
};
use shared_events::zones::Zone;
use uuid::Uuid;

static ZONES: LazyLock<Vec<Zone>> = LazyLock::new(Zone::all);

/// What a case is made of; `case` brings it within what the contract admits.
#[derive(Debug, Arbitrary)]
struct Input {
    zone: u16,
    /// The day around which all of it happens, of the years that the engine knows.
    day: u32,
    status: u8,
    hours: Vec<(u8, u16, u16)>,
    overrides: Vec<(i8, Vec<(u16, u16)>)>,
    time_off: Vec<(i16, u32)>,
    jobs: Vec<(i16, u16, u16, u16)>,
    rules: (u16, u32),
    from: i16,
    length: u32,
    now: i32,
    duration: Option<u16>,
    slot_interval: Option<u16>,
    split: u32,
    /// Numbers that nothing was brought into bounds of: they may not panic either.
    wild: Option<[i64; 5]>,
}

const DAYS: [Weekday; 7] = [
    Weekday::Mo,
    Weekday::Tu,
    Weekday::We,
    Weekday::Th,
    Weekday::Fr,
    Weekday::Sa,
    Weekday::Su,
];

fn clock(minutes: u16, most: u16) -> LocalTime {
    LocalTime::from_minutes(minutes % (most + 1)).unwrap_or(LocalTime::END_OF_DAY)
}

fn window(&(start, end): &(u16, u16)) -> LocalWindow {
    LocalWindow {
        start: clock(start, 1_439),
        end: clock(end, 1_440),
    }
}

fn at(minute: i64) -> DateTime<Utc> {
    engine::instant(minute)
}

fn case(input: &Input) -> (Schedule, Query) {
    let zone = ZONES[usize::from(input.zone) % ZONES.len()];
    let day = i64::from(input.day) % (civil_time::LAST_MINUTE / civil_time::DAY);
    let origin = day * civil_time::DAY;
    let hours = input.hours.iter().take(12).map(|&(days, start, end)| WorkingHours {
        days: DAYS
            .into_iter()
            .filter(|d| days >> (*d as u8) & 1 == 1)
            .collect(),
        start: clock(start, 1_439),
        end: clock(end, 1_440),
    });
    let mut overrides: Vec<DateOverride> = input
        .overrides
        .iter()
        .take(12)
        .filter_map(|(offset, windows)| {
            Some(DateOverride {
                date: civil_time::date_of(day + i64::from(*offset))?,
                windows: windows.iter().take(8).map(window).collect(),
                reason: None,
            })
        })
        .collect();
    overrides.sort_by_key(|o| o.date);
    overrides.dedup_by_key(|o| o.date);
    let time_off = input.time_off.iter().take(12).enumerate();
    let jobs = input.jobs.iter().take(40).enumerate();
    let schedule = Schedule {
        contractor_id: Uuid::nil(),
        name: String::new(),
        territory: "north".to_owned(),
        skills: Vec::new(),
        status: match input.status % 16 {
            0 => Status::Inactive,
            1 => Status::OnLeave,
            _ => Status::Active,
        },
        time_zone: zone.name().to_owned(),
        working_hours: hours.collect(),
        date_overrides: overrides,
        time_off: time_off
            .map(|(n, &(start, length))| TimeOff {
                id: Uuid::from_u128(n as u128),
                start: at(origin + i64::from(start)),
                end: at(origin + i64::from(start) + 1 + i64::from(length % 100_000)),
                reason: None,
            })
            .collect(),
        jobs: jobs
            .map(|(n, &(start, length, before, after))| Job {
                id: Uuid::from_u128(n as u128),
                title: String::new(),
                start: at(origin + i64::from(start)),
                end: at(origin + i64::from(start) + 1 + i64::from(length % 44_640)),
                buffer_before_minutes: u32::from(before % 1_441),
                buffer_after_minutes: u32::from(after % 1_441),
            })
            .collect(),
        booking_rules: BookingRules {
            slot_interval_minutes: u32::from(input.rules.0 % 1_440) + 1,
            min_notice_minutes: input.rules.1 % (365 * 1_440),
            buffer_before_minutes: 0,
            buffer_after_minutes: 0,
        },
        version: 1,
        updated_at: DateTime::UNIX_EPOCH,
    };
    let from = (origin + i64::from(input.from)).clamp(0, civil_time::LAST_MINUTE - 1);
    let to = (from + 1 + i64::from(input.length % 60_000)).min(civil_time::LAST_MINUTE);
    let query = Query {
        range: Interval::new(from, to),
        now: origin.saturating_add(i64::from(input.now)),
        duration: input.duration.map(|d| i64::from(d % 44_640) + 1),
        slot_interval: input.slot_interval.map(|i| i64::from(i % 1_440) + 1),
    };
    (schedule, query)
}

fn ask(schedule: &Schedule, query: &Query) -> Availability {
    availability(schedule, query).expect("the zone is known")
}

fuzz_target!(|input: Input| {
    let (schedule, query) = case(&input);
    if let Some([from, to, now, duration, interval]) = input.wild {
        let wild = Query {
            // A long range is work, not a fault: the bounds of a query keep it short.
            range: Interval::new(from, to.min(from.saturating_add(60_000))),
            now,
            duration: Some(duration),
            slot_interval: Some(interval),
        };
        ask(&schedule, &wild);
    }

    let answer = ask(&schedule, &query);
    let open = query.open_range(schedule.booking_rules.min_notice_minutes);
    let windows = &answer.windows;
    assert!(windows.windows(2).all(|w| w[0].end < w[1].start), "sorted, disjoint and merged");
    assert!(windows.iter().all(|w| !w.is_empty() && w.start >= open.start && w.end <= open.end));

    // The explanation of a minute comes by another way to the same verdict.
    let edges = windows.iter().flat_map(|w| [w.start - 1, w.start, w.end - 1, w.end]);
    for minute in edges.take(8).chain([query.range.start, query.range.end - 1]) {
        if query.range.contains(minute) {
            let told = explain(&schedule, at(minute), at(query.now)).expect("the zone is known");
            assert_eq!(told.free, windows.iter().any(|w| w.contains(minute)), "{minute}: {told}");
        }
    }

    // Two halves of the range make the whole; a later start of the range moves no slot.
    let length = u32::try_from(query.range.end - query.range.start).expect("the range is short");
    let middle = query.range.start + i64::from(input.split % length);
    let half = |start, end| {
        ask(&schedule, &Query { range: Interval::new(start, end), ..query })
    };
    let (left, right) = (half(query.range.start, middle), half(middle, query.range.end));
    let joined = left.windows.iter().chain(&right.windows).copied().collect();
    assert_eq!(&engine::intervals::merge(joined), windows);
    assert_eq!(left.conflicts, answer.conflicts);

    if let (Some(slots), Some(duration)) = (&answer.slots, query.duration) {
        let mut places = windows.iter().peekable();
        for &slot in slots {
            while places.next_if(|w| w.end <= slot).is_some() {}
            assert!(places.peek().is_some_and(|w| w.start <= slot && slot + duration <= w.end));
        }
        assert!(slots.windows(2).all(|s| s[0] < s[1]));
        let later: Vec<i64> = slots.iter().copied().filter(|s| *s >= middle).collect();
        assert_eq!(right.slots.as_ref(), Some(&later), "from {middle} on");

        let zone = Zone::named(&schedule.time_zone).expect("the zone is known");
        let interval = i64::from(schedule.booking_rules.slot_interval_minutes);
        let request = SlotRequest {
            duration,
            interval: query.slot_interval.unwrap_or(interval),
        };
        let free = engine::FreeTime::new(&schedule, zone).in_range(open);
        assert_eq!(first_slot(zone, &free, open, request), slots.first().copied());
    }
});
