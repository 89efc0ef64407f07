//! What is free: weekly hours, overrides, jobs, time off, and what clocks do to them.

use super::{every_day, jobs, schedule, windows};
use crate::engine::{Interval, Query, availability};

/// Zone | windows of every day, local | range, UTC | what is free, as day and hour in UTC.
const TABLE: &str = "
# London, 29 March 2026: 01:00-02:00 does not exist.
Europe/London | 00:30-03:00 | 2026-03-29T00 2026-03-29T12 | 29 00:30 - 29 02:00
Europe/London | 00:30-01:30 | 2026-03-29T00 2026-03-29T12 | 29 00:30 - 29 01:30
Europe/London | 01:30-03:00 | 2026-03-29T00 2026-03-29T12 | 29 01:30 - 29 02:00
Europe/London | 01:15-01:45 | 2026-03-29T00 2026-03-29T12 |
Europe/London | 01:00-02:00 | 2026-03-29T00 2026-03-29T12 |
Europe/London | 01:30-02:30 | 2026-03-29T00 2026-03-29T12 |
Europe/London | 23:00-01:30 | 2026-03-28T12 2026-03-29T12 | 28 23:00 - 29 01:30
# London, 25 October 2026: 01:00-02:00 exists twice.
Europe/London | 01:30-01:45 | 2026-10-25T00 2026-10-25T12 | 25 00:30 - 25 01:45
Europe/London | 00:00-24:00 | 2026-10-25T00 2026-10-25T12 | 25 00:00 - 25 12:00
Europe/London | 23:00-01:30 | 2026-10-24T12 2026-10-25T12 | 24 22:00 - 25 01:30
Europe/London | 01:45-03:00 | 2026-10-25T00 2026-10-25T12 | 25 00:45 - 25 03:00
# New York, 8 March and 1 November 2026.
America/New_York | 01:00-04:00 | 2026-03-08T05 2026-03-08T12 | 08 06:00 - 08 08:00
America/New_York | 00:00-02:00 | 2026-11-01T04 2026-11-01T12 | 01 04:00 - 01 07:00
# Lord Howe moves by half an hour.
Australia/Lord_Howe | 01:00-03:00 | 2026-10-03T12 2026-10-04T00 | 03 14:30 - 03 16:00
Australia/Lord_Howe | 02:00-02:30 | 2026-10-03T12 2026-10-04T00 |
Australia/Lord_Howe | 01:00-03:00 | 2026-04-04T12 2026-04-05T00 | 04 14:00 - 04 16:30
# Santiago, 6 September 2026: there is no midnight. 4 April 2026: 23:00-24:00 comes twice.
America/Santiago | 00:00-08:00 | 2026-09-06T00 2026-09-06T20 | 06 04:00 - 06 11:00
America/Santiago | 20:00-24:00 | 2026-09-05T20 2026-09-06T20 | 06 00:00 - 06 04:00
America/Santiago | 23:30-24:00 | 2026-04-04T12 2026-04-05T12 | 05 02:30 - 05 04:00
# Cairo, 24 April 2026: no midnight either. 29 October 2026: 23:00-24:00 comes twice.
Africa/Cairo | 00:00-02:00 | 2026-04-23T12 2026-04-24T12 | 23 22:00 - 23 23:00
Africa/Cairo | 23:00-24:00 | 2026-10-29T12 2026-10-30T12 | 29 20:00 - 29 22:00
# Casablanca goes back for the month of fasting, and forth after it.
Africa/Casablanca | 02:30-04:00 | 2026-02-15T00 2026-02-15T12 | 15 01:30 - 15 04:00
Africa/Casablanca | 02:30-04:00 | 2026-03-22T00 2026-03-22T12 | 22 02:30 - 22 03:00
# ... for the last time in 2026: on 20 September 01:00-02:00 comes twice, and then it is UTC all year.
Africa/Casablanca | 00:30-01:30 | 2026-09-19T12 2026-09-20T12 | 19 23:30 - 20 01:30
Africa/Casablanca | 08:00-17:00 | 2027-02-15T00 2027-02-16T00 | 15 08:00 - 15 17:00
Africa/Casablanca | 08:00-17:00 | 2027-07-01T00 2027-07-02T00 | 01 08:00 - 01 17:00
Africa/El_Aaiun   | 08:00-17:00 | 2027-07-01T00 2027-07-02T00 | 01 08:00 - 01 17:00
# Vancouver (7 hours behind UTC), Edmonton (6) and Winnipeg (5) keep their summer time from 2026 on.
America/Vancouver | 01:00-03:00 | 2026-11-01T04 2026-11-01T18 | 01 08:00 - 01 10:00
America/Vancouver | 08:00-17:00 | 2026-12-01T08 2026-12-02T08 | 01 15:00 - 02 00:00
America/Vancouver | 02:00-03:00 | 2027-03-14T04 2027-03-14T18 | 14 09:00 - 14 10:00
America/Edmonton  | 01:00-03:00 | 2026-11-01T04 2026-11-01T18 | 01 07:00 - 01 09:00
America/Edmonton  | 08:00-17:00 | 2027-01-15T06 2027-01-16T06 | 15 14:00 - 15 23:00
America/Winnipeg  | 01:00-03:00 | 2026-11-01T04 2026-11-01T18 | 01 06:00 - 01 08:00
America/Winnipeg  | 08:00-17:00 | 2027-01-15T06 2027-01-16T06 | 15 13:00 - 15 22:00
America/Winnipeg  | 02:00-03:00 | 2027-03-14T04 2027-03-14T18 | 14 07:00 - 14 08:00
# Havana keeps it for one winter: 00:00-01:00 comes twice on 7 November 2027 and is skipped on 12 March 2028.
America/Havana | 00:00-02:00 | 2026-11-01T00 2026-11-01T18 | 01 04:00 - 01 06:00
America/Havana | 08:00-17:00 | 2027-01-15T05 2027-01-16T05 | 15 12:00 - 15 21:00
America/Havana | 00:00-02:00 | 2027-03-14T00 2027-03-14T18 | 14 04:00 - 14 06:00
America/Havana | 00:00-01:00 | 2027-11-07T00 2027-11-07T18 | 07 04:00 - 07 06:00
America/Havana | 00:30-02:00 | 2028-03-12T00 2028-03-12T18 | 12 05:30 - 12 06:00
# Apia, 30 December 2011: there is no such day.
Pacific/Apia | 08:00-17:00 | 2011-12-29T10 2011-12-31T10 | 29 18:00 - 30 03:00, 30 18:00 - 31 03:00
Pacific/Apia | 00:00-24:00 | 2011-12-29T00 2012-01-01T00 | 29 00:00 - 01 00:00
# Offsets of three quarters of an hour.
Asia/Kathmandu  | 09:00-10:00 | 2026-06-01T00 2026-06-02T00 | 01 03:15 - 01 04:15
Pacific/Chatham | 09:00-10:00 | 2026-06-01T00 2026-06-02T00 | 01 20:15 - 01 21:15
# Overnight, round the clock, and windows that touch or overlap.
Etc/UTC | 22:00-06:00 | 2026-06-01T00 2026-06-02T00 | 01 00:00 - 01 06:00, 01 22:00 - 02 00:00
Etc/UTC | 09:00-09:00 | 2026-06-01T00 2026-06-03T00 | 01 00:00 - 03 00:00
Etc/UTC | 08:00-12:00 12:00-13:00 12:30-14:00 | 2026-06-01T00 2026-06-02T00 | 01 08:00 - 01 14:00
Etc/UTC | 18:00-24:00 00:00-02:00 | 2026-06-01T12 2026-06-02T12 | 01 18:00 - 02 02:00
# Clipped to the range; a range that only touches a window holds nothing of it.
Etc/UTC | 08:00-17:00 | 2026-06-01T09 2026-06-01T10 | 01 09:00 - 01 10:00
Etc/UTC | 08:00-17:00 | 2026-06-01T17 2026-06-02T08 |
# Year ends, leap days, and 2100, which has none.
Etc/UTC | 22:00-02:00 | 2026-12-31T12 2027-01-01T12 | 31 22:00 - 01 02:00
Etc/UTC | 08:00-09:00 | 2028-02-28T12 2028-03-01T12 | 29 08:00 - 29 09:00, 01 08:00 - 01 09:00
Etc/UTC | 08:00-09:00 | 2100-02-28T12 2100-03-01T12 | 01 08:00 - 01 09:00
# The first and the last of the years that are known.
Etc/UTC       | 20:00-04:00 | 1970-01-01T00 1970-01-01T12 | 01 00:00 - 01 04:00
Europe/London | 20:00-04:00 | 2200-12-31T12 2201-01-01T00 | 31 20:00 - 01 00:00
";

#[test]
fn windows_are_those_of_the_table() {
    for row in TABLE
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let daily: Vec<(&str, &str)> = cells[1]
            .split(' ')
            .map(|w| w.split_once('-').unwrap())
            .collect();
        let (from, to) = cells[2].split_once(' ').unwrap();
        let found = windows(
            &schedule(cells[0], &every_day(&daily)),
            &format!("{from}:00:00Z"),
            &format!("{to}:00:00Z"),
        );
        assert_eq!(found.join(", "), cells[3], "{row}");
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
fn an_override_without_windows_is_a_day_off_and_may_run_into_the_next_day() {
    let mut parts = every_day(&[("08:00", "12:00")]);
    parts["dateOverrides"] = serde_json::json!([
        {"date": "2026-06-02", "windows": []},
        {"date": "2026-06-03", "windows": [{"start": "20:00", "end": "09:00"}]}]);
    let found = windows(
        &schedule("Etc/UTC", &parts),
        "2026-06-01T00:00:00Z",
        "2026-06-05T00:00:00Z",
    );
    assert_eq!(found, ["01 08:00 - 01 12:00", "03 20:00 - 04 12:00"]);
}

#[test]
fn an_override_is_of_the_local_day() {
    let mut parts = every_day(&[("08:00", "09:00")]);
    parts["dateOverrides"] = serde_json::json!([{"date": "2026-06-02", "windows": []}]);
    let found = windows(
        &schedule("Pacific/Auckland", &parts),
        "2026-06-01T12:00:00Z",
        "2026-06-03T12:00:00Z",
    );
    // 08:00 of 2 June in Auckland is 20:00 of the day before in UTC.
    assert_eq!(found, ["02 20:00 - 02 21:00"]);
}

#[test]
fn jobs_block_their_buffers_and_time_off_blocks_itself() {
    let mut parts = every_day(&[("08:00", "17:00")]);
    parts["jobs"] = jobs(&[
        ("2026-06-01T10:00:00Z", "2026-06-01T11:00:00Z", 30, 15),
        ("2026-06-01T07:00:00Z", "2026-06-01T08:00:00Z", 0, 10),
    ]);
    parts["timeOff"] = serde_json::json!([{"id": "018f6b1c-0000-7000-8000-000000000001", "start": "2026-06-01T14:00:00Z", "end": "2026-06-01T16:00:00Z"}]);
    let found = windows(
        &schedule("Etc/UTC", &parts),
        "2026-06-01T00:00:00Z",
        "2026-06-02T00:00:00Z",
    );
    assert_eq!(
        found,
        [
            "01 08:10 - 01 09:30",
            "01 11:15 - 01 14:00",
            "01 16:00 - 01 17:00"
        ]
    );
}

#[test]
fn only_an_active_contractor_is_free() {
    let mut parts = every_day(&[("08:00", "17:00")]);
    for (status, free) in [("active", 1), ("inactive", 0), ("onLeave", 0)] {
        parts["status"] = status.into();
        let found = windows(
            &schedule("Etc/UTC", &parts),
            "2026-06-01T00:00:00Z",
            "2026-06-02T00:00:00Z",
        );
        assert_eq!(found.len(), free, "{status}");
    }
}

#[test]
fn an_unknown_zone_is_an_error_and_extreme_numbers_are_no_panic() {
    let odd = schedule("Mars/Olympus", &every_day(&[("08:00", "17:00")]));
    let range = Interval::new(0, 10);
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
        let range = Interval::new(range.0, range.1);
        let query = Query {
            range,
            now: i64::MAX,
            duration: Some(i64::MAX),
            slot_interval: Some(i64::MAX),
        };
        assert!(availability(&extreme, &query).is_ok());
    }
}
