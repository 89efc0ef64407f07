//! The broker and the stream go away, and come back.

use stack::service::ServiceSettings;
use stack::{PrivateServers, Proxy, Service, ServiceKind, TestBed};

use crate::client::{Client, data, versions};
use crate::publishing::{Publishing, schedule};
use crate::running::{Running, wait_until};

#[tokio::test]
async fn a_stream_that_is_deleted_and_made_anew_resets_every_client_exactly_once() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifier = Running::start(bed.amqp_url(), &[]).await;
    let mut clients = Vec::new();
    for query in ["", "territory=york", "territory=leeds"] {
        clients.push(Client::connect(&notifier, query).await);
    }
    publishing.publish(&[schedule(1, 5, "leeds")]).await;
    assert_eq!(clients[0].change().await.version, 5);
    assert_eq!(clients[2].change().await.version, 5);

    bed.rabbitmq_management()
        .delete_queue("notifier.updates")
        .await
        .expect("a stream less");
    for client in &mut clients {
        let reset = client.next().await;
        assert_eq!(reset.event, "reset");
        assert_eq!(data(&reset)["reason"], "streamReplaced");
        assert_eq!(client.last_event_id(), reset.id);
    }
    notifier.wait_for_readiness(true).await;
    // What was seen of the old stream does not hide anything of the new one.
    publishing
        .publish(&[schedule(1, 2, "leeds"), schedule(1, 3, "york")])
        .await;
    assert_eq!(versions(&clients[0].changes(2).await), [2, 3]);
    assert_eq!(clients[1].change().await.version, 3);
    assert_eq!(clients[2].change().await.version, 2);
    assert_eq!(notifier.metric("notifier_resets_total").await, 3);
}

#[tokio::test]
async fn a_connection_that_breaks_is_built_anew_and_clients_notice_nothing() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifier = Running::start(bed.amqp_url(), &[]).await;
    let mut client = Client::connect(&notifier, "").await;
    for round in 0..3 {
        let first = round * 10 + 1;
        publishing.publish(&[schedule(1, first, "leeds")]).await;
        assert_eq!(client.change().await.version, first);
        let reconnects = notifier.metric("notifier_feed_reconnects_total").await;
        wait_until("the broker to close the connections", async || {
            let _ = bed.rabbitmq_management().close_connections().await;
            notifier.metric("notifier_feed_reconnects_total").await > reconnects
        })
        .await;
        publishing
            .publish_when_possible(&[schedule(1, first + 1, "leeds")])
            .await;
        assert_eq!(client.change().await.version, first + 1);
    }
    assert_eq!(notifier.metric("notifier_resets_total").await, 0);
}

#[tokio::test]
async fn a_broker_that_is_killed_and_comes_back_costs_no_event_and_no_reset() {
    let servers = PrivateServers::start().await.expect("servers of our own");
    let url = servers.backends().amqp_url;
    let publishing = Publishing::new(&url);
    let notifier = Running::start(&url, &[]).await;
    let mut client = Client::connect(&notifier, "").await;
    publishing
        .publish_when_possible(&[schedule(1, 1, "leeds")])
        .await;
    let id = client.change().await.id;

    servers.rabbitmq.kill().await.expect("a broker less");
    notifier.wait_for_readiness(false).await;
    // What is in memory is served all the same.
    let mut resumed = Client::resume(&notifier, "", Some(&id)).await;

    servers.rabbitmq.restart().await.expect("a broker");
    notifier.wait_for_readiness(true).await;
    publishing
        .publish_when_possible(&[schedule(1, 2, "leeds")])
        .await;
    for client in [&mut client, &mut resumed] {
        assert_eq!(client.change().await.version, 2);
    }
    assert_eq!(notifier.metric("notifier_resets_total").await, 0);
    notifier.end_now().await;
    servers.discard().await.expect("nothing left");
}

#[tokio::test]
async fn a_client_that_comes_before_the_broker_is_served_when_there_is_one() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let vhost = bed.rabbitmq_management();
    vhost.delete_vhost().await.expect("no virtual host");
    let notifier = Running::start_anyway(bed.amqp_url(), &[]).await;
    notifier.wait_for_readiness(false).await;
    let mut client = Client::open(&notifier, "", None).await;
    client
        .take_bytes()
        .await
        .expect("the answer begins at once");

    vhost.create_vhost().await.expect("a virtual host");
    publishing.declare().await;
    assert_eq!(client.next().await.event, "ready");
    publishing
        .publish_when_possible(&[schedule(1, 1, "leeds")])
        .await;
    assert_eq!(client.change().await.version, 1);
}

#[tokio::test]
async fn a_half_open_connection_is_noticed_and_costs_no_event() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let (wire, url) = Proxy::before(bed.amqp_url()).await.expect("a wire");
    let notifier = Running::start(&url, &["--amqp-heartbeat-seconds", "1"]).await;
    let mut client = Client::connect(&notifier, "").await;

    wire.silence();
    publishing.publish(&[schedule(1, 1, "leeds")]).await;
    notifier.wait_for_readiness(false).await;
    wire.mend();
    assert_eq!(client.change().await.version, 1);
    assert_eq!(notifier.metric("notifier_resets_total").await, 0);
}

#[tokio::test]
async fn a_notifier_that_stands_still_until_the_broker_gives_it_up_loses_no_event() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    publishing.declare().await;
    let settings = ServiceSettings::new(ServiceKind::Notifier, bed.folder(), &bed.backends());
    let settings = settings
        .expect("a free port")
        .env("AUTH_MODE", "disabled")
        .env("AMQP_HEARTBEAT_SECONDS", "1");
    let service = Service::spawn(ServiceKind::Notifier, settings).await;
    let service = service.expect("a notifier in a process of its own");
    let mut client = Client::resume_at(service.url(), "", None).await;
    publishing.publish(&[schedule(1, 1, "leeds")]).await;
    assert_eq!(client.change().await.version, 1);

    let connections = async || {
        let all = bed.rabbitmq_management().connections().await;
        all.expect("the connections").len()
    };
    // The feed's, and the publisher's.
    wait_until("the broker to tell of both connections", async || {
        connections().await == 2
    })
    .await;
    service.pause();
    wait_until("the broker to give the notifier up", async || {
        connections().await < 2
    })
    .await;
    let messages: Vec<_> = (2..=500)
        .map(|version| schedule(1, version, "leeds"))
        .collect();
    publishing.publish_when_possible(&messages).await;
    service.resume();
    let seen = versions(&client.changes(499).await);
    assert_eq!(seen, (2..=500).collect::<Vec<_>>());
    service.stop().await.expect("it ends in order");
}
