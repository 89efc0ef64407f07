//! The settings, from arguments or the environment.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use reqwest::Url;
use shared_events::service::Clock;
use shared_events::service::auth::{OwnToken, Role, Secret, SigningSettings};
use shared_events::trust::TrustSettings;

use crate::client::ClientSettings;
use crate::dispatch::RunSettings;
use crate::roster::MAX_CONTRACTORS;
use crate::seeding::SeedSettings;

const EXAMPLES: &str = "\
Examples:
  demo                                 put the roster there if it is not, then keep changing it
  demo seed --contractors 1000         put a larger roster there, and stop
  demo run --rate 20                   change what is there, twenty times a second
  demo --until-changes 500             stop after five hundred changes
  RUST_LOG=demo=debug demo run         tell of each change in words

Whoever works in a territory that is not of the demo's is left alone.";

/// A realistic roster that keeps changing: 200 people in eight cities, their shifts, holidays,
/// leave and jobs, and what dispatchers do with them all day, through schedule-service's public API.
#[derive(Debug, Parser)]
#[command(name = "demo", version, after_help = EXAMPLES)]
pub struct Settings {
    /// What to do; both, one after the other, if left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings of both.
    #[command(flatten)]
    pub options: Options,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Put the roster there: whoever of it is missing.
    Seed,
    /// Keep changing the roster that is there.
    Run,
}

/// The settings of seeding and running.
#[derive(Debug, Args)]
pub struct Options {
    /// Where schedule-service is.
    #[arg(
        long,
        env = "SCHEDULE_SERVICE_URL",
        global = true,
        default_value = "http://127.0.0.1:8080",
          value_parser = service_url
    )]
    pub schedule_service_url: Url,
    /// A bearer token with the role dispatcher, where access is controlled. Not needed where the secret is
    /// named that tokens are signed with: then the demo makes its own
    #[arg(long, env = "ROSTERWIRE_TOKEN", global = true, hide_env_values = true)]
    pub token: Option<String>,
    /// What makes its own.
    #[command(flatten)]
    pub signing: SigningSettings,
    /// Whose certificate schedule-service may have.
    #[command(flatten)]
    pub trust: TrustSettings,
    /// The number from which the people and the changes follow.
    #[arg(long, env = "DEMO_SEED", global = true, default_value_t = 1)]
    pub seed: u64,
    /// How many contractors the roster has: 1 to 4608.
    #[arg(long, env = "DEMO_CONTRACTORS", global = true, default_value_t = 200,
          value_parser = contractors)]
    pub contractors: usize,
    /// Changes a second: above 0, up to 200.
    #[arg(long, env = "DEMO_RATE", global = true, default_value_t = 2.0, value_parser = rate)]
    pub rate: f64,
    /// Stop after so many committed changes.
    #[arg(long, env = "DEMO_UNTIL_CHANGES", global = true)]
    pub until_changes: Option<u64>,
    /// How many requests are under way at once: 1 to 64.
    #[arg(long, env = "DEMO_CONCURRENCY", global = true, default_value_t = 8,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: u16,
    /// How long to wait for schedule-service to be ready at the start, in seconds.
    #[arg(long, env = "DEMO_WAIT_SECONDS", global = true, default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub wait_seconds: u64,
    /// How long one request may take, in seconds.
    #[arg(long, env = "DEMO_REQUEST_TIMEOUT_SECONDS", global = true, default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=300))]
    pub request_timeout_seconds: u64,
    /// How often a request is tried while nobody answers or the answer is 429, 502, 503 or 504,
    /// with pauses that grow from 0.1 to 5 seconds.
    #[arg(long, env = "DEMO_ATTEMPTS", global = true, default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub attempts: u32,
    /// How many changes may fail one after the other before the demo gives up.
    #[arg(long, env = "DEMO_MAX_FAILURES", global = true, default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_failures: u32,
    /// How often a summary is told, in seconds.
    #[arg(long, env = "DEMO_SUMMARY_SECONDS", global = true, default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub summary_seconds: u64,
    /// What is logged, by tracing's filter syntax.
    #[arg(long, env = "RUST_LOG", global = true, default_value = "info")]
    pub log: tracing_subscriber::EnvFilter,
}

impl Options {
    /// How schedule-service is reached.
    #[must_use]
    pub fn client(&self, clock: Clock) -> ClientSettings {
        let given = self.token.clone().filter(|token| !token.is_empty());
        let given = given.map(Secret::new);
        let token = OwnToken::new("demo", Role::Dispatcher, given, &self.signing, clock);
        ClientSettings {
            url: self.schedule_service_url.clone(),
            token: Arc::new(token),
            trust: self.trust.clone(),
            request_timeout: Duration::from_secs(self.request_timeout_seconds),
            attempts: self.attempts,
        }
    }

    /// Which roster is put there.
    #[must_use]
    pub fn seeding(&self) -> SeedSettings {
        SeedSettings {
            seed: self.seed,
            contractors: self.contractors,
            concurrency: usize::from(self.concurrency),
        }
    }

    /// How it is kept changing.
    #[must_use]
    pub fn running(&self) -> RunSettings {
        RunSettings {
            seed: self.seed,
            rate: self.rate,
            concurrency: usize::from(self.concurrency),
            until_changes: self.until_changes,
            summary_every: Duration::from_secs(self.summary_seconds),
            max_failures: self.max_failures,
        }
    }

    /// How long to wait for the service.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.wait_seconds)
    }
}

fn service_url(text: &str) -> Result<Url, String> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| "must be an address such as http://127.0.0.1:8080".to_owned())
}

fn contractors(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (1..=MAX_CONTRACTORS).contains(count))
        .ok_or_else(|| format!("must be a whole number from 1 to {MAX_CONTRACTORS}"))
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate: &f64| (0.001..=200.0).contains(rate))
        .ok_or_else(|| "must be a number from 0.001 to 200".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent_and_help_tells_each_with_its_variable() {
        Settings::command().debug_assert();
        for argument in Settings::command().get_arguments() {
            let id = argument.get_id();
            assert!(argument.get_env().is_some(), "{id}");
            assert!(argument.get_help().is_some(), "{id}");
        }
        let help = Settings::command().render_help().to_string();
        assert!(help.contains(&format!("1 to {MAX_CONTRACTORS}")));
    }

    #[test]
    fn a_setting_out_of_its_bounds_is_refused() {
        for bad in [
            "--rate=0",
            "--rate=201",
            "--rate=NaN",
            "--contractors=0",
            "--concurrency=0",
            "--schedule-service-url=ftp://127.0.0.1",
        ] {
            assert!(
                Settings::try_parse_from(["demo", "run", bad]).is_err(),
                "{bad}"
            );
        }
        let settings = Settings::try_parse_from(["demo", "run", "--rate=200"]);
        assert!(settings.is_ok_and(|settings| settings.command == Some(Command::Run)));
    }
}
