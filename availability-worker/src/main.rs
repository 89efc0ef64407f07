//! The availability-worker command.

use std::process::ExitCode;

use availability_worker::cli;

fn main() -> ExitCode {
    cli::run()
}
