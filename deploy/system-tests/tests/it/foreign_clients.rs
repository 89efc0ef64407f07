//! Programs that have never heard of Rosterwire: pika, curl and a browser.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stack::AccessKey;
use stack::process::{Launch, Process, tail};
use system_tests::event_stream::FrameReader;
use system_tests::{Deployment, Frame, Received, StreamClient, eventually};

use crate::browser::Page;
use crate::week::Week;

/// The version of the AMQP client from PyPI.
const PIKA: &str = "pika==1.3.2";

/// A program in a process of its own, whose output is read from its log.
pub(crate) struct Foreign {
    log: PathBuf,
    _process: Process,
}

impl Foreign {
    pub(crate) fn start(name: &str, program: &Path, arguments: &[&str], folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let mut launch = Launch::new(name, program, folder, &log);
        for argument in arguments {
            launch = launch.arg(*argument);
        }
        let process = Process::spawn(&launch).unwrap();
        Self {
            log,
            _process: process,
        }
    }

    fn output(&self) -> String {
        tail(&self.log, 16 << 20)
    }

    /// Waits until `look` sees something in what it has printed.
    async fn printed<T>(&self, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
        let what = format!("{what} in {}", self.log.display());
        eventually(&what, async || look(&self.output())).await
    }
}

/// An event of the stream as each client tells it: id, name and data.
pub(crate) type Told = (String, String, String);

#[tokio::test(flavor = "multi_thread")]
async fn pika_curl_and_a_browser_see_the_same_events() {
    let page = Page::serve().await;
    let deployment = Deployment::start_with(|builder| page.allow(builder)).await;
    let notifier = deployment.system.notifier_url();
    page.follow(notifier);
    let folder = deployment.bed().folder();

    let pika = start_pika(&deployment, folder).await;
    let events_url = format!("{notifier}/v1/events");
    let bearer = format!(
        "Authorization: Bearer {}",
        AccessKey::of_this_process().admin()
    );
    let curl = Foreign::start(
        "curl",
        &find("curl"),
        &["-sN", "-H", &bearer, &events_url],
        folder,
    );
    let _browser = page.open(folder);
    let exchange = deployment.subscriber("#").await;
    let client = deployment.stream("").await;
    let is_ready = |text: &str| text.contains("event: ready\n").then_some(());
    curl.printed("ready", is_ready).await;
    pika.printed("a bound queue", |text| {
        text.contains("bound\n").then_some(())
    })
    .await;
    page.ready().await;

    changes(&deployment, &client).await;
    let expected = told(&client.frames());
    assert_eq!(expected.len(), 2 * 4, "two frames for each change");

    let by_curl = curl
        .printed("every event", |text| {
            let frames = told(&FrameReader::default().take(text.as_bytes()));
            (frames.len() == expected.len()).then_some(frames)
        })
        .await;
    assert_eq!(by_curl, expected);
    assert_eq!(page.told(expected.len()).await, expected);

    let identities: BTreeSet<String> = exchange
        .wait_for("every event", |received| {
            let identities = received.iter().map(identity).map(|value| value.to_string());
            (received.len() >= expected.len()).then(|| identities.collect())
        })
        .await;
    let by_pika = pika
        .printed("every event", |text| {
            let lines = text.lines().skip_while(|line| *line != "bound").skip(1);
            let events: BTreeSet<String> = lines
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                .map(|event| event.to_string())
                .collect();
            (events.len() >= identities.len()).then_some(events)
        })
        .await;
    assert_eq!(by_pika, identities);
    deployment.assert_sound().await;
}

/// Some changes, each followed to its last frame before the next, since the worker may tell of two
/// that come together as of one.
async fn changes(deployment: &Deployment, client: &StreamClient) {
    let api = &deployment.schedules;
    let week = Week::ahead();
    let told = async |id: &str, version| {
        for event in ["schedule.updated", "availability.updated"] {
            client.wait_for_version(event, id, version).await;
        }
    };
    // Text that breaks readers who mistake it for line ends or markup.
    let name = "Zoë \u{2028}\"O'Hara\" <b> \\n \u{1F9F0}";
    let contractor = json!({"name": name, "territory": "leeds", "timeZone": "Europe/London"});
    let id = api.create(&contractor).await;
    told(&id, 1).await;
    let job = week.job("Meter", 1, 600, 660);
    api.book(&id, &job).await.assert_status(201);
    told(&id, 2).await;
    api.patch(&id, &json!({"territory": "york"})).await;
    told(&id, 3).await;
    let last = api.patch(&id, &json!({"status": "inactive"})).await;
    told(&id, last).await;
}

/// The changes among these frames.
pub(crate) fn told(frames: &[Frame]) -> Vec<Told> {
    frames
        .iter()
        .filter(|frame| frame.event != "ready")
        .map(|frame| (frame.id.clone(), frame.event.clone(), frame.text.clone()))
        .collect()
}

/// As the program in Python prints it.
fn identity(event: &Received) -> Value {
    json!({
        "id": event.id(), "type": event.body["type"], "subject": event.body["subject"],
        "version": event.version(), "routingKey": event.routing_key,
        "traceparent": event.headers()["traceparent"],
    })
}

async fn start_pika(deployment: &Deployment, folder: &Path) -> Foreign {
    let python = tokio::task::spawn_blocking(python_with_pika).await.unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/foreign/pika_subscriber.py");
    let arguments = [
        script.to_str().unwrap(),
        deployment.bed().amqp_url(),
        "rosterwire.events",
        "#",
    ];
    Foreign::start("pika", &python, &arguments, folder)
}

/// The Python of an environment that has pika, made once below the build's folder.
fn python_with_pika() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pika");
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let (environment, made) = (folder.join("environment"), folder.join(PIKA));
    if !made.exists() {
        run(
            &find("python3"),
            &["-m", "venv", "--clear", environment.to_str().unwrap()],
        );
        let quiet = ["install", "--quiet", "--disable-pip-version-check", PIKA];
        run(&environment.join("bin/pip"), &quiet);
        File::create(made).unwrap();
    }
    environment.join("bin/python")
}

fn run(program: &Path, arguments: &[&str]) {
    let output = std::process::Command::new(program).args(arguments).output();
    let output = output.unwrap();
    assert!(
        output.status.success(),
        "{} {arguments:?} failed (Debian needs python3-venv, and PyPI must be reachable)\n{}{}",
        program.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn find(name: &str) -> PathBuf {
    in_path(name).unwrap_or_else(|| panic!("{name} is not installed"))
}

pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}
