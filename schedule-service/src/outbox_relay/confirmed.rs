//! Lets go of handed-over events that the broker has confirmed, many at a time.
//!
//! Nobody waits for it: the relays leave those rows alone for `OUTBOX_HOLD_SECONDS`. One statement
//! every `OUTBOX_DELETE_EVERY_MS` instead of one a batch keeps the database free for the changes
//! themselves, just when the worker and the notifier need the processors too.

use std::mem::take;

use sqlx::{ConnectOptions, PgConnection};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use super::{OutboxRelay, RelayError};

/// One statement deletes so many rows at most.
pub(super) const MOST: usize = 1_000;

/// Deletes the rows whose ids come, until no more can come. What cannot be deleted stays for the
/// relays, which publish it again.
pub(super) async fn delete_confirmed(relay: &OutboxRelay, mut ids: Receiver<i64>) {
    let pause = relay.shared.settings.delete_every();
    let mut connection = None;
    let mut rows = Vec::new();
    while ids.recv_many(&mut rows, MOST).await > 0 {
        // Ends early when there is enough, or when no more can come.
        let _ = timeout(pause, async {
            while let room @ 1.. = MOST.saturating_sub(rows.len())
                && ids.recv_many(&mut rows, room).await > 0
            {}
        })
        .await;
        match delete(relay, &mut connection, take(&mut rows)).await {
            Ok(()) => relay.shared.database.works(),
            Err(error) => {
                relay.failed(&error);
            }
        }
    }
}

/// The connection is kept unless something went wrong with it.
async fn delete(
    relay: &OutboxRelay,
    connection: &mut Option<PgConnection>,
    rows: Vec<i64>,
) -> Result<(), RelayError> {
    let mut database = match connection.take() {
        Some(open) => open,
        None => relay.bounded(relay.connect_options().connect()).await?,
    };
    let delete = sqlx::query!("DELETE FROM outbox WHERE id = ANY ($1)", &rows);
    relay.bounded(delete.execute(&mut database)).await?;
    *connection = Some(database);
    Ok(())
}
