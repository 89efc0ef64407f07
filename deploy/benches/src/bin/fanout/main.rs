//! The `fanout` benchmark: the notifier against the floor and its peers.

mod clock;
mod floor;
mod load;
mod plain_axum;
mod pushpin;
mod report;
mod subject;
mod through_broker;
mod work;

use std::path::PathBuf;

use benches::machine;
use clap::{Args, Parser, Subcommand};
use stack::PrivateServers;
use stack::servers::rabbitmq::Statistics;

use subject::{Ground, Kind};
use work::Work;

/// Measures what it costs to send the same messages to thousands of clients of an event stream
///
/// Server, peers and load are processes of their own on the same processors. Messages are 600 bytes.
#[derive(Debug, Parser)]
#[command(name = "fanout", args_conflicts_with_subcommands = true)]
struct Settings {
    #[command(subcommand)]
    part: Option<Part>,

    /// What is measured
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["floor", "axum", "notifier"])]
    subjects: Vec<Kind>,

    /// The works
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["burst"])]
    works: Vec<Work>,

    /// Numbers of clients
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 5000])]
    clients: Vec<usize>,

    /// How often everything is measured, in turn
    #[arg(long, default_value_t = 1)]
    runs: usize,

    /// Processors that everything is kept to
    #[arg(long, default_value_t = 2)]
    cores: usize,

    /// An environment variable for the notifier, to try a setting; may repeat
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = benches::pipeline::assignment)]
    environment: Vec<(String, String)>,

    /// The nginx of the peer Nchan
    #[arg(long, default_value = "/usr/sbin/nginx")]
    nginx: PathBuf,

    /// Its module
    #[arg(long, default_value = "/usr/lib/nginx/modules/ngx_nchan_module.so")]
    nchan_module: PathBuf,

    /// The program of the peer Pushpin
    #[arg(long, default_value = "/usr/bin/pushpin")]
    pushpin: PathBuf,
}

/// What runs as a process of its own.
#[derive(Debug, Subcommand)]
enum Part {
    /// The floor
    Floor(Lines),
    /// Plain axum
    Axum(Lines),
    /// The clients
    Load(load::Load),
}

/// What passes on the lines of its standard input.
#[derive(Debug, Args)]
struct Lines {
    /// Where it listens
    port: u16,
    /// The RabbitMQ that its messages come from, instead of standard input
    broker: Option<String>,
}

impl Lines {
    /// Has the lines come from where they are to, and says where to listen.
    fn port(&self) -> anyhow::Result<u16> {
        if let Some(url) = &self.broker {
            through_broker::feed_standard_input(url)?;
        }
        Ok(self.port)
    }
}

fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    match &settings.part {
        Some(Part::Floor(lines)) => floor::run(lines.port()?),
        Some(Part::Axum(lines)) => plain_axum::run(lines.port()?),
        Some(Part::Load(load)) => load::run(load),
        None => measure(&settings),
    }
}

fn measure(settings: &Settings) -> anyhow::Result<()> {
    let (machine, runtime) = machine::begin(settings.cores, 1)?;
    let servers = runtime.block_on(PrivateServers::start_with(Statistics::Default))?;
    let ground = Ground {
        runtime,
        servers,
        environment: settings.environment.clone(),
        nginx: settings.nginx.clone(),
        nchan_module: settings.nchan_module.clone(),
        pushpin: settings.pushpin.clone(),
    };
    let mut rows = Vec::new();
    for run in 1..=settings.runs {
        for work in &settings.works {
            for clients in &settings.clients {
                for kind in &settings.subjects {
                    if !work.suits(*kind) {
                        continue;
                    }
                    let figures = work::measure(*work, *kind, *clients, &ground)?;
                    eprintln!("run {run}: {work:?} {clients} {}: {figures}", kind.name());
                    rows.push(((*work, *clients, *kind), figures));
                }
            }
        }
    }
    println!(
        "{}, {} processors, Linux {}, load before {:.2}\n",
        machine.processor, machine.cores, machine.kernel, machine.load_before
    );
    report::print(settings, &rows);
    let Ground {
        runtime, servers, ..
    } = ground;
    runtime.block_on(servers.discard())
}
