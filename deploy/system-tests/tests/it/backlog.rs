//! What the services take in memory over a long outage of the worker. On demand: `just backlog`.

use std::time::Instant;

use futures::future::join_all;
use serde_json::json;
use stack::procfs::{Resident, resident_kib};
use stack::{PrivateServers, ServiceKind};
use system_tests::subscriber::{SCHEDULE_UPDATED_QUEUE, waiting_in};
use system_tests::{Deployment, eventually, outbox};

const CONTRACTORS: usize = 1_000;
/// Of each contractor.
const VERSIONS: usize = 100;
const WRITERS: usize = 16;
/// What a service may take at most, as in the fault suite.
const MOST_MIB: u32 = 400;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes minutes, and its figures are worth something on a machine that does nothing else"]
async fn a_worker_that_was_away_for_a_hundred_thousand_events_stays_small() {
    let servers = PrivateServers::start().await.unwrap();
    let deployment = Deployment::on(servers.backends(), |builder| builder).await;
    let worker = deployment.system.service(ServiceKind::AvailabilityWorker);
    worker.stop().await.unwrap();
    let writers = (0..WRITERS).map(|writer| write(&deployment, writer));
    let ids = join_all(writers).await.concat();
    let backends = deployment.backends();
    eventually("an empty outbox", async || {
        (outbox::depth(&backends.database_url).await == 0).then_some(())
    })
    .await;
    let count = waiting_in(&backends.amqp_url, SCHEDULE_UPDATED_QUEUE).await;
    assert_eq!(count as usize, CONTRACTORS * VERSIONS);

    let begun = Instant::now();
    worker.restart().await.unwrap();
    let last = i64::try_from(VERSIONS).unwrap();
    eventually("an empty queue", async || {
        let waiting = waiting_in(&backends.amqp_url, SCHEDULE_UPDATED_QUEUE).await;
        (waiting == 0).then_some(())
    })
    .await;
    for id in &ids {
        deployment.availability.cached(id, last, &[]).await;
    }
    println!("{count} events are made good after {:.0?}", begun.elapsed());
    for kind in ServiceKind::ALL {
        let service = deployment.system.service(kind);
        let most = resident_kib(service.pid(), Resident::Most).unwrap() / 1_024;
        println!("{}: {most} MiB at most", service.name());
        assert!(most <= MOST_MIB, "{most} MiB");
    }
    deployment.assert_sound().await;
    servers.discard().await.unwrap();
}

/// Creates its part of the contractors, and changes each until it has all versions.
async fn write(deployment: &Deployment, writer: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in (writer..CONTRACTORS).step_by(WRITERS) {
        let contractor = json!({"name": format!("Contractor {number}"), "territory": "leeds",
            "skills": ["gas", "boiler", "plumbing"], "timeZone": "Europe/London"});
        let id = deployment.schedules.create(&contractor).await;
        for version in 2..=VERSIONS {
            let end = format!("{:02}:{:02}", 12 + version / 60, version % 60);
            let hours =
                json!([{"days": ["MO", "TU", "WE", "TH", "FR"], "start": "08:00", "end": end}]);
            let patch = json!({"workingHours": hours});
            deployment.schedules.patch(&id, &patch).await;
        }
        ids.push(id);
    }
    ids
}
