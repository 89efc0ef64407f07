//! Ending without losing an event.

use stack::TestBed;

use crate::client::{Change, Client};
use crate::publishing::{Publishing, schedule};
use crate::running::Running;

#[tokio::test]
async fn a_shutdown_ends_all_streams_within_the_drain_time_and_clients_resume_elsewhere() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let settings = ["--drain-seconds", "3"];
    let ending = Running::start(bed.amqp_url(), &settings).await;
    let other = Running::start(bed.amqp_url(), &settings).await;
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.push(Client::connect(&ending, "").await);
    }
    publishing.publish(&[schedule(1, 1, "leeds")]).await;
    let url = ending.url("/health/ready");
    ending.begin_shutdown();
    let publisher = tokio::spawn(async move {
        for version in 2..=200 {
            publishing.publish(&[schedule(1, version, "leeds")]).await;
        }
    });

    let mut readings = Vec::new();
    for mut client in clients {
        readings.push(tokio::spawn(async move {
            let events = client.rest().await;
            let versions: Vec<i64> = events
                .iter()
                .filter_map(Change::of)
                .map(|change| change.version)
                .collect();
            (versions, client.last_event_id())
        }));
    }
    for reading in readings {
        let (mut versions, id) = reading.await.expect("no panic");
        let mut resumed = Client::resume(&other, "", Some(&id)).await;
        while versions.last() != Some(&200) {
            versions.push(resumed.change().await.version);
        }
        assert_eq!(versions, (1..=200).collect::<Vec<_>>());
    }
    publisher.await.expect("no panic");
    ending.ended().await;
    assert!(reqwest::get(&url).await.is_err(), "the port is free");
}

#[tokio::test]
async fn where_no_stream_is_open_nobody_is_waited_for() {
    let bed = TestBed::new().await;
    // Longer than any test may take.
    let notifier = Running::start(bed.amqp_url(), &["--drain-seconds", "600"]).await;
    drop(Client::connect(&notifier, "").await);
    notifier.begin_shutdown();
    notifier.drained().await;
}
