//! TLS between the services, their servers and their callers, with an authority that only the test knows.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use stack::process::{Launch, Process, tail};
use stack::service::migrate;
use stack::{
    AccessKey, Authority, Backends, PrivateServers, Service, ServiceKind, ServiceSettings, TestBed,
};
use system_tests::eventually;

/// What all certificates are for; the servers can be reached at 127.0.0.1 too.
const NAME: &str = "localhost";

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(40);

/// As the URLs of the services have it.
const PASSWORD: &str = ":limited@";

/// Long enough for any log of these tests.
const LOG_BYTES: u64 = 1 << 20;

fn client(build: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    let client = Client::builder().no_proxy().timeout(LIMIT);
    build(client).build().unwrap()
}

fn trusting(authority: &Authority) -> Client {
    let own = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    client(|client| client.tls_certs_only([own]))
}

fn as_admin(request: RequestBuilder) -> RequestBuilder {
    request.bearer_auth(AccessKey::of_this_process().admin())
}

/// Settings of a service that speaks TLS itself and trusts `ca`.
fn settings(kind: ServiceKind, folder: &Path, backends: &Backends, ca: &Path) -> ServiceSettings {
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    ServiceSettings::new(kind, folder, backends)
        .unwrap()
        .env("TLS_CA", &path(ca))
        .env("TLS_CERTIFICATE", &path(&folder.join("certificate.pem")))
        .env("TLS_KEY", &path(&folder.join("key.pem")))
}

fn https(settings: &ServiceSettings) -> String {
    format!("https://{NAME}:{}", settings.port.number())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_change_goes_all_the_way_over_tls() {
    let authority = Authority::new().unwrap();
    let identity = authority.vouch(NAME).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ca = authority.write(folder).unwrap();
    identity.write(folder).unwrap();
    let servers = PrivateServers::start_tls(&identity).await.unwrap();
    let backends = servers.tls_backends(NAME);
    migrate(&servers.backends().database_url, folder)
        .await
        .unwrap();
    let settings = |kind| settings(kind, folder, &backends, &ca);

    let write_side = settings(ServiceKind::ScheduleService);
    let write_url = https(&write_side);
    let read_side =
        settings(ServiceKind::AvailabilityWorker).env("SCHEDULE_SERVICE_URL", &write_url);
    let read_url = https(&read_side);
    let notifier = settings(ServiceKind::Notifier);
    let stream_url = https(&notifier);
    // Each is asked in clear whether it is ready: from this machine.
    let services = tokio::try_join!(
        Service::spawn(ServiceKind::ScheduleService, write_side),
        Service::spawn(ServiceKind::AvailabilityWorker, read_side),
        Service::spawn(ServiceKind::Notifier, notifier),
    );
    let (write_side, read_side, notifier) = services.unwrap();

    let client = trusting(&authority);
    let stream = client.get(format!("{stream_url}/v1/events"));
    let mut stream = as_admin(stream).send().await.unwrap();
    let contractor = json!({"name": "Ada", "territory": "leeds", "timeZone": "Europe/London"});
    let created = client
        .post(format!("{write_url}/v1/contractors"))
        .json(&contractor);
    let created = as_admin(created).send().await.unwrap();
    assert_eq!(created.status(), 201);
    let created: Value = created.json().await.unwrap();
    let id = created["contractorId"].as_str().unwrap();

    let cached = format!("{read_url}/v1/availability/{id}");
    eventually("the answer of the read side", async || {
        let answer = as_admin(client.get(&cached)).send().await.unwrap();
        (answer.status() == 200).then_some(())
    })
    .await;
    let mut frames = String::new();
    while !(frames.contains("availability.updated") && frames.contains(id)) {
        let chunk = stream.chunk().await.unwrap().expect("no end");
        frames.push_str(&String::from_utf8_lossy(&chunk));
    }

    // It has read all of schedule-service.
    let log = tail(read_side.log_path(), LOG_BYTES);
    assert!(log.contains("the cache holds every contractor"), "{log}");
    let mut database = PgConnection::connect(&servers.postgres.url())
        .await
        .unwrap();
    let encrypted: Vec<bool> = sqlx::query_scalar(
        "SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
         WHERE a.application_name = 'schedule-service'",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    assert!(
        !encrypted.is_empty() && encrypted.iter().all(|is| *is),
        "{encrypted:?}"
    );

    // Who trusts others alone does not come in.
    let foreign = trusting(&Authority::new().unwrap());
    for url in [write_url, read_url, stream_url] {
        let refused = foreign.get(format!("{url}/health/live")).send().await;
        let error = format!("{:?}", refused.unwrap_err());
        assert!(error.contains("UnknownIssuer"), "{error}");
    }
    for service in [write_side, read_side, notifier] {
        let log = tail(service.log_path(), LOG_BYTES);
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// A service that cannot become ready.
struct Failing {
    process: Process,
    log: PathBuf,
    ready_url: String,
}

impl Failing {
    fn start(kind: ServiceKind, folder: &Path, backends: &Backends, more: &[(&str, &str)]) -> Self {
        let settings = ServiceSettings::new(kind, folder, backends).unwrap();
        let program = stack::service::program(kind.name()).unwrap();
        let (port, log) = (settings.port.number(), settings.log.clone());
        let mut launch = Launch::new(kind.name(), &program, folder, &log)
            .env("BIND_ADDR", format!("127.0.0.1:{port}"))
            .env("AMQP_REFUSED_SECONDS", "1");
        let own = settings.env.iter().map(|(name, value)| (&**name, &**value));
        for (name, value) in own.chain(more.iter().copied()) {
            launch = launch.env(name, value);
        }
        Self {
            process: Process::spawn(&launch).unwrap(),
            log,
            ready_url: format!("{}/health/ready", settings.url()),
        }
    }

    fn log(&self) -> String {
        tail(&self.log, LOG_BYTES)
    }

    /// Waits until its log has all of `words` in one line, and asserts that no line has a password.
    async fn says(&self, words: &[&str]) {
        let what = format!("{words:?} in {}", self.log.display());
        let lines = eventually(&what, async || {
            let log = self.log();
            let has = |line: &str| words.iter().all(|word| line.contains(word));
            log.lines().any(has).then_some(log)
        });
        let log = lines.await;
        assert!(!log.contains(PASSWORD), "{log}");
    }
}

/// Each server's certificate is refused by the service that needs that server.
async fn assert_refused(backends: &Backends, ca: &Path, word: &str) {
    let folder = tempfile::tempdir().unwrap();
    let ca = [("TLS_CA", ca.to_str().unwrap())];
    let start = |kind| Failing::start(kind, folder.path(), backends, &ca);
    let refused = "certificate is refused";

    // Without its database it does not start.
    let write_side = start(ServiceKind::ScheduleService);
    write_side
        .says(&["ended by an error", "DATABASE_URL", refused, word])
        .await;
    assert_eq!(write_side.process.exited().await.code(), Some(1));

    // As long as the broker refuses a user it is tried again, and no longer.
    let notifier = start(ServiceKind::Notifier);
    notifier.says(&["WARN", refused, word]).await;
    notifier
        .says(&["ended by an error", "RabbitMQ", refused, word])
        .await;
    assert_eq!(notifier.process.exited().await.code(), Some(1));

    // Redis can be away for as long as it likes, so the worker says so and waits. Its other servers
    // are such that it does not end.
    let only_redis = Backends {
        amqp_url: "amqp://127.0.0.1:1".to_owned(),
        ..backends.clone()
    };
    let read_side = Failing::start(
        ServiceKind::AvailabilityWorker,
        folder.path(),
        &only_redis,
        &ca,
    );
    read_side.says(&["WARN", "Redis", refused, word]).await;
    let answer = client(|client| client)
        .get(&read_side.ready_url)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    let told = answer.text().await.unwrap();
    assert!(told.contains(refused) && !told.contains(PASSWORD), "{told}");
    assert_eq!(read_side.process.exit_status(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_name_or_of_an_unknown_authority_is_refused_and_told() {
    let authority = Authority::new().unwrap();
    let servers = PrivateServers::start_tls(&authority.vouch(NAME).unwrap())
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = authority.write(folder.path()).unwrap();
    assert_refused(&servers.tls_backends("127.0.0.1"), &ca, "the URL must call").await;
    let other = tempfile::tempdir().unwrap();
    let foreign = Authority::new().unwrap().write(other.path()).unwrap();
    assert_refused(&servers.tls_backends(NAME), &foreign, "TLS_CA").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused_and_told() {
    let authority = Authority::new().unwrap();
    let servers = PrivateServers::start_tls(&authority.vouched(NAME).unwrap())
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = authority.write(folder.path()).unwrap();
    assert_refused(&servers.tls_backends(NAME), &ca, "must be renewed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_service_goes_on_in_clear_where_tls_was_asked_for() {
    let bed = TestBed::new().await;
    let folder = tempfile::tempdir().unwrap();
    let ca = Authority::new().unwrap().write(folder.path()).unwrap();
    let ca = ("TLS_CA", ca.to_str().unwrap());
    // These servers speak no TLS.
    let mut backends = bed.backends();
    backends.database_url.push_str("?sslmode=verify-full");
    backends.amqp_url = backends.amqp_url.replace("amqp://", "amqps://");
    backends.redis_url = backends.redis_url.replace("redis://", "rediss://");
    let start = |kind, more: &[_]| Failing::start(kind, folder.path(), &backends, more);

    let write_side = start(ServiceKind::ScheduleService, &[ca]);
    write_side
        .says(&["DATABASE_URL", "does not support TLS"])
        .await;
    let notifier = start(ServiceKind::Notifier, &[ca]);
    notifier.says(&["RabbitMQ", "InvalidContentType"]).await;
    let read_side = start(ServiceKind::AvailabilityWorker, &[ca]);
    // Redis takes a handshake for the beginning of a command.
    read_side.says(&["WARN", "Redis: timed out"]).await;

    // Without a word on it the database would be taken with any certificate, or with none.
    let silent = ("DATABASE_URL", bed.database_url());
    let write_side = start(ServiceKind::ScheduleService, &[ca, silent]);
    write_side
        .says(&["ended by an error", "sslmode=verify-full"])
        .await;
    assert_eq!(write_side.process.exited().await.code(), Some(1));
}
