//! The program `stack`: see `stack --help`.

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs Rosterwire and the servers it needs.
#[derive(Debug, Parser)]
#[command(name = "stack", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Exec(commands::exec::Exec),
    Up(commands::up::Up),
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Exec(exec) => Box::pin(exec.run()).await,
        Command::Up(up) => Box::pin(up.run()).await,
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("stack: {error:#}");
            ExitCode::FAILURE
        }
    }
}
