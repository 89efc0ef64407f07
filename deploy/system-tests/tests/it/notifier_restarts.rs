//! Clients of the stream, while notifiers come and go.

use stack::ServiceKind;
use system_tests::rising::{assert_rising, versions};
use system_tests::{Deployment, StreamClient};

use crate::load::Load;

/// With one relay the events of a contractor are published in the order of their versions, and a
/// client is shown every one of them.
async fn deployment(notifiers: usize) -> Deployment {
    Deployment::start_with(|builder| {
        builder.count(ServiceKind::Notifier, notifiers).env(
            ServiceKind::ScheduleService,
            "OUTBOX_RELAYS",
            "1",
        )
    })
    .await
}

/// The client, which was there from the start, has seen every version of every schedule in order,
/// and the last availability of each.
async fn assert_saw_everything(client: &StreamClient, deployment: &Deployment, ids: &[String]) {
    for id in ids {
        let last = deployment.schedules.version(id).await;
        client
            .wait_for_version("availability.updated", id, last)
            .await;
        client.wait_for_version("schedule.updated", id, last).await;
        let seen = versions(&client.frames(), "schedule.updated", id);
        assert_eq!(seen, (1..=last).collect::<Vec<_>>(), "no gap");
    }
    let frames = client.frames();
    assert_rising(&frames);
    let resets = frames.iter().filter(|frame| frame.event == "reset").count();
    assert_eq!(resets, 0, "its id was always known");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_resumes_by_its_id_misses_nothing_over_restarts_of_the_notifier() {
    let deployment = deployment(1).await;
    let notifier = deployment.system.service(ServiceKind::Notifier);
    let Load {
        client,
        ids,
        writer,
    } = Load::on(&deployment).await;

    writer.more(20).await;
    // In order, and written while it is away.
    notifier.stop().await.unwrap();
    writer.more(20).await;
    notifier.restart().await.unwrap();
    writer.more(20).await;
    // As a crash does it.
    notifier.kill().await.unwrap();
    writer.more(20).await;
    notifier.restart().await.unwrap();
    writer.more(20).await;

    writer.stop().await;
    assert_saw_everything(&client, &deployment, &ids).await;
    assert!(client.connections() >= 3);
    deployment.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_means_the_same_on_every_notifier() {
    let deployment = deployment(2).await;
    let urls: Vec<&str> = deployment
        .system
        .services(ServiceKind::Notifier)
        .map(stack::Service::url)
        .collect();
    let client = StreamClient::open_among(&urls, "").await;
    let Load {
        client,
        ids,
        writer,
    } = Load::watched_by(client, &deployment).await;
    for _ in 0..10 {
        writer.more(5).await;
        client.hop().await;
    }
    writer.stop().await;
    assert_saw_everything(&client, &deployment, &ids).await;
    deployment.assert_sound().await;
}
