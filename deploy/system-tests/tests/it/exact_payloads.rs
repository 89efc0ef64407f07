//! One change, followed from the request to the last frame.

use chrono::{DateTime, Datelike, Utc, Weekday};
use serde_json::{Value, json};
use system_tests::subscriber::{AVAILABILITY_UPDATED, SCHEDULE_UPDATED};
use system_tests::{Deployment, Frame, Received};
use uuid::Uuid;

use crate::week::{Week, rfc3339};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACE_STATE: &str = "vendor=t61rcWkgMzE";

/// In India there is no daylight saving time: 00:00 UTC is 05:30, all the year.
const ZONE: &str = "Asia/Kolkata";

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one change, with every byte that it leads to"
)]
async fn one_change_reaches_event_cache_and_stream_with_exact_payloads() {
    let deployment = Deployment::start().await;
    let api = &deployment.schedules;
    let week = Week::ahead();

    let stream = deployment.stream("territory=pune-east").await;
    let exchange = deployment.subscriber("#").await;
    let id = api.create(&contractor(week)).await;
    let before = api.schedule(&id).await;
    stream
        .wait_for_version("availability.updated", &id, 1)
        .await;

    let hours = json!([
        {"days": ["MO", "TU", "WE", "TH", "FR"], "start": "09:00", "end": "16:00"},
        {"days": ["SA"], "start": "10:00", "end": "12:00"},
    ]);
    let traceparent = format!("00-{TRACE_ID}-00f067aa0ba902b7-01");
    let headers = [
        ("if-match", "\"1\""),
        ("traceparent", traceparent.as_str()),
        ("tracestate", TRACE_STATE),
    ];
    let answer = api
        .send(
            reqwest::Method::PATCH,
            &format!("/contractors/{id}/schedule"),
            &headers,
            Some(&json!({"workingHours": hours})),
        )
        .await
        .unwrap()
        .expect_status(200);
    assert_eq!(answer.version(), 2);

    // The whole schedule, by hand: what was created, with the ids and the time it was given.
    let updated_at = answer.body["updatedAt"].as_str().unwrap();
    let mut schedule = json!({
        "contractorId": id, "name": "Asha Kulkarni", "territory": "pune-east",
        "skills": ["boiler", "gas"], "status": "active", "timeZone": ZONE,
        "workingHours": hours,
        "dateOverrides": [{"date": week.date(4), "reason": "Festival",
            "windows": [{"start": "10:00", "end": "13:00"}]}],
        "timeOff": [{"id": before["timeOff"][0]["id"], "reason": "Leave",
            "start": week.at(3, 0), "end": week.at(4, 0)}],
        "jobs": [
            {"id": before["jobs"][0]["id"], "title": "Boiler service",
                "start": week.at(1, 300), "end": week.at(1, 360),
                "bufferBeforeMinutes": 30, "bufferAfterMinutes": 30},
            {"id": before["jobs"][1]["id"], "title": "Meter",
                "start": week.at(2, 600), "end": week.at(2, 660),
                "bufferBeforeMinutes": 30, "bufferAfterMinutes": 15},
        ],
        "bookingRules": {"slotIntervalMinutes": 30, "minNoticeMinutes": 0,
            "bufferBeforeMinutes": 30, "bufferAfterMinutes": 30},
        "version": 2, "updatedAt": updated_at,
    });
    assert_eq!(answer.body, schedule);
    assert_eq!(api.schedule(&id).await, schedule);

    let updated = exchange.event(SCHEDULE_UPDATED, &id, 2).await;
    let mut data = json!({
        "contractorId": id,
        "updatedFields": ["workingHours"],
        "previousValues": {"workingHours": [
            {"days": ["MO", "TU", "WE", "TH", "FR"], "start": "08:00", "end": "17:00"}]},
        "timestamp": updated_at,
        "currentValues": {"workingHours": hours},
        "version": 2,
        "actor": "admin",
        "schedule": schedule.take(),
    });
    assert_envelope(
        &updated,
        SCHEDULE_UPDATED,
        "/rosterwire/schedule-service",
        &id,
        &data,
    );
    assert_eq!(updated.body["time"], updated_at);
    assert_eq!(updated.routing_key, "schedule.updated.v1.pune-east");

    let available = exchange.event(AVAILABILITY_UPDATED, &id, 2).await;
    let calculated_at = available.data()["calculatedAt"].clone();
    let midnight = instant(&calculated_at).date_naive().and_hms_opt(0, 0, 0);
    let from = midnight.unwrap().and_utc();
    let to = from + chrono::TimeDelta::days(28);
    let conflicts = json!([{"jobId": before["jobs"][1]["id"], "reason": "outsideWorkingHours"}]);
    let availability = json!({
        "contractorId": id,
        "territory": "pune-east",
        "version": 2,
        "calculatedAt": calculated_at,
        "horizon": {"from": rfc3339(from), "to": rfc3339(to)},
        "windowsEpochMinutes": windows_of_horizon(from, week),
        "conflicts": conflicts,
    });
    assert_envelope(
        &available,
        AVAILABILITY_UPDATED,
        "/rosterwire/availability-worker",
        &id,
        &availability,
    );
    assert!(instant(&available.body["time"]) >= instant(&calculated_at));
    assert_eq!(available.routing_key, "availability.updated.v1.pune-east");

    // The frame leaves `schedule` out, and says the territory instead.
    let shown = stream.wait_for_version("schedule.updated", &id, 2).await;
    data.as_object_mut().unwrap().remove("schedule");
    data["territory"] = "pune-east".into();
    assert_frame(&shown, &data);
    let shown_too = stream
        .wait_for_version("availability.updated", &id, 2)
        .await;
    assert_frame(&shown_too, &availability);
    assert_ne!(shown.id, shown_too.id);
    let frames = stream.frames();
    let told: Vec<_> = frames
        .iter()
        .map(|frame| (frame.event.as_str(), frame.version()))
        .collect();
    let expected = [
        ("ready", 0),
        ("schedule.updated", 1),
        ("availability.updated", 1),
        ("schedule.updated", 2),
        ("availability.updated", 2),
    ];
    assert_eq!(told, expected);

    let [from, to] = week.range();
    let query = [
        (from.0, from.1.as_str()),
        (to.0, to.1.as_str()),
        ("durationMinutes", "120"),
    ];
    let answer = deployment.availability.cached(&id, 2, &query).await;
    let windows: Vec<Value> = WEEK
        .iter()
        .map(|&(day, start, end)| json!({"start": week.at(day, start), "end": week.at(day, end)}))
        .collect();
    let slots: Vec<String> = SLOTS
        .iter()
        .flat_map(|&(day, first, last)| {
            (first..=last)
                .step_by(30)
                .map(move |minute| week.at(day, minute))
        })
        .collect();
    let expected = json!({
        "contractorId": id, "territory": "pune-east", "timeZone": ZONE, "version": 2,
        "calculatedAt": calculated_at, "source": "cache",
        "from": week.at(0, 0), "to": week.at(7, 0),
        "windows": windows, "slots": slots, "conflicts": conflicts,
    });
    assert_eq!(answer, expected);
    deployment.assert_sound().await;
}

fn contractor(week: Week) -> Value {
    let mut meter = week.job("Meter", 2, 600, 660);
    meter["bufferAfterMinutes"] = 15.into();
    json!({
        "name": "Asha Kulkarni", "territory": "pune-east", "timeZone": ZONE,
        "skills": ["gas", "boiler"],
        "dateOverrides": [{"date": week.date(4), "reason": "Festival",
            "windows": [{"start": "10:00", "end": "13:00"}]}],
        "timeOff": [{"start": week.at(3, 0), "end": week.at(4, 0), "reason": "Leave"}],
        "jobs": [meter, week.job("Boiler service", 1, 300, 360)],
    })
}

/// The free windows of the week after the change, in minutes after midnight UTC, which is 05:30.
const WEEK: [(i64, i64, i64); 6] = [
    // Monday: 09:00 to 16:00.
    (0, 210, 630),
    // Tuesday: a job from 10:30 to 11:30, with half an hour on both sides.
    (1, 210, 270),
    (1, 390, 630),
    // Wednesday: a job from 15:30 to 16:30, outside of the new hours at its end. Thursday is leave.
    (2, 210, 570),
    // Friday: 10:00 to 13:00, as an exception.
    (4, 270, 450),
    // Saturday: 10:00 to 12:00.
    (5, 270, 390),
];

/// The first and the last start of two hours' work in each window that has one.
const SLOTS: [(i64, i64, i64); 5] = [
    (0, 210, 510),
    (1, 390, 510),
    (2, 210, 450),
    (4, 270, 330),
    (5, 270, 270),
];

/// All windows of the horizon: the week by hand, and the other weeks as the hours say.
fn windows_of_horizon(from: DateTime<Utc>, week: Week) -> Vec<[i64; 2]> {
    let first_day = from.timestamp() / 86_400;
    let monday = week.epoch_minutes(0, 0) / 1440;
    let mut windows = Vec::new();
    for day in first_day..first_day + 28 {
        let at = |start: i64, end: i64| [day * 1440 + start, day * 1440 + end];
        if (monday..monday + 7).contains(&day) {
            let of_day = WEEK.iter().filter(|window| window.0 == day - monday);
            windows.extend(of_day.map(|&(_, start, end)| at(start, end)));
            continue;
        }
        match DateTime::from_timestamp(day * 86_400, 0).unwrap().weekday() {
            Weekday::Sat => windows.push(at(270, 390)),
            Weekday::Sun => {}
            _ => windows.push(at(210, 630)),
        }
    }
    windows
}

/// Everything that a message is, but for its time and routing key.
fn assert_envelope(message: &Received, kind: &str, source: &str, contractor: &str, data: &Value) {
    let id: Uuid = message.id().parse().unwrap();
    assert_eq!(id.get_version_num(), 7, "ids are sorted by time");
    let time = message.body["time"].clone();
    let envelope = json!({
        "specversion": "1.0", "id": message.id(), "source": source, "type": kind,
        "subject": contractor, "time": time, "datacontenttype": "application/json", "data": data,
    });
    assert_eq!(message.body, envelope);

    let properties = &message.properties;
    let text = |property: &Option<lapin::types::ShortString>| {
        property.as_ref().map(|text| text.as_str().to_owned())
    };
    assert_eq!(
        text(properties.content_type()).as_deref(),
        Some("application/cloudevents+json")
    );
    assert_eq!(*properties.delivery_mode(), Some(2), "persistent");
    assert_eq!(text(properties.message_id()).as_deref(), Some(message.id()));
    assert_eq!(text(properties.kind()).as_deref(), Some(kind));
    let seconds = u64::try_from(instant(&time).timestamp()).unwrap();
    assert_eq!(*properties.timestamp(), Some(seconds));

    let headers = message.headers();
    let names: Vec<&str> = headers.keys().map(String::as_str).collect();
    assert_eq!(names, ["traceparent", "tracestate"]);
    let parts: Vec<&str> = headers["traceparent"].split('-').collect();
    assert_eq!(parts.len(), 4, "{}", headers["traceparent"]);
    assert_eq!((parts[0], parts[1]), ("00", TRACE_ID));
    assert_eq!(headers["tracestate"], TRACE_STATE);
}

fn assert_frame(frame: &Frame, data: &Value) {
    assert_eq!(&frame.data, data);
    assert!(!frame.text.contains(['\r', '\n']));
}

fn instant(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}
