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
        Err(error) => service::refuse_command_line("notifier", &error),
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
