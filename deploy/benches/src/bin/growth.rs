//! The `growth` benchmark.

use benches::growth::{Settings, run};
use clap::Parser;

fn main() -> anyhow::Result<()> {
    run(Settings::parse())
}
