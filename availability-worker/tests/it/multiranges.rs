//! The engine against PostgreSQL's multiranges, away from times that exist twice: there
//! `AT TIME ZONE` takes the later instant for a start too.

use availability_worker::engine::civil_time::{DAY, offset_minutes};
use availability_worker::engine::{Interval, Query, availability, instant};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};
use serde_json::{Value, json};
use shared_events::Schedule;
use shared_events::zones::Zone;
use sqlx::{Connection, PgConnection, Row};
use stack::TestBed;

/// What is free, in one query: working windows of each local day or of its override, less time off,
/// less jobs with their buffers, within the range.
const FREE: &str = "
WITH asked AS (SELECT $1::jsonb AS j, to_timestamp($2::bigint) AS f, to_timestamp($3::bigint) AS t),
days AS (
    SELECT d::date AS day
    FROM asked, generate_series((f - interval '3 days')::date, (t + interval '2 days')::date, interval '1 day') d
),
windows AS (
    SELECT (day + (w->>'start')::interval) AT TIME ZONE (j->>'timeZone') AS s,
           (day + (w->>'end')::interval
                + CASE WHEN w->>'end' <= w->>'start' THEN interval '24 hours' ELSE interval '0' END
           ) AT TIME ZONE (j->>'timeZone') AS e
    FROM asked, days, LATERAL (
        SELECT w FROM jsonb_array_elements(j->'dateOverrides') o, jsonb_array_elements(o->'windows') w
        WHERE (o->>'date')::date = day
        UNION ALL
        SELECT h FROM jsonb_array_elements(j->'workingHours') h
        WHERE h->'days' ? (ARRAY['MO','TU','WE','TH','FR','SA','SU'])[extract(isodow FROM day)::int]
          AND NOT EXISTS (SELECT FROM jsonb_array_elements(j->'dateOverrides') o WHERE (o->>'date')::date = day)
    ) list(w)
),
working AS (SELECT range_agg(tstzrange(s, e)) AS r FROM windows WHERE s < e),
off AS (
    SELECT range_agg(tstzrange((x->>'start')::timestamptz, (x->>'end')::timestamptz)) AS r
    FROM asked, jsonb_array_elements(j->'timeOff') x
),
booked AS (
    SELECT range_agg(tstzrange(
        (x->>'start')::timestamptz - make_interval(mins => (x->>'bufferBeforeMinutes')::int),
        (x->>'end')::timestamptz + make_interval(mins => (x->>'bufferAfterMinutes')::int))) AS r
    FROM asked, jsonb_array_elements(j->'jobs') x
)
SELECT extract(epoch FROM lower(span))::bigint / 60 AS s, extract(epoch FROM upper(span))::bigint / 60 AS e
FROM asked, working, off, booked, unnest(
    coalesce(working.r, '{}') * tstzmultirange(tstzrange(f, t)) - coalesce(off.r, '{}') - coalesce(booked.r, '{}')
) AS free(span) ORDER BY 1";

/// Zones whose rules of these years every release of the zone data has.
const ZONES: [&str; 10] = [
    "Etc/UTC",
    "Europe/London",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Auckland",
];

/// Windows of an hour or more: those that fit into a gap are none for the engine, and some for SQL.
fn window() -> impl Strategy<Value = (String, String)> {
    let clock = |m: u32| format!("{:02}:{:02}", m / 60, m % 60);
    (0_u32..1440, 60_u32..=1440).prop_map(move |(start, length)| {
        let end = start + length;
        (
            clock(start),
            clock(if end > 1440 { end - 1440 } else { end }),
        )
    })
}

/// A schedule of days around a day, and a range.
fn case() -> impl Strategy<Value = (Value, Interval)> {
    let at = |minute: i64| instant(minute).to_rfc3339();
    let hours = prop::collection::vec(
        (
            window(),
            prop::sample::subsequence(vec!["MO", "TU", "WE", "TH", "FR", "SA", "SU"], 1..=7),
        ),
        0..4,
    );
    let dates =
        prop::collection::btree_map(-2_i64..30, prop::collection::vec(window(), 0..3), 0..4);
    let minutes = -2 * DAY..30 * DAY;
    let off = prop::collection::vec((minutes.clone(), 1_i64..5_000), 0..4);
    let jobs = prop::collection::vec((minutes, 1_i64..300, 0_u32..90, 0_u32..90), 0..30);
    let range = (0_i64..DAY, 1_i64..28 * DAY);
    // The years 2015 to 2025.
    let day = 16_436_i64..20_400;
    (prop::sample::select(ZONES.to_vec()), day, hours, dates, off, jobs, range).prop_map(
        move |(zone, day, hours, dates, off, jobs, (from, length))| {
            let origin = day * DAY;
            let list = |windows: Vec<(String, String)>| -> Value {
                windows.into_iter().map(|(start, end)| json!({"start": start, "end": end})).collect()
            };
            let date = |offset| instant(origin + offset * DAY).date_naive();
            let id = |kind: u128, n: usize| uuid::Uuid::from_u128((kind << 64) | n as u128);
            let document = json!({
                "contractorId": uuid::Uuid::nil(), "name": "", "territory": "north", "skills": [], "status": "active", "timeZone": zone,
                "workingHours": hours.into_iter().map(|((start, end), days)| json!({"days": days, "start": start, "end": end})).collect::<Value>(),
                "dateOverrides": dates.into_iter().map(|(offset, windows)| json!({"date": date(offset), "windows": list(windows)})).collect::<Value>(),
                "timeOff": off.into_iter().enumerate().map(|(n, (start, length))| json!({"id": id(1, n), "start": at(origin + start), "end": at(origin + start + length)})).collect::<Value>(),
                "jobs": jobs.into_iter().enumerate().map(|(n, (start, length, before, after))| json!({"id": id(2, n), "title": "", "start": at(origin + start), "end": at(origin + start + length), "bufferBeforeMinutes": before, "bufferAfterMinutes": after})).collect::<Value>(),
                "bookingRules": {"slotIntervalMinutes": 30, "minNoticeMinutes": 0, "bufferBeforeMinutes": 0, "bufferAfterMinutes": 0},
                "version": 1, "updatedAt": "2026-01-01T00:00:00.000Z"
            });
            (document, Interval::new(origin + from, origin + from + length))
        },
    )
}

/// Whether some local time around the range exists twice.
fn holds_a_fold(document: &Value, range: Interval) -> bool {
    let zone = Zone::named(document["timeZone"].as_str().unwrap()).unwrap();
    let offset = |day: i64| offset_minutes(zone, range.start + day * DAY);
    let days = (range.end - range.start) / DAY + 1;
    (-5..days + 5).any(|day| offset(day + 1) < offset(day))
}

#[tokio::test]
async fn windows_are_those_that_postgresql_finds_with_multiranges() {
    let bed = TestBed::new().await;
    let mut database = PgConnection::connect(bed.database_url()).await.unwrap();
    let number = |name| Some(std::env::var(name).ok()?.parse::<u32>().unwrap());
    let mut runner = TestRunner::new(ProptestConfig {
        rng_seed: RngSeed::Fixed(number("ORACLE_SEED").unwrap_or(1).into()),
        ..ProptestConfig::default()
    });
    let (mut compared, mut windows) = (0, 0);
    while compared < number("ORACLE_CASES").unwrap_or(300) {
        let (document, range) = case().new_tree(&mut runner).unwrap().current();
        if holds_a_fold(&document, range) {
            continue;
        }
        let schedule: Schedule = serde_json::from_value(document.clone()).unwrap();
        let query = Query {
            range,
            now: 0,
            duration: None,
            slot_interval: None,
        };
        let found = availability(&schedule, &query).unwrap().windows;
        let rows = sqlx::query(FREE)
            .bind(&document)
            .bind(range.start * 60)
            .bind(range.end * 60)
            .fetch_all(&mut database)
            .await
            .unwrap();
        let expected: Vec<Interval> = rows
            .iter()
            .map(|row| Interval::new(row.get("s"), row.get("e")))
            .collect();
        assert_eq!(found, expected, "{range:?} of {document}");
        compared += 1;
        windows += found.len();
    }
    assert!(windows > 0);
    println!("{compared} schedules with {windows} windows agree");
}
