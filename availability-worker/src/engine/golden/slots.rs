//! Where jobs can start: the grid, the notice, and the start of a window.

use super::{ask, every_day, jobs, schedule, text};
use shared_events::Schedule;

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
    // A window that was always open counts from the first minute that the engine knows.
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
fn a_window_counts_from_its_start_however_long_ago_that_was() {
    let mut parts = every_day(&[("00:00", "24:00")]);
    let grid_of = |parts: &serde_json::Value, from: &str, to: &str| {
        slots(&schedule("America/Santiago", parts), from, to, 45, 45)
    };
    // Open since the end of a job, 800 days before; asked for earlier and later.
    parts["jobs"] = jobs(&[("2024-03-20T09:00:00Z", "2024-03-20T10:10:00Z", 0, 0)]);
    let near = grid_of(&parts, "2024-03-20T09:00:00Z", "2024-03-20T12:00:00Z");
    assert_eq!(near[..2], ["20 10:10", "20 10:55"]);
    let begun = super::minute("2024-03-20T10:10:00Z");
    for from in [
        "2025-03-20T10:00:00Z",
        "2025-03-22T10:00:00Z",
        "2026-05-29T10:00:00Z",
    ] {
        let first = super::minute(from) + (begun - super::minute(from)).rem_euclid(45);
        let to = text_of(super::minute(from) + 120);
        assert_eq!(grid_of(&parts, from, &to)[0], text(first), "{from}");
    }
    // The same with a day off, and with shifts that touch.
    parts["jobs"] = serde_json::json!([]);
    parts["dateOverrides"] = serde_json::json!([{"date": "2024-03-20", "windows": [{"start": "01:07", "end": "24:00"}]}]);
    let begun = super::minute("2024-03-20T04:07:00Z");
    let from = "2026-05-29T10:00:00Z";
    let first = text(super::minute(from) + (begun - super::minute(from)).rem_euclid(45));
    assert_eq!(grid_of(&parts, from, "2026-05-29T12:00:00Z")[0], first);
    parts["workingHours"] =
        every_day(&[("07:00", "19:00"), ("19:00", "07:00")])["workingHours"].clone();
    parts["dateOverrides"] = serde_json::json!([{"date": "2024-03-20", "windows": [{"start": "07:07", "end": "07:00"}]}]);
    let begun = super::minute("2024-03-20T10:07:00Z");
    let first = text(super::minute(from) + (begun - super::minute(from)).rem_euclid(45));
    assert_eq!(grid_of(&parts, from, "2026-05-29T12:00:00Z")[0], first);
}

fn text_of(minute: i64) -> String {
    crate::engine::instant(minute).to_rfc3339()
}

#[test]
fn a_slot_ends_within_its_window_at_the_latest() {
    let office = schedule("Etc/UTC", &every_day(&[("08:10", "10:00")]));
    let day = ("2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z");
    for (duration, interval, expected) in [
        (60, 30, &["01 08:30", "01 09:00"][..]),
        (61, 30, &["01 08:30"]),
        (110, 20, &[]),
        (110, 90, &["01 08:10"]),
        (111, 90, &[]),
        (1, 60, &["01 09:00"]),
    ] {
        assert_eq!(slots(&office, day.0, day.1, duration, interval), expected);
    }
}
