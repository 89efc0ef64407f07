//! From a PATCH at schedule-service to the frame at the notifier's clients.

pub mod board;
pub mod listeners;
pub mod load;
pub mod measured;
pub mod node;
pub mod report;
pub mod roster;
pub mod writers;

use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use shared_events::service::Clock;
use stack::servers::rabbitmq::Statistics;
use stack::{PrivateServers, ServiceKind, System};
use tokio::runtime::Runtime;

use crate::floors::Floors;
use crate::machine;
use crate::output::write_json;
use crate::usage::Program;
use board::Board;
use load::{Load, Pace};
use measured::{Run, Stage, Stages};
use node::Node;
use roster::Size;
use writers::Writers;

pub use measured::Report;

/// Measures the whole pipeline: from the moment a PATCH of the weekly hours is to be sent until
/// the frame of that change is with the subscribed clients
///
/// Everything runs on its own servers and on the same processors, the load included. A change that
/// is lost or refused fails the benchmark.
#[derive(Debug, Clone, Parser)]
#[command(name = "pipeline")]
pub struct Settings {
    /// Contractors on the roster
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub contractors: u16,

    /// Jobs of each contractor
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=100))]
    pub jobs: u16,

    /// Clients that follow all events
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=5_000))]
    pub clients: u16,

    /// Connections on which changes are sent; at saturation as many changes are under way
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub writers: u16,

    /// Changes a second, one stage each
    #[arg(long, value_delimiter = ',', default_values_t = [100, 200, 400, 800],
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rates: Vec<u32>,

    /// Seconds that each stage is measured for
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,

    /// Seconds before it that are not measured
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=60))]
    pub warm_up_seconds: u64,

    /// How often everything is measured; the report tells the median, the lowest and the highest
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub runs: u16,

    /// Processors that everything is kept to
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub cores: u16,

    /// A short run: two rates, three seconds each. Its figures say whether it works, not how fast
    #[arg(long)]
    pub quick: bool,

    /// An environment variable for the three services, to try a setting; may repeat
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = assignment)]
    pub environment: Vec<(String, String)>,

    /// Also measure the same pipeline written plainly for Node, in turns with this one; needs Node 20 and
    /// npm, and downloads its packages the first time
    #[arg(long)]
    pub node: bool,

    /// Where the Node version is
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "deploy/benches/peers/node"
    )]
    pub node_folder: PathBuf,

    /// Also write all figures as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl Settings {
    fn shortened(mut self) -> Self {
        if self.quick {
            self.rates = vec![100, 200];
            self.seconds = 3;
            self.warm_up_seconds = 1;
        }
        self
    }
}

/// Reads `NAME=VALUE`, for options that set environment variables.
pub fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("not of the form NAME=VALUE".to_owned()),
    }
}

/// Starts everything, measures, and prints the report as Markdown.
///
/// # Errors
/// When something cannot be started, or a change is refused or lost.
pub fn run(settings: Settings) -> Result<()> {
    let settings = settings.shortened();
    let cores = usize::from(settings.cores);
    // One thread for all clients and answers; this thread sends. The load has to be cheap, for it
    // runs on the same processors.
    let (machine, runtime) = machine::begin(cores, 1)?;
    let clock = Clock::system();
    let started_at = clock.now();
    let servers = runtime.block_on(PrivateServers::start_with(Statistics::Default))?;
    let outcome = measure(&settings, &runtime, &servers, &clock);
    runtime.block_on(servers.discard())?;
    let report = Report {
        measured_at: started_at,
        machine,
        settings: (&settings).into(),
        runs: outcome?,
    };
    print!("{}", report::markdown(&report));
    write_json(settings.json.as_deref(), &report)
}

fn measure(
    settings: &Settings,
    runtime: &Runtime,
    servers: &PrivateServers,
    clock: &Clock,
) -> Result<Vec<Run>> {
    let backends = servers.backends();
    let floor_time = Duration::from_secs(settings.seconds.min(4));
    eprintln!("measuring the floors");
    let mut floors = runtime.block_on(Floors::measure(&backends, floor_time))?;

    eprintln!("starting the services");
    // While another subject has its turn, the connections that send stand still.
    let mut builder = System::builder(backends.clone()).env(
        ServiceKind::ScheduleService,
        "HEADER_TIMEOUT_SECONDS",
        "600",
    );
    for (name, value) in &settings.environment {
        for kind in ServiceKind::ALL {
            builder = builder.env(kind, name, value);
        }
    }
    let system = runtime.block_on(builder.start())?;
    let mut loads = vec![runtime.block_on(subject(
        settings,
        clock,
        (system.schedule_url(), system.notifier_url()),
        programs(
            servers,
            ServiceKind::ALL.map(|kind| Program {
                name: kind.name(),
                pid: system.service(kind).pid(),
            }),
        ),
    ))?];
    // Lives as long as it is measured.
    let node = settings
        .node
        .then(|| {
            eprintln!("starting the Node version");
            runtime.block_on(Node::start(
                &settings.node_folder,
                servers.folder(),
                &backends,
            ))
        })
        .transpose()?;
    if let Some(node) = &node {
        loads.push(runtime.block_on(subject(
            settings,
            clock,
            (node.schedule_url(), node.notifier_url()),
            programs(servers, node.programs()),
        ))?);
    }

    eprintln!("warming up");
    for load in &mut loads {
        load.run(Pace::PerSecond(200), Duration::ZERO, Duration::from_secs(3))?;
    }
    let mut runs = Vec::new();
    for number in 1..=settings.runs {
        if number > 1 {
            eprintln!("measuring the floors again");
            floors = runtime.block_on(Floors::measure(&backends, floor_time))?;
        }
        let mut measured = stages(settings, number, &mut loads)?.into_iter();
        let ours = measured.next().context("nothing was measured")?;
        runs.push(Run {
            floors,
            stages: ours.stages,
            saturation: ours.saturation,
            node: measured.next(),
        });
    }
    Ok(runs)
}

/// Runs every stage, with the subjects in turns, so that each is measured in the same minutes.
fn stages(settings: &Settings, number: u16, loads: &mut [Load]) -> Result<Vec<Stages>> {
    let (warm_up, measured) = (
        Duration::from_secs(settings.warm_up_seconds),
        Duration::from_secs(settings.seconds),
    );
    let mut rated: Vec<Vec<Stage>> = loads.iter().map(|_| Vec::new()).collect();
    for &rate in &settings.rates {
        eprintln!("run {number}: {rate} changes/s");
        for (load, stages) in loads.iter_mut().zip(&mut rated) {
            let outcome = load.run(Pace::PerSecond(rate), warm_up, measured)?;
            stages.push(Stage::of(Some(rate), &outcome));
        }
    }
    eprintln!("run {number}: as many changes as arrive");
    let subjects = loads.iter_mut().zip(rated);
    subjects
        .map(|(load, stages)| {
            let outcome = load.run(Pace::AsFastAsTheyArrive, warm_up, measured)?;
            let saturation = Stage::of(None, &outcome);
            Ok(Stages { stages, saturation })
        })
        .collect()
}

/// Fills a system, which is at two addresses, and connects its load.
async fn subject(
    settings: &Settings,
    clock: &Clock,
    (schedule_url, notifier_url): (&str, &str),
    programs: Vec<Program>,
) -> Result<Load> {
    let size = Size {
        contractors: settings.contractors.into(),
        jobs: settings.jobs.into(),
    };
    let contractors = roster::seed(schedule_url, size, clock.now()).await?;
    let (sender, idle) = channel();
    let clients = u32::from(settings.clients);
    let writer_count = usize::from(settings.writers).min(contractors.len());
    for writer in 0..writer_count {
        sender.send(writer)?;
    }
    let board = Board::new(&contractors, clients, sender);
    listeners::subscribe(notifier_url, clients, &board).await?;
    let writers = Writers::connect(schedule_url, writer_count, &contractors, &board).await?;
    Ok(Load {
        writers,
        idle,
        board,
        programs,
    })
}

/// Whose use of the machine is measured: the services of the subject, and what all share.
fn programs(servers: &PrivateServers, services: [Program; 3]) -> Vec<Program> {
    let mut programs: Vec<Program> = services.into();
    programs.extend([
        Program {
            name: "PostgreSQL",
            pid: servers.postgres.pid(),
        },
        Program {
            name: "RabbitMQ",
            pid: servers.rabbitmq.pid(),
        },
        Program {
            name: "Redis",
            pid: servers.redis.pid(),
        },
        Program {
            name: "the load",
            pid: std::process::id(),
        },
    ]);
    programs
}
