//! The bounds of what a schedule may hold.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::service::{Service, plain};

fn with(field: &str, value: Value) -> Value {
    let mut body = plain();
    body[field] = value;
    body
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn every_bound_of_a_new_contractor_is_told_with_its_pointer() {
    let service = Service::start().await;
    let hours = json!({"days": ["MO"], "start": "08:00", "end": "17:00"});
    let cases = [
        (with("name", json!("")), "/name"),
        (with("name", json!("x".repeat(201))), "/name"),
        (with("name", json!("a\u{0}b")), "/name"),
        (with("name", json!(7)), "/name"),
        (with("territory", json!("")), "/territory"),
        (with("territory", json!("London")), "/territory"),
        (with("territory", json!("x".repeat(65))), "/territory"),
        (with("timeZone", json!("Europe/Atlantis")), "/timeZone"),
        (with("timeZone", json!("+01:00")), "/timeZone"),
        (with("status", json!("busy")), "/status"),
        (with("skills", json!(vec!["s"; 51])), "/skills"),
        (with("skills", json!(["gas", "Gas"])), "/skills/1"),
        (with("skills", json!("gas")), "/skills"),
        (
            with("workingHours", json!(vec![hours.clone(); 51])),
            "/workingHours",
        ),
        (
            with(
                "workingHours",
                json!([{"days": [], "start": "08:00", "end": "17:00"}]),
            ),
            "/workingHours/0/days",
        ),
        (
            with(
                "workingHours",
                json!([{"days": ["MO", "MO"], "start": "08:00", "end": "17:00"}]),
            ),
            "/workingHours/0/days",
        ),
        (
            with(
                "workingHours",
                json!([{"days": ["MON"], "start": "08:00", "end": "17:00"}]),
            ),
            "/workingHours/0/days/0",
        ),
        (
            with(
                "workingHours",
                json!([{"days": ["MO"], "start": "24:00", "end": "17:00"}]),
            ),
            "/workingHours/0/start",
        ),
        (
            with(
                "workingHours",
                json!([{"days": ["MO"], "start": "08:00", "end": "24:01"}]),
            ),
            "/workingHours/0/end",
        ),
        (with("workingHours", json!([["MO"]])), "/workingHours/0"),
        (
            with(
                "dateOverrides",
                json!([{"date": "2026-02-30", "windows": []}]),
            ),
            "/dateOverrides/0/date",
        ),
        (
            with(
                "dateOverrides",
                json!([{"date": "2026-02-03", "windows": []}, {"date": "2026-02-03", "windows": []}]),
            ),
            "/dateOverrides/1/date",
        ),
        (
            with(
                "timeOff",
                json!([{"start": "2026-12-28T00:00:00Z", "end": "2026-12-27T00:00:00Z"}]),
            ),
            "/timeOff/0/end",
        ),
        (
            with(
                "timeOff",
                json!([{"id": "x", "start": "2026-12-28T00:00:00Z", "end": "2026-12-29T00:00:00Z"}]),
            ),
            "/timeOff/0/id",
        ),
        (
            with(
                "jobs",
                json!([{"title": "a", "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T10:00:00Z"},
                             {"title": "b", "start": "2026-12-01T08:00:00Z", "end": "2026-12-01T09:01:00Z"}]),
            ),
            "/jobs/0/start",
        ),
        (
            with("bookingRules", json!({"slotIntervalMinutes": 0})),
            "/bookingRules/slotIntervalMinutes",
        ),
        (
            with("bookingRules", json!({"slotIntervalMinutes": 1441})),
            "/bookingRules/slotIntervalMinutes",
        ),
        (
            with("bookingRules", json!({"minNoticeMinutes": 525_601})),
            "/bookingRules/minNoticeMinutes",
        ),
        (
            with("bookingRules", json!({"bufferBeforeMinutes": 1441})),
            "/bookingRules/bufferBeforeMinutes",
        ),
        (with("bookingRules", json!({"foo": 1})), "/bookingRules/foo"),
        (with("contractorId", json!("x")), "/contractorId"),
        (
            with(
                "contractorId",
                json!("00000000-0000-0000-0000-000000000000"),
            ),
            "/contractorId",
        ),
        (with("version", json!(1)), "/version"),
        (json!({"name": "x", "territory": "x"}), "/timeZone"),
        (json!([]), ""),
        (json!("text"), ""),
    ];
    for (body, pointer) in cases {
        assert_eq!(
            service
                .post("/v1/contractors", body.clone())
                .await
                .pointers(),
            [pointer],
            "{body}"
        );
    }
    let several = json!({"name": "", "territory": "X", "timeZone": "UTC", "bookingRules": {"bufferAfterMinutes": 2000}});
    let several = service.post("/v1/contractors", several).await;
    assert_eq!(
        several.pointers(),
        ["/bookingRules/bufferAfterMinutes", "/name", "/territory"]
    );
    let (count,): (i64,) = sqlx::query_as("SELECT count(*) FROM contractors")
        .fetch_one(&service.pool)
        .await
        .unwrap();
    assert_eq!(count, 0);
}

#[tokio::test]
async fn what_lies_on_the_bounds_is_accepted() {
    let service = Service::start().await;
    let body = json!({
        "name": "ß".repeat(200), "territory": "a".repeat(64), "timeZone": "Pacific/Chatham",
        "skills": (0..50).map(|n| format!("skill-{n}")).collect::<Vec<_>>(),
        "workingHours": vec![json!({"days": ["SU"], "start": "23:59", "end": "24:00"}); 50],
        "dateOverrides": [{"date": "2000-01-01", "windows": vec![json!({"start": "00:00", "end": "00:00"}); 24]},
                          {"date": "2100-12-31", "windows": []}],
        "timeOff": [{"start": "2026-01-01T00:00:00Z", "end": "2031-01-01T00:00:00Z"}],
        "jobs": [{"title": "x", "start": "2026-12-01T00:00:00Z", "end": "2027-01-01T00:00:00Z",
                  "bufferBeforeMinutes": 1440, "bufferAfterMinutes": 0},
                 {"title": "y", "start": "2027-01-01T00:00:00Z", "end": "2027-01-01T00:01:00Z"}],
        "bookingRules": {"slotIntervalMinutes": 1440, "minNoticeMinutes": 525_600,
                         "bufferBeforeMinutes": 0, "bufferAfterMinutes": 1440},
    });
    service.post("/v1/contractors", body).await.expect(201);
}

#[tokio::test]
async fn no_more_upcoming_jobs_than_a_thousand() {
    let service = Service::start().await;
    let at = |minutes: i64| -> DateTime<Utc> {
        service.clock.now() + TimeDelta::days(1) + TimeDelta::minutes(minutes)
    };
    let minute = |instant: DateTime<Utc>| instant.format("%Y-%m-%dT%H:%M:00Z").to_string();
    let jobs: Vec<Value> = (0..1000)
        .map(|n| json!({"title": "t", "start": minute(at(n)), "end": minute(at(n + 1))}))
        .collect();
    let mut more = jobs.clone();
    more.push(jobs[0].clone());
    assert!(
        service
            .post("/v1/contractors", with("jobs", json!(more)))
            .await
            .pointers()
            .contains(&"/jobs")
    );
    let id = service
        .post("/v1/contractors", with("jobs", json!(jobs)))
        .await
        .expect(201)
        .id();
    let path = format!("/v1/contractors/{id}/jobs");
    let next = json!({"title": "t", "start": minute(at(2000)), "end": minute(at(2001))});
    assert_eq!(service.post(&path, next.clone()).await.pointers(), [""]);
    // What is over does not count.
    let past =
        json!({"title": "t", "start": "2026-11-01T00:00:00Z", "end": "2026-11-01T01:00:00Z"});
    service.post(&path, past).await.expect(201);
    service
        .clock
        .advance(TimeDelta::days(1) + TimeDelta::minutes(32));
    service.post(&path, next).await.expect(201);
}

#[tokio::test]
async fn no_more_overrides_and_upcoming_time_off_than_four_hundred() {
    let service = Service::start().await;
    let day = |n: u64| {
        (chrono::NaiveDate::from_ymd_opt(2026, 11, 1).unwrap() + chrono::Days::new(n)).to_string()
    };
    let overrides: Vec<Value> = (0..400)
        .map(|n| json!({"date": day(n), "windows": []}))
        .collect();
    let time_off: Vec<Value> = (0..400)
        .map(|_| json!({"start": "2026-12-01T00:00:00Z", "end": "2026-12-02T00:00:00Z"}))
        .collect();
    let mut body = plain();
    body["dateOverrides"] = json!(overrides);
    body["timeOff"] = json!(time_off);
    let id = service.post("/v1/contractors", body).await.expect(201).id();
    let path = format!("/v1/contractors/{id}");
    let put = |date: String| {
        let path = format!("{path}/date-overrides/{date}");
        let service = &service;
        async move {
            service
                .json(
                    "PUT",
                    &path,
                    &[("if-match", "*")],
                    &json!({"windows": [{"start": "08:00", "end": "09:00"}]}),
                )
                .await
        }
    };
    assert_eq!(put(day(400)).await.pointers(), [""]);
    put(day(0)).await.expect(200);
    let more = json!({"start": "2026-12-03T00:00:00Z", "end": "2026-12-04T00:00:00Z"});
    assert_eq!(
        service
            .post(&format!("{path}/time-off"), more.clone())
            .await
            .pointers(),
        [""]
    );

    // Ninety days later the old days are forgotten for the new one, and the change says so.
    service.clock.advance(TimeDelta::days(100));
    put(day(400)).await.expect(201);
    service
        .post(&format!("{path}/time-off"), more)
        .await
        .expect(201);
    let schedule = service.get(&format!("{path}/schedule")).await.body;
    assert!(schedule["dateOverrides"].as_array().unwrap().len() < 400);
    assert_eq!(
        schedule["dateOverrides"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()["date"],
        day(400)
    );
}
