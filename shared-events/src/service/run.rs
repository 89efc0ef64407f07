//! From `main` to the exit code.

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::auth::AuthMode;
use super::settings::ServiceSettings;
use super::shutdown::Shutdown;
use super::telemetry::Telemetry;

/// Runs a process: installs telemetry, lives until `main` ends or a signal comes, drains, and says
/// how it went. SIGTERM and SIGINT begin the shutdown; a second one, or the end of the drain time,
/// ends it at once. Where `main` fails, one clear line says why.
pub async fn run<M, F>(service: &'static str, settings: &ServiceSettings, main: M) -> ExitCode
where
    M: FnOnce(Shutdown) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let telemetry = match Telemetry::install(service, settings) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("{service}: {error:#}");
            return ExitCode::from(2);
        }
    };
    super::metrics::install();
    let shutdown = Shutdown::new();
    let signals = tokio::spawn(obey_signals(shutdown.clone(), settings.drain()));
    let upkeep = tokio::spawn(super::metrics::upkeep());
    tracing::info!(service, version = env!("CARGO_PKG_VERSION"), "starting");
    if settings.auth.auth_mode == AuthMode::Disabled {
        tracing::warn!("AUTH_MODE=disabled: whoever reaches this port may do everything");
    }

    let outcome = main(shutdown.clone()).await;
    let outcome = match shutdown.failure() {
        Some(reason) => outcome.and(Err(anyhow::anyhow!("{reason}"))),
        None => outcome,
    };
    shutdown.begin();
    let _ = tokio::time::timeout(settings.drain(), shutdown.drained()).await;
    shutdown.end_now();
    shutdown.drained().await;
    signals.abort();
    upkeep.abort();

    let code = match outcome {
        Ok(()) => {
            tracing::info!(service, "ended");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(service, error = format!("{error:#}"), "ended by an error");
            ExitCode::FAILURE
        }
    };
    // The exporter blocks while it sends.
    let _ = tokio::task::spawn_blocking(|| telemetry.finish()).await;
    code
}

async fn obey_signals(shutdown: Shutdown, drain: Duration) {
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::error!("cannot listen for signals; only a kill will end this process");
        return;
    };
    let name = tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    };
    tracing::info!(signal = name, drain_s = drain.as_secs(), "shutting down");
    shutdown.begin();
    tokio::select! {
        _ = term.recv() => tracing::warn!("a second signal: ending at once"),
        _ = int.recv() => tracing::warn!("a second signal: ending at once"),
        () = tokio::time::sleep(drain) => tracing::warn!("the drain time is over: ending at once"),
    }
    shutdown.end_now();
}
