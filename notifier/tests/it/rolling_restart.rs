//! Two notifiers behind a balancer are replaced, one after the other, under a thousand clients.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use parking_lot::Mutex;
use stack::TestBed;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::balancer::Balancer;
use crate::client::Change;
use crate::event_stream_reader::EventStreamReader;
use crate::publishing::{Publishing, schedule};
use crate::running::{DEADLINE, Running, wait_until};

const CLIENTS: usize = 1000;
const DRAIN: Duration = Duration::from_secs(4);

/// How many clients have seen what, and when their streams ended.
struct Seen {
    /// The last version, once that is known.
    last: AtomicI64,
    ready: AtomicUsize,
    complete: AtomicUsize,
    ends: Mutex<Vec<Instant>>,
}

/// Publishes a version every now and then while there are restarts, and one more.
async fn publish(publishing: Publishing, restarts: Arc<AtomicBool>, seen: Arc<Seen>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for version in 1.. {
        ticks.tick().await;
        let is_last = !restarts.load(Ordering::Relaxed);
        if is_last {
            seen.last.store(version, Ordering::Relaxed);
        }
        publishing.publish(&[schedule(1, version, "leeds")]).await;
        if is_last {
            return;
        }
    }
}

/// Follows until it has the last version, resuming whenever its stream ends.
async fn follow(http: reqwest::Client, url: String, seen: Arc<Seen>) {
    let mut id = String::new();
    let mut next = 1;
    loop {
        let mut request = http.get(&url);
        if !id.is_empty() {
            request = request.header("Last-Event-ID", &id);
        }
        let Ok(mut response) = request.send().await else {
            // What a client does between two tries.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if response.status() == 503 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        }
        assert_eq!(response.status(), 200);
        let mut reader = EventStreamReader::default();
        while let Ok(Some(bytes)) = response.chunk().await {
            for event in reader.push(&bytes) {
                if event.event == "ready" {
                    if id.is_empty() {
                        seen.ready.fetch_add(1, Ordering::Relaxed);
                    }
                    continue;
                }
                let change = Change::of(&event).unwrap_or_else(|| panic!("no reset: {event:?}"));
                assert_eq!(change.version, next, "each once, and in order");
                next += 1;
            }
            id = reader.last_event_id().to_owned();
            if next > seen.last.load(Ordering::Relaxed) {
                seen.complete.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        seen.ends.lock().push(Instant::now());
    }
}

/// Sockets of the clients, of the balancer and of the notifiers are all this process's.
fn allow_many_files() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("up to the hard limit");
    let needed = u64::try_from(CLIENTS).expect("small") * 5;
    assert!(most > needed, "this test needs {needed} open files");
}

/// The ends of the streams do not come all at once.
fn assert_spread(ends: &[Instant], begin: Instant) {
    assert!(ends.len() >= CLIENTS / 3, "half of them, more or less");
    // Streams end over 0.7 of the drain time. A quarter of a second is a twelfth of that.
    let mut slices: BTreeMap<u128, usize> = BTreeMap::new();
    for end in ends {
        *slices.entry((*end - begin).as_millis() / 250).or_default() += 1;
    }
    let largest = slices.values().max().expect("some");
    assert!(largest * 3 < ends.len(), "{slices:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_behind_a_balancer_loses_nothing_for_a_thousand_clients() {
    allow_many_files();
    let bed = TestBed::new().await;
    let publishing = Publishing::new(bed.amqp_url());
    let seconds = DRAIN.as_secs().to_string();
    let settings = ["--drain-seconds", &seconds];
    let balancer = Balancer::start().await;
    let mut notifiers = Vec::new();
    for _ in 0..2 {
        let notifier = Running::start(bed.amqp_url(), &settings).await;
        balancer.put(None, notifier.addr);
        notifiers.push(notifier);
    }
    let seen = Arc::new(Seen {
        last: AtomicI64::new(i64::MAX),
        ready: AtomicUsize::new(0),
        complete: AtomicUsize::new(0),
        ends: Mutex::default(),
    });
    let http = reqwest::Client::new();
    let url = format!("{}/v1/events", balancer.url());
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(follow(http.clone(), url.clone(), Arc::clone(&seen)));
    }
    wait_until("all clients to be there", async || {
        seen.ready.load(Ordering::Relaxed) == CLIENTS
    })
    .await;
    let restarts = Arc::new(AtomicBool::new(true));
    let publisher = tokio::spawn(publish(
        publishing,
        Arc::clone(&restarts),
        Arc::clone(&seen),
    ));
    let mut replaced = Vec::new();
    for notifier in notifiers {
        let begin = Instant::now();
        seen.ends.lock().clear();
        let gone = notifier.addr;
        notifier.begin_shutdown();
        notifier.ended().await;
        assert_spread(&seen.ends.lock(), begin);
        let new = Running::start(bed.amqp_url(), &settings).await;
        balancer.put(Some(gone), new.addr);
        replaced.push(new);
    }
    restarts.store(false, Ordering::Relaxed);
    publisher.await.expect("no panic");
    let all = async {
        while let Some(ended) = clients.join_next().await {
            ended.expect("no panic");
        }
    };
    tokio::time::timeout(DEADLINE, all)
        .await
        .expect("all clients are complete in time");
    assert_eq!(seen.complete.load(Ordering::Relaxed), CLIENTS);
}
