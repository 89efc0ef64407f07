//! Whether a server is there, told once per change.

use std::fmt::Display;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// What the relay's tasks know together of one server: one of them that gets through again ends
/// the others' waits, and the log says only what has changed.
#[derive(Debug)]
pub(super) struct Link {
    server: &'static str,
    /// Since when the server is away; `None` while it works.
    away_since: watch::Sender<Option<Instant>>,
}

impl Link {
    /// A server that is taken to work until the first failure.
    pub(super) fn new(server: &'static str) -> Self {
        Self {
            server,
            away_since: watch::Sender::new(None),
        }
    }

    /// Notes that the server did not do what it was asked.
    pub(super) fn failed(&self, reason: &dyn Display) {
        let lost = self.away_since.send_if_modified(|away_since| {
            let was_there = away_since.is_none();
            away_since.get_or_insert_with(Instant::now);
            was_there
        });
        if lost {
            tracing::warn!(
                server = self.server,
                reason = %reason,
                "the outbox waits: events are kept and will be published"
            );
        }
    }

    /// Notes that the server has done what it was asked.
    pub(super) fn works(&self) {
        let mut away_for = None;
        self.away_since.send_if_modified(|away_since| {
            away_for = away_since.take().map(|since| since.elapsed());
            away_for.is_some()
        });
        if let Some(away_for) = away_for {
            tracing::info!(
                server = self.server,
                away_seconds = away_for.as_secs_f64(),
                "the outbox goes on"
            );
        }
    }

    /// Waits until the server is known to work again, for `longest` at most.
    pub(super) async fn back_within(&self, longest: Duration) {
        let mut away_since = self.away_since.subscribe();
        // The outcome is the same: the next attempt shows whether it works.
        let _ = timeout(longest, away_since.wait_for(Option::is_none)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_back_ends_the_wait() {
        let link = Link::new("broker");
        link.failed(&"gone");
        let start = Instant::now();
        tokio::join!(link.back_within(Duration::from_mins(1)), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            link.works();
        });
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_a_server_that_stays_away_is_bounded() {
        let link = Link::new("broker");
        link.failed(&"gone");
        let start = Instant::now();
        link.back_within(Duration::from_secs(5)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(5));
    }
}
