//! Loading a roster from a file: `schedule-service import FILE`.
//!
//! A line of NDJSON is the body of `POST /v1/contractors`, and a row of CSV is turned into one, so
//! that the same parser and the same rules decide what is acceptable, and the same statement stores
//! it, with its history and its event.

mod compact;
mod lines;
mod load;
mod metered;
mod record;
mod report;
mod table;

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Context;
use clap::{Args, ValueEnum};
use shared_events::service::Clock;
use shared_events::trust::TrustSettings;
use tokio::sync::mpsc;

use crate::config::DatabaseSettings;
use crate::store;
use load::Loader;
use metered::Metered;
use record::{Record, Records};
use report::Report;

/// How many batches wait to be loaded while the next is read.
const BATCHES_AHEAD: usize = 2;

/// What `schedule-service import --help` says after the options.
const FORMATS: &str = "\
NDJSON: one body of POST /v1/contractors a line.

CSV: a head line with any of these columns, in any order; an empty cell means the default.
  name, territory, timeZone    must be given
  contractorId                 a UUID; with it, importing the same file twice loads nothing twice
  skills                       gas;boiler
  status                       active, inactive or onLeave
  workingHours                 MO-FR 08:00-12:00,13:00-17:00; SA 09:00-13:00   or: none
  dateOverrides                2026-12-24 08:00-12:00; 2026-12-25 off
  timeOff                      2026-12-28T00:00:00Z/2026-12-30T00:00:00Z
  slotIntervalMinutes, minNoticeMinutes, bufferBeforeMinutes, bufferAfterMinutes

Lines that are bad are told by their number, and the others are loaded.
Exit codes: 0 all loaded or already there, 1 some lines are bad, 2 it could not be done.";

/// What to import, and how.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = FORMATS)]
pub struct ImportArgs {
    /// The file; `-` reads standard input
    pub file: PathBuf,

    /// Its format; if left out, CSV for a file whose name ends in .csv, else NDJSON
    #[arg(long, value_enum)]
    pub format: Option<Format>,

    /// Check every line, with the database, and load nothing. Lines of the same contractorId are
    /// only found out within one batch
    #[arg(long)]
    pub dry_run: bool,

    /// How many contractors one transaction loads, at most
    #[arg(long, env = "IMPORT_BATCH", default_value_t = 200,
          value_parser = clap::value_parser!(u16).range(1..=5000))]
    pub import_batch: u16,

    /// The longest line, or the largest row of CSV, in bytes
    #[arg(long, env = "IMPORT_MAX_LINE_BYTES", default_value_t = 1 << 20,
          value_parser = clap::value_parser!(u32).range(1024..=64 << 20))]
    pub import_max_line_bytes: u32,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// Whose certificates are taken.
    #[command(flatten)]
    pub trust: TrustSettings,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a head line.
    Csv,
}

impl ImportArgs {
    fn format(&self) -> Format {
        let is_csv = |extension: &OsStr| extension.eq_ignore_ascii_case("csv");
        self.format.unwrap_or_else(|| {
            if self.file.extension().is_some_and(is_csv) {
                Format::Csv
            } else {
                Format::Ndjson
            }
        })
    }
}

/// Imports, tells how it goes on standard error and the sum on standard output.
pub async fn run(args: ImportArgs, clock: Clock) -> ExitCode {
    match import(&args, clock).await {
        Ok(report) => {
            println!("{}", report.summary(args.dry_run));
            ExitCode::from(u8::from(report.has_bad_lines()))
        }
        Err(error) => {
            eprintln!("schedule-service import: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn import(args: &ImportArgs, clock: Clock) -> anyhow::Result<Report> {
    let (source, size) = open(&args.file)?;
    let read = Arc::new(AtomicU64::new(0));
    let longest = usize::try_from(args.import_max_line_bytes).unwrap_or(usize::MAX);
    let source = Metered::new(source, Arc::clone(&read));
    let format = args.format();
    // What cannot be read at all is told before the database is touched.
    let records = tokio::task::spawn_blocking(move || Records::open(format, source, longest))
        .await
        .context("the reader failed")??;

    store::migrate(&args.database, &args.trust).await?;
    let pool = store::connect(&args.database, &args.trust)?;
    let mut loader = Loader::new(pool.acquire().await?, clock, args.dry_run);
    let mut report = Report::new(size, read);

    let (batches, mut next_batch) = mpsc::channel(BATCHES_AHEAD);
    let batch = usize::from(args.import_batch);
    let reader = tokio::task::spawn_blocking(move || read_batches(records, batch, &batches));
    while let Some(batch) = next_batch.recv().await {
        let Some(first) = batch.first().map(|record: &Record| record.line) else {
            continue;
        };
        loader.load(batch, &mut report).await.with_context(|| {
            format!("stopped at line {first}; what was loaded is kept, so run it again")
        })?;
        report.progress();
    }
    reader
        .await
        .context("the reader failed")?
        .with_context(|| report.summary(args.dry_run))?;
    report.finish();
    Ok(report)
}

/// The file and, where it is known, its size.
fn open(path: &Path) -> anyhow::Result<(Box<dyn Read + Send>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(std::io::stdin()), None));
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let about = file
        .metadata()
        .with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(!about.is_dir(), "{} is a folder", path.display());
    Ok((Box::new(file), about.is_file().then_some(about.len())))
}

/// Reads and checks ahead of the loader, as far as there is room. Ends early when that has ended.
fn read_batches(
    mut records: Records,
    size: usize,
    batches: &mpsc::Sender<Vec<Record>>,
) -> anyhow::Result<()> {
    let mut batch = Vec::with_capacity(size);
    loop {
        let end = match records.next_record() {
            Ok(Some(record)) => {
                batch.push(record);
                None
            }
            Ok(None) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        };
        if batch.len() >= size || end.is_some() {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(size));
            if batches.blocking_send(full).is_err() {
                return Ok(());
            }
        }
        if let Some(end) = end {
            return end;
        }
    }
}
