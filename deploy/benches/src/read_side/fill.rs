//! Fills Redis as the worker does: through its own calculation and its version guard.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use availability_worker::cache::{Cache, CacheSettings};
use availability_worker::config::Config;
use availability_worker::recalculation::{Origin, Recalculation, Stored};
use availability_worker::source::ScheduleSource;
use availability_worker::watchers::Watchers;
use clap::Parser;
use shared_events::Schedule;
use shared_events::service::Clock;
use uuid::Uuid;

use super::roster::Roster;

/// Schedules that are stored at once, as many as a rebuild takes.
const PAGE: usize = 200;

/// The worker's settings at their defaults.
#[derive(Debug, Parser)]
struct Worker {
    #[command(flatten)]
    config: Config,
}

/// The worker's settings for a Redis.
///
/// # Errors
/// When the URL is none.
pub fn cache_settings(redis_url: &str) -> Result<CacheSettings> {
    Ok(config(redis_url)?.cache)
}

fn config(redis_url: &str) -> Result<Config> {
    let arguments = [
        "availability-worker",
        "--auth-mode=disabled",
        "--redis-url",
        redis_url,
    ];
    Ok(Worker::try_parse_from(arguments)?.config)
}

/// Stores every contractor, marks the cache as complete, and tells how long the worker's part of
/// it took.
///
/// # Errors
/// When Redis does not take it.
pub async fn fill(redis_url: &str, roster: &Roster, clock: &Clock) -> Result<Duration> {
    let (cache, recalculation) = writing(redis_url, clock)?;
    let token = Uuid::new_v4();
    cache.begin_rebuild(token).await?;
    let mut took = Duration::ZERO;
    let numbers: Vec<usize> = (0..roster.contractors).collect();
    for page in numbers.chunks(PAGE) {
        let schedules = page
            .iter()
            .map(|&number| roster.schedule(number).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let begun = Instant::now();
        store(&recalculation, schedules).await?;
        took += begun.elapsed();
    }
    let complete = cache.finish_rebuild(token).await?;
    ensure!(complete, "Redis was emptied meanwhile");
    Ok(took)
}

/// Changes contractors of a full cache, each to the same again.
#[derive(Debug)]
pub struct Changes<'a> {
    roster: &'a Roster,
    recalculation: Recalculation,
    next: usize,
}

impl<'a> Changes<'a> {
    /// Changes of a roster that was stored.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(redis_url: &str, roster: &'a Roster, clock: &Clock) -> Result<Self> {
        Ok(Self {
            roster,
            recalculation: writing(redis_url, clock)?.1,
            next: 0,
        })
    }

    /// Changes the next contractor.
    ///
    /// # Errors
    /// When Redis does not take it.
    pub async fn make_one(&mut self) -> Result<()> {
        let schedule = self.roster.schedule(self.next % self.roster.contractors)?;
        self.next += 1;
        store(&self.recalculation, vec![Arc::new(schedule)]).await
    }
}

fn writing(redis_url: &str, clock: &Clock) -> Result<(Cache, Recalculation)> {
    let config = config(redis_url)?;
    let (signing, trust) = (&config.service.auth.signing, &config.service.trust);
    let cache = Cache::new(&config.cache, trust)?;
    let source = ScheduleSource::new(&config.source, signing, trust, clock.clone())?;
    let recalculation = Recalculation::new(
        cache.clone(),
        Arc::new(source),
        Arc::new(Watchers::default()),
        clock.clone(),
        config.horizon.horizon_days,
    );
    Ok((cache, recalculation))
}

async fn store(recalculation: &Recalculation, schedules: Vec<Arc<Schedule>>) -> Result<()> {
    for outcome in recalculation
        .store(schedules, Origin::SourceOfTruth)
        .await?
    {
        ensure!(
            matches!(outcome, Stored::Held(_)),
            "a contractor is not stored: {outcome:?}"
        );
    }
    Ok(())
}

/// What Redis says of its memory: all of it, and its version.
///
/// # Errors
/// When Redis does not answer.
pub async fn redis_memory(redis_url: &str) -> Result<u64> {
    let info = info(redis_url, "memory").await?;
    let used = field(&info, "used_memory").context("Redis does not tell used_memory")?;
    Ok(used.parse()?)
}

/// Redis's version.
///
/// # Errors
/// When Redis does not answer.
pub async fn redis_version(redis_url: &str) -> Result<String> {
    let info = info(redis_url, "server").await?;
    Ok(field(&info, "redis_version").unwrap_or("?").to_owned())
}

/// Empties Redis.
///
/// # Errors
/// When Redis does not answer.
pub async fn empty(redis_url: &str) -> Result<()> {
    let mut connection = redis::Client::open(redis_url)?
        .get_multiplexed_async_connection()
        .await?;
    redis::cmd("FLUSHALL")
        .arg("SYNC")
        .query_async::<()>(&mut connection)
        .await?;
    Ok(())
}

async fn info(redis_url: &str, section: &str) -> Result<String> {
    let mut connection = redis::Client::open(redis_url)?
        .get_multiplexed_async_connection()
        .await?;
    Ok(redis::cmd("INFO")
        .arg(section)
        .query_async(&mut connection)
        .await?)
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}
