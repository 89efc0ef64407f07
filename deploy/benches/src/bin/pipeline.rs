//! The `pipeline` benchmark.

use benches::pipeline::{Settings, run};
use clap::Parser;

fn main() -> anyhow::Result<()> {
    run(Settings::parse())
}
