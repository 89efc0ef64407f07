//! Wakes the relays: at each NOTIFY, and now and then unasked.

use std::convert::Infallible;

use shared_events::amqp::Backoff;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::backlog::Backlog;
use super::{OutboxRelay, RelayError};

/// The channel that the transaction which writes an event notifies.
const CHANNEL: &str = "outbox";

/// Listens until `stop`. A connection that is lost is made anew, and then the relays are woken,
/// since hints may have been missed.
pub(super) async fn keep_watch(relay: OutboxRelay, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    let watch = async {
        loop {
            let Err(error) = watch_once(&relay, &mut backoff).await;
            let database = relay.failed(&error);
            database.back_within(backoff.next_wait()).await;
        }
    };
    let _: Option<()> = stop.run_until_cancelled(watch).await;
}

/// Watches over one connection, until that is lost.
async fn watch_once(relay: &OutboxRelay, backoff: &mut Backoff) -> Result<Infallible, RelayError> {
    let limit = relay.shared.settings.statement_timeout();
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(limit)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(relay.connect_options());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    timeout(limit, listener.listen(CHANNEL))
        .await
        .map_err(|_| RelayError::Silent(limit))??;
    relay.shared.database.works();
    backoff.reset();

    let mut polls = interval(relay.shared.settings.poll());
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            hint = listener.try_recv() => match hint? {
                Some(_) => relay.shared.wake.notify_one(),
                None => return Err(RelayError::Lost),
            },
            _ = polls.tick() => {
                let backlog = timeout(limit, Backlog::measure(&mut listener))
                    .await
                    .map_err(|_| RelayError::Silent(limit))??;
                backlog.record();
                relay.note_refused(backlog.told());
                if backlog.depth > 0 {
                    relay.shared.wake.notify_one();
                }
            }
        }
    }
}
