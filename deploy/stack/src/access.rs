//! Who may call the services that are started from here: a secret, and tokens signed with it.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use chrono::TimeDelta;
use rand::Rng;
use shared_events::service::Clock;
use shared_events::service::auth::{Minter, Role, Secret, SigningSettings};

use crate::state::Tokens;

/// The audience of tokens where nothing else is set.
const AUDIENCE: &str = "rosterwire";

/// How long the tokens of a test or a benchmark are good: longer than any runs.
const LIFE: TimeDelta = TimeDelta::days(2);

/// The secret of everything that this process starts for itself, which nobody else knows.
static OF_THIS_PROCESS: LazyLock<AccessKey> = LazyLock::new(AccessKey::random);

/// A secret that the services check tokens by, and what makes such tokens.
#[derive(Debug, Clone)]
pub struct AccessKey {
    secret: Secret,
    minter: Minter,
}

impl AccessKey {
    /// The one of the tests and benchmarks of this process.
    #[must_use]
    pub fn of_this_process() -> &'static Self {
        &OF_THIS_PROCESS
    }

    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self::of(Secret::new(random_text()), AUDIENCE, None)
    }

    /// The one that the settings name, if they name one.
    #[must_use]
    pub fn named(signing: &SigningSettings) -> Option<Self> {
        let secret = signing.auth_hs256_secret.clone()?;
        let issuer = signing.auth_issuer.as_deref();
        Some(Self::of(secret, &signing.auth_audience, issuer))
    }

    /// The one that is kept in a file, which is made where there is none and which only our user can
    /// read. What its tokens say beside follows the settings.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn kept_in(path: &Path, signing: &SigningSettings) -> Result<Self> {
        let made = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| file.write_all(random_text().as_bytes()));
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => fs::read_to_string(path),
        }
        .with_context(|| format!("the secret in {}", path.display()))
        .map(|text| {
            let issuer = signing.auth_issuer.as_deref();
            Self::of(Secret::new(text.trim()), &signing.auth_audience, issuer)
        })
    }

    fn of(secret: Secret, audience: &str, issuer: Option<&str>) -> Self {
        Self {
            minter: Minter::new(&secret, audience, issuer),
            secret,
        }
    }

    /// What the services check tokens by.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What turns access on in the environment of a service.
    #[must_use]
    pub fn env(&self) -> [(&'static str, &str); 2] {
        [
            ("AUTH_MODE", "hs256"),
            ("AUTH_HS256_SECRET", self.secret.reveal()),
        ]
    }

    /// A token of one role, good for `life` from now on. The territory `*` stands for all.
    ///
    /// # Panics
    /// Never: a shared secret of any length signs.
    #[must_use]
    pub fn token(
        &self,
        subject: &str,
        role: Role,
        territories: &[&str],
        life: TimeDelta,
    ) -> String {
        let territories: Vec<String> = territories.iter().map(|t| (*t).to_owned()).collect();
        let now = Clock::system().now();
        let made = self
            .minter
            .mint(subject, &[role], &territories, now, now + life);
        made.expect("a shared secret signs")
    }

    /// A token for everything.
    #[must_use]
    pub fn admin(&self) -> String {
        self.token("admin", Role::Admin, &["*"], LIFE)
    }

    /// One for each role, for all territories.
    #[must_use]
    pub fn tokens(&self, life: TimeDelta) -> Tokens {
        let token = |subject, role| self.token(subject, role, &["*"], life);
        Tokens {
            admin: token("admin", Role::Admin),
            dispatcher: token("dispatcher", Role::Dispatcher),
            manager: token("manager", Role::Manager),
            service: token("service", Role::Service),
        }
    }
}

/// 256 bits in hexadecimal digits.
fn random_text() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use clap::Parser;

    use super::{AccessKey, SigningSettings, fs};

    #[derive(Parser)]
    struct Settings {
        #[command(flatten)]
        signing: SigningSettings,
    }

    #[test]
    fn a_kept_secret_is_made_once_and_only_we_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let signing = Settings::parse_from(["x"]).signing;
        let first = AccessKey::kept_in(&path, &signing).unwrap();
        let again = AccessKey::kept_in(&path, &signing).unwrap();
        assert_eq!(first.env(), again.env());
        assert!(first.secret.reveal().len() == 64);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(AccessKey::random().env(), first.env());
        let shown = format!("{first:?}");
        assert!(!shown.contains(first.secret.reveal()), "{shown}");
    }
}
