//! A browser's own EventSource, on a page that sends back what it is told.

use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::response::Html;
use axum::routing::{get, post};
use axum::{Json, Router};
use parking_lot::Mutex;
use serde_json::{Value, json};
use stack::system::SystemBuilder;
use stack::{AccessKey, Proxy, ServiceKind};
use system_tests::{Deployment, eventually};

use crate::foreign_clients::{Foreign, Told, in_path, told};

/// What the page has sent back.
type Seen = Arc<Mutex<Vec<Value>>>;

/// Serves the page, at an origin of its own.
pub(crate) struct Page {
    origin: String,
    seen: Seen,
    notifier: Arc<Mutex<String>>,
}

impl Page {
    pub(crate) async fn serve() -> Self {
        let (seen, notifier) = (Seen::default(), Arc::<Mutex<String>>::default());
        let address = Arc::clone(&notifier);
        let page = async move || {
            let text = include_str!("foreign/page.html");
            // It comes to the notifier too: cookies do not tell ports apart.
            let token = AccessKey::of_this_process().admin();
            let cookie = format!("rosterwire_token={token}; HttpOnly; Secure; SameSite=Strict");
            let text = text.replace("NOTIFIER", &address.lock());
            ([(SET_COOKIE, cookie)], Html(text))
        };
        let take = async |State(seen): State<Seen>, body: String| {
            let event: Value = serde_json::from_str(&body).unwrap();
            seen.lock().push(event);
            Json(json!({}))
        };
        let router = Router::new()
            .route("/", get(page))
            .route("/seen", post(take))
            .with_state(Arc::clone(&seen));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            origin,
            seen,
            notifier,
        }
    }

    /// Has the notifier let the page read its stream.
    pub(crate) fn allow(&self, system: SystemBuilder) -> SystemBuilder {
        system.env(ServiceKind::Notifier, "ALLOWED_ORIGINS", &self.origin)
    }

    /// Whose stream is to be followed.
    pub(crate) fn follow(&self, notifier: &str) {
        notifier.clone_into(&mut self.notifier.lock());
    }

    /// Opens the page in Chromium.
    pub(crate) fn open(&self, folder: &Path) -> Foreign {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let found = names.iter().find_map(|name| in_path(name));
        let program = found.unwrap_or_else(|| panic!("none of {names:?} is installed"));
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let url = format!("{}/", self.origin);
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--no-first-run",
            &profile,
            &url,
        ];
        Foreign::start("browser", &program, &arguments, folder)
    }

    /// Waits until the stream is open.
    pub(crate) async fn ready(&self) {
        eventually("ready in the browser", async || {
            let seen = self.seen.lock();
            seen.first()
                .map(|first| assert_eq!(first["event"], "ready"))
        })
        .await;
    }

    /// All that the browser has told of but `ready`, once it is so much.
    pub(crate) async fn told(&self, count: usize) -> Vec<Told> {
        eventually("every event in the browser", async || {
            let seen = self.seen.lock();
            let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
            let changes = seen.iter().filter(|event| event["event"] != "ready");
            let told: Vec<Told> = changes
                .map(|event| (text(event, "id"), text(event, "event"), text(event, "data")))
                .collect();
            (told.len() >= count).then_some(told)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_resumes_after_a_cut_and_survives_restarts_without_losing_an_event() {
    let page = Page::serve().await;
    let deployment = Deployment::start_with(|builder| page.allow(builder)).await;
    let notifier = deployment.system.service(ServiceKind::Notifier);
    let (wire, url) = Proxy::before(notifier.url()).await.unwrap();
    page.follow(&url);
    let _browser = page.open(deployment.bed().folder());
    page.ready().await;
    let client = deployment.stream("").await;
    let ada = json!({"name": "Ada", "territory": "leeds", "timeZone": "Europe/London"});
    let id = deployment.schedules.create(&ada).await;
    let change = async |name: &str| {
        let change = json!({"name": name});
        deployment.schedules.patch(&id, &change).await
    };
    // What the browser has been told is what a client in the program's own language has been told.
    let agree = async |last: i64| {
        for event in ["schedule.updated", "availability.updated"] {
            client.wait_for_version(event, &id, last).await;
        }
        let expected = told(&client.frames());
        assert_eq!(page.told(expected.len()).await, expected);
    };
    agree(change("there").await).await;

    wire.cut();
    let last = change("cut off").await;
    wire.mend();
    agree(last).await;

    notifier.stop().await.unwrap();
    change("while it is away").await;
    notifier.restart().await.unwrap();
    agree(change("there again").await).await;

    notifier.kill().await.unwrap();
    change("after a crash").await;
    notifier.restart().await.unwrap();
    agree(change("there once more").await).await;
    deployment.assert_sound().await;
}
