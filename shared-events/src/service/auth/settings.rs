//! The settings of access.

use std::fmt;
use std::time::Duration;

use axum::http::HeaderValue;

use crate::service::cors::parse_origin;

/// Who may call.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Access")]
pub struct AuthSettings {
    /// How callers are known. There is no default: to let everybody in must be written out
    #[arg(
        long,
        env = "AUTH_MODE",
        value_enum,
        requires_if("hs256", "auth_hs256_secret"),
        requires_if("jwks", "auth_jwks_url")
    )]
    pub auth_mode: AuthMode,

    /// What is agreed with the issuer.
    #[command(flatten)]
    pub signing: SigningSettings,

    /// With `jwks`: where the public keys are, such as `https://login.example.com/.well-known/jwks.json`
    #[arg(long, env = "AUTH_JWKS_URL", value_parser = parse_url)]
    pub auth_jwks_url: Option<reqwest::Url>,

    /// Seconds after which the keys are read again. A token with an unknown key has them read at
    /// once, but not more often than every 10 seconds
    #[arg(long, env = "AUTH_JWKS_REFRESH_SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(10..=86_400))]
    pub auth_jwks_refresh_seconds: u32,

    /// Seconds that the clocks of the issuer and of this machine may differ
    #[arg(long, env = "AUTH_LEEWAY_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=300))]
    pub auth_leeway_seconds: u32,

    /// Origins, such as `https://board.example.com`, whose pages may call with the cookie and read the
    /// answers; separated by commas, none by default. A page of this service's own origin always may
    #[arg(long, env = "ALLOWED_ORIGINS", value_delimiter = ',', value_parser = parse_origin)]
    pub allowed_origins: Vec<HeaderValue>,
}

/// What those who check tokens agree on with those who make them.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Access")]
pub struct SigningSettings {
    /// The secret that tokens are signed with under `AUTH_MODE=hs256`, 32 bytes at least
    #[arg(long, env = "AUTH_HS256_SECRET", hide_env_values = true, value_parser = parse_secret)]
    pub auth_hs256_secret: Option<Secret>,

    /// The audience that a token must be for
    #[arg(long, env = "AUTH_AUDIENCE", default_value = "rosterwire")]
    pub auth_audience: String,

    /// The issuer that a token must be of; without it every issuer with the right key
    #[arg(long, env = "AUTH_ISSUER")]
    pub auth_issuer: Option<String>,
}

impl AuthSettings {
    pub(super) fn jwks_refresh(&self) -> Duration {
        Duration::from_secs(self.auth_jwks_refresh_seconds.into())
    }
}

/// How callers are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AuthMode {
    /// Not at all: whoever reaches the port may do everything.
    Disabled,
    /// By tokens that are signed with a shared secret.
    Hs256,
    /// By tokens that are signed with a key of a published set: RS256, ES256 or EdDSA.
    Jwks,
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}

/// RFC 7518, 3.2: a key of the hash's size or larger.
const MIN_SECRET_BYTES: usize = 32;

fn parse_secret(text: &str) -> Result<Secret, String> {
    if text.len() < MIN_SECRET_BYTES {
        return Err(format!(
            "a secret of at least {MIN_SECRET_BYTES} bytes, such as `openssl rand -hex 32` makes"
        ));
    }
    Ok(Secret::new(text))
}

fn parse_url(text: &str) -> Result<reqwest::Url, String> {
    match text.parse::<reqwest::Url>() {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("not an HTTP URL, such as https://host/.well-known/jwks.json".to_owned()),
    }
}
