//! Runs the fault suite for as long as it is told: `soak --minutes 30 --seed 7`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use system_tests::faults::{self, Fault, Plan};

/// Breaks every part of a running system in an order that the seed decides, and checks that nothing
/// is lost.
#[derive(Debug, Parser)]
struct Settings {
    /// How long faults are injected
    #[arg(long, default_value_t = 10)]
    minutes: u64,

    /// Decides the order of the faults and what they hit
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// How many faults, at most
    #[arg(long, default_value_t = usize::MAX)]
    faults: usize,

    /// Only faults whose name contains this
    #[arg(long)]
    only: Option<String>,

    /// After how many faults everything is checked
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    check_every: u16,

    /// Runs services with this fault of their own (version-guard-off, ack-before-publish,
    /// outbox-after-commit): the checker is to find it
    #[arg(long)]
    mutant: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let settings = Settings::parse();
    let kinds = Fault::all()
        .into_iter()
        .filter(|fault| {
            settings
                .only
                .as_ref()
                .is_none_or(|only| fault.name().contains(only))
        })
        .collect();
    let plan = Plan {
        seed: settings.seed,
        time: Duration::from_secs(60 * settings.minutes),
        faults: settings.faults,
        kinds,
        check_every: usize::from(settings.check_every),
        patience: Duration::from_mins(1),
        mutant: settings.mutant,
    };
    match Box::pin(faults::run(&plan)).await {
        Ok(report) => {
            println!("{report}");
            if report.is_sound() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}
