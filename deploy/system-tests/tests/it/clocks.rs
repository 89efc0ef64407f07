//! A service whose clock is an hour off, by libfaketime.

use std::path::PathBuf;

use chrono::{DateTime, NaiveTime, TimeDelta, Timelike, Utc};
use serde_json::Value;
use shared_events::service::Clock;
use stack::ServiceKind;
use system_tests::Deployment;

use crate::load::Load;
use crate::week::Week;

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_service_an_hour_ahead_loses_nothing() {
    nothing_comes_of(ServiceKind::ScheduleService, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_service_an_hour_behind_loses_nothing() {
    nothing_comes_of(ServiceKind::ScheduleService, -1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_an_hour_ahead_loses_nothing() {
    nothing_comes_of(ServiceKind::AvailabilityWorker, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_an_hour_behind_loses_nothing() {
    nothing_comes_of(ServiceKind::AvailabilityWorker, -1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_an_hour_ahead_loses_nothing() {
    nothing_comes_of(ServiceKind::Notifier, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_an_hour_behind_loses_nothing() {
    nothing_comes_of(ServiceKind::Notifier, -1).await;
}

/// Runs one service with another hour than the rest, and looks at everything.
async fn nothing_comes_of(kind: ServiceKind, hours: i64) {
    let library = library();
    let offset = format!("{hours:+}h");
    let deployment = Deployment::start_with(|builder| {
        builder
            .env(kind, "LD_PRELOAD", library.to_str().unwrap())
            .env(kind, "FAKETIME", &offset)
            // Waits are measured by the other clock, which is right.
            .env(kind, "FAKETIME_DONT_FAKE_MONOTONIC", "1")
    })
    .await;
    let load = Load::on(&deployment).await;
    load.more(30).await;
    let (client, ids) = load.nothing_is_lost(&deployment).await;

    let week = Week::ahead();
    let (from, to) = (week.at(0, 0), week.at(7, 0));
    let query = [("from", from.as_str()), ("to", to.as_str())];
    for id in &ids {
        let answer = deployment.availability.cached(id, 1, &query).await;
        // Whoever writes has them work every day, from 08:00 on.
        let schedule = deployment.schedules.schedule(id).await;
        let end = schedule["workingHours"][0]["end"].as_str().unwrap();
        let end = NaiveTime::parse_from_str(end, "%H:%M").unwrap();
        let worked = i64::from(end.num_seconds_from_midnight()) / 60 - 8 * 60;
        let windows = answer["windows"].as_array().unwrap();
        assert_eq!(windows.len(), 7, "{answer}");
        for window in windows {
            let minutes = instant(&window["end"]) - instant(&window["start"]);
            assert_eq!(minutes.num_minutes(), worked, "{answer}");
        }
    }
    assert_off(told_time(kind, &deployment, &client, &ids[0]).await, hours);
}

/// A moment of the last minutes, by the clock of that service.
async fn told_time(
    kind: ServiceKind,
    deployment: &Deployment,
    client: &system_tests::StreamClient,
    id: &str,
) -> DateTime<Utc> {
    let told = match kind {
        ServiceKind::ScheduleService => {
            deployment.schedules.schedule(id).await["updatedAt"].clone()
        }
        ServiceKind::AvailabilityWorker => {
            let answer = deployment.availability.cached(id, 1, &[]).await;
            answer["calculatedAt"].clone()
        }
        ServiceKind::Notifier => {
            let frames = client.frames();
            let ready = frames.iter().find(|frame| frame.event == "ready").unwrap();
            ready.data["serverTime"].clone()
        }
    };
    instant(&told)
}

fn instant(text: &Value) -> DateTime<Utc> {
    text.as_str().unwrap().parse().unwrap()
}

/// The fault was there: the service's clock was off by so much.
fn assert_off(told: DateTime<Utc>, hours: i64) {
    let off = told - Clock::system().now() - TimeDelta::hours(hours);
    assert!(off.abs() < TimeDelta::minutes(30), "{told}");
}

fn library() -> PathBuf {
    let architecture = std::env::consts::ARCH;
    PathBuf::from(format!(
        "/usr/lib/{architecture}-linux-gnu/faketime/libfaketime.so.1"
    ))
}
