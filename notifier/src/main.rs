//! The `notifier` program.

use std::process::ExitCode;

use notifier::app::Application;
use notifier::config::{Cli, Command, Config};
use shared_events::service::{self, Clock};

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::try_parse_from(std::env::args_os()) {
        Ok(Cli::Serve(config)) => serve(*config).await,
        Ok(Cli::Run(Command::Openapi)) => print_openapi(),
        Ok(Cli::Run(Command::Healthcheck { bind_addr })) => service::healthcheck(bind_addr).await,
        Err(error) if error.use_stderr() => {
            eprintln!("notifier: {}", one_line(&error));
            ExitCode::from(2)
        }
        // Help and version are no errors.
        Err(text) => text.exit(),
    }
}

async fn serve(config: Config) -> ExitCode {
    let settings = config.service.clone();
    service::run("notifier", &settings, |shutdown| async move {
        Application::build(config, Clock::system())
            .await?
            .run(shutdown)
            .await
    })
    .await
}

fn print_openapi() -> ExitCode {
    match notifier::http::document().to_pretty_json() {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("notifier: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is wrong with the command line, without the usage that follows it.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = first.split_whitespace().collect();
    format!(
        "{} (--help tells all settings)",
        words.join(" ").trim_start_matches("error: ")
    )
}
