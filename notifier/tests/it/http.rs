//! The edges of the HTTP interface.

use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::Method;
use serde_json::Value;
use stack::TestBed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::event_stream_reader::EventStreamReader;
use crate::publishing::{Publishing, schedule};
use crate::running::{DEADLINE, Running};

async fn ask(
    notifier: &Running,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> reqwest::Response {
    let mut request = reqwest::Client::new().request(method, notifier.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn the_answer_is_an_event_stream_that_nobody_stores_or_collects() {
    let bed = TestBed::new().await;
    let notifier = Running::start(bed.amqp_url(), &[]).await;
    for method in [Method::GET, Method::HEAD] {
        let answer = ask(&notifier, method.clone(), "/v1/events?territory=leeds", &[]).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.headers()["x-accel-buffering"], "no");
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
        if method == Method::HEAD {
            assert_eq!(answer.bytes().await.expect("no body").len(), 0);
        }
    }
    let refused = ask(&notifier, Method::HEAD, "/v1/events?x=1", &[]).await;
    assert_eq!(refused.status(), 422);
    let options = ask(&notifier, Method::OPTIONS, "/v1/events", &[]).await;
    assert_eq!(options.status(), 204);
    assert_eq!(options.headers()["allow"], "GET, HEAD, OPTIONS");
    let post = ask(&notifier, Method::POST, "/v1/events", &[]).await;
    assert_eq!(post.status(), 405);
    assert_eq!(post.headers()["content-type"], "application/problem+json");
    assert!(post.headers().contains_key("allow"));
}

#[tokio::test]
async fn a_bad_query_is_told_field_by_field() {
    let bed = TestBed::new().await;
    let settings = [
        "--max-filter-values",
        "2",
        "--allowed-origins",
        "https://a.example",
    ];
    let notifier = Running::start(bed.amqp_url(), &settings).await;
    let path =
        "/v1/events?territory=Leeds&contractor=1&type=ready&nonsense=1&territory=a&territory=b";
    let answer = ask(
        &notifier,
        Method::GET,
        path,
        &[("origin", "https://a.example")],
    )
    .await;
    assert_eq!(answer.status(), 422);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(
        answer.headers()["access-control-allow-origin"],
        "https://a.example"
    );
    let problem: Value =
        serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
    let pointers: Vec<&str> = problem["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .filter_map(|error| error["pointer"].as_str())
        .collect();
    assert_eq!(
        pointers,
        [
            "/territory",
            "/contractor",
            "/type",
            "/nonsense",
            "/territory"
        ]
    );
}

#[tokio::test]
async fn only_pages_of_the_named_origins_may_read() {
    let bed = TestBed::new().await;
    let origins = "https://a.example,http://localhost:5173";
    let notifier = Running::start(bed.amqp_url(), &["--allowed-origins", origins]).await;
    let preflight = |origin| {
        [
            ("origin", origin),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "last-event-id"),
        ]
    };
    for (origin, allowed) in [
        ("https://a.example", true),
        ("http://localhost:5173", true),
        ("https://b.example", false),
    ] {
        let answer = ask(&notifier, Method::GET, "/v1/events", &[("origin", origin)]).await;
        let told = answer.headers().get("access-control-allow-origin");
        assert_eq!(told.is_some_and(|told| told == origin), allowed, "{origin}");
        assert_eq!(answer.headers()["vary"], "origin");
        let answer = ask(&notifier, Method::OPTIONS, "/v1/events", &preflight(origin)).await;
        assert_eq!(answer.status(), 204);
        let headers = answer.headers();
        assert_eq!(
            headers.contains_key("access-control-allow-methods"),
            allowed
        );
        assert_eq!(
            headers
                .get("access-control-allow-headers")
                .is_some_and(|told| {
                    told.to_str()
                        .is_ok_and(|told| told.contains("last-event-id"))
                }),
            allowed
        );
    }
}

/// What comes over a connection in answer to these bytes, until it holds `end`.
async fn raw_answer(notifier: &Running, pieces: &[&str], end: &str) -> String {
    let mut socket = TcpStream::connect(notifier.addr).await.expect("a socket");
    socket.set_nodelay(true).expect("no delay");
    let mut answer = Vec::new();
    for piece in pieces {
        socket.write_all(piece.as_bytes()).await.expect("sent");
        // So that the pieces may be read apart. Whether they are makes no difference to the answer.
        tokio::task::yield_now().await;
    }
    let reading = async {
        while !String::from_utf8_lossy(&answer).contains(end) {
            assert!(socket.read_buf(&mut answer).await.expect("bytes") > 0);
        }
    };
    tokio::time::timeout(DEADLINE, reading)
        .await
        .expect("the whole answer in time");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn however_a_request_for_the_stream_comes_it_is_answered_the_same() {
    let bed = TestBed::new().await;
    let settings = ["--allowed-origins", "https://a.example"];
    let notifier = Running::start(bed.amqp_url(), &settings).await;
    let head = "GET /v1/events HTTP/1.1\r\nhost: a\r\norigin: https://a.example\r\n";
    let other = "GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n";
    let end = format!("{head}\r\n");
    let cases: [&[&str]; 5] = [
        // A socket for itself; in pieces; after another request; HTTP/1.0; with a body.
        &[&end],
        &[head, "\r\n"],
        &[other, &end],
        &["GET /v1/events HTTP/1.0\r\norigin: https://a.example\r\n\r\n"],
        &[head, "content-length: 1\r\n\r\nx"],
    ];
    for pieces in cases {
        let answer = raw_answer(&notifier, pieces, "event: ready\n").await;
        let answer = answer.rsplit_once("HTTP/1.").expect("an answer").1;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        for line in [
            "content-type: text/event-stream",
            "cache-control: no-store",
            "access-control-allow-origin: https://a.example",
            "date: ",
        ] {
            assert!(head.contains(line), "{line} in {head}");
        }
        assert!(head[1..].starts_with(" 200 OK\r\n"), "{head}");
        assert!(body.contains("retry: 2000\n"), "{body}");
    }
    let refused = "GET /v1/events?x=1 HTTP/1.1\r\nhost: a\r\n\r\n";
    let answer = raw_answer(&notifier, &[refused], "}").await;
    assert!(answer.starts_with("HTTP/1.1 422 Unprocessable Entity\r\n"));
    assert!(answer.contains("content-type: application/problem+json\r\n"));
}

#[tokio::test]
async fn the_stream_is_served_over_http_2_too() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifier = Running::start(bed.amqp_url(), &[]).await;
    let socket = tokio::net::TcpStream::connect(notifier.addr)
        .await
        .expect("a connection");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
            .await
            .expect("HTTP/2");
    tokio::spawn(connection);
    // Two streams over one connection.
    let mut streams = Vec::new();
    for query in ["territory=leeds", ""] {
        let request = hyper::Request::get(notifier.url(&format!("/v1/events?{query}")))
            .body(http_body_util::Empty::<Bytes>::new())
            .expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        streams.push((answer.into_body(), EventStreamReader::default(), Vec::new()));
    }
    publishing
        .publish(&[schedule(1, 1, "leeds"), schedule(1, 2, "leeds")])
        .await;
    for (body, reader, events) in &mut streams {
        while events.len() < 3 {
            let frame = tokio::time::timeout(DEADLINE, body.frame()).await;
            let frame = frame.expect("in time").expect("no end").expect("no error");
            if let Some(bytes) = frame.data_ref() {
                events.extend(reader.push(bytes));
            }
        }
        let names: Vec<&str> = events.iter().map(|event| event.event.as_str()).collect();
        assert_eq!(names, ["ready", "schedule.updated", "schedule.updated"]);
    }
}

#[tokio::test]
async fn the_pages_and_the_descriptions_are_there() {
    let bed = TestBed::new().await;
    let notifier = Running::start(bed.amqp_url(), &[]).await;
    let _client = Client::connect(&notifier, "").await;
    for (path, content_type, holds) in [
        ("/", "text/html", "Rosterwire"),
        ("/debug/stream", "text/html", "/debug/stream.js"),
        ("/debug/stream.js", "text/javascript", "EventSource"),
        ("/debug/stream.css", "text/css", "table"),
        ("/openapi.json", "application/json", "/v1/events"),
        ("/docs/", "text/html", "swagger"),
        ("/metrics", "text/plain", "notifier_streams_open 1"),
        ("/health/live", "application/json", "live"),
        ("/health/ready", "application/json", "rabbitmq"),
    ] {
        let answer = ask(&notifier, Method::GET, path, &[]).await;
        assert_eq!(answer.status(), 200, "{path}");
        let told = answer.headers()["content-type"]
            .to_str()
            .expect("text")
            .to_owned();
        assert!(told.starts_with(content_type), "{path}: {told}");
        let text = answer.text().await.expect("text");
        assert!(text.contains(holds), "{path}");
    }
    assert_eq!(
        ask(&notifier, Method::GET, "/nothing", &[]).await.status(),
        404
    );
}
