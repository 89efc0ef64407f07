//! Signing in from a browser.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use shared_events::service::Clock;
use shared_events::service::auth::Role;
use stack::TestBed;

use crate::access::{guarded, token};
use crate::client::Client;
use crate::running::Running;

const BOARD: &str = "https://board.example";

async fn send(
    notifier: &Running,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Response {
    let mut request = reqwest::Client::new().request(method, notifier.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.body(body.to_owned());
    }
    request.send().await.expect("an answer")
}

async fn sign_in(notifier: &Running, token: &str, headers: &[(&str, &str)]) -> Response {
    let headers = [&[("content-type", "application/json")], headers].concat();
    let body = json!({ "token": token }).to_string();
    send(notifier, Method::POST, "/v1/session", &headers, Some(&body)).await
}

/// The cookie of an answer: as it is sent back, and all of it.
fn cookie(answer: &Response) -> (String, String) {
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let line = answer.headers()["set-cookie"].to_str().expect("text");
    let pair = line.split(';').next().expect("a pair").to_owned();
    (pair, line.to_owned())
}

async fn session(notifier: &Running, headers: &[(&str, &str)]) -> Value {
    let answer = send(notifier, Method::GET, "/v1/session", headers, None).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    answer.json().await.expect("JSON")
}

#[tokio::test]
async fn a_token_becomes_a_cookie_that_lasts_as_long_and_opens_the_stream() {
    let bed = TestBed::new().await;
    let notifier = guarded(&bed, &[]).await;
    let token = token(Role::Manager, &["leeds"], TimeDelta::seconds(3600));
    let (pair, line) = cookie(&sign_in(&notifier, &token, &[]).await);
    assert_eq!(pair, format!("rosterwire_token={token}"));
    let attributes: Vec<&str> = line.split("; ").skip(2).collect();
    assert_eq!(
        attributes,
        ["Path=/", "HttpOnly", "Secure", "SameSite=Strict"]
    );
    let age = line.split("Max-Age=").nth(1).expect("an age");
    let age: i64 = age
        .split(';')
        .next()
        .expect("digits")
        .parse()
        .expect("digits");
    assert!((3500..=3600).contains(&age), "{line}");

    let bearer = format!("Bearer {token}");
    for sent in [("cookie", pair.as_str()), ("authorization", &bearer)] {
        let who = session(&notifier, &[sent]).await;
        assert_eq!(who["subject"], "test");
        assert_eq!(who["roles"], json!(["manager"]));
        assert_eq!(who["territories"], json!(["leeds"]));
        let until = who["expiresAt"].as_str().expect("an instant");
        assert!(until.ends_with('Z'));
        let until: DateTime<Utc> = until.parse().expect("an instant");
        let left = until - Clock::system().now();
        assert!(left > TimeDelta::minutes(58) && left <= TimeDelta::hours(1));
    }
    let request = reqwest::Client::new().get(notifier.url("/v1/events"));
    let mut client = Client::of(request.header("cookie", &pair)).await;
    assert_eq!(client.next().await.event, "ready");
}

#[tokio::test]
async fn what_is_no_good_token_signs_nobody_in() {
    let bed = TestBed::new().await;
    let notifier = guarded(&bed, &[]).await;
    let expired = token(Role::Manager, &["*"], -TimeDelta::hours(1));
    for bad in ["", "nonsense", expired.as_str(), &"x".repeat(12_000)] {
        let refused = sign_in(&notifier, bad, &[]).await;
        assert_eq!(refused.status(), 401);
        assert!(!refused.headers().contains_key("set-cookie"));
        assert!(refused.headers().contains_key("www-authenticate"));
    }
    let many: Vec<String> = (0..200).map(|n| format!("territory-number-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = token(Role::Manager, &many, TimeDelta::hours(1));
    let refused = sign_in(&notifier, &long, &[]).await;
    assert_eq!(refused.status(), 422, "longer than a cookie may be");
    let typed = [("content-type", "application/json")];
    let huge = json!({"token": "x".repeat(20_000)}).to_string();
    for (headers, body, status) in [
        (&typed[..], "{", 400),
        (&typed, r#"{"token":"secret-text","more":1}"#, 422),
        (&typed, r#"{"token":["secret-text"]}"#, 422),
        (&typed, huge.as_str(), 413),
        (&[("content-type", "text/plain")], r#"{"token":"x"}"#, 415),
    ] {
        let answer = send(&notifier, Method::POST, "/v1/session", headers, Some(body)).await;
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let text = answer.text().await.expect("text");
        assert!(!text.contains("secret-text"), "{text}");
    }
    let nobody = send(&notifier, Method::GET, "/v1/session", &[], None).await;
    assert_eq!(nobody.status(), 401);
}

#[tokio::test]
async fn a_page_of_another_site_signs_nobody_in_or_out() {
    let bed = TestBed::new().await;
    let notifier = guarded(&bed, &["--allowed-origins", BOARD]).await;
    let token = token(Role::Dispatcher, &["*"], TimeDelta::hours(1));
    let own = notifier.url("");
    for (origin, allowed) in [
        (BOARD, true),
        (own.as_str(), true),
        ("https://evil.example", false),
        ("null", false),
    ] {
        let page = [("origin", origin)];
        let opened = sign_in(&notifier, &token, &page).await;
        let expected = if allowed { 204 } else { 403 };
        assert_eq!(opened.status(), expected, "{origin}");
        let closed = send(&notifier, Method::DELETE, "/v1/session", &page, None).await;
        assert_eq!(closed.status(), expected, "{origin}");
        for answer in [opened, closed] {
            assert_eq!(answer.headers().contains_key("set-cookie"), allowed);
            let readable = answer.headers().contains_key("access-control-allow-origin");
            assert_eq!(readable, origin == BOARD, "{origin}");
        }
    }
    // Who is signed out needs no token for it: it may have expired.
    let closed = send(&notifier, Method::DELETE, "/v1/session", &[], None).await;
    let (pair, line) = cookie(&closed);
    assert_eq!(pair, "rosterwire_token=");
    assert!(line.contains("Max-Age=0;"), "{line}");
}

#[tokio::test]
async fn who_opens_a_page_on_this_machine_is_signed_in_where_that_is_set() {
    let bed = TestBed::new().await;
    let path = "/v1/session/automatic";
    let notifier = guarded(&bed, &["--board-automatic-sign-in=true"]).await;
    let port = notifier.addr.port();
    let own = notifier.url("");
    let (elsewhere, named) = (format!("board.example:{port}"), format!("localhost:{port}"));
    let (rebound, local) = (format!("http://{elsewhere}"), format!("http://{named}"));
    for (headers, expected) in [
        (&[("origin", own.as_str())][..], 204),
        (&[("origin", local.as_str()), ("host", &named)], 204),
        // No page; another site's; a name of this machine that somebody else has given it; through a
        // proxy.
        (&[], 403),
        (&[("origin", "https://evil.example")], 403),
        (&[("origin", rebound.as_str()), ("host", &elsewhere)], 403),
        (
            &[("origin", own.as_str()), ("x-forwarded-for", "10.0.0.1")],
            403,
        ),
    ] {
        let answer = send(&notifier, Method::POST, path, headers, None).await;
        assert_eq!(answer.status(), expected, "{headers:?}");
        assert_eq!(answer.headers().contains_key("set-cookie"), expected == 204);
    }
    let page = [("origin", own.as_str())];
    let (pair, line) = cookie(&send(&notifier, Method::POST, path, &page, None).await);
    assert!(line.contains("Max-Age=28800;"), "{line}");
    let who = session(&notifier, &[("cookie", &pair)]).await;
    assert_eq!(who["roles"], json!(["dispatcher"]));
    assert_eq!(who["territories"], json!(["*"]));

    let notifier = guarded(&bed, &[]).await;
    let own = notifier.url("");
    let absent = send(
        &notifier,
        Method::POST,
        path,
        &[("origin", own.as_str())],
        None,
    )
    .await;
    assert_eq!(absent.status(), 404);
}

#[tokio::test]
async fn where_access_is_not_checked_everybody_is_an_administrator() {
    let bed = TestBed::new().await;
    let notifier = Running::start(bed.amqp_url(), &[]).await;
    let who = session(&notifier, &[]).await;
    let everybody = json!({"subject": "anonymous", "roles": ["admin"], "territories": ["*"], "expiresAt": null});
    assert_eq!(who, everybody);
    let opened = sign_in(&notifier, "whatever", &[]).await;
    assert_eq!(opened.status(), 204);
    assert!(!opened.headers().contains_key("set-cookie"));
    let absent = send(&notifier, Method::POST, "/v1/session/automatic", &[], None).await;
    assert_eq!(absent.status(), 404);
}
