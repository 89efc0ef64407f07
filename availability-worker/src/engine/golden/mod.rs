//! Golden cases, written down by hand: a table for each rule and each corner.

mod conflicts;
mod explanations;
mod slots;
mod windows;

use shared_events::Schedule;

use super::{Availability, Interval, Query, availability, instant, minute_ceil};

/// Reads a schedule from its interesting parts; the rest are defaults.
pub(in crate::engine) fn schedule(zone: &str, parts: &serde_json::Value) -> Schedule {
    let mut document = serde_json::json!({
        "contractorId": "018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01", "name": "Ada Byron",
        "territory": "north", "skills": [], "status": "active", "timeZone": zone,
        "workingHours": [], "dateOverrides": [], "timeOff": [], "jobs": [],
        "bookingRules": {"slotIntervalMinutes": 30, "minNoticeMinutes": 0,
                         "bufferBeforeMinutes": 30, "bufferAfterMinutes": 30},
        "version": 1, "updatedAt": "2026-01-01T00:00:00.000Z"
    });
    for (key, value) in parts.as_object().unwrap() {
        document[key] = value.clone();
    }
    serde_json::from_value(document).unwrap()
}

pub(super) fn minute(text: &str) -> i64 {
    minute_ceil(text.parse().unwrap())
}

pub(super) fn ask(
    schedule: &Schedule,
    from: &str,
    to: &str,
    now: &str,
    duration: Option<i64>,
    interval: Option<i64>,
) -> Availability {
    let range = Interval::new(minute(from), minute(to));
    let query = Query {
        range,
        now: minute(now),
        duration,
        slot_interval: interval,
    };
    availability(schedule, &query).unwrap()
}

pub(super) fn text(minute: i64) -> String {
    instant(minute).format("%d %H:%M").to_string()
}

pub(super) fn windows(schedule: &Schedule, from: &str, to: &str) -> Vec<String> {
    ask(schedule, from, to, "1970-01-01T00:00:00Z", None, None)
        .windows
        .iter()
        .map(|w| format!("{} - {}", text(w.start), text(w.end)))
        .collect()
}

pub(super) fn every_day(windows: &[(&str, &str)]) -> serde_json::Value {
    let hours: Vec<_> = windows
        .iter()
        .map(|(start, end)| serde_json::json!({"days": ["MO", "TU", "WE", "TH", "FR", "SA", "SU"], "start": start, "end": end}))
        .collect();
    serde_json::json!({ "workingHours": hours })
}

/// Jobs: start, end and buffers before and after, ids from 2 on.
pub(super) fn jobs(list: &[(&str, &str, u32, u32)]) -> serde_json::Value {
    list.iter()
        .enumerate()
        .map(|(n, (start, end, before, after))| {
            serde_json::json!({
                "id": uuid::Uuid::from_u128(n as u128 + 2), "title": "Boiler", "start": start, "end": end,
                "bufferBeforeMinutes": before, "bufferAfterMinutes": after
            })
        })
        .collect()
}
