//! A client of the event stream that comes back by its id for as long as it lives.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::Response;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::event_stream::{Frame, FrameReader};
use crate::eventually::DEADLINE;
use crate::http::streaming_client;

/// The wait before it comes back. A browser waits the two seconds it is told to; the stream must be
/// right for those who are faster.
const RECONNECT: Duration = Duration::from_millis(50);

/// Follows the stream in a task of its own and records every frame.
#[derive(Debug)]
pub struct StreamClient {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    urls: Vec<String>,
    frames: Mutex<Vec<Frame>>,
    /// Notified when frames come, or the task ends.
    news: Notify,
    /// Counts how often the client was told to leave its connection.
    hops: watch::Sender<usize>,
}

impl StreamClient {
    /// Connects to the notifier at `url` and waits for `ready`.
    pub async fn open(url: &str, query: &str) -> Self {
        Self::open_among(&[url], query).await
    }

    /// Connects to the first of these notifiers and waits for `ready`; each further connection is
    /// to the next one.
    pub async fn open_among(urls: &[&str], query: &str) -> Self {
        let urls = urls
            .iter()
            .map(|url| format!("{url}/v1/events?{query}"))
            .collect();
        let shared = Arc::new(Shared {
            urls,
            frames: Mutex::default(),
            news: Notify::new(),
            hops: watch::channel(0).0,
        });
        let task = tokio::spawn(follow(Arc::clone(&shared)));
        let client = Self { shared, task };
        client
            .wait_for("ready", |frames| frames.first().cloned())
            .await;
        client
    }

    /// Every frame so far.
    #[must_use]
    pub fn frames(&self) -> Vec<Frame> {
        self.shared.frames.lock().clone()
    }

    /// The id that it would come back with.
    #[must_use]
    pub fn last_id(&self) -> String {
        let frames = self.shared.frames.lock();
        frames
            .last()
            .map(|frame| frame.id.clone())
            .unwrap_or_default()
    }

    /// How often it was greeted: once for each connection.
    #[must_use]
    pub fn connections(&self) -> usize {
        let frames = self.shared.frames.lock();
        frames.iter().filter(|frame| frame.event == "ready").count()
    }

    /// Leaves the connection, comes back by its id and waits for `ready`.
    pub async fn hop(&self) {
        let before = self.connections();
        self.shared.hops.send_modify(|count| *count += 1);
        self.wait_for("a new connection", |frames| {
            let greetings = frames.iter().filter(|frame| frame.event == "ready");
            (greetings.count() > before).then_some(())
        })
        .await;
    }

    /// Waits until `look` sees something in the frames.
    pub async fn wait_for<T>(&self, what: &str, look: impl Fn(&[Frame]) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let news = self.shared.news.notified();
                if let Some(seen) = look(&self.shared.frames.lock()) {
                    return seen;
                }
                assert!(!self.task.is_finished(), "the client has failed: see above");
                news.await;
            }
        };
        timeout(DEADLINE, waiting)
            .await
            .unwrap_or_else(|_| panic!("not within {DEADLINE:?} on the stream: {what}"))
    }

    /// Waits for this version of a contractor in a frame of this kind.
    pub async fn wait_for_version(&self, event: &str, contractor: &str, version: i64) -> Frame {
        let what = format!("{event} of version {version} of {contractor}");
        self.wait_for(&what, |frames| {
            let mut frames = frames.iter();
            frames
                .find(|frame| frame.is_of(event, contractor) && frame.version() == version)
                .cloned()
        })
        .await
    }
}

impl Drop for StreamClient {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Tells the waiters when the task ends, also by a panic.
struct Farewell(Arc<Shared>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.news.notify_waiters();
    }
}

async fn follow(shared: Arc<Shared>) {
    let _farewell = Farewell(Arc::clone(&shared));
    let client = streaming_client();
    let mut hops = shared.hops.subscribe();
    let mut id = String::new();
    for url in shared.urls.iter().cycle() {
        let mut request = client.get(url);
        if !id.is_empty() {
            request = request.header("last-event-id", &id);
        }
        if let Ok(response) = request.send().await {
            match response.status().as_u16() {
                200 => id = read(&shared, response, id, &mut hops).await,
                // It is starting, or shutting down.
                503 => {}
                other => panic!("GET {url} is answered {other}"),
            }
        }
        sleep(RECONNECT).await;
    }
}

/// Reads until the connection ends or is to be left; says which id the client holds then.
async fn read(
    shared: &Shared,
    mut response: Response,
    id: String,
    hops: &mut watch::Receiver<usize>,
) -> String {
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut reader = FrameReader::resuming_at(&id);
    let mut expects_ready = true;
    loop {
        let bytes = tokio::select! {
            chunk = response.chunk() => match chunk {
                Ok(Some(bytes)) => bytes,
                Ok(None) | Err(_) => return reader.id().to_owned(),
            },
            _ = hops.changed() => return reader.id().to_owned(),
        };
        let frames = reader.take(&bytes);
        for frame in &frames {
            let is_ready = frame.event == "ready";
            assert_eq!(is_ready, expects_ready, "ready comes first, and once");
            expects_ready = false;
        }
        shared.frames.lock().extend(frames);
        shared.news.notify_waiters();
    }
}
