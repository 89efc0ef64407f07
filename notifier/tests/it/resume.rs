//! Going on after a break: nothing is lost, nothing goes back.

use stack::TestBed;
use uuid::Uuid;

use crate::client::{Client, data, versions};
use crate::publishing::{Publishing, availability, schedule};
use crate::running::{Running, wait_until};

/// Takes `ready`, the one `reset` that must follow, and makes sure that live events do.
async fn expect_one_reset(notifier: &Running, publishing: &Publishing, id: &str, reason: &str) {
    let mut client = Client::resume(notifier, "", Some(id)).await;
    assert_eq!(
        client.last_event_id(),
        "",
        "until it has the reset, the client keeps its id"
    );
    let reset = client.next().await;
    assert_eq!(
        (reset.event.as_str(), data(&reset)["reason"].as_str()),
        ("reset", Some(reason))
    );
    assert_eq!(data(&reset)["position"], reset.id.as_str());
    // A contractor that nothing was heard of before, so that it is news.
    let news = schedule(Uuid::new_v4().as_u128() >> 64, 1, "leeds");
    publishing.publish(&[news]).await;
    client.change().await;
    // The id of the reset is one to resume with.
    let mut again = Client::resume(notifier, "", Some(&reset.id)).await;
    again.change().await;
}

#[tokio::test]
async fn a_known_id_gets_all_that_was_missed_and_then_what_comes() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifier = Running::start(bed.amqp_url(), &[]).await;
    let mut client = Client::connect(&notifier, "territory=leeds").await;
    let ready_id = client.last_event_id();
    publishing
        .publish(&[schedule(1, 1, "leeds"), schedule(1, 2, "leeds")])
        .await;
    let first = client.changes(2).await;
    drop(client);
    publishing
        .publish(&[
            schedule(2, 1, "york"),
            schedule(1, 3, "leeds"),
            schedule(1, 4, "leeds"),
        ])
        .await;

    for (id, expected) in [
        (&ready_id, vec![1, 2, 3, 4]),
        (&first[0].id, vec![2, 3, 4]),
        (&first[1].id, vec![3, 4]),
    ] {
        let mut client = Client::open(&notifier, "territory=leeds", Some(id)).await;
        let ready = client.next().await;
        assert_eq!(
            (ready.event.as_str(), &ready.id),
            ("ready", id),
            "ready does not move the id"
        );
        assert_eq!(versions(&client.changes(expected.len()).await), expected);
    }
    // The header goes before the parameter.
    let query = format!("territory=leeds&lastEventId={}", first[1].id);
    let mut by_parameter = Client::connect(&notifier, &query).await;
    assert_eq!(versions(&by_parameter.changes(2).await), [3, 4]);
    let mut by_header = Client::resume(&notifier, &query, Some(&first[0].id)).await;
    assert_eq!(versions(&by_header.changes(3).await), [2, 3, 4]);
    publishing.publish(&[schedule(1, 5, "leeds")]).await;
    assert_eq!(by_header.change().await.version, 5);
    assert_eq!(by_parameter.change().await.version, 5);
}

#[tokio::test]
async fn what_is_no_longer_in_memory_comes_from_the_stream_and_live_events_follow_without_a_gap() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let settings = ["--ring-events", "4", "--replay-readers", "2"];
    let notifier = Running::start(bed.amqp_url(), &settings).await;
    let mut client = Client::connect(&notifier, "").await;
    publishing.publish(&[schedule(1, 1, "leeds")]).await;
    let first = client.change().await;
    let messages: Vec<_> = (2..=300)
        .map(|version| schedule(1, version, "leeds"))
        .collect();
    publishing.publish(&messages).await;
    crate::running::wait_until("the ring to have moved on", async || {
        notifier.metric("notifier_feed_events_total").await >= 300
    })
    .await;

    // More clients than readers: those who wait get theirs too.
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(Client::open(&notifier, "", Some(&first.id)).await);
    }
    let more: Vec<_> = (301..=310)
        .map(|version| schedule(1, version, "leeds"))
        .collect();
    publishing.publish(&more).await;
    for client in &mut clients {
        assert_eq!(client.next().await.event, "ready");
        // A client that falls behind a ring of four entries is closed, and resumes.
        let mut versions = Vec::new();
        while versions.last() != Some(&310) {
            match client.try_next().await {
                Some(event) if event.event == "ready" => {}
                Some(event) => versions.push(data(&event)["version"].as_i64().expect("a change")),
                None => {
                    let id = client.last_event_id();
                    *client = Client::resume(&notifier, "", Some(&id)).await;
                }
            }
        }
        assert_eq!(versions, (2..=310).collect::<Vec<_>>());
    }
    assert_eq!(notifier.metric("notifier_resets_total").await, 0);
}

#[tokio::test]
async fn ids_work_across_restarts_and_versions_never_go_back() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifier = Running::start(bed.amqp_url(), &[]).await;
    let mut client = Client::connect(&notifier, "").await;
    // A stale event stands after the one that made it so, with others between them.
    publishing
        .publish(&[schedule(1, 5, "leeds"), schedule(2, 1, "leeds")])
        .await;
    let between = client.changes(2).await[1].id.clone();
    publishing
        .publish(&[
            schedule(1, 4, "leeds"),
            availability(1, 5, "leeds"),
            availability(1, 4, "leeds"),
        ])
        .await;
    client.change().await;
    notifier.end_now().await;
    publishing
        .publish(&[schedule(1, 5, "leeds"), schedule(1, 6, "leeds")])
        .await;

    // From memory that was filled at the start, and from the stream: the same.
    for settings in [
        &["--ring-preload-seconds", "600"][..],
        &["--ring-preload-seconds", "0"],
        &["--ring-preload-seconds", "600", "--ring-events", "2"],
    ] {
        let notifier = Running::start(bed.amqp_url(), settings).await;
        let mut client = Client::resume(&notifier, "", Some(&between)).await;
        let seen: Vec<_> = client
            .changes(2)
            .await
            .into_iter()
            .map(|c| (c.event, c.version))
            .collect();
        let expected = [("availability.updated", 5), ("schedule.updated", 6)];
        assert_eq!(
            seen,
            expected.map(|(event, version)| (event.to_owned(), version))
        );
        notifier.end_now().await;
    }
}

#[tokio::test]
async fn an_event_that_was_stale_before_a_restart_is_stale_after_it() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    publishing.publish(&[schedule(1, 5, "leeds")]).await;
    let settings = ["--ring-preload-seconds", "0"];
    let notifier = Running::start(bed.amqp_url(), &settings).await;
    let mut client = Client::connect(&notifier, "").await;
    publishing
        .publish(&[schedule(1, 4, "leeds"), schedule(1, 6, "leeds")])
        .await;
    assert_eq!(client.change().await.version, 6);
}

#[tokio::test]
async fn an_id_from_another_notifier_is_never_taken_for_a_strange_one() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let one = Running::start(bed.amqp_url(), &[]).await;
    let other = Running::start(bed.amqp_url(), &[]).await;
    let mut client = Client::connect(&one, "").await;
    for version in 1..=50 {
        publishing.publish(&[schedule(1, version, "leeds")]).await;
        let id = client.change().await.id;
        let mut resumed = Client::resume(&other, "", Some(&id)).await;
        assert_eq!(resumed.last_event_id(), id);
        publishing.publish(&[schedule(2, version, "leeds")]).await;
        assert_eq!(resumed.change().await.version, version);
        client.change().await;
    }
}

#[tokio::test]
async fn an_id_that_is_none_of_this_stream_gets_exactly_one_reset() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifier = Running::start(bed.amqp_url(), &["--ring-events", "3"]).await;
    let mut client = Client::connect(&notifier, "").await;
    let mut changes = Vec::new();
    for version in 1..=20 {
        publishing.publish(&[schedule(1, version, "leeds")]).await;
        changes.push(client.change().await);
    }
    let offset = |change: usize| {
        changes[change]
            .id
            .split_once('-')
            .map(|(offset, _)| offset.to_owned())
            .expect("an id")
    };

    for id in [
        "nonsense".to_owned(),
        "9".repeat(5000),
        // From the future.
        "999999999-00000000".to_owned(),
        u64::MAX.to_string() + "-00000000",
        // In memory and out of it, with what does not stand there.
        format!("{}-00000001", offset(19)),
        format!("{}-00000001", offset(2)),
    ] {
        expect_one_reset(&notifier, &publishing, &id, "unknownId").await;
    }
}

#[tokio::test]
async fn an_id_older_than_the_stream_gets_exactly_one_reset() {
    let bed = TestBed::new().await;
    // Beside the arguments of a queue its policy counts, where it says less.
    let short =
        serde_json::json!({"max-length-bytes": 20_000, "stream-max-segment-size-bytes": 5_000});
    let management = bed.rabbitmq_management();
    management
        .put_policy("short", "^notifier\\.updates$", &short)
        .await
        .expect("a policy");
    let publishing = Publishing::new(bed.amqp_url());
    let settings = ["--ring-events", "2", "--prime-events", "0"];
    let notifier = Running::start(bed.amqp_url(), &settings).await;
    let mut client = Client::connect(&notifier, "").await;
    publishing.publish(&[schedule(1, 1, "leeds")]).await;
    let first = client.change().await;
    drop(client);
    // A segment goes when another is begun, and the id is too old once its own has gone.
    let (mut version, mut reset) = (1, None);
    wait_until("the stream to have let go of its beginning", async || {
        let batch: Vec<_> = (1..=50)
            .map(|n| schedule(1, version + n, "leeds"))
            .collect();
        version += 50;
        publishing.publish(&batch).await;
        let mut client = Client::open(&notifier, "", Some(&first.id)).await;
        // A replay may end where its segment goes while it is sought.
        let Some(ready) = client.try_next().await else {
            return false;
        };
        assert_eq!(ready.event, "ready");
        // Where the feed has not read the batch yet, the client begins in the ring, which moves on: it is closed then.
        reset = client.try_next().await.filter(|next| next.event == "reset");
        reset.is_some()
    })
    .await;
    assert_eq!(data(&reset.expect("a reset"))["reason"], "tooOld");
    expect_one_reset(&notifier, &publishing, &first.id, "tooOld").await;
    assert!(notifier.metric("notifier_resets_total").await >= 2);
}

#[tokio::test]
async fn a_stream_that_was_made_anew_while_nobody_watched_gets_exactly_one_reset() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifier = Running::start(bed.amqp_url(), &[]).await;
    let mut client = Client::connect(&notifier, "").await;
    publishing
        .publish(&[schedule(1, 1, "leeds"), schedule(1, 2, "leeds")])
        .await;
    let id = client.changes(2).await[1].id.clone();
    notifier.end_now().await;
    bed.rabbitmq_management()
        .delete_queue("notifier.updates")
        .await
        .expect("a stream less");

    // First shorter than the old one, then longer.
    let notifier = Running::start(bed.amqp_url(), &[]).await;
    expect_one_reset(&notifier, &publishing, &id, "unknownId").await;
    let messages: Vec<_> = (2..=20)
        .map(|version| schedule(77, version, "leeds"))
        .collect();
    publishing.publish(&messages).await;
    let mut client = Client::resume(&notifier, "", Some(&id)).await;
    assert_eq!(client.next().await.event, "reset");
    notifier.end_now().await;
    let settings = ["--ring-events", "2"];
    let notifier = Running::start(bed.amqp_url(), &settings).await;
    let mut client = Client::resume(&notifier, "", Some(&id)).await;
    assert_eq!(client.next().await.event, "reset");
}
