//! Whether the broker lets this process in at all: what no waiting helps against.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// What all connections of a process know together of being let in. Clones share it.
///
/// A broker that is away comes back, and is waited for without end. One that refuses the user, a right,
/// the virtual host or the topology goes on refusing until a person changes something, and one whose
/// certificate is refused goes on showing it, so a process that is refused for long ends with that word
/// instead of looking like one that is about to work.
#[derive(Debug, Clone, Default)]
pub struct Access(Arc<watch::Sender<Refusals>>);

/// What is refused now: a connection that is let in and then may not consume is no success.
type Refusals = BTreeMap<&'static str, Refusal>;

#[derive(Debug)]
struct Refusal {
    since: Instant,
    reason: String,
}

impl Access {
    /// The broker has let this process do `what`, or could not be asked.
    pub(super) fn not_refused(&self, what: &'static str) {
        self.0
            .send_if_modified(|refusals| refusals.remove(what).is_some());
    }

    /// The broker has refused it.
    pub(super) fn refused(&self, what: &'static str, reason: &dyn Display) {
        self.0.send_modify(|refusals| {
            let since = refusals.get(what).map_or_else(Instant::now, |r| r.since);
            let reason = reason.to_string();
            refusals.insert(what, Refusal { since, reason });
        });
    }

    /// Waits until nothing but refusals has come for `limit`, and says the last one.
    pub async fn refused_for(&self, limit: Duration) -> String {
        let mut news = self.0.subscribe();
        loop {
            let last = news
                .borrow_and_update()
                .values()
                .min_by_key(|refusal| refusal.since)
                .map(|refusal| (refusal.since + limit, refusal.reason.clone()));
            let changed = match last {
                None => news.changed().await,
                Some((end, reason)) => match tokio::time::timeout_at(end, news.changed()).await {
                    Ok(changed) => changed,
                    Err(_) => {
                        return format!(
                            "there was no way into RabbitMQ for {limit:?}, and waiting does not \
                             help: {reason}"
                        );
                    }
                },
            };
            if changed.is_err() {
                // The sender is ours, so it cannot be gone.
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn refusals_that_last_are_told_and_others_are_not() {
        let access = Access::default();
        let waits = access.clone();
        let told = tokio::spawn(async move { waits.refused_for(LIMIT).await });
        let start = Instant::now();
        for _ in 0..5 {
            access.refused("connecting", &"once");
            tokio::time::sleep(LIMIT / 2).await;
            access.not_refused("connecting");
        }
        assert!(!told.is_finished());
        access.refused("consuming", &"first");
        tokio::time::sleep(LIMIT / 2).await;
        access.not_refused("connecting");
        access.refused("consuming", &"ACCESS_REFUSED");
        let told = told.await.unwrap();
        assert!(told.ends_with("ACCESS_REFUSED"), "{told}");
        assert_eq!(start.elapsed(), LIMIT / 2 * 5 + LIMIT);
    }
}
