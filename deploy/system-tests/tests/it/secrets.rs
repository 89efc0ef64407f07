//! What is secret is told nowhere.

use reqwest::{Client, Method};
use serde_json::json;
use stack::{AccessKey, ServiceKind};
use system_tests::Deployment;

/// Each deployment looks through its logs when it ends, so what is asserted here is the rest: answers and
/// metrics. The logs are as talkative as an operator may make them.
#[tokio::test(flavor = "multi_thread")]
async fn no_log_no_answer_and_no_metric_gives_a_token_a_password_or_the_secret_away() {
    let deployment = Deployment::start_with(|builder| {
        ServiceKind::ALL.into_iter().fold(builder, |builder, kind| {
            builder.env(kind, "RUST_LOG", "debug")
        })
    })
    .await;
    let token = AccessKey::of_this_process().admin();
    let contractor = json!({"name": "Ada", "territory": "leeds", "timeZone": "Europe/London"});
    let id = deployment.schedules.create(&contractor).await;
    let _stream = deployment.stream("").await;
    deployment.availability.cached(&id, 1, &[]).await;

    let system = &deployment.system;
    let notifier = system.notifier_url();
    let secret = AccessKey::of_this_process().secret().reveal();
    let begin = token.split('.').next().unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    let body = json!({ "token": token });
    let cookie = format!("rosterwire_token={token}");
    let broken = format!("{token}x");
    let mut told = Vec::new();
    for url in [system.schedule_url(), system.availability_url(), notifier] {
        for path in ["/metrics", "/health/ready", "/v1/nothing", "/openapi.json"] {
            told.push(client.get(format!("{url}{path}")).bearer_auth(&token));
        }
        for path in ["/v1/contractors", "/v1/availability", "/v1/subscriptions"] {
            told.push(client.get(format!("{url}{path}")).bearer_auth(&broken));
            let request = client.request(Method::PATCH, format!("{url}{path}"));
            told.push(request.header("cookie", &cookie));
        }
    }
    let session = format!("{notifier}/v1/session");
    told.push(client.post(&session).json(&body));
    told.push(client.post(&session).json(&json!({ "tokens": token })));
    told.push(client.get(&session).header("cookie", &cookie));
    for request in told {
        let text = request.send().await.unwrap().text().await.unwrap();
        assert!(!text.contains(begin) && !text.contains(secret), "{text}");
    }
    deployment.assert_sound().await;
}
