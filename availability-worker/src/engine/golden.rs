//! A readable table: schedules around the awkward days of real zones, and what is free.

use shared_events::Schedule;

use super::{Availability, Query, availability, explain, minute_ceil};

/// Reads a schedule from its interesting parts; the rest are defaults.
pub(super) fn schedule(zone: &str, parts: &serde_json::Value) -> Schedule {
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

fn minute(text: &str) -> i64 {
    minute_ceil(text.parse().unwrap())
}

fn ask(
    schedule: &Schedule,
    from: &str,
    to: &str,
    now: &str,
    duration: Option<i64>,
    interval: Option<i64>,
) -> Availability {
    let range = super::Interval::new(minute(from), minute(to));
    let query = Query {
        range,
        now: minute(now),
        duration,
        slot_interval: interval,
    };
    availability(schedule, &query).unwrap()
}

fn text(minute: i64) -> String {
    super::instant(minute).format("%d %H:%M").to_string()
}

fn windows(schedule: &Schedule, from: &str, to: &str) -> Vec<String> {
    ask(schedule, from, to, "1970-01-01T00:00:00Z", None, None)
        .windows
        .iter()
        .map(|w| format!("{} - {}", text(w.start), text(w.end)))
        .collect()
}

fn slots(schedule: &Schedule, from: &str, to: &str, duration: i64, interval: i64) -> Vec<String> {
    ask(
        schedule,
        from,
        to,
        "1970-01-01T00:00:00Z",
        Some(duration),
        Some(interval),
    )
    .slots
    .unwrap()
    .into_iter()
    .map(text)
    .collect()
}

fn every_day(windows: &[(&str, &str)]) -> serde_json::Value {
    let hours: Vec<_> = windows
        .iter()
        .map(|(start, end)| serde_json::json!({"days": ["MO", "TU", "WE", "TH", "FR", "SA", "SU"], "start": start, "end": end}))
        .collect();
    serde_json::json!({ "workingHours": hours })
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table reads best in one piece")]
fn windows_around_clock_changes_are_those_of_the_table() {
    // zone, daily local windows, range (UTC), free windows as "day hour - day hour" (UTC)
    type Row = (
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
        &'static str,
        &'static [&'static str],
    );
    let table: &[Row] = &[
        // London, 29 March 2026: 01:00-02:00 does not exist.
        (
            "Europe/London",
            &[("00:30", "03:00")],
            "2026-03-29T00:00:00Z",
            "2026-03-29T12:00:00Z",
            &["29 00:30 - 29 02:00"],
        ),
        (
            "Europe/London",
            &[("01:15", "01:45")],
            "2026-03-29T00:00:00Z",
            "2026-03-29T12:00:00Z",
            &[],
        ),
        (
            "Europe/London",
            &[("01:00", "02:00")],
            "2026-03-29T00:00:00Z",
            "2026-03-29T12:00:00Z",
            &[],
        ),
        (
            "Europe/London",
            &[("01:30", "02:30")],
            "2026-03-29T00:00:00Z",
            "2026-03-29T12:00:00Z",
            &[],
        ),
        (
            "Europe/London",
            &[("00:30", "01:30")],
            "2026-03-29T00:00:00Z",
            "2026-03-29T12:00:00Z",
            &["29 00:30 - 29 01:30"],
        ),
        // London, 25 October 2026: 01:00-02:00 exists twice.
        (
            "Europe/London",
            &[("01:30", "01:45")],
            "2026-10-25T00:00:00Z",
            "2026-10-25T12:00:00Z",
            &["25 00:30 - 25 01:45"],
        ),
        (
            "Europe/London",
            &[("00:00", "24:00")],
            "2026-10-25T00:00:00Z",
            "2026-10-25T12:00:00Z",
            &["25 00:00 - 25 12:00"],
        ),
        // New York, 8 March and 1 November 2026.
        (
            "America/New_York",
            &[("01:00", "04:00")],
            "2026-03-08T05:00:00Z",
            "2026-03-08T12:00:00Z",
            &["08 06:00 - 08 08:00"],
        ),
        (
            "America/New_York",
            &[("00:00", "02:00")],
            "2026-11-01T04:00:00Z",
            "2026-11-01T12:00:00Z",
            &["01 04:00 - 01 07:00"],
        ),
        // Lord Howe moves by half an hour.
        (
            "Australia/Lord_Howe",
            &[("01:00", "03:00")],
            "2026-10-03T12:00:00Z",
            "2026-10-04T00:00:00Z",
            &["03 14:30 - 03 16:00"],
        ),
        (
            "Australia/Lord_Howe",
            &[("01:00", "03:00")],
            "2026-04-04T12:00:00Z",
            "2026-04-05T00:00:00Z",
            &["04 14:00 - 04 16:30"],
        ),
        // Santiago, 6 September 2026: there is no midnight.
        (
            "America/Santiago",
            &[("00:00", "08:00")],
            "2026-09-06T00:00:00Z",
            "2026-09-06T20:00:00Z",
            &["06 04:00 - 06 11:00"],
        ),
        (
            "America/Santiago",
            &[("20:00", "24:00")],
            "2026-09-05T20:00:00Z",
            "2026-09-06T20:00:00Z",
            &["06 00:00 - 06 04:00"],
        ),
        // Apia, 30 December 2011: there is no such day.
        (
            "Pacific/Apia",
            &[("08:00", "17:00")],
            "2011-12-29T10:00:00Z",
            "2011-12-31T10:00:00Z",
            &["29 18:00 - 30 03:00", "30 18:00 - 31 03:00"],
        ),
        // Offsets of three quarters of an hour.
        (
            "Asia/Kathmandu",
            &[("09:00", "10:00")],
            "2026-06-01T00:00:00Z",
            "2026-06-02T00:00:00Z",
            &["01 03:15 - 01 04:15"],
        ),
        (
            "Pacific/Chatham",
            &[("09:00", "10:00")],
            "2026-06-01T00:00:00Z",
            "2026-06-02T00:00:00Z",
            &["01 20:15 - 01 21:15"],
        ),
        // Overnight, and windows that touch or overlap.
        (
            "Etc/UTC",
            &[("22:00", "06:00")],
            "2026-06-01T00:00:00Z",
            "2026-06-02T00:00:00Z",
            &["01 00:00 - 01 06:00", "01 22:00 - 02 00:00"],
        ),
        (
            "Etc/UTC",
            &[("08:00", "12:00"), ("12:00", "13:00"), ("12:30", "14:00")],
            "2026-06-01T00:00:00Z",
            "2026-06-02T00:00:00Z",
            &["01 08:00 - 01 14:00"],
        ),
        (
            "Etc/UTC",
            &[("18:00", "24:00"), ("00:00", "02:00")],
            "2026-06-01T12:00:00Z",
            "2026-06-02T12:00:00Z",
            &["01 18:00 - 02 02:00"],
        ),
    ];
    for (zone, daily, from, to, expected) in table {
        assert_eq!(
            windows(&schedule(zone, &every_day(daily)), from, to),
            *expected,
            "{zone} {daily:?} {from}"
        );
    }
}

#[test]
fn an_override_replaces_what_starts_on_its_day_and_leaves_the_tail_of_the_day_before() {
    let mut parts = every_day(&[("22:00", "06:00")]);
    parts["dateOverrides"] = serde_json::json!([{"date": "2026-06-02", "windows": [{"start": "10:00", "end": "11:00"}]}]);
    let found = windows(
        &schedule("Etc/UTC", &parts),
        "2026-06-02T00:00:00Z",
        "2026-06-04T00:00:00Z",
    );
    assert_eq!(
        found,
        [
            "02 00:00 - 02 06:00",
            "02 10:00 - 02 11:00",
            "03 22:00 - 04 00:00"
        ]
    );
}

#[test]
fn jobs_block_their_buffers_and_time_off_blocks_itself() {
    let mut parts = every_day(&[("08:00", "17:00")]);
    parts["jobs"] = serde_json::json!([
        {"id": "018f6b1c-0000-7000-8000-000000000002", "title": "Boiler", "start": "2026-06-01T10:00:00Z", "end": "2026-06-01T11:00:00Z", "bufferBeforeMinutes": 30, "bufferAfterMinutes": 15},
        {"id": "018f6b1c-0000-7000-8000-000000000003", "title": "Early", "start": "2026-06-01T07:00:00Z", "end": "2026-06-01T08:00:00Z", "bufferBeforeMinutes": 0, "bufferAfterMinutes": 10},
        {"id": "018f6b1c-0000-7000-8000-000000000004", "title": "Away", "start": "2026-06-01T14:30:00Z", "end": "2026-06-01T15:00:00Z", "bufferBeforeMinutes": 0, "bufferAfterMinutes": 0}]);
    parts["timeOff"] = serde_json::json!([{"id": "018f6b1c-0000-7000-8000-000000000001", "start": "2026-06-01T14:00:00Z", "end": "2026-06-01T16:00:00Z"}]);
    let schedule = schedule("Etc/UTC", &parts);
    let (from, to) = ("2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z");
    assert_eq!(
        windows(&schedule, from, to),
        [
            "01 08:10 - 01 09:30",
            "01 11:15 - 01 14:00",
            "01 16:00 - 01 17:00"
        ]
    );
    let answer = ask(&schedule, from, to, from, None, None);
    let told: Vec<String> = answer
        .conflicts
        .iter()
        .map(|c| format!("{} {:?}", &c.job_id.to_string()[35..], c.reason))
        .collect();
    assert_eq!(told, ["3 OutsideWorkingHours", "4 TimeOff"]);
}

#[test]
fn an_inactive_contractor_has_no_windows_and_every_job_is_a_conflict() {
    let mut parts = every_day(&[("08:00", "17:00")]);
    parts["status"] = "onLeave".into();
    parts["jobs"] = serde_json::json!([{"id": "018f6b1c-0000-7000-8000-000000000002", "title": "Boiler", "start": "2026-06-01T10:00:00Z", "end": "2026-06-01T11:00:00Z", "bufferBeforeMinutes": 30, "bufferAfterMinutes": 15}]);
    let answer = ask(
        &schedule("Etc/UTC", &parts),
        "2026-06-01T00:00:00Z",
        "2026-06-02T00:00:00Z",
        "2026-06-01T00:00:00Z",
        Some(60),
        None,
    );
    assert!(answer.windows.is_empty() && answer.slots == Some(vec![]));
    assert_eq!(
        answer.conflicts[0].reason,
        shared_events::ConflictReason::ContractorInactive
    );
}

#[test]
fn notice_counts_from_now_and_a_broken_minute_rounds_up() {
    let mut parts = every_day(&[("08:00", "17:00")]);
    parts["bookingRules"] = serde_json::json!({"slotIntervalMinutes": 30, "minNoticeMinutes": 90, "bufferBeforeMinutes": 0, "bufferAfterMinutes": 0});
    let answer = ask(
        &schedule("Etc/UTC", &parts),
        "2026-06-01T00:00:00Z",
        "2026-06-01T10:30:00Z",
        "2026-06-01T07:00:00.001Z",
        Some(30),
        None,
    );
    assert_eq!(
        answer
            .windows
            .iter()
            .map(|w| text(w.start))
            .collect::<Vec<_>>(),
        ["01 08:31"]
    );
    assert_eq!(
        answer
            .slots
            .unwrap()
            .into_iter()
            .map(text)
            .collect::<Vec<_>>(),
        ["01 09:00", "01 09:30", "01 10:00"]
    );
}

#[test]
fn slots_follow_the_wall_clock_through_clock_changes_and_odd_offsets() {
    let day = every_day(&[("00:00", "24:00")]);
    let kathmandu = slots(
        &schedule("Asia/Kathmandu", &day),
        "2026-06-01T00:00:00Z",
        "2026-06-01T02:00:00Z",
        30,
        30,
    );
    assert_eq!(kathmandu, ["01 00:15", "01 00:45", "01 01:15"]);
    // Both passes of the repeated hour; 01:00 comes twice.
    let london = slots(
        &schedule("Europe/London", &day),
        "2026-10-24T23:30:00Z",
        "2026-10-25T02:30:00Z",
        15,
        60,
    );
    assert_eq!(london, ["25 00:00", "25 01:00", "25 02:00"]);
    // The half hour of Lord Howe moves the grid of full hours by half an hour.
    let lord_howe = slots(
        &schedule("Australia/Lord_Howe", &day),
        "2026-10-03T13:00:00Z",
        "2026-10-03T18:00:00Z",
        15,
        60,
    );
    assert_eq!(lord_howe, ["03 13:30", "03 14:30", "03 16:00", "03 17:00"]);
}

#[test]
fn slots_of_an_interval_that_does_not_divide_an_hour_do_not_depend_on_the_range() {
    let office = schedule("Etc/UTC", &every_day(&[("08:10", "17:00")]));
    let whole = slots(
        &office,
        "2026-06-01T00:00:00Z",
        "2026-06-02T00:00:00Z",
        45,
        45,
    );
    assert_eq!(whole[..3], ["01 08:10", "01 08:55", "01 09:40"]);
    let later = slots(
        &office,
        "2026-06-01T09:00:00Z",
        "2026-06-02T00:00:00Z",
        45,
        45,
    );
    assert_eq!(later, whole[2..]);
    // A window without a start within 366 days counts from the epoch.
    let always = schedule("Etc/UTC", &every_day(&[("00:00", "24:00")]));
    let found = slots(
        &always,
        "2026-06-01T00:01:00Z",
        "2026-06-01T03:00:00Z",
        7,
        7,
    );
    assert!(!found.is_empty());
    assert!(
        ask(
            &always,
            "2026-06-01T00:01:00Z",
            "2026-06-01T03:00:00Z",
            "1970-01-01T00:00:00Z",
            Some(7),
            Some(7)
        )
        .slots
        .unwrap()
        .iter()
        .all(|s| s % 7 == 0)
    );
}

#[test]
fn an_unknown_zone_is_an_error_and_extreme_numbers_are_no_panic() {
    let odd = schedule("Mars/Olympus", &every_day(&[("08:00", "17:00")]));
    let range = super::Interval::new(0, 10);
    let query = Query {
        range,
        now: 0,
        duration: None,
        slot_interval: None,
    };
    assert!(availability(&odd, &query).is_err());

    let mut parts = every_day(&[("08:00", "17:00")]);
    parts["jobs"] = serde_json::json!([
        {"id": "018f6b1c-0000-7000-8000-000000000002", "title": "", "start": "-260000-01-01T00:00:00Z", "end": "+260000-01-01T00:00:00Z", "bufferBeforeMinutes": u32::MAX, "bufferAfterMinutes": u32::MAX},
        {"id": "018f6b1c-0000-7000-8000-000000000003", "title": "", "start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z", "bufferBeforeMinutes": 9, "bufferAfterMinutes": 9}]);
    parts["dateOverrides"] = serde_json::json!([{"date": "-262000-01-01", "windows": []}]);
    parts["bookingRules"] = serde_json::json!({"slotIntervalMinutes": 0, "minNoticeMinutes": u32::MAX, "bufferBeforeMinutes": 0, "bufferAfterMinutes": 0});
    let extreme = schedule("Europe/London", &parts);
    for range in [
        (i64::MIN, i64::MAX),
        (i64::MAX, i64::MIN),
        (0, 0),
        (i64::MAX - 1, i64::MAX),
    ] {
        let range = super::Interval::new(range.0, range.1);
        let query = Query {
            range,
            now: i64::MAX,
            duration: Some(i64::MAX),
            slot_interval: Some(i64::MAX),
        };
        assert!(availability(&extreme, &query).is_ok());
    }
}

#[test]
fn an_explanation_names_every_reason() {
    let mut parts = every_day(&[("08:00", "17:00")]);
    parts["jobs"] = serde_json::json!([{"id": "018f6b1c-0000-7000-8000-000000000002", "title": "Boiler", "start": "2026-06-01T10:00:00Z", "end": "2026-06-01T11:00:00Z", "bufferBeforeMinutes": 30, "bufferAfterMinutes": 15}]);
    let schedule = schedule("Europe/London", &parts);
    let now = "2026-06-01T06:00:00Z".parse().unwrap();
    let told = |at: &str| {
        explain(&schedule, at.parse().unwrap(), now)
            .unwrap()
            .to_string()
    };
    insta::assert_snapshot!(told("2026-06-01T09:45:00Z"), @r#"
    Ada Byron at 2026-06-01T09:45:00Z (2026-06-01 10:45 Europe/London): not free
    - working time: 08:00-17:00 of the weekly hours of Monday, 2026-06-01
    - the buffer of 30 minutes before job "Boiler" 018f6b1c-0000-7000-8000-000000000002, from 2026-06-01T10:00:00Z to 2026-06-01T11:00:00Z
    "#);
    insta::assert_snapshot!(told("2026-06-01T17:00:00Z"), @r"
    Ada Byron at 2026-06-01T17:00:00Z (2026-06-01 18:00 Europe/London): not free
    - outside working time: the weekly hours of Monday are 08:00-17:00
    ");
    insta::assert_snapshot!(told("2026-06-01T12:00:00Z"), @r"
    Ada Byron at 2026-06-01T12:00:00Z (2026-06-01 13:00 Europe/London): free
    - working time: 08:00-17:00 of the weekly hours of Monday, 2026-06-01
    - nothing blocks it; the free window is from 2026-06-01T11:15:00Z to 2026-06-01T16:00:00Z
    ");
}
