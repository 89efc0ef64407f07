//! The engine alone: how many contractors a second one core recalculates, beside a straightforward
//! Python version of the same rules whose results must be equal; and `calculate` on many lines.

mod lines;
mod peer;
mod schedules;

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use availability_worker::engine::{Interval, Outlook, outlook};
use shared_events::Schedule;

use crate::machine::{Machine, keep_to};
use crate::spread::Spread;

/// What has to be reached.
mod reach {
    /// Contractors a second on one core.
    pub(super) const PER_SECOND: f64 = 20_000.0;
    /// Times the Python version.
    pub(super) const RATIO: f64 = 50.0;
}

/// The settings of the benchmark.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "engine", about)]
pub struct Settings {
    /// Contractors, each with 140 jobs in 28 days that hold a clock change
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    contractors: u16,

    /// Seconds that each of the two is measured in each run
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,

    /// Runs, the engine and the Python version in turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    runs: u16,

    /// Lines that `availability-worker calculate` is fed; 0 leaves it out
    #[arg(long, default_value_t = 1_000_000)]
    lines: u64,

    /// The Python version
    #[arg(long, default_value = "deploy/benches/peers/availability.py")]
    peer: PathBuf,
}

/// Runs the benchmark and prints its report.
///
/// # Errors
/// When the Python version does not run, or finds anything else than the engine.
pub fn run(settings: &Settings) -> Result<()> {
    let machine = Machine::read(1);
    println!(
        "{}, Linux {}, load before {:.2}",
        machine.processor, machine.kernel, machine.load_before
    );
    if settings.lines > 0 {
        lines::measure(settings.lines)?;
    }
    keep_to(1)?;
    let schedules = schedules::with_clock_changes(settings.contractors);
    let horizon = schedules::HORIZON;
    let found = schedules
        .iter()
        .map(|schedule| outlook(schedule, horizon).context("a zone is not known"))
        .collect::<Result<Vec<Outlook>>>()?;
    let windows: usize = found.iter().map(|o| o.free.windows.len()).sum();
    let conflicts: usize = found.iter().map(|o| o.conflicts.len()).sum();
    ensure!(windows > 0 && conflicts > 0, "the schedules are of no use");

    let python = peer::Python::new(&settings.peer, &schedules, horizon)?;
    let budget = Duration::from_secs(settings.seconds.into());
    let (mut own, mut others, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..settings.runs {
        let rate = recalculations(&schedules, horizon, budget)?;
        let report = python.run(budget)?;
        ensure!(
            report.found == peer::as_python_tells(&found),
            "the Python version finds something else"
        );
        own.push(rate);
        others.push(report.per_second);
        ratios.push(rate / report.per_second);
    }
    let (own, others, ratio) = (Spread::of(own), Spread::of(others), Spread::of(ratios));
    println!(
        "{} contractors, 140 jobs and 28 days each, a clock change inside: {windows} windows and \
         {conflicts} conflicts, the same in both",
        settings.contractors
    );
    println!("| recalculated a second on one core | |\n|---|---|");
    println!("| engine | {own:.0} |\n| Python, zoneinfo | {others:.1} |\n| ratio | {ratio:.0} |");
    for (what, reached, wanted) in [
        ("contractors a second", own.median, reach::PER_SECOND),
        ("times the Python version", ratio.median, reach::RATIO),
    ] {
        let verdict = if reached >= wanted {
            "holds"
        } else {
            "does not hold"
        };
        eprintln!("{what}: {reached:.0}, wanted {wanted:.0}: {verdict}");
    }
    Ok(())
}

/// How many schedules a second are recalculated.
fn recalculations(schedules: &[Schedule], horizon: Interval, budget: Duration) -> Result<f64> {
    let (mut done, begun) = (0_u32, Instant::now());
    while begun.elapsed() < budget {
        for schedule in schedules {
            black_box(outlook(black_box(schedule), black_box(horizon))?);
            done += 1;
        }
    }
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}
