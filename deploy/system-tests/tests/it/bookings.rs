//! Nobody is booked twice.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::json;
use system_tests::subscriber::SCHEDULE_UPDATED;
use system_tests::{Deployment, Received};

use crate::week::Week;

const RACERS: i64 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_racing_bookings_of_one_slot_have_one_winner() {
    let deployment = Deployment::start().await;
    let api = &deployment.schedules;
    let week = Week::ahead();
    let contractor = json!({"name": "Ada", "territory": "leeds", "timeZone": "Europe/London"});
    let exchange = deployment.subscriber("schedule.updated.v1.#").await;
    let id = api.create(&contractor).await;

    // Each overlaps every other, some only by a few minutes.
    let answers = join_all((0..RACERS).map(|racer| {
        let job = week.job(&format!("Racer {racer}"), 1, 600 + racer, 660 + racer);
        let id = &id;
        async move { api.book(id, &job).await }
    }))
    .await;

    let mut by_status: BTreeMap<u16, Vec<_>> = BTreeMap::new();
    for answer in &answers {
        by_status
            .entry(answer.status)
            .or_default()
            .push(&answer.body);
    }
    let counts: Vec<_> = by_status.iter().map(|(s, all)| (*s, all.len())).collect();
    assert_eq!(counts, [(201, 1), (409, 49)], "{by_status:?}");
    let winner = by_status[&201][0];
    for problem in &by_status[&409] {
        assert_eq!(problem["conflictingJobId"], winner["id"]);
    }

    let schedule = api.schedule(&id).await;
    assert_eq!(schedule["version"], 2);
    assert_eq!(schedule["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(schedule["jobs"][0]["id"], winner["id"]);
    exchange.event(SCHEDULE_UPDATED, &id, 2).await;
    deployment.availability.cached(&id, 2, &[]).await;
    // A change after them all has the next event.
    assert_eq!(api.patch(&id, &json!({"name": "Ada Byron"})).await, 3);
    exchange.event(SCHEDULE_UPDATED, &id, 3).await;
    let told = exchange.received();
    let mut versions: Vec<i64> = told.iter().map(Received::version).collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3]);
    deployment.assert_sound().await;
}
