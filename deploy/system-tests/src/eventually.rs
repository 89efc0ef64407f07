//! Waiting for what has to come.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long anything may take before the test fails. Far more than anything takes: a busy machine
/// must not fail a test.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// The wait between two looks.
const EVERY: Duration = Duration::from_millis(20);

/// Looks again and again until `look` sees something.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        sleep(EVERY).await;
    }
}
