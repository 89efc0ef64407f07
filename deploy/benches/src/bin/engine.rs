//! The `engine` benchmark.

use benches::engine::{Settings, run};
use clap::Parser;

fn main() -> anyhow::Result<()> {
    run(&Settings::parse())
}
