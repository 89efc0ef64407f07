//! What clients see as it happens.

use serde_json::json;
use stack::TestBed;

use crate::client::{Change, Client, data, versions};
use crate::publishing::{
    Publishing, availability, contractor, moved, raw, schedule, schedule_with,
};
use crate::running::Running;

#[tokio::test]
async fn every_client_gets_every_event_once_and_in_order_with_the_same_ids_everywhere() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifiers = [
        Running::start(bed.amqp_url(), &[]).await,
        Running::start(bed.amqp_url(), &[]).await,
    ];
    let mut clients = Vec::new();
    for n in 0..20 {
        clients.push(Client::connect(&notifiers[n % 2], "").await);
    }
    let messages: Vec<_> = (1..=100)
        .map(|version| schedule(1, version, "leeds"))
        .collect();
    publishing.publish(&messages).await;

    let expected = clients[0].changes(100).await;
    assert_eq!(versions(&expected), (1..=100).collect::<Vec<_>>());
    for client in &mut clients[1..] {
        assert_eq!(client.changes(100).await, expected);
    }
}

#[tokio::test]
async fn ready_tells_the_position_and_how_the_filters_were_understood() {
    let bed = TestBed::new().await;
    let notifier = Running::start(bed.amqp_url(), &["--heartbeat-seconds", "7"]).await;
    let query = format!(
        "territory=york&territory=leeds&type=rosterwire.schedule.updated.v1&contractor={}",
        contractor(1)
    );
    let mut client = Client::open(&notifier, &query, None).await;
    let ready = client.next().await;
    let told = data(&ready);
    assert_eq!(ready.event, "ready");
    assert_eq!(told["position"], json!(ready.id));
    assert_eq!(told["heartbeatSeconds"], 7);
    assert_eq!(
        told["filters"],
        json!({"territory": ["leeds", "york"], "contractor": [contractor(1)],
            "type": ["schedule.updated"]})
    );
    let time = told["serverTime"].as_str().expect("a time");
    assert!(
        time.ends_with('Z') && time.len() == "2026-11-24T08:00:00.123Z".len(),
        "{time}"
    );
}

#[tokio::test]
async fn filters_show_what_was_asked_for_and_a_move_to_both_territories() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifier = Running::start(bed.amqp_url(), &[]).await;
    let two = contractor(2);
    let mut clients = Vec::new();
    for (query, expected) in [
        ("territory=leeds".to_owned(), vec![(1, 1), (1, 2)]),
        (
            "territory=york".to_owned(),
            vec![(2, 1), (2, 1), (1, 2), (1, 3)],
        ),
        (format!("contractor={two}"), vec![(2, 1), (2, 1)]),
        (
            format!("contractor={two}&type=availability.updated"),
            vec![(2, 1)],
        ),
        (
            "territory=leeds&territory=bath".to_owned(),
            vec![(1, 1), (1, 2), (9, 1)],
        ),
        (format!("territory=leeds&contractor={two}"), vec![]),
    ] {
        clients.push((Client::connect(&notifier, &query).await, expected));
    }
    let messages = [
        schedule(1, 1, "leeds"),
        schedule(2, 1, "york"),
        availability(2, 1, "york"),
        moved(1, 2, "leeds", "york"),
        schedule(1, 3, "york"),
        schedule(9, 1, "bath"),
    ];
    publishing.publish(&messages).await;
    let mut all = Client::connect(&notifier, "").await;
    // What everybody sees ends each client's list.
    let last = messages_for_everybody();
    publishing.publish(&last).await;
    all.changes(last.len()).await;

    for (client, expected) in &mut clients {
        let mut seen = Vec::new();
        for _ in 0..expected.len() {
            let Change {
                contractor,
                version,
                ..
            } = client.change().await;
            seen.push((contractor, version));
        }
        let expected: Vec<_> = expected
            .iter()
            .map(|(number, version)| (contractor(*number), *version))
            .collect();
        assert_eq!(seen, expected);
    }
}

/// One event of each territory that no test's filter asks for.
fn messages_for_everybody() -> Vec<shared_events::amqp::Message> {
    vec![schedule(100, 1, "nowhere")]
}

#[tokio::test]
async fn duplicates_stale_events_and_what_is_no_event_reach_nobody() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifier = Running::start(bed.amqp_url(), &[]).await;
    let mut client = Client::connect(&notifier, "").await;
    let key = "schedule.updated.v1.leeds";
    let unknown =
        json!({"specversion": "1.0", "type": "rosterwire.schedule.updated.v9", "data": {}});
    let messages = [
        schedule(1, 1, "leeds"),
        schedule(1, 3, "leeds"),
        schedule(1, 3, "leeds"),
        schedule(1, 2, "leeds"),
        raw(key.to_owned(), "x", b"\xff\xfe{".to_vec()),
        raw(key.to_owned(), "x", Vec::new()),
        raw(key.to_owned(), "x", unknown.to_string().into_bytes()),
        availability(1, 2, "leeds"),
        schedule(1, 4, "leeds"),
    ];
    publishing.publish(&messages).await;
    let seen: Vec<_> = client
        .changes(4)
        .await
        .into_iter()
        .map(|c| (c.event, c.version))
        .collect();
    let (schedule, availability) = ("schedule.updated", "availability.updated");
    assert_eq!(
        seen,
        [
            (schedule, 1),
            (schedule, 3),
            (availability, 2),
            (schedule, 4)
        ]
        .map(|(event, version)| (event.to_owned(), version))
    );
    assert_eq!(
        notifier.metric("notifier_undecodable_messages_total").await,
        3
    );
    assert_eq!(notifier.metric("notifier_stale_events_total").await, 2);
}

#[tokio::test]
async fn an_event_that_is_too_long_for_a_frame_says_so() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifier = Running::start(bed.amqp_url(), &[]).await;
    let mut client = Client::connect(&notifier, "").await;
    let long = json!({"name": "é".repeat(100_000)});
    publishing
        .publish(&[schedule_with(1, 1, "leeds", &long), schedule(1, 2, "leeds")])
        .await;
    let event = client.next().await;
    let read = data(&event);
    assert!(event.data.len() < 64 * 1024);
    assert_eq!(
        (&read["truncated"], &read["version"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(read.get("previousValues"), None);
    assert_eq!(client.change().await.version, 2);
}

#[tokio::test]
async fn comments_keep_the_stream_open_and_move_the_id_past_what_was_filtered_out() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifier = Running::start(bed.amqp_url(), &["--heartbeat-seconds", "1"]).await;
    let mut all = Client::connect(&notifier, "").await;
    let mut narrow = Client::connect(&notifier, "territory=york").await;
    while narrow.reader.comments() < 2 {
        narrow.take_bytes().await.expect("a comment");
    }
    let before = narrow.last_event_id();
    assert_eq!(
        narrow.reader.blocks_without_data(),
        1,
        "only the reconnection time"
    );

    publishing.publish(&[schedule(1, 1, "leeds")]).await;
    let newest = all.change().await.id;
    assert_ne!(before, newest);
    while narrow.last_event_id() != newest {
        narrow.take_bytes().await.expect("a heartbeat");
    }
    let comments = narrow.reader.comments();
    while narrow.reader.comments() < comments + 2 {
        narrow.take_bytes().await.expect("a comment");
    }
    assert_eq!(
        narrow.reader.blocks_without_data(),
        2,
        "the id is told once"
    );

    // Nothing of this was an event.
    publishing.publish(&[schedule(2, 1, "york")]).await;
    assert_eq!(narrow.change().await.contractor, contractor(2));
}
