//! Who may call what `stack up` runs.

use anyhow::Result;
use chrono::TimeDelta;
use clap::{Args, ValueEnum};
use shared_events::service::auth::{AuthMode, SigningSettings};
use stack::access::AccessKey;
use stack::state::Tokens;

use super::site::Site;

/// How long the tokens in state.json are good.
const TOKEN_LIFE: TimeDelta = TimeDelta::days(30);

/// Who may call.
#[derive(Debug, Args)]
pub(super) struct AccessSettings {
    /// How callers are known. With `hs256` and no secret named, one is made and kept in the folder, so
    /// that tokens outlast a restart; `disabled` lets everybody on this machine do everything
    #[arg(long, env = "AUTH_MODE", value_enum, default_value_t = AuthMode::Hs256)]
    auth_mode: AuthMode,

    #[command(flatten)]
    signing: SigningSettings,
}

/// How the services are told, and what their callers need.
#[derive(Debug)]
pub(super) struct Access {
    mode: AuthMode,
    key: Option<AccessKey>,
    /// What the services check tokens by.
    secret: Vec<(&'static str, String)>,
}

impl Access {
    /// By the settings, and by what is kept in the folder.
    pub(super) fn of(settings: &AccessSettings, site: &Site) -> Result<Self> {
        let (mode, signing) = (settings.auth_mode, &settings.signing);
        let (key, secret) = match (mode, AccessKey::named(signing)) {
            (AuthMode::Hs256, Some(named)) => {
                let text = named.secret().reveal().to_owned();
                let told = [
                    ("AUTH_HS256_SECRET", text),
                    ("AUTH_HS256_SECRET_FILE", String::new()),
                ];
                (Some(named), told.to_vec())
            }
            (AuthMode::Hs256, None) => {
                let path = site.secret();
                let kept = AccessKey::kept_in(&path, signing)?;
                let told = ("AUTH_HS256_SECRET_FILE", path.display().to_string());
                (Some(kept), vec![told])
            }
            _ => (None, Vec::new()),
        };
        Ok(Self { mode, key, secret })
    }

    /// A token for each role, where we know how they are signed; else empty.
    pub(super) fn tokens(&self) -> Tokens {
        let made = self.key.as_ref().map(|key| key.tokens(TOKEN_LIFE));
        made.unwrap_or_default()
    }

    /// The environment of a service, for the board at `notifier_url`.
    pub(super) fn env(&self, notifier_url: &str) -> Vec<(&'static str, String)> {
        let mode = self.mode.to_possible_value();
        let mode = mode.map(|mode| mode.get_name().to_owned());
        let named = notifier_url.replace("127.0.0.1", "localhost");
        let asked = std::env::var("ALLOWED_ORIGINS").unwrap_or_default();
        let origins = [asked.as_str(), notifier_url, &named];
        let origins = origins.map(str::trim).into_iter().filter(|o| !o.is_empty());
        let mut env = vec![
            ("AUTH_MODE", mode.unwrap_or_default()),
            ("ALLOWED_ORIGINS", origins.collect::<Vec<_>>().join(",")),
        ];
        if std::env::var_os("BOARD_AUTOMATIC_SIGN_IN").is_none() && self.mode == AuthMode::Hs256 {
            env.push(("BOARD_AUTOMATIC_SIGN_IN", "true".to_owned()));
        }
        env.extend(self.secret.iter().cloned());
        env
    }
}
