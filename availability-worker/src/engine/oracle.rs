//! A second reading of the rules, minute by minute and with another time zone library, and the
//! property that the engine agrees with it on random schedules near clock changes.

use chrono_tz::{TZ_VARIANTS, Tz};
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};
use proptest::prelude::*;
use shared_events::schedule::Status;
use shared_events::{ConflictReason, Schedule};

use super::civil_time::{DAY, offset_minutes};
use super::golden::schedule;
use super::{Interval, Query, availability};

struct Oracle<'a> {
    schedule: &'a Schedule,
    zone: TimeZone,
    windows: Vec<(i64, i64)>,
}

impl<'a> Oracle<'a> {
    /// Resolves every window of every local day from `first` to `last`, one by one.
    fn new(schedule: &'a Schedule, zone: TimeZone, first: i64, last: i64) -> Self {
        let mut windows = Vec::new();
        for day in first..=last {
            let date = civil::date(1970, 1, 1).saturating_add(jiff::Span::new().days(day));
            let overridden = schedule
                .date_overrides
                .iter()
                .rev()
                .find(|o| o.date.to_string() == date.to_string());
            let local: Vec<(i64, i64)> = match overridden {
                Some(o) => o
                    .windows
                    .iter()
                    .map(|w| (w.start.minutes().into(), w.end.minutes().into()))
                    .collect(),
                None => schedule
                    .working_hours
                    .iter()
                    .filter(|h| {
                        h.days
                            .iter()
                            .any(|d| *d as i8 == date.weekday().to_monday_zero_offset())
                    })
                    .map(|h| (h.start.minutes().into(), h.end.minutes().into()))
                    .collect(),
            };
            for (start, end) in local {
                let end = if end <= start { end + 1440 } else { end };
                let at = |minute: i64| {
                    date.to_datetime(civil::Time::midnight()) + jiff::Span::new().minutes(minute)
                };
                windows.extend(Self::resolve(&zone, at(start), at(end)));
            }
        }
        Self {
            schedule,
            zone,
            windows,
        }
    }

    fn resolve(
        zone: &TimeZone,
        start: civil::DateTime,
        end: civil::DateTime,
    ) -> Option<(i64, i64)> {
        let (s, e) = (
            zone.to_ambiguous_timestamp(start).offset(),
            zone.to_ambiguous_timestamp(end).offset(),
        );
        if let (AmbiguousOffset::Gap { .. }, AmbiguousOffset::Gap { .. }) = (s, e) {
            // Windows are shorter than the time between two gaps.
            return None;
        }
        let start = match s {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(start),
            AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => {
                before.to_timestamp(start)
            }
        };
        let end = match e {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(end),
            AmbiguousOffset::Gap { before, .. } => before.to_timestamp(end),
            AmbiguousOffset::Fold { after, .. } => after.to_timestamp(end),
        };
        let (start, end) = (start.ok()?.as_second() / 60, end.ok()?.as_second() / 60);
        (start < end).then_some((start, end))
    }

    fn works(&self, minute: i64) -> bool {
        self.windows
            .iter()
            .any(|&(start, end)| start <= minute && minute < end)
    }

    fn free(&self, minute: i64) -> bool {
        let at = minute * 60;
        self.schedule.status == Status::Active
            && self.works(minute)
            && !self
                .schedule
                .time_off
                .iter()
                .any(|t| t.start.timestamp() <= at && at < t.end.timestamp())
            && !self.schedule.jobs.iter().any(|j| {
                let (before, after) = (
                    i64::from(j.buffer_before_minutes) * 60,
                    i64::from(j.buffer_after_minutes) * 60,
                );
                j.start.timestamp() - before <= at && at < j.end.timestamp() + after
            })
    }

    fn is_slot(&self, minute: i64, open: Interval, duration: i64, interval: i64) -> bool {
        let fits = minute >= open.start
            && minute + duration <= open.end
            && (minute..minute + duration).all(|m| self.free(m));
        if !fits {
            return false;
        }
        if 60 % interval == 0 {
            let local = self
                .zone
                .to_datetime(jiff::Timestamp::from_second(minute * 60).unwrap());
            return (i64::from(local.hour()) * 60 + i64::from(local.minute())) % interval == 0;
        }
        let mut start = minute;
        while self.free(start - 1) {
            start -= 1;
        }
        (minute - start) % interval == 0
    }

    fn conflict(&self, job: &shared_events::schedule::Job) -> Option<ConflictReason> {
        let (start, end) = (job.start.timestamp(), job.end.timestamp());
        if self.schedule.status != Status::Active {
            Some(ConflictReason::ContractorInactive)
        } else if self
            .schedule
            .time_off
            .iter()
            .any(|t| t.start.timestamp() < end && start < t.end.timestamp())
        {
            Some(ConflictReason::TimeOff)
        } else if !(start / 60..end / 60).all(|m| self.works(m)) {
            Some(ConflictReason::OutsideWorkingHours)
        } else {
            None
        }
    }
}

/// Days on which some zone's clocks change in an unusual way, beside random ones.
const AWKWARD: [&str; 12] = [
    "2026-03-29",
    "2026-10-25",
    "2026-03-08",
    "2026-11-01",
    "2026-10-04",
    "2026-04-05",
    "2026-09-06",
    "2011-12-30",
    "2016-10-30",
    "2018-05-05",
    "2024-10-27",
    "2019-03-10",
];

fn day() -> impl Strategy<Value = i64> {
    prop_oneof![
        5 => prop::sample::select(AWKWARD.to_vec())
            .prop_map(|d| super::civil_time::day_number(d.parse().unwrap())),
        4 => 12_000_i64..22_000,
        1 => 47_300_i64..84_000,
    ]
}

fn zone() -> impl Strategy<Value = Tz> {
    let named = [
        "Europe/London",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/Santiago",
        "Pacific/Apia",
        "Asia/Kathmandu",
        "Pacific/Chatham",
        "Africa/Casablanca",
        "Asia/Pyongyang",
        "America/Nuuk",
    ];
    prop_oneof![
        prop::sample::select(named.to_vec()).prop_map(|n| n.parse().unwrap()),
        prop::sample::select(TZ_VARIANTS.to_vec()),
    ]
}

fn clock() -> impl Strategy<Value = String> {
    prop_oneof![0_u32..240, 0_u32..1440].prop_map(|m| format!("{:02}:{:02}", m / 60, m % 60))
}

fn window() -> impl Strategy<Value = (String, String)> {
    (clock(), prop_oneof![clock(), Just("24:00".to_owned())])
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
    let status = prop_oneof![9 => Just("active"), 1 => Just("inactive")];
    (hours, overrides, time_off, jobs, status).prop_map(move |(hours, overrides, time_off, jobs, status)| {
        let windows = |list: Vec<(String, String)>| list.into_iter().map(|(start, end)| serde_json::json!({"start": start, "end": end})).collect::<Vec<_>>();
        let dated: std::collections::BTreeMap<i64, _> = overrides.into_iter().collect();
        serde_json::json!({
            "status": status,
            "workingHours": hours.into_iter().map(|((start, end), days)| serde_json::json!({"days": days, "start": start, "end": end})).collect::<Vec<_>>(),
            "dateOverrides": dated.into_iter().map(|(day, list)| serde_json::json!({"date": super::civil_time::date_of(around + day), "windows": windows(list)})).collect::<Vec<_>>(),
            "timeOff": time_off.into_iter().enumerate().map(|(n, (start, length))| serde_json::json!({"id": uuid::Uuid::from_u128(n as u128), "start": at(start), "end": at(start + length)})).collect::<Vec<_>>(),
            "jobs": jobs.into_iter().enumerate().map(|(n, (start, length, before, after))| serde_json::json!({"id": uuid::Uuid::from_u128(n as u128), "title": "", "start": at(start), "end": at(start + length), "bufferBeforeMinutes": before, "bufferAfterMinutes": after})).collect::<Vec<_>>(),
        })
    })
}

#[derive(Debug, Clone)]
struct Case {
    zone: Tz,
    day: i64,
    document: serde_json::Value,
    from: i64,
    length: i64,
    now: i64,
    notice: u32,
    duration: i64,
    interval: i64,
}

fn case() -> impl Strategy<Value = Case> {
    let query = (
        -1440_i64..1440,
        1_i64..2880,
        -3000_i64..1500,
        0_u32..200,
        1_i64..200,
        prop::sample::select(vec![1_i64, 5, 7, 15, 20, 30, 45, 60, 90]),
    );
    (zone(), day(), query).prop_flat_map(
        |(zone, day, (from, length, now, notice, duration, interval))| {
            document(day).prop_map(move |document| Case {
                zone,
                day,
                document,
                from: day * DAY + from,
                length,
                now: day * DAY + now,
                notice,
                duration,
                interval,
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn the_engine_agrees_with_the_minute_by_minute_oracle(case in case()) {
        let Ok(oracle_zone) = TimeZone::get(case.zone.name()) else {
            return Err(TestCaseError::reject("the other library does not know this zone"));
        };
        // The two libraries may carry different releases of the zone data: not what is tested here.
        for minute in (((case.day - 6) * DAY)..((case.day + 6) * DAY)).step_by(30) {
            let other = oracle_zone.to_offset(jiff::Timestamp::from_second(minute * 60).unwrap()).seconds();
            prop_assume!(i64::from(other) == offset_minutes(case.zone, minute) * 60);
        }
        let mut document = case.document.clone();
        document["bookingRules"] = serde_json::json!({"slotIntervalMinutes": 30, "minNoticeMinutes": case.notice, "bufferBeforeMinutes": 0, "bufferAfterMinutes": 0});
        let schedule = schedule(case.zone.name(), &document);
        let oracle = Oracle::new(&schedule, oracle_zone, case.day - 6, case.day + 5);
        let range = Interval::new(case.from, case.from + case.length);
        let query = Query { range, now: case.now, duration: Some(case.duration), slot_interval: Some(case.interval) };
        let answer = availability(&schedule, &query).unwrap();
        let open = Interval::new(range.start.max(case.now + i64::from(case.notice)), range.end);

        let free = |minute: i64| open.contains(minute) && oracle.free(minute);
        for minute in range.start - 2..range.end + 2 {
            let found = answer.windows.iter().any(|w| w.contains(minute));
            prop_assert_eq!(found, free(minute), "minute {}", at(minute));
        }
        prop_assert!(answer.windows.windows(2).all(|w| w[0].end < w[1].start), "merged and sorted");

        // A window that has no start within the oracle's days counts from elsewhere.
        let reaches_back = (case.day - 4) * DAY;
        let starts_here = 60 % case.interval == 0 || (reaches_back..open.start.max(reaches_back)).any(|m| !oracle.free(m));
        if starts_here {
            let expected: Vec<i64> = (open.start..open.end.max(open.start)).filter(|&m| oracle.is_slot(m, open, case.duration, case.interval)).collect();
            prop_assert_eq!(answer.slots.unwrap(), expected);
        }

        for job in &schedule.jobs {
            let told = answer.conflicts.iter().find(|c| c.job_id == job.id).map(|c| c.reason);
            prop_assert_eq!(told, oracle.conflict(job), "job {}", job.id);
        }
    }
}
