//! Ending in order: first softly, then by a deadline.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Two signals and the tasks that obey them.
///
/// Soft: take nothing new, finish what is in hand. Hard: end now.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    failure: Arc<OnceLock<String>>,
}

impl Shutdown {
    /// Nothing is ending yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when nothing new is to be taken.
    #[must_use]
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when everything is to end at once.
    #[must_use]
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Starts to end.
    pub fn begin(&self) {
        self.soft.cancel();
    }

    /// Starts to end because of something that only a person can mend: the process ends as failed,
    /// with this word.
    pub fn fail(&self, reason: String) {
        // The first reason is the one that counts.
        let _ = self.failure.set(reason);
        self.begin();
    }

    /// Watches until the soft signal for `trouble`, and [fails](Self::fail) with its word if it comes.
    pub fn fail_on(&self, trouble: impl Future<Output = String> + Send + 'static) {
        let shutdown = self.clone();
        self.spawn(async move {
            if let Some(reason) = shutdown.soft.run_until_cancelled(trouble).await {
                shutdown.fail(reason);
            }
        });
    }

    /// Why the process ends as failed, where it does.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Ends now.
    pub fn end_now(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Runs a task that [`drained`](Self::drained) waits for. It is dropped at the hard signal.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let hard = self.hard.clone();
        self.tasks.spawn(async move {
            let _ = hard.run_until_cancelled(task).await;
        })
    }

    /// Runs a task as [`spawn`](Self::spawn) does, on a thread of its own: for one that works long from
    /// one wait to the next. On a thread of the runtime the others would have to wait for it, and
    /// letting them have their turn would take it from processor to processor.
    pub fn spawn_on_thread<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let hard = self.hard.clone();
        let runtime = Handle::current();
        self.tasks.spawn_blocking(move || {
            runtime.block_on(hard.run_until_cancelled(task));
        });
    }

    /// Waits until all tasks have ended.
    pub async fn drained(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
