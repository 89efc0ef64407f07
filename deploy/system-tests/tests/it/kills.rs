//! SIGKILL for each of the six processes, while somebody writes.

use std::sync::Arc;

use stack::{PrivateServers, Server, ServiceKind};
use system_tests::Deployment;

use crate::load::Load;

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
    let load = Load::on(deployment).await;
    for _ in 0..2 {
        load.more(15).await;
        victim.kill().await.unwrap();
        if meanwhile == Meanwhile::WritesGoOn {
            load.more(15).await;
        }
        victim.restart().await.unwrap();
        load.more(15).await;
    }
    load.nothing_is_lost(deployment).await;
}
