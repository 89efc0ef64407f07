//! Whom a change strands.

use super::{ask, every_day, jobs, schedule};

fn conflicts(parts: &serde_json::Value) -> Vec<String> {
    // The range has nothing to do with it.
    let at = "2026-07-01T00:00:00Z";
    ask(
        &schedule("Etc/UTC", parts),
        at,
        "2026-07-02T00:00:00Z",
        at,
        None,
        None,
    )
    .conflicts
    .iter()
    .map(|c| format!("{} {:?}", c.job_id.as_u128(), c.reason))
    .collect()
}

#[test]
fn jobs_that_the_schedule_does_not_cover_are_told_with_the_reason() {
    let mut parts = every_day(&[("08:00", "12:00"), ("12:00", "17:00"), ("22:00", "02:00")]);
    parts["timeOff"] = serde_json::json!([{"id": "018f6b1c-0000-7000-8000-000000000001", "start": "2026-06-01T14:00:00Z", "end": "2026-06-01T15:00:00Z"}]);
    parts["dateOverrides"] = serde_json::json!([{"date": "2026-06-05", "windows": []}]);
    let table = [
        ("2026-06-01T11:00:00Z", "2026-06-01T13:00:00Z", ""),
        ("2026-06-01T22:00:00Z", "2026-06-02T02:00:00Z", ""),
        (
            "2026-06-01T16:30:00Z",
            "2026-06-01T17:30:00Z",
            "OutsideWorkingHours",
        ),
        (
            "2026-06-01T03:00:00Z",
            "2026-06-01T04:00:00Z",
            "OutsideWorkingHours",
        ),
        // Time off begins and ends where these end and begin.
        ("2026-06-01T13:00:00Z", "2026-06-01T14:00:00Z", ""),
        ("2026-06-01T15:00:00Z", "2026-06-01T16:00:00Z", ""),
        ("2026-06-01T13:30:00Z", "2026-06-01T14:01:00Z", "TimeOff"),
        // Both hold: time off is told.
        ("2026-06-01T14:30:00Z", "2026-06-01T18:00:00Z", "TimeOff"),
        // A day off by an override; the night before keeps its tail.
        (
            "2026-06-05T09:00:00Z",
            "2026-06-05T10:00:00Z",
            "OutsideWorkingHours",
        ),
        ("2026-06-05T00:30:00Z", "2026-06-05T01:30:00Z", ""),
        // Years away from everything else.
        ("2031-06-02T09:00:00Z", "2031-06-02T10:00:00Z", ""),
        (
            "2031-06-02T07:00:00Z",
            "2031-06-02T09:00:00Z",
            "OutsideWorkingHours",
        ),
    ];
    // Buffers may lie outside working hours and in time off.
    let list: Vec<_> = table.iter().map(|row| (row.0, row.1, 60, 60)).collect();
    parts["jobs"] = jobs(&list);
    let expected: Vec<String> = table
        .iter()
        .enumerate()
        .filter(|(_, row)| !row.2.is_empty())
        .map(|(n, row)| format!("{} {}", n + 2, row.2))
        .collect();
    assert_eq!(conflicts(&parts), expected);

    for status in ["inactive", "onLeave"] {
        parts["status"] = status.into();
        let told = conflicts(&parts);
        assert_eq!(told.len(), table.len());
        assert!(told.iter().all(|c| c.ends_with("ContractorInactive")));
    }
}
