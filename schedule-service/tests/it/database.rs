//! A database as the service finds it: migrated by its owner, and used by a role that may do little.

use clap::Parser;
use schedule_service::config::DatabaseSettings;
use schedule_service::store;
use shared_events::trust::TrustSettings;
use stack::rights::{OWNER, as_user};

/// The role of the service.
pub(crate) const ROLE: &str = "schedule_service";

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    database: DatabaseSettings,
}

pub(crate) fn settings(url: &str) -> DatabaseSettings {
    Settings::parse_from(["x", "--database-url", url]).database
}

/// Migrates it as its owner; the address for the service.
pub(crate) async fn migrated(url: &str) -> String {
    let owner = as_user(url, OWNER).expect("an URL");
    let done = store::migrate_for(&settings(&owner), &TrustSettings::default(), ROLE).await;
    done.expect("a database that is up to date");
    as_user(url, ROLE).expect("an URL")
}
