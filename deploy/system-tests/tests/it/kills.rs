//! SIGKILL for each of the six processes, while somebody writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use stack::{PrivateServers, Server, ServiceKind};
use system_tests::rising::{assert_rising, versions};
use system_tests::{Deployment, StreamClient, Writer, Written, eventually, outbox};

const CONTRACTORS: usize = 4;

/// Whether writes are answered while the victim is down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    WritesGoOn,
    WritesStop,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_schedule_service_loses_no_answered_write() {
    let deployment = Deployment::start().await;
    let victim = deployment.system.service(ServiceKind::ScheduleService);
    survives(&deployment, victim.handle(), Meanwhile::WritesStop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_loses_no_answered_write() {
    let deployment = Deployment::start().await;
    let victim = deployment.system.service(ServiceKind::AvailabilityWorker);
    survives(&deployment, victim.handle(), Meanwhile::WritesGoOn).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_notifier_loses_no_answered_write() {
    let deployment = Deployment::start().await;
    let victim = deployment.system.service(ServiceKind::Notifier);
    survives(&deployment, victim.handle(), Meanwhile::WritesGoOn).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_loses_no_answered_write() {
    let deployment = Deployment::start().await;
    let victim = deployment.bed().redis_process().handle();
    survives(&deployment, victim, Meanwhile::WritesGoOn).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_postgres_loses_no_answered_write() {
    let servers = PrivateServers::start().await.unwrap();
    let deployment = Deployment::on(servers.backends(), |builder| builder).await;
    survives(
        &deployment,
        servers.postgres.handle(),
        Meanwhile::WritesStop,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_rabbitmq_loses_no_answered_write() {
    let servers = PrivateServers::start().await.unwrap();
    let deployment = Deployment::on(servers.backends(), |builder| builder).await;
    survives(
        &deployment,
        servers.rabbitmq.handle(),
        Meanwhile::WritesGoOn,
    )
    .await;
}

/// Kills the victim twice while somebody writes, and then looks at everything.
async fn survives(deployment: &Deployment, victim: Arc<Server>, meanwhile: Meanwhile) {
    let client = deployment.stream("").await;
    let ids = contractors(deployment).await;
    let writer = Writer::start(deployment.schedules.clone(), &ids);
    for _ in 0..2 {
        writer.more(15).await;
        victim.kill().await.unwrap();
        if meanwhile == Meanwhile::WritesGoOn {
            writer.more(15).await;
        }
        victim.restart().await.unwrap();
        writer.more(15).await;
    }
    let written = writer.stop().await;
    nothing_is_lost(deployment, &client, &ids, &written).await;
}

/// A few new contractors.
pub(crate) async fn contractors(deployment: &Deployment) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..CONTRACTORS {
        let contractor = json!({"name": format!("Contractor {number}"), "territory": "leeds",
            "timeZone": "Europe/London"});
        ids.push(deployment.schedules.create(&contractor).await);
    }
    ids
}

/// Looks at everything that came of these answered writes.
pub(crate) async fn nothing_is_lost(
    deployment: &Deployment,
    client: &StreamClient,
    ids: &[String],
    written: &[Written],
) {
    let database = &deployment.backends().database_url;
    let drained = async || (outbox::depth(database).await == 0).then_some(());
    eventually("an empty outbox", drained).await;
    for id in ids {
        let last = assert_history(deployment, id, written).await;
        deployment.availability.cached(id, last, &[]).await;
        assert_shown(client, id, last).await;
    }
    assert_rising(&client.frames());
    deployment.assert_sound().await;
}

/// Every answered write is in the history, once, at the version that was answered; no version is
/// missing. Says the last version.
async fn assert_history(deployment: &Deployment, id: &str, written: &[Written]) -> i64 {
    let history = deployment.schedules.history(id).await;
    let last = i64::try_from(history.len()).unwrap();
    let recorded: Vec<_> = history.iter().map(|change| &change["version"]).collect();
    assert_eq!(recorded, (1..=last).collect::<Vec<_>>(), "no gap");
    assert_eq!(deployment.schedules.version(id).await, last);

    let mut by_name: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (change, version) in history.iter().zip(1..) {
        let name = change["currentValues"]["name"].as_str().unwrap();
        by_name.entry(name).or_default().push(version);
    }
    for write in written.iter().filter(|write| write.contractor == id) {
        assert_eq!(by_name[write.name.as_str()], [write.version], "{write:?}");
    }
    assert!(by_name.values().all(|versions| versions.len() == 1), "once");
    last
}

/// The client has the last version in both kinds of frames, or was told to read everything again.
async fn assert_shown(client: &StreamClient, id: &str, last: i64) {
    for event in ["schedule.updated", "availability.updated"] {
        let what = format!("{event} of version {last} of {id}, or a reset");
        client
            .wait_for(&what, |frames| {
                let was_reset = frames.iter().any(|frame| frame.event == "reset");
                let newest = versions(frames, event, id).last().copied();
                (was_reset || newest == Some(last)).then_some(())
            })
            .await;
    }
}
