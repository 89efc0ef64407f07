//! Who gets in, who is told to come again, and who is seen to be there.

use reqwest::Response;
use serde_json::Value;
use stack::TestBed;

use crate::client::Client;
use crate::publishing::{Publishing, schedule};
use crate::running::{Running, wait_until};

async fn ask(notifier: &Running) -> Response {
    let url = notifier.url("/v1/events");
    reqwest::get(url).await.expect("an answer")
}

pub(crate) fn assert_told_to_come_again(refused: &Response, status: u16) {
    assert_eq!(refused.status(), status);
    let headers = refused.headers();
    assert_eq!(headers["content-type"], "application/problem+json");
    let seconds = headers["retry-after"].to_str().expect("text");
    assert!(seconds.parse::<u32>().expect("seconds") >= 1);
}

#[tokio::test]
async fn an_address_that_has_as_many_streams_as_it_may_is_told_to_come_again() {
    let bed = TestBed::new().await;
    let settings = ["--max-streams-per-address", "2"];
    let notifier = Running::start(bed.amqp_url(), &settings).await;
    let first = Client::connect(&notifier, "").await;
    let _second = Client::connect(&notifier, "").await;
    let refused = ask(&notifier).await;
    assert_told_to_come_again(&refused, 429);
    let problem: Value = refused.json().await.expect("a problem");
    assert_eq!(problem["type"], "urn:rosterwire:problem:too-many-requests");
    // The others, and whatever else is asked, feel nothing.
    let ready = reqwest::get(notifier.url("/health/ready")).await;
    assert_eq!(ready.expect("an answer").status(), 200);
    assert_eq!(notifier.metric("notifier_streams_refused_total").await, 1);
    drop(first);
    wait_until("the place to be free again", async || {
        notifier.metric("notifier_streams_open").await == 1
    })
    .await;
}

#[tokio::test]
async fn an_address_whose_streams_come_too_fast_is_told_to_come_again() {
    let bed = TestBed::new().await;
    let settings = [
        "--max-streams-per-address",
        "3",
        "--new-streams-per-second",
        "1",
    ];
    let notifier = Running::start(bed.amqp_url(), &settings).await;
    // One that comes and goes, again and again, faster than one a second on the long run.
    let mut refused = None;
    for _ in 0..1000 {
        let answer = ask(&notifier).await;
        if answer.status() != 200 {
            refused = Some(answer);
            break;
        }
        drop(answer);
        wait_until("the stream to be gone", async || {
            notifier.metric("notifier_streams_open").await == 0
        })
        .await;
    }
    assert_told_to_come_again(&refused.expect("a refusal"), 429);
    wait_until("the next to be let in", async || {
        ask(&notifier).await.status() == 200
    })
    .await;
}

#[tokio::test]
async fn who_is_connected_is_listed_by_territory_with_lag_age_and_agent() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let notifier = Running::start(bed.amqp_url(), &[]).await;
    let mut leeds = Client::connect(&notifier, "territory=leeds").await;
    let mut all = Client::connect(&notifier, "").await;
    let _york = Client::connect(&notifier, "territory=york").await;
    publishing.publish(&[schedule(1, 1, "leeds")]).await;
    leeds.change().await;
    all.change().await;

    let list = async |query: &str| -> Value {
        let url = notifier.url(&format!("/v1/subscriptions?{query}"));
        let answer = reqwest::get(url).await.expect("an answer");
        answer.json().await.expect("JSON")
    };
    let listed = list("").await;
    assert_eq!(listed["total"], 3);
    let listed = list("territory=york").await;
    assert_eq!(listed["total"], 2, "who is shown all is shown york");
    let listed = list("territory=leeds&sort=age&limit=1").await;
    assert_eq!(listed["total"], 2);
    let first = &listed["subscriptions"][0];
    assert_eq!(listed["subscriptions"].as_array().map(Vec::len), Some(1));
    assert_eq!(first["address"], "127.0.0.1");
    assert_eq!(first["filters"]["territory"], serde_json::json!(["leeds"]));
    assert_eq!(first["lagEvents"], 0);
    assert!(first["ageSeconds"].as_i64().expect("an age") < 60);
    assert!(first["openedAt"].as_str().expect("a time").ends_with('Z'));
    for query in ["limit=0", "limit=1001", "sort=name", "x=1"] {
        let url = notifier.url(&format!("/v1/subscriptions?{query}"));
        let refused = reqwest::get(url).await.expect("an answer");
        assert_eq!(refused.status(), 422, "{query}");
    }

    let named = reqwest::Client::builder().user_agent("board/1").build();
    let url = notifier.url("/v1/events?territory=hull");
    let answer = named.expect("a client").get(url).send().await;
    let _answer = answer.expect("an answer");
    let listed = list("territory=hull&sort=age").await;
    assert_eq!(listed["subscriptions"][1]["agent"], "board/1");
}

#[tokio::test]
async fn every_metric_says_what_it_means() {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let settings = ["--heartbeat-seconds", "1", "--max-streams", "1"];
    let notifier = Running::start(bed.amqp_url(), &settings).await;
    let mut client = Client::connect(&notifier, "").await;
    publishing.publish(&[schedule(1, 1, "leeds")]).await;
    client.change().await;
    assert_told_to_come_again(&ask(&notifier).await, 503);
    while client.reader.comments() < 1 {
        client.take_bytes().await.expect("a heartbeat");
    }
    let metrics = reqwest::get(notifier.url("/metrics")).await;
    let text = metrics.expect("an answer").text().await.expect("text");
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .filter(|name| name.starts_with("notifier_"))
        .collect();
    for name in [
        "notifier_streams_open",
        "notifier_streams_refused_total",
        "notifier_frames_sent_total",
        "notifier_client_lag_events",
        "notifier_feed_lag_seconds",
        "notifier_ring_bytes",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    for name in names {
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
    }
}
