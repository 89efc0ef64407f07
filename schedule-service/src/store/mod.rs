//! PostgreSQL: what is read and written, statement by statement, on a connection that is given.
//!
//! Every statement is checked against the schema when it is compiled, by the offline data in
//! `.sqlx/`.

pub mod commit;
pub mod contractors;
mod error;
pub mod history;
pub mod idempotency;
pub mod jobs;
mod pool;
pub mod schedules;

pub use error::StoreError;
pub use pool::{connect, migrate, migrate_for};
