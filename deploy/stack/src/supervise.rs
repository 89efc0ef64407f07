//! Starts again what dies.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::server::Server;

/// The first wait before a start.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest wait; each is twice the one before.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// After this long without a death the waits start over.
const STEADY: Duration = Duration::from_mins(1);

/// What happens to a supervised server.
#[derive(Debug)]
pub enum Event {
    /// Its process has ended by itself.
    Ended {
        /// The process that was.
        pid: u32,
        /// How it ended.
        status: ExitStatus,
        /// The wait before the next start.
        wait: Duration,
    },
    /// It could not be started.
    Failed {
        /// Why.
        error: anyhow::Error,
        /// The wait before the next start.
        wait: Duration,
    },
    /// It has a process again, which may not be healthy yet.
    Started {
        /// The new process.
        pid: u32,
    },
    /// It answers again.
    Healthy {
        /// How long the start took.
        after: Duration,
    },
    /// It runs, but does not answer in time; it is left alone.
    Unhealthy {
        /// Why.
        error: anyhow::Error,
    },
}

/// Keeps `server` running until `stop` is cancelled, which leaves its process as it is. All that
/// happens is told to `tell`.
pub async fn supervise(server: Arc<Server>, stop: CancellationToken, tell: impl Fn(Event)) {
    let mut waits = Waits::new();
    let forever = async {
        loop {
            let since = Instant::now();
            let process = server.process();
            let status = process.exited().await;
            if since.elapsed() >= STEADY {
                waits = Waits::new();
            }
            let wait = waits.next();
            tell(Event::Ended {
                pid: process.pid(),
                status,
                wait,
            });
            sleep(wait).await;
            let begin = Instant::now();
            while let Err(error) = server.launch_again().await {
                let wait = waits.next();
                tell(Event::Failed { error, wait });
                sleep(wait).await;
            }
            tell(Event::Started { pid: server.pid() });
            match server.healthy().await {
                Ok(()) => tell(Event::Healthy {
                    after: begin.elapsed(),
                }),
                // Ended again: the next turn says so.
                Err(_) if !server.is_running() => {}
                Err(error) => tell(Event::Unhealthy { error }),
            }
        }
    };
    tokio::select! {
        () = forever => {}
        () = stop.cancelled() => {}
    }
}

/// Exponential waits.
#[derive(Debug)]
struct Waits {
    next: Duration,
}

impl Waits {
    fn new() -> Self {
        Self { next: FIRST_WAIT }
    }

    fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST_WAIT);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_double_up_to_five_seconds() {
        let mut waits = Waits::new();
        let first: Vec<u128> = (0..7).map(|_| waits.next().as_millis()).collect();
        assert_eq!(first, [200, 400, 800, 1600, 3200, 5000, 5000]);
    }
}
