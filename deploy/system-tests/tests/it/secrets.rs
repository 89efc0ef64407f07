//! What is secret is told nowhere.

use reqwest::{Client, Method};
use serde_json::json;
use stack::{AccessKey, ServiceKind, TestBed};
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

/// `/proc/PID/environ` is what a core dump and a list of processes show of a service that runs.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_come_from_files_are_in_no_environment_and_no_command_line() {
    let bed = TestBed::new().await;
    let backends = bed.backends();
    let secret = AccessKey::of_this_process().secret().reveal();
    let secrets = |kind| {
        let used = backends.as_used_by(kind).unwrap();
        [
            ("DATABASE_URL", used.database_url),
            ("AMQP_URL", used.amqp_url),
            ("REDIS_URL", used.redis_url),
            ("AUTH_HS256_SECRET", secret.to_owned()),
        ]
    };
    let folder = tempfile::tempdir().unwrap();
    let deployment = Deployment::on(backends.clone(), |mut builder| {
        for kind in ServiceKind::ALL {
            for (name, value) in secrets(kind) {
                let path = folder.path().join(format!("{name}-{}", kind.name()));
                std::fs::write(&path, value).unwrap();
                // Empty is not set.
                builder = builder.env(kind, name, "");
                builder = builder.env(kind, &format!("{name}_FILE"), path.to_str().unwrap());
            }
        }
        builder
    })
    .await;
    for kind in ServiceKind::ALL {
        let pid = deployment.system.service(kind).pid();
        for listing in ["environ", "cmdline"] {
            let shown = std::fs::read(format!("/proc/{pid}/{listing}")).unwrap();
            let shown = String::from_utf8_lossy(&shown);
            for (name, value) in secrets(kind) {
                assert!(!shown.contains(&value), "{} {listing}: {name}", kind.name());
            }
        }
    }
    deployment.assert_sound().await;
}
