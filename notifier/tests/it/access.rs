//! Who is shown what.

use chrono::TimeDelta;
use shared_events::service::Clock;
use shared_events::service::auth::{Minter, Needs, Role, Secret};
use stack::TestBed;
use stack::walk::visits;

use crate::admission::assert_told_to_come_again;
use crate::client::{Change, Client, data, versions};
use crate::publishing::{Publishing, contractor, moved, schedule};
use crate::running::{Running, wait_until};

pub(crate) const SECRET: &str = "a secret that is only used by tests";

pub(crate) fn token(role: Role, territories: &[&str], life: TimeDelta) -> String {
    token_of("test", role, territories, life)
}

fn token_of(subject: &str, role: Role, territories: &[&str], life: TimeDelta) -> String {
    let territories: Vec<String> = territories.iter().map(|t| (*t).to_owned()).collect();
    let now = Clock::system().now();
    Minter::new(&Secret::new(SECRET), "rosterwire", None)
        .mint(subject, &[role], &territories, now, now + life)
        .expect("a token")
}

fn manager(territories: &[&str]) -> String {
    token(Role::Manager, territories, TimeDelta::hours(1))
}

pub(crate) async fn guarded(bed: &TestBed, more: &[&str]) -> Running {
    let secret = format!("--auth-hs256-secret={SECRET}");
    let settings = [&["--auth-mode=hs256", &secret], more].concat();
    Running::start(bed.amqp_url(), &settings).await
}

fn asked(notifier: &Running, query: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new().get(notifier.url(&format!("/v1/events?{query}")))
}

async fn status(request: reqwest::RequestBuilder) -> u16 {
    request.send().await.expect("an answer").status().as_u16()
}

#[test]
fn every_route_declares_what_it_takes() {
    let undeclared = Needs::undeclared(&notifier::http::document());
    assert_eq!(undeclared, Vec::<String>::new());
}

#[tokio::test]
async fn a_stream_takes_a_token_of_the_right_role_and_its_territories() {
    let bed = TestBed::new().await;
    let notifier = guarded(&bed, &[]).await;
    assert_eq!(status(asked(&notifier, "")).await, 401);
    assert_eq!(
        status(asked(&notifier, "").bearer_auth("nonsense")).await,
        401
    );
    for (query, token, expected) in [
        ("", token(Role::Service, &["*"], TimeDelta::hours(1)), 403),
        ("territory=york", manager(&["leeds"]), 403),
        ("", manager(&[]), 403),
        ("", token(Role::Admin, &["*"], -TimeDelta::hours(1)), 401),
    ] {
        let refused = status(asked(&notifier, query).bearer_auth(&token)).await;
        assert_eq!(refused, expected, "{query}");
        let head = reqwest::Client::new().head(notifier.url(&format!("/v1/events?{query}")));
        assert_eq!(status(head.bearer_auth(&token)).await, expected, "{query}");
    }
    let subscriptions = |token| {
        let url = notifier.url("/v1/subscriptions");
        status(reqwest::Client::new().get(url).bearer_auth(token))
    };
    assert_eq!(subscriptions(manager(&["*"])).await, 403);
    let admin = token(Role::Admin, &["*"], TimeDelta::hours(1));
    assert_eq!(subscriptions(admin).await, 200);
}

#[tokio::test]
async fn what_is_of_other_territories_is_never_shown_live_or_again() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifier = guarded(&bed, &[]).await;
    let token = manager(&["leeds", "bath"]);
    let mut client = Client::of(asked(&notifier, "").bearer_auth(&token)).await;
    let ready = client.next().await;
    let understood = serde_json::json!(["bath", "leeds"]);
    assert_eq!(data(&ready)["filters"]["territory"], understood);
    publishing
        .publish(&[
            schedule(1, 1, "york"),
            schedule(2, 1, "leeds"),
            moved(2, 2, "leeds", "york"),
            schedule(2, 3, "york"),
            schedule(3, 1, "bath"),
        ])
        .await;
    let live = client.changes(3).await;
    assert_eq!(versions(&live), [1, 2, 1]);

    // One has them in its ring, the other reads them from the stream again.
    let younger = guarded(&bed, &["--ring-preload-seconds", "0"]).await;
    for notifier in [&notifier, &younger] {
        let again = asked(notifier, "").bearer_auth(&token);
        let mut again = Client::of(again.header("Last-Event-ID", &ready.id)).await;
        assert_eq!(again.next().await.event, "ready");
        assert_eq!(again.changes(3).await, live);
    }
}

#[tokio::test]
async fn the_cookie_opens_a_stream_where_no_header_can_be_set() {
    let bed = TestBed::new().await;
    let notifier = guarded(&bed, &[]).await;
    let cookie = format!("rosterwire_token={}", manager(&["leeds"]));
    let mut client = Client::of(asked(&notifier, "").header("cookie", cookie)).await;
    assert_eq!(client.next().await.event, "ready");
}

#[tokio::test]
async fn a_user_with_as_many_streams_as_may_be_is_told_to_come_again() {
    let bed = TestBed::new().await;
    let notifier = guarded(&bed, &["--max-streams-per-user", "2"]).await;
    let open = async |subject: &str| {
        let token = token_of(subject, Role::Manager, &["leeds"], TimeDelta::hours(1));
        let answer = asked(&notifier, "").bearer_auth(token).send().await;
        answer.expect("an answer")
    };
    let first = open("ada").await;
    let second = open("ada").await;
    assert_eq!(
        [first.status(), second.status()].map(|s| s.as_u16()),
        [200; 2]
    );
    let refused = open("ada").await;
    assert_told_to_come_again(&refused, 429);
    assert_eq!(open("bob").await.status(), 200);
    drop(first);
    wait_until("the place to be free again", async || {
        open("ada").await.status() == 200
    })
    .await;
}

#[tokio::test]
async fn a_stream_ends_with_its_token_and_says_so() {
    let bed = TestBed::new().await;
    let notifier = guarded(
        &bed,
        &["--heartbeat-seconds", "1", "--auth-leeway-seconds", "0"],
    )
    .await;
    let token = token(Role::Manager, &["leeds"], TimeDelta::seconds(2));
    let answer = asked(&notifier, "")
        .bearer_auth(&token)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    let all = tokio::time::timeout(crate::running::DEADLINE, answer.text());
    let text = all.await.expect("an end").expect("a clean end");
    assert!(text.ends_with(": the token has expired\n"), "{text}");
    assert_eq!(status(asked(&notifier, "").bearer_auth(&token)).await, 401);
}

#[tokio::test]
async fn every_route_role_and_territory_meet_as_they_should() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifier = guarded(&bed, &["--max-streams-per-user", "1000"]).await;
    let description = serde_json::to_value(notifier::http::document()).expect("JSON");
    let http = reqwest::Client::new();
    let mut streams = Vec::new();
    let mut walked = 0;
    for visit in visits(&description) {
        let token = token(visit.role, visit.territories, TimeDelta::hours(1));
        let method = visit.method.parse().expect("a method");
        let expected = match visit.operation.as_str() {
            _ if !visit.may() => 403,
            // A stream that could never show anything.
            "stream" if visit.territories.is_empty() => 403,
            "open" | "close" => 204,
            // It is not set.
            "open_automatically" => 404,
            _ => 200,
        };
        let case = format!(
            "{:?} of {:?}: {} {}",
            visit.role, visit.territories, visit.method, visit.path
        );
        let mut request = http
            .request(method, notifier.url(&visit.path))
            .bearer_auth(&token);
        if visit.operation == "open" {
            request = request.json(&serde_json::json!({ "token": token }));
        }
        if visit.path == "/v1/events" {
            for territory in ["leeds", "york"] {
                let named = asked(&notifier, &format!("territory={territory}"));
                let sees = visit.may() && visit.sees(territory);
                let found = status(named.bearer_auth(&token)).await;
                assert_eq!(found, if sees { 200 } else { 403 }, "{case}: {territory}");
                walked += 1;
            }
            if expected == 200 {
                let mut client = Client::of(request).await;
                let ready = client.next().await;
                streams.push((visit, token, ready.id, client));
                walked += 1;
                continue;
            }
        }
        assert_eq!(status(request).await, expected, "{case}");
        walked += 1;
    }
    // What each may see comes between what it may not.
    let territories = [
        "york", "leeds", "york", "leeds", "bath", "york", "leeds", "york", "leeds",
    ];
    let messages: Vec<_> = (1..)
        .zip(territories)
        .map(|(number, territory)| schedule(number, 1, territory))
        .collect();
    publishing.publish(&messages).await;
    let younger = guarded(
        &bed,
        &[
            "--ring-preload-seconds",
            "0",
            "--max-streams-per-user",
            "1000",
        ],
    )
    .await;
    for (visit, token, position, mut live) in streams {
        let shown: Vec<_> = (1..)
            .zip(territories)
            .filter(|(_, territory)| visit.sees(territory))
            .map(|(number, _)| contractor(number))
            .collect();
        let about = |changes: &[Change]| -> Vec<_> {
            changes.iter().map(|change| change.contractor).collect()
        };
        let case = format!("{:?} of {:?}", visit.role, visit.territories);
        assert_eq!(
            about(&live.changes(shown.len()).await),
            shown,
            "{case}, live"
        );
        // From the ring, and from the stream.
        for notifier in [&notifier, &younger] {
            let again = asked(notifier, "").bearer_auth(&token);
            let mut again = Client::of(again.header("Last-Event-ID", &position)).await;
            assert_eq!(again.next().await.event, "ready");
            assert_eq!(
                about(&again.changes(shown.len()).await),
                shown,
                "{case}, again"
            );
            walked += 1;
        }
    }
    assert!(walked > 150, "{walked}");
}
