//! The program `stack`: see `stack --help`.

mod commands;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use shared_events::service::with_secret_files;

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
    let arguments = match read() {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let result = match arguments.command {
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

fn read() -> Result<Arguments, clap::Error> {
    let (command, words) = with_secret_files(Arguments::command(), std::env::args_os())?;
    Arguments::from_arg_matches(&command.try_get_matches_from(words)?)
}
