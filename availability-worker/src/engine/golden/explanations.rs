//! In words: every rule that makes a contractor free or not, as a dispatcher reads it.

use super::{every_day, jobs, schedule};
use crate::engine::explain;

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
    - the buffer of 30 minutes before job "Boiler" 018f6b1c-0000-7000-8000-000000000002, from 2026-06-01 11:00 (2026-06-01T10:00:00Z) to 2026-06-01 12:00 (2026-06-01T11:00:00Z)
    "#);
    insta::assert_snapshot!(told("2026-06-01T17:00:00Z"), @r"
    Ada Byron at 2026-06-01T17:00:00Z (2026-06-01 18:00 Europe/London): not free
    - outside working time: the weekly hours give 08:00-17:00 on Monday
    ");
    insta::assert_snapshot!(told("2026-06-01T12:00:00Z"), @r"
    Ada Byron at 2026-06-01T12:00:00Z (2026-06-01 13:00 Europe/London): free
    - working time: 08:00-17:00 of the weekly hours of Monday, 2026-06-01
    - nothing blocks it; the free window is from 2026-06-01 12:15 (2026-06-01T11:15:00Z) to 2026-06-01 17:00 (2026-06-01T16:00:00Z)
    ");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table reads best in one piece")]
fn each_rule_has_its_words() {
    let mut parts = serde_json::json!({
        "workingHours": [
            {"days": ["MO", "TU", "WE", "TH"], "start": "08:00", "end": "17:00"},
            {"days": ["MO", "FR"], "start": "22:00", "end": "06:00"}],
        "dateOverrides": [
            {"date": "2026-06-02", "windows": [{"start": "12:00", "end": "14:00"}], "reason": "school"},
            {"date": "2026-06-05", "windows": []},
            {"date": "2026-06-06", "windows": []}],
        "timeOff": [{"id": "018f6b1c-0000-7000-8000-000000000001",
            "start": "2026-06-03T07:00:00Z", "end": "2026-06-03T11:00:00Z", "reason": "dentist"}],
        "jobs": jobs(&[("2026-06-04T08:00:00Z", "2026-06-04T09:00:00Z", 30, 15)]),
        "bookingRules": {"slotIntervalMinutes": 30, "minNoticeMinutes": 120,
            "bufferBeforeMinutes": 0, "bufferAfterMinutes": 0}
    });
    let job = r#"job "Boiler" 00000000-0000-0000-0000-000000000002, from 2026-06-04 09:00 (2026-06-04T08:00:00Z) to 2026-06-04 10:00 (2026-06-04T09:00:00Z)"#;
    let table = [
        // Hours: the day's own, the tail of the night before, and none.
        (
            "2026-06-01T07:00:00Z",
            "working time: 08:00-17:00 of the weekly hours of Monday, 2026-06-01",
        ),
        (
            "2026-06-02T04:00:00Z",
            "working time: 22:00-06:00 of the next day of the weekly hours of Monday, 2026-06-01",
        ),
        (
            "2026-06-01T18:00:00Z",
            "outside working time: the weekly hours give 08:00-17:00, 22:00-06:00 of the next day on Monday",
        ),
        (
            "2026-06-07T12:00:00Z",
            "outside working time: the weekly hours give no working time on Sunday",
        ),
        // Overrides: what they give, what they take away, and what they leave as it was.
        (
            "2026-06-02T12:00:00Z",
            "working time: 12:00-14:00 of the date override of 2026-06-02 (school)",
        ),
        (
            "2026-06-02T08:00:00Z",
            "outside working time: the date override of 2026-06-02 (school) gives 12:00-14:00 in place of 08:00-17:00",
        ),
        (
            "2026-06-02T18:00:00Z",
            "outside working time: the date override of 2026-06-02 (school) gives 12:00-14:00",
        ),
        (
            "2026-06-06T02:00:00Z",
            "outside working time: the date override of 2026-06-05 gives no working time in place of 22:00-06:00 of the next day",
        ),
        (
            "2026-06-06T12:00:00Z",
            "outside working time: the date override of 2026-06-06 gives no working time",
        ),
        // What blocks.
        (
            "2026-06-03T10:59:00Z",
            "time off from 2026-06-03 08:00 (2026-06-03T07:00:00Z) to 2026-06-03 12:00 (2026-06-03T11:00:00Z) (dentist)",
        ),
        (
            "2026-06-04T07:30:00Z",
            &format!("the buffer of 30 minutes before {job}"),
        ),
        ("2026-06-04T08:00:00Z", &format!("booked for {job}")),
        (
            "2026-06-04T09:14:00Z",
            &format!("the buffer of 15 minutes after {job}"),
        ),
        (
            "2026-06-04T09:15:00Z",
            "nothing blocks it; the free window is from 2026-06-04 10:15 (2026-06-04T09:15:00Z) to 2026-06-04 17:00 (2026-06-04T16:00:00Z)",
        ),
        // Now and the notice.
        (
            "2026-05-31T23:59:00Z",
            "in the past: it is 2026-06-01 01:00 (2026-06-01T00:00:00Z) now",
        ),
        (
            "2026-06-01T01:59:59Z",
            "too soon: the minimum notice of 120 minutes allows nothing before 2026-06-01 03:00 (2026-06-01T02:00:00Z)",
        ),
        // Years that nobody plans for.
        (
            "2201-01-01T00:00:00Z",
            "availability is known for the years 1970 to 2200 only",
        ),
        (
            "1969-12-31T23:59:00Z",
            "availability is known for the years 1970 to 2200 only",
        ),
    ];
    let now = "2026-06-01T00:00:00Z".parse().unwrap();
    let reasons = |parts: &serde_json::Value, at: &str| {
        let schedule = schedule("Europe/London", parts);
        explain(&schedule, at.parse().unwrap(), now)
            .unwrap()
            .reasons
    };
    for (at, told) in table {
        let found = reasons(&parts, at);
        assert!(found.iter().any(|r| r == told), "{at}: {found:#?}");
    }
    for (status, words) in [("onLeave", "on leave"), ("inactive", "inactive")] {
        parts["status"] = status.into();
        assert_eq!(
            reasons(&parts, "2026-06-04T12:00:00Z"),
            [
                &format!("the contractor is {words}, and only active contractors are offered"),
                "working time: 08:00-17:00 of the weekly hours of Thursday, 2026-06-04",
            ]
        );
    }
}
