//! The service on real servers, with a clock that is set by hand.

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use schedule_service::app::Application;
use schedule_service::config::{Cli, Settings};
use serde_json::{Value, json};
use shared_events::service::{Clock, Shutdown};
use sqlx::PgPool;
use stack::TestBed;

/// Where the clock of every test stands at first.
pub(crate) const NOW: &str = "2026-11-24T08:00:00.123Z";

/// A running service over an empty database. Its relay is off, so that the outbox can be read.
pub(crate) struct Service {
    pub(crate) clock: Clock,
    pub(crate) pool: PgPool,
    pub(crate) settings: Settings,
    client: Client,
    url: String,
    shutdown: Shutdown,
    _bed: TestBed,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The body as JSON; null where it is none.
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("a header of visible ASCII"))
    }

    pub(crate) fn etag(&self) -> &str {
        self.header("etag").expect("an ETag")
    }

    pub(crate) fn id(&self) -> String {
        let id = self
            .body
            .get("id")
            .or_else(|| self.body.get("contractorId"));
        id.and_then(Value::as_str).expect("an id").to_owned()
    }

    /// Fails unless this is a problem document of that status; gives its kind.
    pub(crate) fn problem(&self, status: u16) -> &str {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(self.body["status"], status);
        let kind = self.body["type"].as_str().expect("a type");
        kind.strip_prefix("urn:rosterwire:problem:")
            .expect("a type of ours")
    }

    /// Fails unless this is a 422; gives its pointers, sorted.
    pub(crate) fn pointers(&self) -> Vec<&str> {
        assert_eq!(self.problem(422), "invalid");
        let errors = self.body["errors"].as_array().expect("errors");
        let mut pointers: Vec<_> = errors
            .iter()
            .map(|error| error["pointer"].as_str().expect("a pointer"))
            .collect();
        pointers.sort_unstable();
        pointers
    }

    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(more: &[&str]) -> Self {
        let bed = TestBed::new().await;
        let database_url = bed.database_url().to_owned();
        Self::start_on(bed, &database_url, more).await
    }

    /// With another database than the test bed's.
    pub(crate) async fn start_on(bed: TestBed, database_url: &str, more: &[&str]) -> Self {
        let used = crate::database::migrated(database_url).await;
        let arguments = [
            "schedule-service",
            "--bind-addr=127.0.0.1:0",
            "--outbox-relays=0",
            "--database-url",
            &used,
            "--amqp-url",
            bed.amqp_url(),
        ];
        let everybody = ["--auth-mode=disabled"];
        let access: &[&str] = if more
            .iter()
            .any(|argument| argument.starts_with("--auth-mode"))
        {
            &[]
        } else {
            &everybody
        };
        let arguments = arguments.iter().chain(access).chain(more);
        let cli = Cli::try_parse_from(arguments).expect("settings");
        let Cli::Serve(settings) = cli else {
            panic!("no command was named")
        };
        let clock = Clock::manual(NOW.parse::<DateTime<Utc>>().expect("an instant"));
        let application = Application::build((*settings).clone(), clock.clone())
            .await
            .expect("a service");
        let url = format!("http://{}", application.local_addr().expect("an address"));
        let shutdown = Shutdown::new();
        tokio::spawn(application.run_until_stopped(shutdown.clone()));
        let pool = PgPool::connect(database_url).await.expect("a database");
        let settings = *settings;
        Self {
            clock,
            pool,
            settings,
            client: Client::new(),
            url,
            shutdown,
            _bed: bed,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Reply {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body.to_owned());
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply {
            status,
            headers,
            text,
            body,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[], None).await
    }

    pub(crate) async fn json(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Reply {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.send(method, path, &headers, Some(&body.to_string()))
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.json("POST", path, &[], &body).await
    }

    /// Patches whatever version there is.
    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        self.json("PATCH", path, &[("if-match", "*")], &body).await
    }

    /// Creates a contractor with all defaults.
    pub(crate) async fn contractor(&self) -> String {
        self.post("/v1/contractors", plain()).await.expect(201).id()
    }

    /// Books a job of one hour that starts at `hour` o'clock on 2026-12-01.
    pub(crate) async fn job(&self, contractor: &str, hour: u32) -> String {
        let path = format!("/v1/contractors/{contractor}/jobs");
        self.post(&path, job_at(hour)).await.expect(201).id()
    }

    /// The envelopes in the outbox, oldest first.
    pub(crate) async fn outbox(&self) -> Vec<Value> {
        let payloads: Vec<Vec<u8>> = sqlx::query_scalar("SELECT payload FROM outbox ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .expect("the outbox");
        payloads
            .iter()
            .map(|payload| serde_json::from_slice(payload).expect("JSON"))
            .collect()
    }

    /// The version that the service says a schedule has.
    pub(crate) async fn version(&self, contractor: &str) -> i64 {
        let reply = self
            .get(&format!("/v1/contractors/{contractor}/schedule"))
            .await
            .expect(200);
        reply.body["version"].as_i64().expect("a version")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shutdown.end_now();
    }
}

pub(crate) fn plain() -> Value {
    json!({"name": "Ada Byron", "territory": "london-north", "timeZone": "Europe/London"})
}

pub(crate) fn job_at(hour: u32) -> Value {
    json!({
        "title": "Boiler service",
        "start": format!("2026-12-01T{hour:02}:00:00Z"),
        "end": format!("2026-12-01T{:02}:00:00Z", hour + 1),
    })
}
