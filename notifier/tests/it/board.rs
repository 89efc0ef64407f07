//! How the dispatcher board is served. What it does is tested in a browser, by the system tests.

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use stack::TestBed;

use crate::running::Running;

async fn get(notifier: &Running, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Client::new().get(notifier.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer")
}

fn header(answer: &Response, name: &str) -> String {
    let value = answer.headers().get(name).map(|value| value.to_str());
    value.expect(name).expect("text").to_owned()
}

/// The paths of the scripts, styles and pictures that the page names.
async fn assets(page: Response) -> Vec<String> {
    let text = page.text().await.expect("text");
    let quoted = text.split('"').filter(|part| part.starts_with("/assets/"));
    quoted.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_page_is_asked_for_again_and_its_parts_are_kept_for_ever() {
    let bed = TestBed::new().await;
    let notifier = Running::start(bed.amqp_url(), &[]).await;
    let page = get(&notifier, "/", &[]).await;
    assert_eq!(header(&page, "cache-control"), "no-cache");
    let tag = header(&page, "etag");
    let again = get(&notifier, "/", &[("if-none-match", tag.as_str())]).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);

    let assets = assets(page).await;
    assert!(
        assets.len() >= 3,
        "no board in this build (see its warnings): {assets:?}"
    );
    for path in assets {
        let plain = get(&notifier, &path, &[]).await;
        assert_eq!(plain.status(), 200, "{path}");
        assert!(header(&plain, "cache-control").contains("immutable"));
        assert_eq!(header(&plain, "x-content-type-options"), "nosniff");
        let length = plain.bytes().await.expect("a body").len();
        for coding in ["br", "gzip"] {
            let sent = get(&notifier, &path, &[("accept-encoding", coding)]).await;
            if let Some(told) = sent.headers().get("content-encoding") {
                assert_eq!(told, coding, "{path}");
                assert!(sent.bytes().await.expect("a body").len() < length, "{path}");
            }
        }
    }
    let none = get(&notifier, "/assets/nothing.js", &[]).await;
    assert_eq!(none.status(), 404);
}

#[tokio::test]
async fn the_page_may_run_and_ask_what_the_settings_name_and_nothing_else() {
    let bed = TestBed::new().await;
    let settings = [
        "--schedule-service-url",
        "https://write.example/",
        "--availability-url",
        "https://read.example:8443",
    ];
    let notifier = Running::start(bed.amqp_url(), &settings).await;
    let page = get(&notifier, "/", &[]).await;
    let policy = header(&page, "content-security-policy");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(
        policy.contains("connect-src 'self' https://write.example https://read.example:8443;"),
        "{policy}"
    );
    for part in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(header(&page, "referrer-policy"), "no-referrer");
    assert_eq!(header(&page, "x-content-type-options"), "nosniff");
    assert_eq!(header(&page, "x-frame-options"), "DENY");
    let told: Value = serde_json::from_slice(
        &get(&notifier, "/board.json", &[])
            .await
            .bytes()
            .await
            .expect("a body"),
    )
    .expect("JSON");
    let expected = json!({
        "scheduleServiceUrl": "https://write.example",
        "availabilityUrl": "https://read.example:8443",
        "signIn": "none",
    });
    assert_eq!(told, expected);
}
