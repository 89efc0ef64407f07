//! The schedules that are recalculated: the same ones in every run.

use availability_worker::engine::civil_time::{DAY, offset_minutes};
use availability_worker::engine::{Interval, Minute, instant};
use chrono::NaiveDate;
use shared_events::Schedule;
use shared_events::schedule::{
    BookingRules, DateOverride, Job, LocalTime, LocalWindow, Status, TimeOff, Weekday, WorkingHours,
};
use shared_events::zones::Zone;
use uuid::Uuid;

/// 28 days from 12 October 2026, a Monday.
pub(super) const HORIZON: Interval = Interval::new(FIRST_DAY * DAY, (FIRST_DAY + DAYS) * DAY);

const FIRST_DAY: i64 = 20_738;
const DAYS: i64 = 28;

/// Zones whose clocks change within the horizon.
const ZONES: [&str; 8] = [
    "Europe/London",
    "America/New_York",
    "Europe/Berlin",
    "America/Los_Angeles",
    "Africa/Cairo",
    "Asia/Beirut",
    "America/Chicago",
    "Atlantic/Azores",
];

const WEEK: [Weekday; 6] = [
    Weekday::Mo,
    Weekday::Tu,
    Weekday::We,
    Weekday::Th,
    Weekday::Fr,
    Weekday::Sa,
];

/// A small generator, so that the schedules are the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 33).unwrap_or(0) % bound
    }
}

/// Schedules with 140 jobs, five a day, most of them within the working hours.
pub(super) fn with_clock_changes(count: u16) -> Vec<Schedule> {
    (0..count).map(schedule).collect()
}

fn schedule(number: u16) -> Schedule {
    let mut dice = Dice(u64::from(number));
    let time_zone = ZONES[usize::from(number) % ZONES.len()];
    debug_assert!(Zone::named(time_zone).is_ok_and(|zone| {
        offset_minutes(zone, HORIZON.start) != offset_minutes(zone, HORIZON.end)
    }));
    // Noon in the zone, whose clocks change by an hour at most.
    let shift = Zone::named(time_zone).map_or(0, |zone| offset_minutes(zone, HORIZON.start));
    let midnight = |day: i64| (FIRST_DAY + day) * DAY - shift;
    let mut id = u128::from(number) << 64;
    let mut new_id = || {
        id += 1;
        Uuid::from_u128(id)
    };
    let jobs = (0..DAYS)
        .flat_map(|day| (0..5).map(move |place| midnight(day) + 7 * 60 + place * 130))
        .map(|from| {
            let start = from + dice.below(30);
            let end = start + 30 + dice.below(50);
            job(new_id(), start, end)
        })
        .collect();
    let time_off = [6, 13, 20]
        .map(|day| {
            let start = midnight(day) + dice.below(1_000);
            TimeOff {
                id: new_id(),
                start: instant(start),
                end: instant(start + 120 + dice.below(600)),
                reason: None,
            }
        })
        .into();
    let overrides = [3, 10, 13, 17].map(|day| DateOverride {
        date: date(FIRST_DAY + day),
        windows: if day == 10 {
            Vec::new()
        } else {
            vec![window(9 * 60, 15 * 60), window(22 * 60, 2 * 60)]
        },
        reason: None,
    });
    Schedule {
        contractor_id: new_id(),
        name: format!("Contractor {number}"),
        territory: "north".to_owned(),
        skills: vec!["gas".to_owned()],
        status: Status::Active,
        time_zone: time_zone.to_owned(),
        working_hours: vec![
            hours(&WEEK, 7 * 60, 12 * 60),
            hours(&WEEK, 12 * 60 + 30, 18 * 60),
            hours(&[Weekday::Sa], 22 * 60, 4 * 60),
        ],
        date_overrides: overrides.into(),
        time_off,
        jobs,
        booking_rules: BookingRules::default(),
        version: 1,
        updated_at: instant(HORIZON.start),
    }
}

fn job(id: Uuid, start: Minute, end: Minute) -> Job {
    Job {
        id,
        title: "Boiler service".to_owned(),
        start: instant(start),
        end: instant(end),
        buffer_before_minutes: 15,
        buffer_after_minutes: 15,
    }
}

fn hours(days: &[Weekday], start: u16, end: u16) -> WorkingHours {
    let LocalWindow { start, end } = window(start, end);
    WorkingHours {
        days: days.to_vec(),
        start,
        end,
    }
}

fn window(start: u16, end: u16) -> LocalWindow {
    let time = |minutes| LocalTime::from_minutes(minutes).unwrap_or(LocalTime::END_OF_DAY);
    LocalWindow {
        start: time(start),
        end: time(end),
    }
}

fn date(day: i64) -> NaiveDate {
    availability_worker::engine::civil_time::date_of(day).unwrap_or_default()
}
