//! `schedule-service token`: tokens for development, signed with the shared secret.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use chrono::TimeDelta;
use clap::Args;
use shared_events::schedule::is_slug;
use shared_events::service::Clock;
use shared_events::service::auth::{Minter, Role, SigningSettings};

/// What the token says.
#[derive(Debug, Args)]
#[command(mut_arg("auth_hs256_secret", |secret| secret.required(true)))]
pub struct TokenArgs {
    /// What the caller is; may repeat
    #[arg(long, value_enum, required = true)]
    pub role: Vec<Role>,

    /// A territory that the caller has to do with; may repeat. `*` stands for all
    #[arg(long, default_value = "*", value_parser = parse_territory)]
    pub territory: Vec<String>,

    /// How long the token is good, such as 30m, 8h or 7days; 366 days at most
    #[arg(long, default_value = "8h", value_parser = parse_ttl)]
    pub ttl: TimeDelta,

    /// Who the caller is, as the history tells it
    #[arg(long, default_value = "developer")]
    pub subject: String,

    /// What the services check tokens by.
    #[command(flatten)]
    pub signing: SigningSettings,
}

/// The longest life of a token.
const MAX_TTL: TimeDelta = TimeDelta::days(366);

fn parse_ttl(text: &str) -> Result<TimeDelta, String> {
    let ttl = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    TimeDelta::from_std(ttl)
        .ok()
        .filter(|ttl| {
            *ttl <= MAX_TTL && ttl.to_std().is_ok_and(|ttl| ttl >= Duration::from_secs(1))
        })
        .ok_or_else(|| format!("not from 1s to {}days", MAX_TTL.num_days()))
}

fn parse_territory(text: &str) -> Result<String, String> {
    if text == "*" || is_slug(text) {
        Ok(text.to_owned())
    } else {
        Err("neither `*` nor a slug of the form [a-z0-9-]{1,64}".to_owned())
    }
}

/// Prints a token.
#[must_use]
pub fn run(arguments: &TokenArgs, clock: &Clock) -> ExitCode {
    let now = clock.now();
    let made = Minter::of(&arguments.signing).map(|minter| {
        minter.mint(
            &arguments.subject,
            &arguments.role,
            &arguments.territory,
            now,
            now + arguments.ttl,
        )
    });
    let printed = made
        .ok_or_else(|| "AUTH_HS256_SECRET must be set".to_owned())
        .and_then(|token| token.map_err(|error| error.to_string()))
        .and_then(|token| writeln!(std::io::stdout(), "{token}").map_err(|e| e.to_string()));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("schedule-service: {error}");
            ExitCode::FAILURE
        }
    }
}
