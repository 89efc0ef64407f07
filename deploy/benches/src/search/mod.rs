//! Who can take a job, asked of a worker with many contractors.

mod report;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use clap::Parser;
use serde::Serialize;
use shared_events::service::Clock;
use stack::PrivateServers;
use stack::servers::rabbitmq::Statistics;

use crate::latency::{Latencies, Quantiles};
use crate::machine::{self, Machine};
use crate::output::write_json;
use crate::read_side::asking::Asking;
use crate::read_side::bare_read::BareRead;
use crate::read_side::fill::Changes;
use crate::read_side::multiranges::Multiranges;
use crate::read_side::question::Question;
use crate::read_side::roster::Roster;
use crate::read_side::{fill, throughput, worker};

/// Where no schedule-service is: the worker needs none while its cache is complete.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:9";

/// Searches of one round, between which the others are measured.
const SEARCHES_A_ROUND: usize = 20;

/// Queries of PostgreSQL in one round: they take longer.
const QUERIES_A_ROUND: usize = 2;

/// Measures `GET /v1/availability` over many contractors, beside the bare read of the same keys from
/// Redis and the same question as one multirange query in PostgreSQL
///
/// Everything runs on its own servers and on the same processors, the load included. The answers of
/// the worker and of PostgreSQL are compared in full before anything is measured. A contractor changes
/// before each search.
#[derive(Debug, Clone, Parser)]
#[command(name = "search")]
pub struct Settings {
    /// Contractors on the roster
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub contractors: u32,

    /// Jobs of each contractor, two a day
    #[arg(long, default_value_t = 56, value_parser = clap::value_parser!(u16).range(0..=500))]
    pub jobs: u16,

    /// Over how many territories the contractors are spread; each is measured on its own. One is
    /// searched by its name, more are searched all at once
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8], value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub territories: Vec<u16>,

    /// Rounds of 20 searches, 20 bare reads and 2 queries of PostgreSQL, one client at a time
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub rounds: u16,

    /// Connections that search at once where throughput is measured
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub clients: u16,

    /// Seconds for which throughput is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub seconds: u64,

    /// Processors that everything is kept to
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub cores: u16,

    /// A short run with 1,000 contractors. Its figures say whether it works, not how fast
    #[arg(long)]
    pub quick: bool,

    /// An environment variable for the worker, to try a setting; may repeat
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = crate::pipeline::assignment)]
    pub environment: Vec<(String, String)>,

    /// Also write all figures as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl Settings {
    fn shortened(mut self) -> Self {
        if self.quick {
            self.contractors = self.contractors.min(1_000);
            self.rounds = 2;
            self.seconds = 1;
        }
        self
    }
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// When it began.
    pub measured_at: DateTime<Utc>,
    /// On what.
    pub machine: Machine,
    /// Redis's version.
    pub redis: String,
    /// PostgreSQL's version.
    pub postgres: String,
    /// Contractors on the roster.
    pub contractors: u32,
    /// Jobs of each.
    pub jobs: u16,
    /// Connections that searched at once.
    pub clients: u16,
    /// One for each number of territories.
    pub layouts: Vec<Layout>,
}

/// The contractors spread over some territories.
#[derive(Debug, Serialize)]
pub struct Layout {
    /// How many territories.
    pub territories: u16,
    /// Bytes of a contractor's packed windows, on average.
    pub bytes_per_contractor: usize,
    /// The bare read of all windows, one client, in milliseconds.
    pub bare_read: Quantiles,
    /// Bare reads a second with all clients.
    pub bare_reads_per_second: f64,
    /// The questions.
    pub questions: Vec<Asked>,
}

/// What one question took.
#[derive(Debug, Serialize)]
pub struct Asked {
    /// The question.
    pub question: Question,
    /// How many contractors can take it in all.
    pub candidates: usize,
    /// The search over HTTP, one client, in milliseconds.
    pub search: Quantiles,
    /// Bare reads between these searches.
    pub bare_read: Quantiles,
    /// Searches a second with all clients.
    pub searches_per_second: f64,
    /// The query in PostgreSQL.
    pub postgres: Quantiles,
}

impl Asked {
    /// The search over the bare read.
    #[must_use]
    pub fn over_bare_read(&self) -> f64 {
        self.search.p50_ms / self.bare_read.p50_ms
    }

    /// PostgreSQL over the search.
    #[must_use]
    pub fn postgres_over_search(&self) -> f64 {
        self.postgres.p50_ms / self.search.p50_ms
    }
}

/// Starts everything, measures, and prints the report as Markdown.
///
/// # Errors
/// When something cannot be started, or two answers differ.
pub fn run(settings: Settings) -> Result<()> {
    let settings = settings.shortened();
    let cores = usize::from(settings.cores);
    let (machine, runtime) = machine::begin(cores, cores)?;
    let clock = Clock::system();
    let measured_at = clock.now();
    let servers = runtime.block_on(PrivateServers::start_with(Statistics::Default))?;
    let outcome = runtime.block_on(measure(&settings, &servers, &clock));
    let redis = runtime.block_on(fill::redis_version(&servers.backends().redis_url));
    runtime.block_on(servers.discard())?;
    let (layouts, postgres) = outcome?;
    let report = Report {
        measured_at,
        machine,
        redis: redis?,
        postgres,
        contractors: settings.contractors,
        jobs: settings.jobs,
        clients: settings.clients,
        layouts,
    };
    print!("{}", report::markdown(&report));
    write_json(settings.json.as_deref(), &report)
}

async fn measure(
    settings: &Settings,
    servers: &PrivateServers,
    clock: &Clock,
) -> Result<(Vec<Layout>, String)> {
    let backends = servers.backends();
    let (mut layouts, mut version) = (Vec::new(), String::new());
    for &territories in &settings.territories {
        let roster = Roster {
            contractors: usize::try_from(settings.contractors)?,
            territories: territories.into(),
            jobs: settings.jobs.into(),
            now: clock.now(),
        };
        eprintln!("{territories} territories: filling Redis and PostgreSQL");
        fill::empty(&backends.redis_url).await?;
        fill::fill(&backends.redis_url, &roster, clock).await?;
        let multiranges = Multiranges::fill(&backends.database_url, &roster).await?;
        version = multiranges.version().await?;
        let mut changes = Changes::new(&backends.redis_url, &roster, clock)?;
        let worker = worker::start(servers, NOWHERE, &settings.environment).await?;
        let bare = BareRead::new(&fill::cache_settings(&backends.redis_url)?, &roster).await?;
        let mut bare_read = Latencies::new();
        let mut questions = Vec::new();
        for question in Question::all(&roster) {
            eprintln!("{territories} territories: {}", question.name);
            let peers = (&bare, &multiranges);
            let asked = ask(settings, &question, worker.url(), peers, &mut changes).await?;
            questions.push(asked);
        }
        for _ in 0..usize::from(settings.rounds) * SEARCHES_A_ROUND {
            record(&mut bare_read, true, bare.read()).await?;
        }
        let time = Duration::from_secs(settings.seconds);
        let bare_reads_per_second = throughput::bare_reads(&bare, settings.clients, time).await?;
        layouts.push(Layout {
            territories,
            bytes_per_contractor: bare.bytes().await? / roster.contractors,
            bare_read: bare_read.quantiles(),
            bare_reads_per_second,
            questions,
        });
        worker.kill().await?;
    }
    Ok((layouts, version))
}

async fn ask(
    settings: &Settings,
    question: &Question,
    worker_url: &str,
    (bare, multiranges): (&BareRead, &Multiranges),
    changes: &mut Changes<'_>,
) -> Result<Asked> {
    let mut asking = Asking::connect(worker_url).await?;
    let found = asking.all_of(question).await?;
    ensure!(
        found == multiranges.all_of(question).await?,
        "the worker and PostgreSQL differ on {question:?}"
    );
    let path = question.path(question.limit, None);
    let (mut searches, mut reads, mut queries) =
        (Latencies::new(), Latencies::new(), Latencies::new());
    for round in 0..=settings.rounds {
        // The first round warms up.
        let counts = round > 0;
        for _ in 0..SEARCHES_A_ROUND {
            // Nobody's answer is still the one from before.
            changes.make_one().await?;
            record(&mut searches, counts, asking.ask(&path)).await?;
        }
        for _ in 0..SEARCHES_A_ROUND {
            record(&mut reads, counts, bare.read()).await?;
        }
        for _ in 0..QUERIES_A_ROUND {
            record(&mut queries, counts, multiranges.ask(question)).await?;
        }
    }
    let time = Duration::from_secs(settings.seconds);
    Ok(Asked {
        question: question.clone(),
        candidates: found.len(),
        search: searches.quantiles(),
        bare_read: reads.quantiles(),
        searches_per_second: throughput::searches(worker_url, &path, settings.clients, time)
            .await?,
        postgres: queries.quantiles(),
    })
}

async fn record<T>(
    latencies: &mut Latencies,
    counts: bool,
    work: impl Future<Output = Result<T>>,
) -> Result<()> {
    let begun = Instant::now();
    work.await?;
    if counts {
        latencies.record(begun.elapsed());
    }
    Ok(())
}
