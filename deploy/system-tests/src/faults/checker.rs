//! Looks at everything after the faults, with nothing but SQL, AMQP and HTTP: no code of the services.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Days, NaiveTime, SecondsFormat, TimeDelta, Utc};
use serde_json::Value;
use shared_events::service::Clock;
use sqlx::{Connection, PgConnection, Row};
use stack::ServiceKind;
use tokio::time::{Instant, sleep};

use super::load::{Load, TERRITORIES};
use super::site::Site;
use super::viewer::Viewer;
use super::witness::Witness;
use crate::AvailabilityApi;
use crate::subscriber::DEAD_LETTER_QUEUE;

/// [`super::load::ZONE`] is so far ahead of UTC.
const OFFSET: TimeDelta = TimeDelta::minutes(330);
/// Resident memory that no service may come to, in MiB: ten times what it takes at rest.
const MEMORY: u32 = 400;

/// Checks a site against what its load was answered.
#[derive(Debug)]
pub struct Checker<'a> {
    site: &'a Site,
    load: &'a Load,
    witness: &'a Witness,
    viewers: &'a [Viewer],
    patience: Duration,
    clock: Clock,
}

/// A schedule as the database has it.
struct Recorded {
    version: i64,
    territory: String,
    hours: Value,
    history: BTreeMap<i64, String>,
}

impl<'a> Checker<'a> {
    /// A checker of a load that is paused when it is asked.
    #[must_use]
    pub fn new(
        site: &'a Site,
        load: &'a Load,
        witness: &'a Witness,
        viewers: &'a [Viewer],
        patience: Duration,
    ) -> Self {
        Self {
            site,
            load,
            witness,
            viewers,
            patience,
            clock: Clock::system(),
        }
    }

    /// Waits until everything holds, as long as things may still be on their way.
    ///
    /// # Errors
    /// The first thing that does not hold in the end.
    pub async fn check(&self) -> Result<(), String> {
        let end = Instant::now() + self.patience;
        loop {
            match self.look().await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        }
    }

    async fn look(&self) -> Result<(), String> {
        if let Some(refused) = self.load.refused() {
            return Err(refused);
        }
        match self.site.backlog().await {
            Some(0) => {}
            other => return Err(format!("events waiting: {other:?}")),
        }
        let rows = self.rows().await.map_err(|error| error.to_string())?;
        self.history(&rows)?;
        self.witnessed(&rows)?;
        self.viewed(&rows)?;
        for url in self.site.urls(ServiceKind::AvailabilityWorker) {
            self.cached(&url, &rows).await?;
        }
        self.dead_letters().await?;
        self.processes()
    }

    async fn rows(&self) -> sqlx::Result<BTreeMap<String, Recorded>> {
        let mut database = PgConnection::connect(&self.site.direct().database_url).await?;
        let schedules = sqlx::query(
            "SELECT id::text, version, territory, working_hours::text FROM contractors",
        )
        .fetch_all(&mut database)
        .await?;
        let mut rows = BTreeMap::new();
        for row in schedules {
            let hours: String = row.get(3);
            let found = Recorded {
                version: row.get(1),
                territory: row.get(2),
                hours: serde_json::from_str(&hours).unwrap_or_default(),
                history: BTreeMap::new(),
            };
            rows.insert(row.get::<String, _>(0), found);
        }
        let changes = sqlx::query(
            "SELECT contractor_id::text, version, data -> 'currentValues' ->> 'name' \
             FROM schedule_changes ORDER BY 1, 2",
        )
        .fetch_all(&mut database)
        .await?;
        for change in changes {
            let contractor: String = change.get(0);
            let name: Option<String> = change.get(2);
            if let Some(row) = rows.get_mut(&contractor) {
                row.history.insert(change.get(1), name.unwrap_or_default());
            }
        }
        database.close().await?;
        Ok(rows)
    }

    /// (1) Every answered write is in the history once, at its version; versions have no gaps.
    fn history(&self, rows: &BTreeMap<String, Recorded>) -> Result<(), String> {
        for (contractor, row) in rows {
            let versions: Vec<i64> = row.history.keys().copied().collect();
            let expected: Vec<i64> = (1..=row.version).collect();
            if versions != expected {
                return Err(format!(
                    "the history of {contractor} at version {} has {} versions",
                    row.version,
                    versions.len()
                ));
            }
        }
        for ((contractor, name), version) in self.load.answered() {
            let row = rows.get(&contractor);
            let found: Vec<i64> = row
                .into_iter()
                .flat_map(|row| &row.history)
                .filter(|(_, recorded)| **recorded == name)
                .map(|(version, _)| *version)
                .collect();
            if found != [version] {
                return Err(format!(
                    "{name:?} of {contractor} was answered as version {version} and is in the \
                     history at {found:?}"
                ));
            }
        }
        Ok(())
    }

    /// (4) Another subscriber has had every version.
    fn witnessed(&self, rows: &BTreeMap<String, Recorded>) -> Result<(), String> {
        if self.witness.is_excused() {
            return Ok(());
        }
        let seen = self.witness.seen();
        for (contractor, row) in rows {
            let expected: BTreeSet<i64> = (1..=row.version).collect();
            let had = seen.get(contractor).cloned().unwrap_or_default();
            if let Some(missing) = expected.difference(&had).next() {
                return Err(format!(
                    "no subscriber was told of version {missing} of {contractor}"
                ));
            }
        }
        Ok(())
    }

    /// (3) Every screen has seen rising versions, and the last one or a reset.
    fn viewed(&self, rows: &BTreeMap<String, Recorded>) -> Result<(), String> {
        for (number, viewer) in self.viewers.iter().enumerate() {
            let seen = viewer.seen();
            if let Some(wrong) = seen.wrong {
                return Err(format!("screen {number}: {wrong}"));
            }
            let last = |kind: &str, contractor: &str| {
                let key = (kind.to_owned(), contractor.to_owned());
                seen.last.get(&key).copied().unwrap_or_default()
            };
            for (contractor, row) in rows {
                // Of a contractor that was made before the screen was there it has seen nothing.
                if row.version == 1 {
                    continue;
                }
                let schedule = last("schedule.updated", contractor);
                let known = schedule.max(last("snapshot", contractor));
                if known != row.version {
                    return Err(format!(
                        "screen {number} knows version {known} of {contractor}, not {}",
                        row.version
                    ));
                }
                // After a reset the availability is read over HTTP until the next frame.
                let available = last("availability.updated", contractor);
                if available != row.version && (seen.resets == 0 || available > 0) {
                    return Err(format!(
                        "screen {number} was told of the availability at version {available} of \
                         {contractor}, not {}",
                        row.version
                    ));
                }
            }
        }
        Ok(())
    }

    /// (2) Every answer is of the last version, with the windows that its hours give; a search finds
    /// everybody in one territory, the right one.
    async fn cached(&self, url: &str, rows: &BTreeMap<String, Recorded>) -> Result<(), String> {
        let api = AvailabilityApi::new(url);
        let from = (self.clock.now() + TimeDelta::days(2))
            .date_naive()
            .and_time(NaiveTime::MIN)
            .and_utc();
        let to = from + TimeDelta::days(3);
        let (first, last) = (rfc3339(from), rfc3339(to));
        let range = [("from", first.as_str()), ("to", last.as_str())];
        for (contractor, row) in rows {
            let answer = api
                .ask(contractor, &range)
                .await
                .map_err(|error| error.to_string())?;
            let body = &answer.body;
            if answer.status != 200 || body["source"] != "cache" {
                return Err(format!(
                    "{url} answers {} for {contractor}: {body}",
                    answer.status
                ));
            }
            if body["version"] != row.version {
                return Err(format!(
                    "{url} holds version {} of {contractor}, not {}",
                    body["version"], row.version
                ));
            }
            let expected = windows(&row.hours, from, to);
            let told: Vec<(String, String)> = body["windows"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|w| {
                    let text = |key: &str| w[key].as_str().unwrap_or_default().to_owned();
                    (text("start"), text("end"))
                })
                .collect();
            if told != expected {
                return Err(format!(
                    "{contractor} at version {} is free {told:?}, not {expected:?}",
                    row.version
                ));
            }
        }
        for territory in TERRITORIES {
            let query = [
                range[0],
                range[1],
                ("territory", territory),
                ("durationMinutes", "30"),
                ("limit", "200"),
            ];
            let found = api
                .try_search(&query)
                .await
                .map_err(|error| error.to_string())?;
            if found.status != 200 {
                return Err(format!(
                    "{url} answers a search {}: {}",
                    found.status, found.body
                ));
            }
            let found: BTreeSet<String> = found.body["items"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|item| Some(item["contractorId"].as_str()?.to_owned()))
                .collect();
            let expected: BTreeSet<String> = rows
                .iter()
                .filter(|(_, row)| row.territory == territory)
                .map(|(contractor, _)| contractor.clone())
                .collect();
            if found != expected {
                return Err(format!(
                    "{url} finds {} in {territory}, where {} are; ghosts: {:?}, missing: {:?}",
                    found.len(),
                    expected.len(),
                    found.difference(&expected).collect::<Vec<_>>(),
                    expected.difference(&found).collect::<Vec<_>>()
                ));
            }
        }
        Ok(())
    }

    /// (5) The dead-letter queue holds what was poisoned and nothing else.
    async fn dead_letters(&self) -> Result<(), String> {
        let letters = super::witness::dead_letters(&self.site.direct().amqp_url, DEAD_LETTER_QUEUE)
            .await
            .ok_or("the dead letters cannot be read")?;
        let strangers: Vec<_> = letters
            .iter()
            .filter(|(id, _)| id != super::fault::POISON)
            .collect();
        if let Some((id, reason)) = strangers.first() {
            return Err(format!("{id} was dead-lettered: {reason}"));
        }
        Ok(())
    }

    /// (6) Nothing has panicked, and no process has grown without bound.
    fn processes(&self) -> Result<(), String> {
        for kind in ServiceKind::ALL {
            for service in self.site.system.services(kind) {
                if let Some(line) = service.log().lines().find(|l| l.contains("panicked at")) {
                    return Err(format!("{}: {line}", service.name()));
                }
            }
        }
        match self
            .site
            .memory()
            .into_iter()
            .find(|(_, mib)| *mib > MEMORY)
        {
            Some((name, mib)) => Err(format!("{name} takes {mib} MiB")),
            None => Ok(()),
        }
    }
}

/// The windows of every local day from 08:00 to its end, in UTC, as far as they lie in the range.
fn windows(hours: &Value, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<(String, String)> {
    let end = hours[0]["end"].as_str().unwrap_or_default();
    let (hour, minute) = end.split_once(':').unwrap_or_default();
    let minutes = hour.parse().unwrap_or(0) * 60 + minute.parse().unwrap_or(0);
    let mut windows = Vec::new();
    let mut day = from.date_naive() - Days::new(1);
    while day <= to.date_naive() {
        let midnight = day.and_time(NaiveTime::MIN).and_utc() - OFFSET;
        let start = (midnight + TimeDelta::hours(8)).max(from);
        let end = (midnight + TimeDelta::minutes(minutes)).min(to);
        if start < end {
            windows.push((rfc3339(start), rfc3339(end)));
        }
        day = day + Days::new(1);
    }
    windows
}

fn rfc3339(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}
