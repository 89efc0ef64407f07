//! Somebody who keeps changing schedules, whatever happens meanwhile.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::RngExt;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Duration, sleep, timeout};

use crate::eventually::DEADLINE;
use crate::schedule_api::ScheduleApi;

/// The longest pause between two changes.
const LONGEST_PAUSE_MS: u64 = 20;

/// A write that was answered with success.
#[derive(Debug, Clone)]
pub struct Written {
    /// Whose schedule it changed.
    pub contractor: String,
    /// The version that the answer named.
    pub version: i64,
    /// The name that it gave the contractor; no other write gives the same.
    pub name: String,
}

/// Changes the names and hours of some contractors, one after the other, until it is stopped.
#[derive(Debug)]
pub struct Writer {
    answered: Arc<Mutex<Vec<Written>>>,
    news: Arc<Notify>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Starts.
    #[must_use]
    pub fn start(api: ScheduleApi, contractors: &[String]) -> Self {
        let (answered, news) = (
            Arc::<Mutex<Vec<Written>>>::default(),
            Arc::new(Notify::new()),
        );
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(write(
            api,
            contractors.to_vec(),
            Arc::clone(&answered),
            Arc::clone(&news),
            stopped,
        ));
        Self {
            answered,
            news,
            stop,
            task,
        }
    }

    /// Waits until so many more writes were answered.
    pub async fn more(&self, count: usize) {
        let goal = self.answered.lock().len() + count;
        let waiting = async {
            loop {
                let news = self.news.notified();
                if self.answered.lock().len() >= goal {
                    return;
                }
                news.await;
            }
        };
        let waited = timeout(DEADLINE, waiting).await;
        assert!(waited.is_ok(), "{count} more writes within {DEADLINE:?}");
    }

    /// Stops after the write in hand: everything that was answered.
    pub async fn stop(self) -> Vec<Written> {
        let _ = self.stop.send(true);
        self.task.await.expect("the writer does not fail");
        self.answered.lock().clone()
    }
}

async fn write(
    api: ScheduleApi,
    contractors: Vec<String>,
    answered: Arc<Mutex<Vec<Written>>>,
    news: Arc<Notify>,
    stopped: watch::Receiver<bool>,
) {
    for (number, contractor) in contractors.iter().cycle().enumerate() {
        if *stopped.borrow() {
            return;
        }
        let name = format!("Change {number}");
        let answer = api.try_patch(contractor, &patch(number, &name)).await;
        // What is not answered, or answered with an error of the server's, may have been committed.
        if let Ok(answer) = answer {
            assert!(
                answer.status == 200 || answer.status >= 500,
                "{} {}",
                answer.status,
                answer.body
            );
            if answer.status == 200 {
                answered.lock().push(Written {
                    contractor: contractor.clone(),
                    version: answer.version(),
                    name,
                });
                news.notify_waiters();
            }
        }
        let pause = rand::rng().random_range(0..=LONGEST_PAUSE_MS);
        sleep(Duration::from_millis(pause)).await;
    }
}

/// A change that nobody else makes.
fn patch(number: usize, name: &str) -> Value {
    let end = 12 * 60 + number % 600;
    let hours = json!([{
        "days": ["MO", "TU", "WE", "TH", "FR", "SA", "SU"],
        "start": "08:00",
        "end": format!("{:02}:{:02}", end / 60, end % 60),
    }]);
    json!({"name": name, "workingHours": hours})
}
