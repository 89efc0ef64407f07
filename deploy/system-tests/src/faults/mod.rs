//! The fault suite: a live load on real processes, a seeded schedule of faults, and a checker that
//! shares no code with the services.
//!
//! The same code runs for a minute in the tests and for hours as `just soak`.

pub mod checker;
pub mod fault;
pub mod load;
pub mod report;
pub mod site;
pub mod viewer;
pub mod witness;

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tokio::time::{Instant, sleep};

pub use fault::Fault;
pub use report::Report;

use checker::Checker;
use load::Load;
use site::Site;
use viewer::Viewer;
use witness::Witness;

/// How many event streams are watched.
const VIEWERS: usize = 20;

/// How long the load runs between two faults.
const CALM: Duration = Duration::from_millis(1_500);

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Decides the order of the faults and everything about them.
    pub seed: u64,
    /// No fault begins later than this after the start.
    pub time: Duration,
    /// So many faults at most.
    pub faults: usize,
    /// The kinds of fault that are drawn from.
    pub kinds: Vec<Fault>,
    /// Everything is checked after so many faults, and at the end.
    pub check_every: usize,
    /// How long what is on its way may take to arrive before a check fails.
    pub patience: Duration,
    /// A fault of the services' own, behind a switch that only test builds have: the checker is to
    /// find it.
    pub mutant: Option<String>,
}

/// Runs a plan to its end, or to the first violation; the report holds all there is to say.
///
/// # Errors
/// When the servers or services cannot be started at all.
pub async fn run(plan: &Plan) -> Result<Report, String> {
    let site = Site::start(plan.mutant.clone()).await?;
    let mut report = Report::new(plan.seed, site.memory());
    let witness = Witness::start(site.direct().amqp_url).await?;
    let load = Load::start(&site, plan.seed).await;
    let viewers: Vec<Viewer> = (0..VIEWERS)
        .map(|number| Viewer::start(&site, number))
        .collect();
    let checker = Checker::new(&site, &load, &witness, &viewers, plan.patience);

    let mut rng = StdRng::seed_from_u64(plan.seed);
    let end = Instant::now() + plan.time;
    let mut deck: Vec<Fault> = Vec::new();
    while report.injected() < plan.faults && Instant::now() < end {
        if deck.is_empty() {
            // Every kind comes once before any comes again.
            deck.clone_from(&plan.kinds);
            deck.shuffle(&mut rng);
        }
        let Some(fault) = deck.pop() else { break };
        // What mends it would make good what those before have lost.
        if fault == Fault::PurgeQueue {
            load.pause().await;
            if let Err(violation) = checker.check().await {
                report.violation_before(fault, &violation);
                break;
            }
        }
        load.go_on();
        sleep(CALM).await;
        let injected = fault.inject(&site, &load, &witness, &mut rng).await;
        let recovered = match injected {
            Ok(()) => site.recovered(&load).await,
            Err(error) => Err(error),
        };
        match recovered {
            Ok(time) => report.recovered(fault, time),
            Err(error) => {
                report.violation(fault, &error);
                break;
            }
        }
        eprintln!("{}", report.last_line());
        if report.injected().is_multiple_of(plan.check_every) {
            load.pause().await;
            if let Err(violation) = checker.check().await {
                report.violation(fault, &violation);
                break;
            }
        }
    }
    load.pause().await;
    if report.is_sound()
        && let Err(violation) = checker.check().await
    {
        report.violation_at_end(&violation);
    }
    if !report.is_sound() {
        eprintln!("{}", site.system.ends_of_logs());
    }
    report.finish(&load, &witness, &viewers, site.memory());
    Ok(report)
}
