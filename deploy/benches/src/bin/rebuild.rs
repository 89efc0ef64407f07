//! The `rebuild` benchmark.

use benches::rebuild::{Settings, run};
use clap::Parser;

fn main() -> anyhow::Result<()> {
    run(Settings::parse())
}
