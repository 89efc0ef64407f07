//! A notifier in the test's own process.

use std::net::SocketAddr;
use std::time::Duration;

use notifier::app::Application;
use notifier::config::Cli;
use shared_events::service::{Clock, Shutdown};
use stack::ServiceKind;
use stack::rights::as_user;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::publishing::Publishing;

/// Whatever a test waits for comes within this time, or the test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(40);

/// A notifier that runs.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    shutdown: Shutdown,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Starts one and waits until it is ready.
    pub(crate) async fn start(amqp_url: &str, settings: &[&str]) -> Self {
        Publishing::new(amqp_url).declare().await;
        let running = Self::start_anyway(amqp_url, settings).await;
        running.wait_for_readiness(true).await;
        running
    }

    /// Starts one and does not wait.
    pub(crate) async fn start_anyway(amqp_url: &str, settings: &[&str]) -> Self {
        let amqp_url = as_user(amqp_url, ServiceKind::Notifier.name()).expect("a broker's URL");
        // Shown where a test fails.
        let _ = tracing_subscriber::fmt()
            .with_env_filter("info,notifier=debug")
            .with_ansi(false)
            .with_test_writer()
            .try_init();
        let fixed = ["notifier", "--bind-addr", "127.0.0.1:0", "--amqp-url"];
        let is_guarded = settings
            .iter()
            .any(|setting| setting.starts_with("--auth-mode"));
        let access: &[&str] = if is_guarded {
            &[]
        } else {
            &["--auth-mode=disabled"]
        };
        let arguments: Vec<&str> = fixed
            .iter()
            .copied()
            .chain([amqp_url.as_str()])
            .chain(access.iter().copied())
            .chain(settings.iter().copied())
            .collect();
        let Ok(Cli::Serve(config)) = Cli::try_parse_from(arguments) else {
            panic!("settings that cannot be read");
        };
        let application = Application::build(*config, Clock::system())
            .await
            .expect("a free port");
        let addr = application.local_addr().expect("an address");
        let shutdown = Shutdown::new();
        let task = tokio::spawn(application.run(shutdown.clone()));
        Self {
            addr,
            shutdown,
            task,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(crate) async fn wait_for_readiness(&self, ready: bool) {
        let url = self.url("/health/ready");
        wait_until("the notifier's readiness", async || {
            let status = reqwest::get(&url).await.expect("an answer").status();
            (status.as_u16() == 200) == ready
        })
        .await;
    }

    /// Begins to shut down.
    pub(crate) fn begin_shutdown(&self) {
        self.shutdown.begin();
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(self) {
        let ended = tokio::time::timeout(DEADLINE, self.task)
            .await
            .expect("it ends in time");
        ended.expect("no panic").expect("no error");
        self.shutdown.end_now();
        self.shutdown.drained().await;
    }

    /// Waits until it has ended, with all of its tasks, without being told to hurry.
    pub(crate) async fn drained(self) {
        let ended = tokio::time::timeout(DEADLINE, self.task)
            .await
            .expect("it ends in time");
        ended.expect("no panic").expect("no error");
        let drained = tokio::time::timeout(DEADLINE, self.shutdown.drained()).await;
        drained.expect("no task is left over");
    }

    /// Ends it at once, as a crash would: connections break off.
    pub(crate) async fn end_now(self) {
        self.shutdown.end_now();
        self.ended().await;
    }

    /// The sum of a counter or gauge over its labels.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = reqwest::get(self.url("/metrics")).await.expect("metrics");
        let text = text.text().await.expect("text");
        text.lines()
            .filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with([' ', '{']))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }
}

/// Asks again and again until it is so.
pub(crate) async fn wait_until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
