//! How far the feed has come, for whoever waits for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// What the feed has reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// True while the feed is connected and has read all that was in the stream when it connected.
    pub is_current: bool,
    /// True from the first time on: positions are known.
    pub is_positioned: bool,
    /// The highest offset read.
    pub offset: u64,
    /// Every check up to this one has been answered: what was in the stream when it was asked for
    /// has been read.
    pub checked: u64,
}

/// Tells how far the feed has come, and asks it to make sure.
#[derive(Debug, Default)]
pub struct Progress {
    status: watch::Sender<Status>,
    requested: AtomicU64,
    wanted: Notify,
}

impl Progress {
    /// The status now.
    #[must_use]
    pub fn status(&self) -> Status {
        *self.status.borrow()
    }

    /// Changes the status and wakes those who wait.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_if_modified(|status| {
            let before = *status;
            change(status);
            before != *status
        });
    }

    /// Waits until the status is so; false where it is not within `limit`.
    pub async fn wait(&self, limit: Duration, is_so: impl FnMut(&Status) -> bool) -> bool {
        let mut receiver = self.status.subscribe();
        matches!(
            tokio::time::timeout(limit, receiver.wait_for(is_so)).await,
            Ok(Ok(_))
        )
    }

    /// Waits until all that is in the stream at the moment of the call has been read; false where
    /// that is not known within `limit`.
    pub async fn wait_until_current(&self, limit: Duration) -> bool {
        let ticket = self.requested.fetch_add(1, Ordering::AcqRel) + 1;
        self.wanted.notify_one();
        self.wait(limit, |status| status.checked >= ticket).await
    }

    /// The feed's side: completes when somebody wants to be sure.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// The feed's side: the newest check that was asked for.
    #[must_use]
    pub fn requested(&self) -> u64 {
        self.requested.load(Ordering::Acquire)
    }
}
