//! Waiting for what has to come.

use std::time::{Duration, Instant};

/// How long anything may take here.
const DEADLINE: Duration = Duration::from_secs(90);

/// Waits until `look` sees something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(
            begin.elapsed() < DEADLINE,
            "not within {DEADLINE:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
