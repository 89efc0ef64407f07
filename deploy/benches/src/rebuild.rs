//! How fast an emptied cache is filled again, and how queries are answered meanwhile.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use clap::Parser;
use serde::Serialize;
use shared_events::service::Clock;
use stack::rights::{OWNER, as_user};
use stack::servers::rabbitmq::Statistics;
use stack::service::program;
use stack::{PrivateServers, ServiceKind, System};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::latency::{Latencies, Quantiles};
use crate::machine::{self, Machine};
use crate::output::write_json;
use crate::read_side::asking::Asking;
use crate::read_side::fill;
use crate::read_side::question::Question;
use crate::read_side::roster::Roster;

/// How long a rebuild may take.
const DEADLINE: Duration = Duration::from_mins(3);

/// Between two questions of one client.
const PAUSE: Duration = Duration::from_millis(2);

/// Measures how fast the worker fills an emptied Redis again from a real schedule-service, and how
/// it answers single contractors meanwhile
#[derive(Debug, Clone, Parser)]
#[command(name = "rebuild")]
pub struct Settings {
    /// Contractors on the roster
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub contractors: u32,

    /// Jobs of each contractor, two a day
    #[arg(long, default_value_t = 56, value_parser = clap::value_parser!(u16).range(0..=500))]
    pub jobs: u16,

    /// Over how many territories the contractors are spread
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub territories: u16,

    /// How often Redis is emptied
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub runs: u16,

    /// Processors that everything is kept to
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub cores: u16,

    /// A short run with 500 contractors. Its figures say whether it works, not how fast
    #[arg(long)]
    pub quick: bool,

    /// Also write all figures as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// When it began.
    pub measured_at: DateTime<Utc>,
    /// On what.
    pub machine: Machine,
    /// Contractors on the roster.
    pub contractors: u32,
    /// Jobs of each.
    pub jobs: u16,
    /// Reads of single contractors with a full cache.
    pub reads_before: Quantiles,
    /// One for each time that Redis was emptied.
    pub runs: Vec<Run>,
}

/// One rebuild.
#[derive(Debug, Serialize)]
pub struct Run {
    /// Seconds from the emptied Redis until searches are answered again, with the time until the
    /// worker notices, which is a second at most.
    pub seconds: f64,
    /// Contractors a second.
    pub contractors_per_second: f64,
    /// Reads of single contractors meanwhile; all were answered.
    pub reads_meanwhile: Quantiles,
    /// Searches that were refused meanwhile with 503, as they could have left someone out: here they do not
    /// wait for the cache.
    pub searches_refused: u32,
}

/// Starts everything, measures, and prints the report as Markdown.
///
/// # Errors
/// When something cannot be started or a read is refused.
pub fn run(mut settings: Settings) -> Result<()> {
    if settings.quick {
        settings.contractors = settings.contractors.min(500);
        settings.runs = 1;
    }
    let cores = usize::from(settings.cores);
    let (machine, runtime) = machine::begin(cores, 1)?;
    let clock = Clock::system();
    let measured_at = clock.now();
    let servers = runtime.block_on(PrivateServers::start_with(Statistics::Default))?;
    let outcome = runtime.block_on(measure(&settings, &servers, &clock));
    runtime.block_on(servers.discard())?;
    let (reads_before, runs) = outcome?;
    let report = Report {
        measured_at,
        machine,
        contractors: settings.contractors,
        jobs: settings.jobs,
        reads_before,
        runs,
    };
    print!("{}", markdown(&report));
    write_json(settings.json.as_deref(), &report)
}

async fn measure(
    settings: &Settings,
    servers: &PrivateServers,
    clock: &Clock,
) -> Result<(Quantiles, Vec<Run>)> {
    let backends = servers.backends();
    let roster = Roster {
        contractors: usize::try_from(settings.contractors)?,
        territories: settings.territories.into(),
        jobs: settings.jobs.into(),
        now: clock.now(),
    };
    eprintln!("importing {} contractors", settings.contractors);
    let ids = import(&backends.database_url, &roster).await?;
    let system = System::builder(backends.clone())
        .count(ServiceKind::Notifier, 0)
        // The client asks again and again, and reads in between.
        .env(ServiceKind::AvailabilityWorker, "SEARCH_WAIT_MS", "0")
        .start()
        .await?;
    let mut client = Client {
        asking: Asking::connect(system.availability_url()).await?,
        search: Question::all(&roster)
            .first()
            .context("there is no question")?
            .path(50, None),
        ids,
        turn: 0,
    };
    eprintln!("the first filling");
    client.until_complete().await?;
    let mut before = Latencies::new();
    for _ in 0..2_000 {
        client.read(&mut before).await?;
    }
    let mut runs = Vec::new();
    for number in 1..=settings.runs {
        eprintln!("rebuild {number}");
        fill::empty(&backends.redis_url).await?;
        let (took, reads, searches_refused) = client.until_complete().await?;
        runs.push(Run {
            seconds: took.as_secs_f64(),
            contractors_per_second: f64::from(settings.contractors) / took.as_secs_f64(),
            reads_meanwhile: reads.quantiles(),
            searches_refused,
        });
    }
    Ok((before.quantiles(), runs))
}

/// One client that reads one contractor after the other.
struct Client {
    asking: Asking,
    search: String,
    ids: Vec<Uuid>,
    turn: usize,
}

impl Client {
    async fn read(&mut self, latencies: &mut Latencies) -> Result<()> {
        // A prime step, so that they are not read in the order of the rebuild.
        self.turn = (self.turn + 7_919) % self.ids.len();
        let path = format!(
            "/v1/availability/{}?durationMinutes=120",
            self.ids[self.turn]
        );
        let begun = Instant::now();
        self.asking.ask(&path).await?;
        latencies.record(begun.elapsed());
        Ok(())
    }

    /// Reads until searches are answered again: how long it took, the reads, and how many searches
    /// were refused.
    async fn until_complete(&mut self) -> Result<(Duration, Latencies, u32)> {
        let begun = Instant::now();
        let (mut latencies, mut refused) = (Latencies::new(), 0);
        loop {
            for _ in 0..10 {
                self.read(&mut latencies).await?;
                tokio::time::sleep(PAUSE).await;
            }
            match self.asking.status_of(&self.search).await? {
                200 => return Ok((begun.elapsed(), latencies, refused)),
                status => ensure!(status == 503, "a search is answered {status}"),
            }
            refused += 1;
            ensure!(begun.elapsed() < DEADLINE, "no rebuild within {DEADLINE:?}");
        }
    }
}

/// Loads the roster with `schedule-service import`.
async fn import(database_url: &str, roster: &Roster) -> Result<Vec<Uuid>> {
    let mut import = tokio::process::Command::new(program("schedule-service")?)
        .args(["import", "-"])
        .env("DATABASE_URL", as_user(database_url, OWNER)?)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = import.stdin.take().context("no standard input")?;
    let mut ids = Vec::with_capacity(roster.contractors);
    for number in 0..roster.contractors {
        let mut body = roster.body(number);
        ids.push(serde_json::from_value(body["contractorId"].clone())?);
        // Who imports does not name the jobs' ids.
        for job in body["jobs"].as_array_mut().into_iter().flatten() {
            job.as_object_mut().map(|job| job.remove("id"));
        }
        lines.write_all(format!("{body}\n").as_bytes()).await?;
    }
    drop(lines);
    let status = import.wait().await?;
    ensure!(status.success(), "the import ended with {status}");
    Ok(ids)
}

fn markdown(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut out, report);
    out
}

fn write_all(out: &mut String, report: &Report) -> std::fmt::Result {
    let machine = &report.machine;
    writeln!(
        out,
        "## Rebuild of {} contractors\n\n{}, {} processors for everything, Linux {}, load average before \
         the start {:.2}. {} jobs each. Measured {}. Reads of single contractors with a full cache: p50 \
         {:.2}, p99 {:.2} ms; none was refused at any time.\n\n\
         | rebuild | s | contractors/s | reads meanwhile | p50, ms | p99, ms | max, ms | searches refused (503) |\n\
         |---|---|---|---|---|---|---|---|",
        report.contractors,
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.load_before,
        report.jobs,
        report.measured_at.format("%Y-%m-%d %H:%M UTC"),
        report.reads_before.p50_ms,
        report.reads_before.p99_ms,
    )?;
    for (number, run) in report.runs.iter().enumerate() {
        let reads = &run.reads_meanwhile;
        writeln!(
            out,
            "| {} | {:.1} | {:.0} | {} | {:.2} | {:.2} | {:.1} | {} |",
            number + 1,
            run.seconds,
            run.contractors_per_second,
            reads.count,
            reads.p50_ms,
            reads.p99_ms,
            reads.max_ms,
            run.searches_refused,
        )?;
    }
    Ok(())
}
