//! The people of the demo: who they are follows from the seed, what they do from seed and day.

use chrono::{DateTime, Days, NaiveDate, Utc};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use shared_events::schedule::{BookingRules, DateOverride, Status, WorkingHours};

use crate::cities::{CITIES, City};
use crate::civil_time::{local_date, start_of_day};
use crate::contractor::{NewContractor, NewTimeOff};
use crate::diary::Diary;
use crate::holidays;
use crate::names::Names;
use crate::shifts::{self, Shift};
use crate::span::{Span, instant_at, merge, minute_of, subtract};
use crate::trades::TRADES;
use crate::working_time::working_spans;

/// The most contractors that a roster can have: as many as there are different names.
pub const MAX_CONTRACTORS: usize = CITIES.len() * Names::COUNT;

/// For how many days from today jobs are booked.
pub const HORIZON_DAYS: i64 = 28;

/// Reasons of planned leave.
const LEAVE: [&str; 4] = ["annual leave", "family leave", "moving house", "training"];

/// The roster of `seed` as it starts on the day of `now`: contractor `index` is the same whatever
/// `count` is, and the same roster results from the same seed and day.
#[must_use]
pub fn generate(seed: u64, count: usize, now: DateTime<Utc>) -> Vec<NewContractor> {
    let people = CITIES.each_ref().map(|_| {
        let mut order: Vec<usize> = (0..Names::COUNT).collect();
        order.shuffle(&mut StdRng::seed_from_u64(seed));
        order
    });
    (0..count.min(MAX_CONTRACTORS))
        .map(|index| {
            let city_index = index % CITIES.len();
            let name = people[city_index][index / CITIES.len()];
            contractor(seed, index, &CITIES[city_index], name, now)
        })
        .collect()
}

fn contractor(
    seed: u64,
    index: usize,
    city: &City,
    name: usize,
    now: DateTime<Utc>,
) -> NewContractor {
    // Numbers of their own for everybody, so that one more person changes nobody else's.
    let mut rng = StdRng::seed_from_u64(seed.rotate_left(32) ^ index as u64);
    let territory = city.territories[index / CITIES.len() % city.territories.len()];
    let skills = draw_skills(&mut rng);
    let status = match rng.random_range(0..100) {
        0..3 => Status::Inactive,
        3..6 => Status::OnLeave,
        _ => Status::Active,
    };
    let shift = shifts::draw(&mut rng);
    let working_hours = shift.draw_hours(&mut rng, city.six_day_week);
    let booking_rules = draw_rules(&mut rng);

    let today = local_date(city.zone(), start_of_utc_day(now));
    let date_overrides = holiday_overrides(&mut rng, city, shift, &working_hours, today);
    let time_off = draw_leave(&mut rng, city, today);

    let first = minute_of(start_of_utc_day(now));
    let horizon = Span::new(first, first + HORIZON_DAYS * 24 * 60);
    let off = time_off
        .iter()
        .map(|off| Span::between(off.start, off.end))
        .collect();
    let working = working_spans(city.zone(), &working_hours, &date_overrides, horizon);
    let staffed = subtract(&working, &merge(off));
    let diary = Diary {
        skills: &skills,
        streets: city.streets,
        rules: booking_rules,
        fill: rng.random_range(0.3..=0.6),
    };
    let jobs = if status == Status::Active {
        diary.fill(&mut rng, &staffed)
    } else {
        Vec::new()
    };

    NewContractor {
        name: city.names.full(name),
        territory: territory.to_owned(),
        skills,
        status,
        time_zone: city.time_zone.to_owned(),
        working_hours,
        date_overrides,
        time_off,
        jobs,
        booking_rules,
    }
}

fn start_of_utc_day(now: DateTime<Utc>) -> DateTime<Utc> {
    now.date_naive().and_time(chrono::NaiveTime::MIN).and_utc()
}

fn draw_skills(rng: &mut StdRng) -> Vec<String> {
    let Some(trade) = TRADES.choose(rng) else {
        return Vec::new();
    };
    let extra = trade.extra.iter().filter(|_| rng.random_bool(0.5));
    let mut skills: Vec<String> = trade
        .core
        .iter()
        .chain(extra)
        .map(|&skill| skill.to_owned())
        .collect();
    skills.sort_unstable();
    skills.dedup();
    skills
}

/// Booking rules as dispatchers set them: usual slot intervals, up to a day's notice, and travel
/// buffers of 15 to 60 minutes.
#[must_use]
pub fn draw_rules(rng: &mut impl RngExt) -> BookingRules {
    let mut one_of = |choices: &[u32]| choices.choose(rng).copied().unwrap_or(30);
    BookingRules {
        slot_interval_minutes: one_of(&[15, 20, 30, 30, 30, 45, 60]),
        min_notice_minutes: one_of(&[0, 0, 30, 60, 120, 240, 720, 1440]),
        buffer_before_minutes: one_of(&[15, 15, 30, 30, 45, 60]),
        buffer_after_minutes: one_of(&[15, 15, 30, 30, 45, 60]),
    }
}

/// The holidays of the city from today on. Most are off; some come in the morning for emergencies,
/// where they would have worked at all; standby has no holidays.
fn holiday_overrides(
    rng: &mut StdRng,
    city: &City,
    shift: Shift,
    hours: &[WorkingHours],
    today: NaiveDate,
) -> Vec<DateOverride> {
    if shift == Shift::Standby {
        return Vec::new();
    }
    let on_call = rng.random_bool(0.12);
    holidays::from_day(city.place, today)
        .map(|holiday| {
            let weekday = crate::working_time::weekday_of(holiday.date);
            let works = on_call && !shifts::windows_on(hours, weekday).is_empty();
            DateOverride {
                date: holiday.date,
                windows: if works {
                    shifts::emergency_windows()
                } else {
                    Vec::new()
                },
                reason: Some(holiday.name.to_owned()),
            }
        })
        .collect()
}

/// Up to two leaves of a day to two weeks, as whole local days, within ten weeks.
fn draw_leave(rng: &mut StdRng, city: &City, today: NaiveDate) -> Vec<NewTimeOff> {
    let mut leaves = Vec::new();
    let mut earliest = 1;
    for chance in [0.35, 0.25] {
        if !rng.random_bool(chance) {
            continue;
        }
        let first = earliest + rng.random_range(0..30);
        let length = [1, 1, 2, 3, 5, 5, 7, 10, 14]
            .choose(rng)
            .copied()
            .unwrap_or(1);
        let day = |offset| {
            let date = today.checked_add_days(Days::new(offset)).unwrap_or(today);
            instant_at(start_of_day(city.zone(), date))
        };
        leaves.push(NewTimeOff {
            start: day(first),
            end: day(first + length),
            reason: LEAVE.choose(rng).copied().unwrap_or(LEAVE[0]),
        });
        earliest = first + length + 1;
    }
    leaves
}

#[cfg(test)]
mod tests;
