//! Storing what was read, a batch a transaction.

use shared_events::service::Clock;
use sqlx::pool::PoolConnection;
use sqlx::{Connection, Postgres};
use uuid::Uuid;

use super::record::Record;
use super::report::{Outcome, Report};
use crate::domain::{Author, Change};
use crate::store::{StoreError, commit};

/// Who is said to have created what an import loads.
/// No request has, either.
fn author() -> Author {
    Author {
        actor: "import".to_owned(),
        request_id: None,
    }
}

/// Loads batches over one connection.
pub(super) struct Loader {
    connection: PoolConnection<Postgres>,
    clock: Clock,
    dry_run: bool,
}

impl Loader {
    /// A loader; with `dry_run` every transaction is undone.
    pub(super) fn new(connection: PoolConnection<Postgres>, clock: Clock, dry_run: bool) -> Self {
        Self {
            connection,
            clock,
            dry_run,
        }
    }

    /// Loads one batch, all of its good lines or, where it fails, none of them.
    pub(super) async fn load(
        &mut self,
        batch: Vec<Record>,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut transaction = self.connection.begin().await?;
        for record in batch {
            let outcome = match record.contractor {
                Err(reason) => Outcome::Bad(reason),
                Ok(contractor) => {
                    let id = contractor.contractor_id.unwrap_or_else(Uuid::now_v7);
                    let schedule = contractor.into_schedule(id, Uuid::now_v7);
                    let change = Change::between(None, schedule, self.clock.now(), &author());
                    match change {
                        Some(change)
                            if commit::create(&mut transaction, &change, None, None)
                                .await?
                                .is_some() =>
                        {
                            Outcome::Loaded
                        }
                        // A contractor of that id, from another time or from an earlier line.
                        Some(_) | None => Outcome::AlreadyThere,
                    }
                }
            };
            outcomes.push((record.line, outcome));
        }
        if self.dry_run {
            transaction.rollback().await?;
        } else {
            transaction.commit().await?;
        }
        for (line, outcome) in outcomes {
            report.count(line, outcome);
        }
        Ok(())
    }
}
