//! What happens when servers and the worker itself go away.

use serde_json::json;

use crate::world::{World, contractor, used};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_redis_is_away() {
    let world = World::new().await;
    let before = contractor(1, 1);
    world.publish(&[&before]).await;
    world.told_of(&before).await;

    world.bed.redis_process().kill().await.unwrap();
    let during: Vec<_> = (1..=20).map(|n| contractor(n, 2)).collect();
    world.publish(&during.iter().collect::<Vec<_>>()).await;
    world
        .until("readiness names Redis", async || {
            let (status, body) = world.get("/health/ready").await;
            status == 503 && body["checks"]["redis"] != "ok" && body["checks"]["rabbitmq"] == "ok"
        })
        .await;
    world.bed.redis_process().restart().await.unwrap();
    for schedule in &during {
        world.told_of(schedule).await;
        let (_, body) = world
            .get(&format!("/v1/availability/{}", schedule.contractor_id))
            .await;
        assert_eq!(
            (&body["version"], &body["source"]),
            (&json!(2), &json!("cache"))
        );
    }
    world
        .until("it is ready again", async || {
            world.get("/health/ready").await.0 == 200
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_reads_come_from_the_source_and_without_both_they_are_503() {
    let world = World::new().await;
    let schedule = contractor(1, 5);
    world.truth.knows(&schedule);
    world.bed.redis_process().kill().await.unwrap();
    let path = format!("/v1/availability/{}", schedule.contractor_id);
    let (status, body) = world.get(&path).await;
    assert_eq!(
        (status, &body["source"], &body["version"]),
        (200, &json!("scheduleService"), &json!(5))
    );
    world.truth.set_broken(true);
    for path in [path.as_str(), "/v1/availability?durationMinutes=60"] {
        let (status, headers, body) = world.get_with(path, &[]).await;
        assert_eq!(
            (status, headers["retry-after"].to_str().unwrap()),
            (503, "1"),
            "{body}"
        );
        assert_eq!(headers["content-type"], "application/problem+json");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soft_stop_settles_what_is_in_hand() {
    let world = World::new().await;
    let schedules: Vec<_> = (1..=50).map(|n| contractor(n, 1)).collect();
    world.publish(&schedules.iter().collect::<Vec<_>>()).await;
    world.told(|told| !told.is_empty()).await;
    world.stop();
    // Another worker does the rest; between them all is told.
    let world = world.start_again().await;
    world
        .told(|told| {
            schedules
                .iter()
                .all(|s| told.iter().any(|(e, _)| e.contractor_id == s.contractor_id))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lacks_a_right_in_redis_says_which() {
    let world = World::new().await;
    redis::cmd("ACL")
        .arg(&["SETUSER", "availability-worker", "-info"])
        .exec_async(&mut world.redis().await)
        .await
        .unwrap();
    world
        .until("the worker says what it lacks", async || {
            let (status, body) = world.get("/health/ready").await;
            let told = body.to_string();
            status == 503 && told.contains("no permissions to run the 'info' command")
        })
        .await;
}

#[cfg(any(debug_assertions, feature = "failpoints"))]
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_the_cache_and_the_stream_is_made_good_by_the_redelivery() {
    use std::process::Command;

    let world = World::without_worker(&[]).await;
    let schedule = contractor(1, 1);
    world.publish(&[&schedule]).await;
    let used = used(&world.bed);
    let mut worker = Command::new(env!("CARGO_BIN_EXE_availability-worker"))
        .args(["--bind-addr=127.0.0.1:0", "--auth-mode=disabled"])
        .env("AMQP_URL", used.amqp_url)
        .env("REDIS_URL", used.redis_url)
        .env("SCHEDULE_SERVICE_URL", &world.truth.url)
        .env("ROSTERWIRE_FAILPOINT", "worker.cached")
        .spawn()
        .unwrap();
    let ended = tokio::task::spawn_blocking(move || worker.wait().unwrap())
        .await
        .unwrap();
    assert!(!ended.success(), "{ended}");
    assert_eq!(
        world.cached().await.len(),
        2,
        "it was cached before the crash"
    );
    let world = world.start_worker().await;
    world.told_of(&schedule).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_is_filled_again_and_no_search_leaves_anybody_out_meanwhile() {
    let world = World::new().await;
    let schedules: Vec<_> = (1..=450).map(|n| contractor(n, 3)).collect();
    for schedule in &schedules {
        world.truth.knows(schedule);
    }
    let path = "/v1/availability?durationMinutes=60&limit=200";
    let complete = async || {
        let (mut page, mut found) = (path.to_owned(), 0);
        loop {
            let (status, body) = world.get(&page).await;
            if status != 200 {
                return false;
            }
            found += body["items"].as_array().unwrap().len();
            match body["nextCursor"].as_str() {
                Some(cursor) => page = format!("{path}&cursor={cursor}"),
                None => return found == schedules.len(),
            }
        }
    };
    // The mark of a cache that was empty from the start came before they were known.
    world.bed.redis_process().kill().await.unwrap();
    world.bed.redis_process().restart().await.unwrap();
    world.until("everybody is found", complete).await;
    // From here on an answer is whole, or there is none.
    world.bed.redis_process().kill().await.unwrap();
    world.bed.redis_process().restart().await.unwrap();
    for _ in 0..50 {
        let (status, body) = world.get(path).await;
        assert!(
            status == 503 || body["items"].as_array().unwrap().len() == 200,
            "{status} {body}"
        );
    }
    world.until("everybody is found again", complete).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_with_a_deleted_queue_is_made_good_and_told() {
    let world = World::new().await;
    // A change whose event the queue takes with it.
    let after = contractor(1, 2);
    world.truth.knows(&after);
    let management = world.bed.rabbitmq_management();
    let queue = shared_events::topology::SCHEDULE_UPDATED_QUEUE;
    management.delete_queue(queue).await.unwrap();
    // Only the worker declares it again. Reading the stream does so too, and RabbitMQ 3.10 never
    // cancels the consumer of a queue that is declared again at once.
    world
        .until("the worker declares its queue again", async || {
            management.queue(queue).await.unwrap().is_some()
        })
        .await;
    world.told_of(&after).await;
    let path = format!("/v1/availability/{}", after.contractor_id);
    let (_, body) = world.get(&path).await;
    assert_eq!(
        (&body["version"], &body["source"]),
        (&json!(2), &json!("cache"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_told_is_found_by_comparing() {
    let world = World::with(&["--reconcile-seconds=1"]).await;
    let (before, after) = (contractor(1, 1), contractor(1, 2));
    world.truth.knows(&before);
    world.publish(&[&before]).await;
    world.told_of(&before).await;
    world.truth.knows(&after);
    world.told_of(&after).await;
    let path = format!("/v1/availability/{}", after.contractor_id);
    let (_, body) = world.get(&path).await;
    assert_eq!(body["version"], 2);
}
