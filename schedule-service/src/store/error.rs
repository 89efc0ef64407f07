//! What can go wrong in the database, in the terms of its callers.

/// Why a statement did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The schedule has changed since it was read: read it again.
    #[error("the schedule has changed in the meantime")]
    Stale,
    /// A job would overlap another one of its contractor.
    #[error("the job would overlap another one")]
    Overlap,
    /// Another request has stored its answer under the same idempotency key in the meantime.
    #[error("the idempotency key has been used in the meantime")]
    KeyTaken,
    /// The database is away, overloaded or busy with this row: it may work later.
    #[error("the database cannot do it now")]
    Unavailable(#[source] sqlx::Error),
    /// It will not work later either: a defect.
    #[error("the database refuses the statement")]
    Defect(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(refusal) => {
                // https://www.postgresql.org/docs/current/errcodes-appendix.html
                match refusal.code().as_deref().unwrap_or_default() {
                    "23P01" => Self::Overlap,
                    "23505" if refusal.constraint() == Some("idempotency_keys_pkey") => {
                        Self::KeyTaken
                    }
                    // Serialization failure, deadlock.
                    "40001" | "40P01" => Self::Stale,
                    // Lock time-out, statement time-out, and the classes of connection trouble, of
                    // resources that ran out and of an operator's hand.
                    "55P03" => Self::Unavailable(error),
                    code if ["08", "53", "57"]
                        .iter()
                        .any(|class| code.starts_with(class)) =>
                    {
                        Self::Unavailable(error)
                    }
                    // The server is read-only: a fail-over is under way.
                    "25006" => Self::Unavailable(error),
                    _ => Self::Defect(error),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            _ => Self::Defect(error),
        }
    }
}
