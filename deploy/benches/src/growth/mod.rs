//! How time and memory grow with the number of contractors.

mod plot;

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
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
use crate::read_side::question::Question;
use crate::read_side::roster::Roster;
use crate::read_side::{fill, worker};
use crate::search::NOWHERE;
use crate::usage::{Program, read};

/// Measures the calculation, the search and the memory of Redis and of the worker at growing numbers
/// of contractors in one territory, and names the slopes
#[derive(Debug, Clone, Parser)]
#[command(name = "growth")]
pub struct Settings {
    /// Numbers of contractors
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000], value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub contractors: Vec<u32>,

    /// Jobs of each contractor, two a day
    #[arg(long, default_value_t = 56, value_parser = clap::value_parser!(u16).range(0..=500))]
    pub jobs: u16,

    /// Searches and bare reads, in turns
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub searches: u16,

    /// Processors that everything is kept to
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub cores: u16,

    /// A short run. Its figures say whether it works, not how fast
    #[arg(long)]
    pub quick: bool,

    /// Also draw the figures into this SVG file
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,

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
    /// Redis's version.
    pub redis: String,
    /// Jobs of each contractor.
    pub jobs: u16,
    /// One for each number of contractors.
    pub sizes: Vec<Size>,
    /// How the figures grow, fitted by least squares.
    pub slopes: Slopes,
}

/// The figures of one number of contractors.
#[derive(Debug, Clone, Serialize)]
pub struct Size {
    /// How many contractors.
    pub contractors: u32,
    /// Seconds for calculating and storing all of them, one client.
    pub filling_seconds: f64,
    /// The search over HTTP.
    pub search: Quantiles,
    /// The bare read of the same windows.
    pub bare_read: Quantiles,
    /// What Redis holds more than when it was empty, in MiB.
    pub redis_mib: f64,
    /// The worker's memory after the searches (PSS), in MiB.
    pub worker_mib: f64,
}

/// What one more contractor costs.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Slopes {
    /// Microseconds of calculating and storing.
    pub filling_us: f64,
    /// Microseconds of a search.
    pub search_us: f64,
    /// Microseconds of a bare read.
    pub bare_read_us: f64,
    /// Bytes in Redis.
    pub redis_bytes: f64,
    /// Bytes in the worker.
    pub worker_bytes: f64,
}

/// Starts everything, measures, and prints the report as Markdown.
///
/// # Errors
/// When something cannot be started or refuses.
pub fn run(mut settings: Settings) -> Result<()> {
    if settings.quick {
        settings.contractors = vec![200, 1_000];
        settings.searches = 10;
    }
    let cores = usize::from(settings.cores);
    let (machine, runtime) = machine::begin(cores, cores)?;
    let clock = Clock::system();
    let measured_at = clock.now();
    let servers = runtime.block_on(PrivateServers::start_with(Statistics::Default))?;
    let redis = runtime.block_on(fill::redis_version(&servers.backends().redis_url))?;
    let mut sizes = Vec::new();
    for &contractors in &settings.contractors {
        eprintln!("{contractors} contractors");
        sizes.push(runtime.block_on(measure(&settings, contractors, &servers, &clock))?);
    }
    runtime.block_on(servers.discard())?;
    let report = Report {
        measured_at,
        machine,
        redis,
        jobs: settings.jobs,
        slopes: Slopes::of(&sizes),
        sizes,
    };
    print!("{}", markdown(&report));
    if let Some(path) = &settings.plot {
        std::fs::write(path, plot::svg(&report)).with_context(|| path.display().to_string())?;
    }
    write_json(settings.json.as_deref(), &report)
}

async fn measure(
    settings: &Settings,
    contractors: u32,
    servers: &PrivateServers,
    clock: &Clock,
) -> Result<Size> {
    let redis_url = servers.backends().redis_url;
    let roster = Roster {
        contractors: usize::try_from(contractors)?,
        territories: 1,
        jobs: settings.jobs.into(),
        now: clock.now(),
    };
    fill::empty(&redis_url).await?;
    let before = fill::redis_memory(&redis_url).await?;
    let filling = fill::fill(&redis_url, &roster, clock).await?;
    let used = fill::redis_memory(&redis_url).await?.saturating_sub(before);

    let worker = worker::start(servers, NOWHERE, &[]).await?;
    let bare = BareRead::new(&fill::cache_settings(&redis_url)?, &roster).await?;
    let mut asking = Asking::connect(worker.url()).await?;
    let question = Question::all(&roster);
    let question = question.first().context("there is no question")?;
    let path = question.path(question.limit, None);
    let (mut searches, mut reads) = (Latencies::new(), Latencies::new());
    for number in 0..settings.searches.saturating_add(3) {
        let begun = Instant::now();
        asking.ask(&path).await?;
        let took = begun.elapsed();
        let begun = Instant::now();
        bare.read().await?;
        // The first ones warm up.
        if number >= 3 {
            searches.record(took);
            reads.record(begun.elapsed());
        }
    }
    let program = [Program {
        name: "availability-worker",
        pid: worker.pid(),
    }];
    let usage = read(&program)?.until(&read(&program)?, &program);
    worker.kill().await?;
    Ok(Size {
        contractors,
        filling_seconds: filling.as_secs_f64(),
        search: searches.quantiles(),
        bare_read: reads.quantiles(),
        redis_mib: float(used) / f64::from(1 << 20),
        worker_mib: usage.first().map_or(0.0, |usage| usage.memory_mib),
    })
}

impl Slopes {
    fn of(sizes: &[Size]) -> Self {
        let mib = f64::from(1 << 20);
        Self {
            filling_us: 1e6 * slope(sizes, |size| size.filling_seconds),
            search_us: 1e3 * slope(sizes, |size| size.search.p50_ms),
            bare_read_us: 1e3 * slope(sizes, |size| size.bare_read.p50_ms),
            redis_bytes: mib * slope(sizes, |size| size.redis_mib),
            worker_bytes: mib * slope(sizes, |size| size.worker_mib),
        }
    }
}

/// The slope of the straight line that fits best.
fn slope(sizes: &[Size], figure: impl Fn(&Size) -> f64) -> f64 {
    let count = sizes.iter().map(|_| 1.0).sum::<f64>();
    let mean = |of: &dyn Fn(&Size) -> f64| sizes.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(&|size| f64::from(size.contractors)), mean(&figure));
    let along = |size: &Size| f64::from(size.contractors) - x;
    let covariance: f64 = sizes.iter().map(|s| along(s) * (figure(s) - y)).sum();
    let variance: f64 = sizes.iter().map(|s| along(s).powi(2)).sum();
    if variance > 0.0 {
        covariance / variance
    } else {
        0.0
    }
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
        "## Growth\n\n{}, {} processors for everything, Linux {}, load average before the start {:.2}; \
         Redis {}. {} jobs each, one territory. Measured {}.\n\n\
         | contractors | calculate and store, s | search p50 / p99, ms | bare read p50 / p99, ms | \
         search / bare read | Redis, MiB | worker, MiB |\n|---|---|---|---|---|---|---|",
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.load_before,
        report.redis,
        report.jobs,
        report.measured_at.format("%Y-%m-%d %H:%M UTC"),
    )?;
    for size in &report.sizes {
        writeln!(
            out,
            "| {} | {:.2} | {:.2} / {:.2} | {:.2} / {:.2} | {:.2} | {:.1} | {:.1} |",
            size.contractors,
            size.filling_seconds,
            size.search.p50_ms,
            size.search.p99_ms,
            size.bare_read.p50_ms,
            size.bare_read.p99_ms,
            size.search.p50_ms / size.bare_read.p50_ms,
            size.redis_mib,
            size.worker_mib,
        )?;
    }
    let slopes = &report.slopes;
    writeln!(
        out,
        "| one more costs | {:.0} µs | {:.3} µs | {:.3} µs | {:.2} | {:.0} bytes | {:.0} bytes |",
        slopes.filling_us,
        slopes.search_us,
        slopes.bare_read_us,
        slopes.search_us / slopes.bare_read_us,
        slopes.redis_bytes,
        slopes.worker_bytes,
    )
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53 bytes")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::{Size, slope};
    use crate::latency::Latencies;

    #[test]
    fn a_straight_line_has_its_slope() {
        let size = |contractors: u32| Size {
            contractors,
            filling_seconds: 2.0 + 0.5 * f64::from(contractors),
            search: Latencies::new().quantiles(),
            bare_read: Latencies::new().quantiles(),
            redis_mib: 1.0,
            worker_mib: 1.0,
        };
        let sizes = [size(1), size(10), size(100)];
        assert!((slope(&sizes, |size| size.filling_seconds) - 0.5).abs() < 1e-9);
        assert!(slope(&sizes, |size| size.redis_mib).abs() < 1e-9);
    }
}
