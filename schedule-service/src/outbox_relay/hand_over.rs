//! The short way: what this process has just committed is published from memory, without a NOTIFY
//! and without being read again, which is most of what relaying costs.
//!
//! The row is in the outbox all the same, and is deleted once the broker has confirmed the event
//! (`confirmed.rs`).
//! The relays leave it alone for `OUTBOX_HOLD_SECONDS`; whatever goes wrong on this way (a crash, the
//! broker, a refusal) leaves the row where they find it then. One task publishes what was handed
//! over in the order in which it was, so a contractor's events keep the order of their versions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use shared_events::amqp::Message;
use shared_events::service::failpoint;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{OutboxRelay, RelayError, confirmed};

/// An event that is committed.
#[derive(Debug)]
pub struct Committed {
    /// Its row in the outbox.
    pub id: i64,
    /// The event itself.
    pub message: Message,
}

/// Where committed events are handed over. Clones hand over to the same task.
#[derive(Debug, Clone)]
pub struct HandOver {
    sender: Sender<(Instant, Committed)>,
    is_open: Arc<AtomicBool>,
    hold: Duration,
}

/// A place for one event, taken before it is committed.
#[derive(Debug)]
pub struct Place {
    permit: tokio::sync::mpsc::OwnedPermit<(Instant, Committed)>,
    hold: Duration,
}

impl Place {
    /// For how long the relays shall leave the event alone.
    #[must_use]
    pub fn hold(&self) -> Duration {
        self.hold
    }

    /// Hands the event over: only once it is committed.
    pub fn hand_over(self, committed: Committed) {
        self.permit.send((Instant::now(), committed));
    }
}

impl HandOver {
    /// With room for `places` events at once; closed until a task takes them.
    pub(super) fn new(places: u16, hold: Duration) -> (Self, Receiver<(Instant, Committed)>) {
        let (sender, receiver) = channel(usize::from(places).max(1));
        let hand_over = Self {
            sender,
            is_open: Arc::default(),
            hold,
        };
        (hand_over, receiver)
    }

    /// A place, if events are taken over now and there is room for one more. Without one the event
    /// goes through the outbox alone, and its commit has to notify the relays.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        if !self.is_open.load(Ordering::Acquire) {
            return None;
        }
        let permit = self.sender.clone().try_reserve_owned().ok()?;
        Some(Place {
            permit,
            hold: self.hold,
        })
    }

    /// Whether events are taken over from now on.
    pub(super) fn set_open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Release);
    }
}

/// Publishes what is handed over until `stop`, and then what is still there.
pub(super) async fn publish_handed_over(
    relay: OutboxRelay,
    receiver: Receiver<(Instant, Committed)>,
    stop: CancellationToken,
) {
    // Where the database is slow to delete, publishing waits for it here.
    let (confirmed, ids) = channel(confirmed::MOST);
    tokio::join!(
        publish_until(&relay, receiver, confirmed, stop),
        confirmed::delete_confirmed(&relay, ids)
    );
}

async fn publish_until(
    relay: &OutboxRelay,
    mut receiver: Receiver<(Instant, Committed)>,
    confirmed: Sender<i64>,
    stop: CancellationToken,
) {
    let most = usize::from(relay.shared.settings.outbox_batch);
    let hand_over = &relay.shared.hand_over;
    hand_over.set_open(true);
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            _ = receiver.recv_many(&mut batch, most) => {}
            () = stop.cancelled(), if !receiver.is_closed() => {
                hand_over.set_open(false);
                receiver.close();
                continue;
            }
        }
        if batch.is_empty() {
            return;
        }
        // By now the relays may have found what has waited for too long.
        let hold = relay.shared.settings.hold();
        batch.retain(|(since, _)| since.elapsed() < hold);
        let span = tracing::info_span!("outbox.relay", batch = batch.len());
        let published = publish(relay, &confirmed, batch).instrument(span);
        if let Err(error) = published.await {
            // The outbox has them. While the broker is away nothing more comes this way.
            hand_over.set_open(false);
            let link = relay.failed(&error);
            let _ = stop
                .run_until_cancelled(async {
                    tokio::time::sleep(hold).await;
                    relay.shared.wake.notify_one();
                    link.back_within(hold).await;
                })
                .await;
            hand_over.set_open(!receiver.is_closed());
        }
    }
}

/// Publishes a batch and passes on what the broker has confirmed. What it has refused stays for the
/// relays, who know how to find out what it objects to.
async fn publish(
    relay: &OutboxRelay,
    confirmed: &Sender<i64>,
    batch: Vec<(Instant, Committed)>,
) -> Result<(), RelayError> {
    if batch.is_empty() {
        return Ok(());
    }
    let (handed, messages): (Vec<(Instant, i64)>, Vec<Message>) = batch
        .into_iter()
        .map(|(since, Committed { id, message })| ((since, id), message))
        .unzip();
    failpoint::reached("relay.publishing");
    let answers = relay.shared.publisher.publish(&messages).await?;
    relay.shared.broker.works();
    failpoint::reached("relay.published");

    let mut count: u32 = 0;
    for ((since, id), answer) in handed.into_iter().zip(answers) {
        if answer.is_ok() {
            metrics::histogram!("outbox_publish_delay_seconds")
                .record(since.elapsed().as_secs_f64());
            count = count.saturating_add(1);
            // The receiver lives as long as this task; without it the relays delete the row.
            let _ = confirmed.send(id).await;
        }
    }
    metrics::counter!("outbox_published_total").increment(count.into());
    metrics::histogram!("outbox_batch_size").record(f64::from(count));
    Ok(())
}
