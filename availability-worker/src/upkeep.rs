//! `availability-worker rebuild` and `availability-worker verify`.

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use shared_events::service::Clock;
use shared_events::service::auth::SigningSettings;
use shared_events::trust::TrustSettings;
use tokio::runtime::Runtime;

use crate::cache::{Cache, CacheSettings};
use crate::horizon::HorizonSettings;
use crate::rebuild::{Rebuild, Rebuilt};
use crate::recalculation::Recalculation;
use crate::source::{ScheduleSource, SourceSettings};
use crate::verify::{Report, Verification, VerifySettings};
use crate::watchers::Watchers;

/// What differs is told by this exit code.
const DIFFERENT: u8 = 1;
/// That nothing could be compared, by this one.
const TROUBLE: u8 = 2;

/// Where there is no terminal, progress is told every so many contractors.
const PLAIN_EVERY: u64 = 10_000;

/// The settings of `rebuild`: what is filled, and from where.
#[derive(Debug, Args)]
pub struct RebuildSettings {
    #[command(flatten)]
    horizon: HorizonSettings,
    #[command(flatten)]
    cache: CacheSettings,
    #[command(flatten)]
    source: SourceSettings,
    #[command(flatten)]
    signing: SigningSettings,
    #[command(flatten)]
    trust: TrustSettings,
}

impl RebuildSettings {
    /// The cache and its source; they connect when they are first used.
    fn open(&self) -> anyhow::Result<(Cache, Arc<ScheduleSource>)> {
        let source =
            ScheduleSource::new(&self.source, &self.signing, &self.trust, Clock::system())?;
        Ok((Cache::new(&self.cache, &self.trust)?, Arc::new(source)))
    }
}

/// The settings of `verify`: what is compared, and how.
#[derive(Debug, Args)]
pub struct VerificationSettings {
    #[command(flatten)]
    verify: VerifySettings,
    #[command(flatten)]
    compared: RebuildSettings,
}

/// Takes every contractor into the cache anew.
pub(crate) fn rebuild(settings: &RebuildSettings) -> anyhow::Result<()> {
    Runtime::new()?.block_on(async {
        let (cache, source) = settings.open()?;
        let recalculation = Recalculation::new(
            cache.clone(),
            Arc::clone(&source),
            Arc::new(Watchers::default()),
            Clock::system(),
            settings.horizon.horizon_days,
        );
        let mut progress = Progress::new(cache.size().await?);
        let Rebuilt {
            contractors,
            unacceptable,
            ghosts,
        } = Rebuild::new(cache, source, Arc::new(recalculation))
            .fill(|contractors| progress.reached(contractors))
            .await?;
        progress.end();
        println!(
            "{contractors} contractors taken in; {unacceptable} with a schedule that cannot be \
             calculated; {ghosts} removed from territories that they had left"
        );
        Ok(())
    })
}

/// Compares, and lists what differs on standard output.
pub(crate) fn verify(settings: &VerificationSettings) -> ExitCode {
    match compare(settings) {
        Ok(Report {
            contractors,
            differences,
        }) => {
            for (id, found) in &differences {
                for difference in found {
                    match id {
                        Some(id) => println!("{id} {difference}"),
                        None => println!("{difference}"),
                    }
                }
            }
            let count: usize = differences.values().map(Vec::len).sum();
            eprintln!("{contractors} contractors compared, {count} differences");
            if count == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(DIFFERENT)
            }
        }
        Err(error) => {
            crate::cli::failed(&error);
            ExitCode::from(TROUBLE)
        }
    }
}

fn compare(settings: &VerificationSettings) -> anyhow::Result<Report> {
    Runtime::new()?.block_on(async {
        let (cache, source) = settings.compared.open()?;
        let mut progress = Progress::new(cache.size().await?);
        let verification = Verification::new(
            cache,
            source,
            Clock::system(),
            settings.compared.horizon.horizon_days,
            &settings.verify,
        );
        let report = verification
            .run(|contractors| progress.reached(contractors))
            .await;
        progress.end();
        Ok(report?)
    })
}

/// A bar where there is a terminal to draw it on, lines where there is none.
struct Progress {
    bar: Option<ProgressBar>,
    told: u64,
}

impl Progress {
    /// `expected` contractors, as far as the cache knows; none where it was emptied.
    fn new(expected: u64) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let (bar, template) = if expected > 0 {
                let template =
                    "{bar:40} {pos}/{len} contractors  {per_sec}  {elapsed} elapsed, {eta} to go";
                (ProgressBar::new(expected), template)
            } else {
                let template = "{spinner} {pos} contractors  {per_sec}  {elapsed} elapsed";
                (ProgressBar::no_length(), template)
            };
            let style = ProgressStyle::with_template(template);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, told: 0 }
    }

    fn reached(&mut self, contractors: u64) {
        if let Some(bar) = &self.bar {
            if bar.length().is_some_and(|length| length < contractors) {
                bar.set_length(contractors);
            }
            bar.set_position(contractors);
        } else if contractors / PLAIN_EVERY > self.told / PLAIN_EVERY {
            self.told = contractors;
            eprintln!("{contractors} contractors so far");
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
