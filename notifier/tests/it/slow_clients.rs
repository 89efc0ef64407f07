//! Clients that take nothing harm nobody.

use hyper_util::rt::{TokioExecutor, TokioIo};
use socket2::{Domain, Socket, Type};
use stack::TestBed;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{Client, versions};
use crate::publishing::{Publishing, schedule, schedule_with};
use crate::running::{Running, wait_until};

/// Asks for the stream and takes nothing of it, with little room for what comes.
async fn idle_client(notifier: &Running) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(&notifier.addr.into()).expect("a connection");
    socket.set_nonblocking(true).expect("non-blocking");
    let mut stream = TcpStream::from_std(socket.into()).expect("a stream");
    let request = format!("GET /v1/events HTTP/1.1\r\nhost: {}\r\n\r\n", notifier.addr);
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request sent");
    stream
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off_and_others_feel_nothing() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifier = Running::start(bed.amqp_url(), &["--write-timeout-seconds", "2"]).await;
    let mut good = Client::connect(&notifier, "").await;
    let idle = idle_client(&notifier).await;
    wait_until("both streams", async || {
        notifier.metric("notifier_streams_open").await == 2
    })
    .await;

    // More than all buffers between the two can hold.
    let long = serde_json::json!({"name": "x".repeat(60_000)});
    let mut version = 0;
    while notifier.metric("notifier_streams_open").await == 2 {
        version += 1;
        publishing
            .publish(&[schedule_with(1, version, "leeds", &long)])
            .await;
        assert_eq!(good.change().await.version, version);
    }
    publishing
        .publish(&[schedule(1, version + 1, "leeds")])
        .await;
    assert_eq!(good.change().await.version, version + 1);
    assert_eq!(notifier.metric("notifier_streams_open").await, 1);
    drop(idle);
}

#[tokio::test]
async fn a_client_that_falls_behind_the_ring_is_closed_and_resumes_without_loss() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifier = Running::start(bed.amqp_url(), &["--ring-events", "16"]).await;
    let mut slow = Client::connect(&notifier, "").await;
    let long = serde_json::json!({"name": "x".repeat(60_000)});
    let count = 400;
    let messages: Vec<_> = (1..=count)
        .map(|version| schedule_with(1, version, "leeds", &long))
        .collect();
    publishing.publish(&messages).await;
    let mut seen = Vec::new();
    let mut closes = 0;
    while seen.last() != Some(&count) {
        if let Some(event) = slow.try_next().await {
            let change = crate::client::Change::of(&event).expect("a change, never a reset");
            seen.extend(versions(&[change]));
        } else {
            closes += 1;
            let id = slow.last_event_id();
            slow = Client::resume(&notifier, "", Some(&id)).await;
        }
    }
    assert_eq!(seen, (1..=count).collect::<Vec<_>>());
    assert!(closes > 0, "the ring is far smaller than what was missed");
    assert!(notifier.metric("notifier_slow_clients_closed_total").await >= 1);
}

#[tokio::test]
async fn when_as_many_streams_are_open_as_may_be_the_next_is_told_to_come_again() {
    let bed = TestBed::new().await;
    let notifier = Running::start(bed.amqp_url(), &["--max-streams", "2"]).await;
    let first = Client::connect(&notifier, "").await;
    let _second = Client::connect(&notifier, "").await;
    let url = notifier.url("/v1/events");
    let refused = reqwest::get(&url).await.expect("an answer");
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(
        refused.headers()["content-type"],
        "application/problem+json"
    );
    drop(first);
    wait_until("a free place", async || {
        reqwest::get(&url).await.expect("an answer").status() == 200
    })
    .await;
}

#[tokio::test]
async fn an_http_2_client_whose_streams_take_nothing_is_cut_off_though_it_answers_pings() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let settings = ["--heartbeat-seconds", "1", "--write-timeout-seconds", "2"];
    let notifier = Running::start(bed.amqp_url(), &settings).await;
    let mut good = Client::connect(&notifier, "").await;
    let socket = TcpStream::connect(notifier.addr).await.expect("a socket");
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1024)
        .handshake(TokioIo::new(socket))
        .await
        .expect("HTTP/2");
    // It is driven, so the connection lives; the answer's body is never asked for.
    let connection = tokio::spawn(connection);
    let request = hyper::Request::get(notifier.url("/v1/events"))
        .body(http_body_util::Empty::<hyper::body::Bytes>::new())
        .expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    assert_eq!(answer.status(), 200);

    let long = serde_json::json!({"name": "x".repeat(5_000)});
    publishing
        .publish(&[schedule_with(1, 1, "leeds", &long)])
        .await;
    assert_eq!(good.change().await.version, 1);
    let ended = tokio::time::timeout(crate::running::DEADLINE, connection).await;
    let _ = ended.expect("the connection ends").expect("no panic");
    publishing.publish(&[schedule(1, 2, "leeds")]).await;
    assert_eq!(good.change().await.version, 2);
    assert_eq!(notifier.metric("notifier_streams_open").await, 1);
    assert_eq!(
        notifier.metric("notifier_slow_clients_closed_total").await,
        1
    );
}
