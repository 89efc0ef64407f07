//! The `schedule-service` program.

use std::io::Write;
use std::process::ExitCode;

use schedule_service::app::Application;
use schedule_service::config::{Cli, Command};
use schedule_service::{import, migrations, set_aside, token};
use shared_events::service::{self, Clock};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return service::refuse_command_line("schedule-service", &error),
    };
    match cli {
        Cli::Run(Command::Import(arguments)) => import::run(*arguments, Clock::system()).await,
        Cli::Run(Command::Migrate(arguments)) => migrations::run(&arguments).await,
        Cli::Run(Command::Outbox(command)) => set_aside::run(*command).await,
        Cli::Run(Command::Token(arguments)) => token::run(&arguments, &Clock::system()),
        Cli::Run(Command::Openapi) => openapi(),
        Cli::Run(Command::Healthcheck { bind_addr }) => service::healthcheck(bind_addr).await,
        Cli::Serve(settings) => {
            let shared = settings.service.clone();
            service::run("schedule-service", &shared, |shutdown| async {
                Application::build(*settings, Clock::system())
                    .await?
                    .run_until_stopped(shutdown)
                    .await
            })
            .await
        }
    }
}

fn openapi() -> ExitCode {
    let written = schedule_service::http::openapi()
        .to_pretty_json()
        .map_err(std::io::Error::other)
        .and_then(|document| writeln!(std::io::stdout(), "{document}"));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("schedule-service: cannot print the description: {error}");
            ExitCode::FAILURE
        }
    }
}
