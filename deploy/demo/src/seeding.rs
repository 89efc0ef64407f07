//! Puts the roster there.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;

use crate::client::{CallError, Client};
use crate::contractor::NewContractor;
use crate::roster;

/// Which roster to put there.
#[derive(Debug, Clone, Copy)]
pub struct SeedSettings {
    /// From what the people follow.
    pub seed: u64,
    /// How many of them.
    pub contractors: usize,
    /// How many are created at once.
    pub concurrency: usize,
}

/// What seeding found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeded {
    /// Contractors that were there already.
    pub present: usize,
    /// Contractors that were created.
    pub created: usize,
}

/// Creates whoever of the roster is not there yet, known by the name, and moves `progress` on.
/// Keys that follow from the seed see to it that seeding twice at once creates nobody twice.
///
/// # Errors
/// When the service refuses a contractor or does not answer. Who has been created stays; seeding
/// again goes on from there.
pub async fn seed(
    client: &Client,
    settings: SeedSettings,
    now: DateTime<Utc>,
    progress: &ProgressBar,
) -> Result<Seeded, CallError> {
    let present: HashSet<String> = client
        .schedules()
        .await?
        .into_iter()
        .map(|schedule| schedule.name)
        .collect();
    let roster = roster::generate(settings.seed, settings.contractors, now);
    let count = roster.len();
    let missing: Vec<_> = roster
        .into_iter()
        .enumerate()
        .filter(|(_, person)| !present.contains(&person.name))
        .collect();
    progress.set_length(missing.len() as u64);
    let created = missing.len();
    stream::iter(missing)
        .map(Ok)
        .try_for_each_concurrent(settings.concurrency, |(index, person)| async move {
            create(client, settings.seed, index, &person).await?;
            progress.inc(1);
            Ok::<_, CallError>(())
        })
        .await?;
    progress.finish_and_clear();
    Ok(Seeded {
        present: count - created,
        created,
    })
}

async fn create(
    client: &Client,
    seed: u64,
    index: usize,
    person: &NewContractor,
) -> Result<(), CallError> {
    match client.create(&format!("demo-{seed}-{index}"), person).await {
        // Another seeding of yesterday's or tomorrow's roster has just created this one.
        Err(error) if error.is_kind("idempotency-key-reused") => Ok(()),
        other => other,
    }
}
