//! Crashes between two steps that no transaction spans.

use serde_json::json;
use stack::process::describe;
use stack::{Service, ServiceKind, ServiceSettings};
use system_tests::rising::versions;
use system_tests::subscriber::{
    AVAILABILITY_UPDATED, SCHEDULE_UPDATED, SCHEDULE_UPDATED_QUEUE, waiting_in,
};
use system_tests::{Deployment, ScheduleApi, eventually, outbox};

use crate::week::Week;

/// A service on the deployment's servers that ends by itself when it comes to `point`.
async fn doomed(deployment: &Deployment, kind: ServiceKind, point: &str) -> Service {
    let folder = deployment.system.folder();
    let settings = ServiceSettings::new(kind, folder, deployment.backends())
        .unwrap()
        .env("SCHEDULE_SERVICE_URL", deployment.system.schedule_url())
        .env("ROSTERWIRE_FAILPOINT", point);
    Service::spawn(kind, settings).await.unwrap()
}

async fn assert_crashed(service: &Service, point: &str) {
    let status = service.exited().await;
    assert_eq!(describe(status), "signal SIGABRT", "{}", service.log());
    assert!(service.log().contains(point), "{}", service.log());
}

#[tokio::test]
async fn a_relay_killed_between_publish_and_mark_publishes_again_and_loses_nothing() {
    let deployment = Deployment::start().await;
    let stream = deployment.stream("").await;
    let exchange = deployment.subscriber("schedule.updated.v1.#").await;
    let contractor = json!({"name": "Ada", "territory": "leeds", "timeZone": "Europe/London"});
    let id = deployment.schedules.create(&contractor).await;
    stream
        .wait_for_version("availability.updated", &id, 1)
        .await;
    let database = &deployment.backends().database_url;
    let drained = async || (outbox::depth(database).await == 0).then_some(());
    eventually("an empty outbox", drained).await;

    let sound = deployment.system.service(ServiceKind::ScheduleService);
    sound.stop().await.unwrap();
    let doomed = doomed(&deployment, ServiceKind::ScheduleService, "relay.published").await;
    let patch = json!({"name": "Ada Byron"});
    // The crash may come before the answer; the change is committed all the same.
    let _ = ScheduleApi::new(doomed.url()).try_patch(&id, &patch).await;
    assert_crashed(&doomed, "relay.published").await;
    let first = exchange.event(SCHEDULE_UPDATED, &id, 2).await;
    assert_eq!(
        outbox::depth(database).await,
        1,
        "it is published, not marked"
    );

    sound.restart().await.unwrap();
    eventually("an empty outbox", drained).await;
    let twice = exchange
        .wait_for("the event a second time", |received| {
            let of_change = received.iter().filter(|event| event.version() == 2);
            let ids: Vec<_> = of_change.map(|event| event.id().to_owned()).collect();
            (ids.len() == 2).then_some(ids)
        })
        .await;
    assert_eq!(twice, [first.id(), first.id()], "the same event");

    assert_eq!(
        deployment
            .schedules
            .patch(&id, &json!({"name": "Ada"}))
            .await,
        3
    );
    stream
        .wait_for_version("availability.updated", &id, 3)
        .await;
    deployment.availability.cached(&id, 3, &[]).await;
    let history = deployment.schedules.history(&id).await;
    let recorded: Vec<_> = history.iter().map(|change| &change["version"]).collect();
    assert_eq!(recorded, [1, 2, 3], "each once");
    let shown = versions(&stream.frames(), "schedule.updated", &id);
    assert_eq!(shown, [1, 2, 3], "each once");
    eventually("an empty outbox", drained).await;
    deployment.assert_sound().await;
}

#[tokio::test]
async fn a_worker_killed_between_cache_and_ack_says_so_after_the_redelivery() {
    let deployment = Deployment::start().await;
    let stream = deployment.stream("").await;
    let exchange = deployment.subscriber("availability.updated.v1.#").await;
    let week = Week::ahead();
    let contractor = json!({"name": "Asha", "territory": "pune", "timeZone": "Asia/Kolkata"});
    let id = deployment.schedules.create(&contractor).await;
    exchange.event(AVAILABILITY_UPDATED, &id, 1).await;

    let sound = deployment.system.service(ServiceKind::AvailabilityWorker);
    sound.stop().await.unwrap();
    let kind = ServiceKind::AvailabilityWorker;
    let doomed = doomed(&deployment, kind, "worker.cached").await;
    let hours = json!([{"days": ["MO"], "start": "09:30", "end": "11:30"}]);
    let patch = json!({"workingHours": hours});
    assert_eq!(deployment.schedules.patch(&id, &patch).await, 2);
    assert_crashed(&doomed, "worker.cached").await;
    let told = exchange.received();
    assert_eq!(told.len(), 1, "nothing was said of the change yet");

    sound.restart().await.unwrap();
    let available = exchange.event(AVAILABILITY_UPDATED, &id, 2).await;
    let of_monday = [week.epoch_minutes(0, 4 * 60), week.epoch_minutes(0, 6 * 60)];
    let windows = available.data()["windowsEpochMinutes"].as_array().unwrap();
    assert!(windows.contains(&json!(of_monday)), "{windows:?}");
    assert!(windows.len() <= 4, "Mondays alone: {windows:?}");
    stream
        .wait_for_version("availability.updated", &id, 2)
        .await;
    let [from, to] = week.range();
    let query = [(from.0, from.1.as_str()), (to.0, to.1.as_str())];
    let cached = deployment.availability.cached(&id, 2, &query).await;
    let expected = json!([{"start": week.at(0, 4 * 60), "end": week.at(0, 6 * 60)}]);
    assert_eq!(cached["windows"], expected);
    // Settled: with the worker gone in order, nothing comes back.
    sound.stop().await.unwrap();
    let amqp_url = &deployment.backends().amqp_url;
    assert_eq!(waiting_in(amqp_url, SCHEDULE_UPDATED_QUEUE).await, 0);
    deployment.assert_sound().await;
}
