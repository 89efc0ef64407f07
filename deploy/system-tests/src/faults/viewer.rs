//! A dispatcher's screen: follows the event stream, comes back by its id, and keeps what it was told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{Client, Response};
use serde_json::Value;
use stack::ServiceKind;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::site::Site;
use crate::event_stream::{Frame, FrameReader};
use crate::http::streaming_client;

/// Faster than any browser: the stream must be right for those too.
const RECONNECT: Duration = Duration::from_millis(100);

/// What a screen knows.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The last version of each contractor by kind of frame.
    pub last: BTreeMap<(String, String), i64>,
    /// How often everything had to be read again.
    pub resets: u64,
    /// How often it has connected.
    pub connections: u64,
    /// What should never have come.
    pub wrong: Option<String>,
}

/// A client of the event stream.
#[derive(Debug)]
pub struct Viewer {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Viewer {
    /// Starts to follow.
    #[must_use]
    pub fn start(site: &Site, number: usize) -> Self {
        let mut notifiers = site.urls(ServiceKind::Notifier);
        let turn = number % notifiers.len();
        notifiers.rotate_left(turn);
        let schedules = site.urls(ServiceKind::ScheduleService);
        let seen = Arc::<Mutex<Seen>>::default();
        let task = tokio::spawn(follow(notifiers, schedules, Arc::clone(&seen)));
        Self { seen, task }
    }

    /// What it knows now; `wrong` where its task has failed over a frame that no client can read.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let mut seen = self.seen.lock().clone();
        if self.task.is_finished() && seen.wrong.is_none() {
            seen.wrong = Some("a frame that is none; see above".to_owned());
        }
        seen
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(notifiers: Vec<String>, schedules: Vec<String>, seen: Arc<Mutex<Seen>>) {
    let client = streaming_client();
    let mut id = String::new();
    for notifier in notifiers.iter().cycle() {
        let mut request = client.get(format!("{notifier}/v1/events"));
        if !id.is_empty() {
            request = request.header("last-event-id", &id);
        }
        let answer = tokio::time::timeout(Duration::from_secs(20), request.send()).await;
        if let Ok(Ok(response)) = answer {
            match response.status().as_u16() {
                200 => {
                    seen.lock().connections += 1;
                    id = read(&client, &schedules, &seen, response, id).await;
                }
                429 | 503 => {}
                other => {
                    let told = format!("the event stream is answered {other}");
                    seen.lock().wrong.get_or_insert(told);
                }
            }
        }
        sleep(RECONNECT).await;
    }
}

async fn read(
    client: &Client,
    schedules: &[String],
    seen: &Mutex<Seen>,
    mut response: Response,
    id: String,
) -> String {
    let mut reader = FrameReader::resuming_at(&id);
    // A comment comes every 15 s: a connection without one is dead.
    while let Ok(Ok(Some(bytes))) =
        tokio::time::timeout(Duration::from_secs(40), response.chunk()).await
    {
        for frame in reader.take(&bytes) {
            if frame.event == "reset" {
                {
                    let mut seen = seen.lock();
                    seen.resets += 1;
                    seen.last.clear();
                }
                snapshot(client, schedules, seen).await;
            } else {
                take(&mut seen.lock(), &frame);
            }
        }
    }
    reader.id().to_owned()
}

fn take(seen: &mut Seen, frame: &Frame) {
    if frame.contractor().is_empty() {
        return;
    }
    let key = (frame.event.clone(), frame.contractor().to_owned());
    let version = frame.version();
    let before = seen.last.insert(key, version);
    if let Some(before) = before.filter(|before| *before >= version) {
        let told = format!(
            "{} of {} goes from {before} to {version}",
            frame.event,
            frame.contractor()
        );
        seen.wrong.get_or_insert(told);
    }
}

/// Reads every schedule again, as a client does that was told to. Frames that come later may be of
/// versions that it has read already: what it reads is noted apart.
async fn snapshot(client: &Client, schedules: &[String], seen: &Mutex<Seen>) {
    for url in schedules.iter().cycle() {
        let url = format!("{url}/v1/schedules?limit=200");
        if let Ok(answer) = client
            .get(url)
            .timeout(Duration::from_secs(10))
            .send()
            .await
            && answer.status().as_u16() == 200
            && let Ok(text) = answer.text().await
        {
            let mut seen = seen.lock();
            for schedule in text
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            {
                let id = schedule["contractorId"].as_str().unwrap_or_default();
                let key = ("snapshot".to_owned(), id.to_owned());
                let version = schedule["version"].as_i64().unwrap_or_default();
                seen.last.insert(key, version);
            }
            return;
        }
        sleep(RECONNECT).await;
    }
}
