//! Settings that all processes share.

use std::time::Duration;

use super::auth::AuthSettings;
use super::limits::LimitSettings;
use super::tls::TlsSettings;
use crate::trust::TrustSettings;

/// How the process logs, is traced, is protected and ends.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Service")]
pub struct ServiceSettings {
    /// What is logged: a level, or targets with levels such as `info,notifier=debug`
    #[arg(long, env = "RUST_LOG", default_value = "info", value_parser = parse_filter)]
    pub rust_log: String,

    /// How it is logged: `text` for people, `json` for machines
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Where traces go, over OTLP/HTTP, such as `http://localhost:4318`; without it none are sent
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otel_exporter_otlp_endpoint: Option<String>,

    /// Seconds that a shutdown may take to finish what is in hand
    #[arg(long, env = "DRAIN_SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=600))]
    pub drain_seconds: u64,

    /// Seconds after which a request that has no answer yet is answered 503
    #[arg(long, env = "REQUEST_TIMEOUT_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub request_timeout_seconds: u64,

    /// How many connections are open at once; over it new ones wait in the listener's backlog
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// Seconds that a client may take to send the head of a request
    #[arg(long, env = "HEADER_TIMEOUT_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub header_timeout_seconds: u64,

    /// The bounds on each caller.
    #[command(flatten)]
    pub limits: LimitSettings,

    /// Who may call.
    #[command(flatten)]
    pub auth: AuthSettings,

    /// The certificate of the listener.
    #[command(flatten)]
    pub tls: TlsSettings,

    /// Whose certificates are taken.
    #[command(flatten)]
    pub trust: TrustSettings,
}

impl ServiceSettings {
    /// How long a shutdown may take.
    #[must_use]
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

fn parse_filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}
