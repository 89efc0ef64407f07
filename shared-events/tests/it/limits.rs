//! What callers may take, and clients that mean no good, at a listener as every service has it.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use chrono::TimeDelta;
use clap::Parser;
use reqwest::{Client, Response};
use shared_events::service::auth::{Minter, Role};
use shared_events::service::{Access, Caller, Clock, Health, ServiceSettings, Shutdown, Tls, http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use utoipa::OpenApi;

const SECRET: &str = "--auth-hs256-secret=a secret that is only used by tests";

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    service: ServiceSettings,
}

#[derive(OpenApi)]
#[openapi(paths(quick, slow, panics))]
struct Description;

#[utoipa::path(get, path = "/v1/quick", security(("token" = ["read"])), responses((status = 200)))]
async fn quick(_: Caller) {}

#[utoipa::path(get, path = "/v1/slow", security(("token" = ["read"])), responses((status = 200)))]
async fn slow(State(gate): State<Arc<Semaphore>>) {
    drop(gate.acquire().await);
}

#[utoipa::path(get, path = "/v1/panics", security(("token" = ["read"])), responses((status = 500)))]
async fn panics(_: Caller) {
    panic!("as this test has it");
}

/// A service that listens.
struct Listening {
    address: SocketAddr,
    minter: Minter,
    /// What `/v1/slow` waits for.
    gate: Arc<Semaphore>,
    client: Client,
    shutdown: Shutdown,
}

impl Listening {
    async fn start(more: &[&str]) -> Self {
        let arguments = ["x", "--auth-mode=hs256", SECRET];
        let settings = Settings::parse_from(arguments.iter().chain(more)).service;
        let access = Access::new(&settings.auth, &settings.trust, Clock::system()).unwrap();
        let gate = Arc::new(Semaphore::new(0));
        let routes = Router::new()
            .route("/v1/quick", get(quick))
            .route("/v1/slow", get(slow))
            .route("/v1/panics", get(panics))
            .with_state(Arc::clone(&gate));
        let shutdown = Shutdown::new();
        let health = Health::new(shutdown.soft().clone());
        let description = Description::openapi();
        let access = Arc::new(access);
        let application = http::application(routes, description, health, &access, &settings);
        let listener = http::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (minter, ending) = (Minter::of(&settings.auth.signing), shutdown.clone());
        let tls = Tls::read(&settings.tls).unwrap();
        tokio::spawn(
            async move { http::serve(listener, tls, application, &settings, &ending).await },
        );
        Self {
            address,
            minter: minter.unwrap(),
            gate,
            // What is idle is closed, which would meet the next request.
            client: Client::builder()
                .no_proxy()
                .pool_max_idle_per_host(0)
                .build()
                .unwrap(),
            shutdown,
        }
    }

    fn token(&self, subject: &str, role: Role) -> String {
        let now = Clock::system().now();
        let all = ["*".to_owned()];
        let made = self
            .minter
            .mint(subject, &[role], &all, now, now + TimeDelta::hours(1));
        made.unwrap()
    }

    async fn ask(&self, path: &str, token: &str) -> Response {
        let url = format!("http://{}{path}", self.address);
        self.client
            .get(url)
            .bearer_auth(token)
            .send()
            .await
            .unwrap()
    }

    async fn status(&self, path: &str, token: &str) -> u16 {
        self.ask(path, token).await.status().as_u16()
    }

    async fn connect(&self, bytes: &[u8]) -> TcpStream {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        socket
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.shutdown.end_now();
    }
}

/// It says when to come again.
fn assert_too_many(answer: &Response) {
    assert_eq!(answer.status(), 429);
    let seconds = answer.headers()["retry-after"].to_str().unwrap();
    assert!(seconds.parse::<u32>().unwrap() >= 1);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn a_caller_that_asks_too_fast_is_told_when_to_come_again_and_others_feel_nothing() {
    let service = Listening::start(&["--caller-requests-per-second=1", "--caller-burst=3"]).await;
    let (ada, bob) = (
        service.token("ada", Role::Manager),
        service.token("bob", Role::Admin),
    );
    for _ in 0..3 {
        assert_eq!(service.status("/v1/quick", &ada).await, 200);
    }
    assert_too_many(&service.ask("/v1/quick", &ada).await);
    assert_eq!(service.status("/v1/quick", &bob).await, 200);
    // Services are bounded by settings of their own.
    let worker = service.token("ada", Role::Service);
    for _ in 0..10 {
        assert_eq!(service.status("/v1/quick", &worker).await, 200);
    }
}

#[tokio::test]
async fn a_caller_has_so_many_requests_under_way_at_once() {
    let service = Listening::start(&["--caller-concurrency=2"]).await;
    let (ada, bob) = (
        service.token("ada", Role::Manager),
        service.token("bob", Role::Manager),
    );
    let waiting = [&ada, &ada].map(|token| service.ask("/v1/slow", token));
    let waiting = futures::future::join_all(waiting);
    tokio::pin!(waiting);
    // Until both are under way the third is let in, too.
    let refused = async {
        loop {
            let answer = service.ask("/v1/quick", &ada).await;
            if answer.status() != 200 {
                return answer;
            }
        }
    };
    let refused = tokio::select! {
        refused = refused => refused,
        _ = &mut waiting => panic!("nothing has let them through"),
    };
    assert_too_many(&refused);
    assert_eq!(service.status("/v1/quick", &bob).await, 200);
    service.gate.add_permits(2);
    for answer in waiting.await {
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(service.status("/v1/quick", &ada).await, 200);
}

#[tokio::test]
async fn a_flood_of_bad_tokens_is_refused_and_who_has_a_good_one_is_served() {
    let service = Listening::start(&["--bad-tokens-per-second=5"]).await;
    let good = service.token("ada", Role::Manager);
    let bad = format!("{good}x");
    let (mut unknown, mut too_many) = (0, 0);
    for number in 0..200 {
        let answer = service.ask("/v1/quick", &bad).await;
        if answer.status() == 401 {
            unknown += 1;
        } else {
            assert_too_many(&answer);
            too_many += 1;
        }
        if number % 10 == 0 {
            assert_eq!(service.status("/v1/quick", &good).await, 200);
        }
    }
    assert!(unknown >= 5 && too_many >= 100, "{unknown}, {too_many}");
}

/// All that clients send who never finish what they ask.
const BEGINNINGS: [&[u8]; 5] = [
    b"",
    b"P",
    b"PRI * HTTP/2.0\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /v1/quick HTTP/1.1\r\nhost: a\r\nx: ",
];

#[tokio::test]
async fn who_never_finishes_a_request_is_cut_off_and_others_are_served_meanwhile() {
    let service = Listening::start(&["--header-timeout-seconds=1"]).await;
    let good = service.token("ada", Role::Manager);
    let mut sockets = Vec::new();
    for bytes in BEGINNINGS {
        sockets.push(service.connect(bytes).await);
    }
    // One that has asked and then says nothing more.
    let request = b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n";
    sockets.push(service.connect(request).await);
    assert_eq!(service.status("/v1/quick", &good).await, 200);
    for (number, mut socket) in sockets.into_iter().enumerate() {
        let mut rest = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut rest));
        // Reset or closed: either is an end.
        let _ = end
            .await
            .unwrap_or_else(|_| panic!("{number} is open still"));
    }
    assert_eq!(service.status("/v1/quick", &good).await, 200);
}

#[tokio::test]
async fn however_many_connections_say_nothing_callers_get_in_when_their_time_is_over() {
    let settings = ["--max-connections=8", "--header-timeout-seconds=1"];
    let service = Listening::start(&settings).await;
    let good = service.token("ada", Role::Manager);
    let mut silent = Vec::new();
    for _ in 0..24 {
        silent.push(service.connect(b"").await);
    }
    let begun = Instant::now();
    assert_eq!(service.status("/v1/quick", &good).await, 200);
    // Three times eight of them were before it.
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let service = Listening::start(&[]).await;
    let url = format!("http://{}/v1/quick", service.address);
    let answer = service.client.get(url).header("x", "y".repeat(100_000));
    assert_eq!(answer.send().await.unwrap().status(), 431);
}

#[tokio::test]
async fn every_answer_is_taken_for_what_it_says_and_kept_by_nobody() {
    let service = Listening::start(&[]).await;
    let good = service.token("ada", Role::Manager);
    for path in [
        "/v1/quick",
        "/v1/nothing",
        "/health/live",
        "/metrics",
        "/openapi.json",
    ] {
        for token in [&good, "bad"] {
            let answer = service.ask(path, token).await;
            let headers = answer.headers();
            assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
            assert_eq!(headers["x-frame-options"], "DENY", "{path}");
            assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
            let kept = headers
                .get("cache-control")
                .is_none_or(|kept| kept != "no-store");
            assert_eq!(kept, !path.starts_with("/v1/"), "{path}");
        }
    }
}

/// Takes what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_answer_names_its_request_and_the_log_does_too() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_writer(move || writer.clone())
        .finish();
    // The service runs on this thread.
    let _installed = tracing::subscriber::set_default(subscriber);
    let service = Listening::start(&["--allowed-origins=https://board.example"]).await;
    let good = service.token("ada", Role::Manager);
    let ask = |path: &str| {
        let url = format!("http://{}{path}", service.address);
        service.client.get(url).bearer_auth(&good)
    };
    for path in ["/v1/quick", "/v1/nothing", "/v1/panics", "/health/live"] {
        let named = ask(path).header("x-request-id", "ticket-4711");
        let answer = named.send().await.unwrap();
        assert_eq!(answer.headers()["x-request-id"], "ticket-4711", "{path}");
        let mut made = BTreeSet::new();
        for sent in [None, Some("not plain"), Some("")] {
            let mut request = ask(path);
            if let Some(sent) = sent {
                request = request.header("x-request-id", sent);
            }
            let answer = request.send().await.unwrap();
            let name = answer.headers()["x-request-id"].to_str().unwrap();
            assert_eq!(name.len(), 36, "{path}");
            made.insert(name.to_owned());
        }
        assert_eq!(made.len(), 3, "{path}");
    }
    let refused = service.ask("/v1/quick", "bad").await;
    assert_eq!(refused.status(), 401);
    assert!(refused.headers().contains_key("x-request-id"));
    let preflight = service
        .client
        .request(
            reqwest::Method::OPTIONS,
            format!("http://{}/v1/quick", service.address),
        )
        .header("origin", "https://board.example")
        .header("access-control-request-method", "GET");
    let preflight = preflight.send().await.unwrap();
    assert_eq!(preflight.status(), 204);
    assert!(preflight.headers().contains_key("x-request-id"));
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let told = |line: &&str| line.contains("a request handler panicked");
    let line = log.lines().find(told).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["span"]["request_id"], "ticket-4711", "{line}");
}
