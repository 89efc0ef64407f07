//! The demo's process.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches};
use demo::client::Client;
use demo::settings::{Command, Options, Settings};
use indicatif::{ProgressBar, ProgressStyle};
use shared_events::service::{Clock, with_secret_files};

#[tokio::main]
async fn main() -> ExitCode {
    let Settings {
        command,
        mut options,
    } = match read() {
        Ok(settings) => settings,
        Err(error) => error.exit(),
    };
    let filter = std::mem::take(&mut options.log);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    tokio::select! {
        result = work(command, &options) => match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!("{error:#}");
                ExitCode::FAILURE
            }
        },
        () = told_to_stop() => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
    }
}

fn read() -> Result<Settings, clap::Error> {
    let (command, words) = with_secret_files(Settings::command(), std::env::args_os())?;
    Settings::from_arg_matches(&command.try_get_matches_from(words)?)
}

async fn work(command: Option<Command>, options: &Options) -> anyhow::Result<()> {
    let clock = Clock::system();
    let client = Client::new(&options.client(clock.clone()))?;
    client
        .wait_until_ready(options.patience())
        .await
        .with_context(|| {
            format!(
                "schedule-service at {} is not ready",
                options.schedule_service_url
            )
        })?;
    if command != Some(Command::Run) {
        let progress = progress_bar();
        let seeded = demo::seed(&client, options.seeding(), clock.now(), &progress)
            .await
            .context("the roster cannot be put there")?;
        tracing::info!(seeded.created, seeded.present, "the roster is there");
    }
    if command != Some(Command::Seed) {
        demo::run(&client, &options.running(), &clock).await?;
    }
    Ok(())
}

/// A bar on a terminal; elsewhere it draws nothing.
fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} contractors, {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Ends with Ctrl-C, or where the process is told to terminate.
async fn told_to_stop() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
