//! Many at once: what the database and the version settle.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::json;

use crate::service::{Service, job_at};

#[tokio::test]
async fn of_fifty_bookings_of_one_slot_one_is_made_and_the_others_learn_which() {
    let service = Service::start().await;
    let id = service.contractor().await;
    let path = format!("/v1/contractors/{id}/jobs");
    let replies = join_all((0..50).map(|_| service.post(&path, job_at(9)))).await;
    let (made, refused): (Vec<_>, Vec<_>) =
        replies.into_iter().partition(|reply| reply.status == 201);
    assert_eq!((made.len(), refused.len()), (1, 49));
    for reply in refused {
        assert_eq!(reply.problem(409), "job-overlap");
        assert_eq!(reply.body["conflictingJobId"], made[0].body["id"]);
    }
    assert_eq!(service.version(&id).await, 2);
    assert_eq!(service.outbox().await.len(), 2);
}

#[tokio::test]
async fn racing_patches_make_versions_without_gaps_and_lose_nothing() {
    let service = Service::start().await;
    let id = service.contractor().await;
    let path = format!("/v1/contractors/{id}/schedule");
    let overrides = |day: u32| format!("/v1/contractors/{id}/date-overrides/2026-12-{day:02}");
    let renames = (0..15).map(|n| {
        let path = &path;
        let service = &service;
        async move {
            service
                .patch(path, json!({"name": format!("name {n}")}))
                .await
                .expect(200)
        }
    });
    let days = (1..=15).map(|day| {
        let path = overrides(day);
        let service = &service;
        async move {
            service
                .json("PUT", &path, &[("if-match", "*")], &json!({"windows": []}))
                .await
                .expect(201)
        }
    });
    let (named, put) = futures::join!(join_all(renames), join_all(days));
    let mut versions: Vec<i64> = named
        .iter()
        .chain(&put)
        .map(|reply| reply.etag().trim_matches('"').parse().unwrap())
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=31).collect::<Vec<i64>>());
    let schedule = service.get(&path).await.body;
    assert_eq!(schedule["dateOverrides"].as_array().unwrap().len(), 15);

    // Each event's whole schedule is the one of its version: applying the changes in order gives it.
    let mut events = service.outbox().await;
    events.sort_by_key(|event| event["data"]["version"].as_i64());
    for (earlier, later) in events.iter().zip(&events[1..]) {
        let (before, data) = (&earlier["data"]["schedule"], &later["data"]);
        let fields: BTreeSet<_> = data["updatedFields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f.as_str().unwrap())
            .collect();
        for (field, value) in data["schedule"].as_object().unwrap() {
            let same = *value == before[field];
            let expected_same =
                !fields.contains(field.as_str()) && field != "version" && field != "updatedAt";
            assert!(
                same || !expected_same,
                "{field} changed silently in {}",
                data["version"]
            );
        }
    }
}

#[tokio::test]
async fn of_two_patches_from_one_version_the_second_is_told() {
    let service = Service::start().await;
    let id = service.contractor().await;
    let path = format!("/v1/contractors/{id}/schedule");
    let replies = join_all((0..10).map(|n| {
        let path = &path;
        let service = &service;
        async move {
            let wanted = json!({"name": format!("name {n}")});
            service
                .json("PATCH", path, &[("if-match", "\"1\"")], &wanted)
                .await
        }
    }))
    .await;
    assert_eq!(
        replies.iter().filter(|reply| reply.status == 200).count(),
        1
    );
    assert_eq!(
        replies.iter().filter(|reply| reply.status == 412).count(),
        9
    );
}

#[tokio::test]
async fn jobs_that_swap_contractors_at_once_all_arrive() {
    let service = Service::start().await;
    let (one, two) = (service.contractor().await, service.contractor().await);
    let mut moves = Vec::new();
    for hour in 0..8 {
        let (from, to) = if hour % 2 == 0 {
            (&one, &two)
        } else {
            (&two, &one)
        };
        moves.push((service.job(from, hour).await, to.clone()));
    }
    let replies = join_all(moves.iter().map(|(job, to)| {
        let service = &service;
        async move {
            service
                .patch(&format!("/v1/jobs/{job}"), json!({"contractorId": to}))
                .await
        }
    }))
    .await;
    for (reply, (_, to)) in replies.into_iter().zip(&moves) {
        assert_eq!(reply.expect(200).body["contractorId"], json!(to));
    }
    assert_eq!(service.version(&one).await, 1 + 4 + 8);
    assert_eq!(service.version(&two).await, 1 + 4 + 8);
}
