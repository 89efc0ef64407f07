//! The client against a listener that fails first, as a service does while it restarts.

use std::time::Duration;

use serde_json::json;
use shared_events::service::Clock;
use shared_events::service::auth::{Role, Secret, SigningSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::*;
use crate::span::Span;

const BUSY: &str =
    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const MADE: &str =
    "HTTP/1.1 201 Created\r\netag: \"2\"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Reads one whole request.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).and_then(|rest| {
                rest.split("\r\n")
                    .next()
                    .and_then(|number| number.parse::<usize>().ok())
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        assert!(stream.read_buf(&mut request).await.unwrap() > 0, "{text}");
    }
}

/// A listener that gives one answer a connection, an empty one by hanging up, and then tells the
/// requests that it read.
async fn listen(
    answers: &'static [&'static str],
) -> (Client, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let requests = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            requests.push(read_request(&mut stream).await);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    let settings = ClientSettings {
        url: url.parse().unwrap(),
        token: Arc::new(given("secret")),
        trust: TrustSettings::default(),
        request_timeout: Duration::from_secs(30),
        attempts: 3,
    };
    (Client::new(&settings).unwrap(), requests)
}

fn given(token: &str) -> OwnToken {
    let signing = SigningSettings {
        auth_hs256_secret: None,
        auth_audience: String::new(),
        auth_issuer: None,
    };
    let given = Some(Secret::new(token));
    OwnToken::new("demo", Role::Dispatcher, given, &signing, Clock::system())
}

fn job() -> NewJob {
    NewJob::at(
        Span::new(29_900_000, 29_900_060),
        "Boiler service".to_owned(),
    )
}

#[tokio::test]
async fn a_booking_that_is_tried_again_is_the_same_request_with_the_same_key() {
    let (client, requests) = listen(&[BUSY, "", MADE]).await;
    client.book(Uuid::nil(), "one-key", &job()).await.unwrap();
    let requests = requests.await.unwrap();
    assert_eq!(requests.len(), 3);
    assert!(
        requests.iter().all(|request| *request == requests[0]),
        "{requests:?}"
    );
    assert!(
        requests[0].contains("\r\nidempotency-key: one-key\r\n"),
        "{}",
        requests[0]
    );
    assert!(
        requests[0].contains("\r\nauthorization: bearer secret\r\n"),
        "{}",
        requests[0]
    );
}

#[tokio::test]
async fn a_change_names_the_version_that_it_was_made_up_from() {
    let (client, requests) = listen(&[MADE]).await;
    client
        .change_job(Uuid::nil(), 7, &json!({ "title": "x" }))
        .await
        .unwrap();
    let requests = requests.await.unwrap();
    assert!(
        requests[0].contains("\r\nif-match: \"7\"\r\n"),
        "{}",
        requests[0]
    );
}

#[tokio::test]
async fn a_service_that_stays_busy_is_given_up_on_after_so_many_attempts() {
    let (client, requests) = listen(&[BUSY, BUSY, BUSY]).await;
    let error = client.book(Uuid::nil(), "key", &job()).await.unwrap_err();
    assert_eq!(error.status(), Some(503));
    assert_eq!(requests.await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_refusal_is_told_in_the_services_words_and_not_tried_again() {
    const REFUSED: &str = concat!(
        "HTTP/1.1 409 Conflict\r\ncontent-type: application/problem+json\r\n",
        "content-length: 87\r\nconnection: close\r\n\r\n",
        r#"{"type":"urn:rosterwire:problem:job-overlap","title":"Jobs would overlap","status":409}"#,
    );
    let (client, requests) = listen(&[REFUSED]).await;
    let error = client.book(Uuid::nil(), "key", &job()).await.unwrap_err();
    assert_eq!(requests.await.unwrap().len(), 1);
    assert_eq!(error.to_string(), "409 Jobs would overlap");
    assert!(error.is_kind("job-overlap") && !error.is_kind("overlap"));
}

#[tokio::test]
async fn schedules_are_read_line_by_line_until_a_page_is_empty() {
    const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const ONE: &str = concat!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
        r#"{"contractorId":"00000000-0000-0000-0000-000000000001","name":"A","territory":"t","#,
        r#""skills":[],"status":"active","timeZone":"UTC","workingHours":[],"dateOverrides":[],"#,
        r#""timeOff":[],"jobs":[],"bookingRules":{"slotIntervalMinutes":30,"minNoticeMinutes":0,"#,
        r#""bufferBeforeMinutes":30,"bufferAfterMinutes":30},"version":1,"#,
        r#""updatedAt":"2026-11-24T08:00:00.123Z"}"#,
        "\n\n",
    );
    let (client, requests) = listen(&[ONE, EMPTY]).await;
    let schedules = client.schedules().await.unwrap();
    assert_eq!(schedules.len(), 1);
    let requests = requests.await.unwrap();
    assert!(
        requests[1].starts_with("get /v1/schedules?after=00000000-0000-0000-0000-000000000001")
    );
}
