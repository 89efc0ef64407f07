//! The `search` benchmark.

use benches::search::{Settings, run};
use clap::Parser;

fn main() -> anyhow::Result<()> {
    run(Settings::parse())
}
