//! What no log may hold.

use std::fs;
use std::path::Path;

use crate::access::AccessKey;
use crate::backends::Backends;
use crate::service::ServiceKind;

/// The secrets of a running system.
#[derive(Debug)]
pub(crate) struct Secrecy {
    /// What each is called, and the text that gives it away.
    secrets: Vec<(&'static str, String)>,
}

impl Secrecy {
    /// Those of services on these servers, whose callers have tokens of this process.
    pub(crate) fn of(backends: &Backends) -> Self {
        let key = AccessKey::of_this_process();
        let token = key.admin();
        // Every token begins with the same, which says how it is signed.
        let begin = token.split('.').next().unwrap_or_default();
        let mut secrets = vec![
            ("the secret", key.secret().reveal().to_owned()),
            ("a token", format!("{begin}.")),
        ];
        let limited = backends.as_used_by(ServiceKind::AvailabilityWorker);
        for backends in [Some(backends.clone()), limited.ok()].into_iter().flatten() {
            let urls = backends.env().into_iter().map(|(_, url)| url);
            secrets.extend(urls.filter_map(|url| Some(("a password", password(url)?))));
        }
        Self { secrets }
    }

    /// What a log gives away: which secret, and in which line. Nothing of it is repeated.
    pub(crate) fn given_away_by(&self, log: &Path) -> Option<String> {
        let log = fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let found = self.secrets.iter().find_map(|(name, secret)| {
            let before = &text[..text.find(secret.as_str())?];
            Some((name, before.lines().count().max(1)))
        });
        found.map(|(name, line)| format!("{name} stands in line {line}"))
    }
}

/// `:password@`, as a URL has it.
fn password(url: &str) -> Option<String> {
    let (user, _) = url.split_once("://")?.1.split_once('@')?;
    let (_, password) = user.split_once(':')?;
    Some(format!(":{password}@"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_gives_a_secret_away_is_found() {
        let backends = Backends {
            database_url: "postgres://me@host/name".to_owned(),
            amqp_url: "amqp://guest:hunter2@host/%2f".to_owned(),
            redis_url: "redis://host".to_owned(),
        };
        let watch = Secrecy::of(&backends);
        let token = AccessKey::of_this_process().admin();
        let secret = AccessKey::of_this_process().secret().reveal().to_owned();
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, found) in [
            ("all is well\n".to_owned(), None),
            (
                format!("a\nBearer {token}\n"),
                Some("a token stands in line 2"),
            ),
            (secret, Some("the secret stands in line 1")),
            (
                backends.amqp_url.clone(),
                Some("a password stands in line 1"),
            ),
        ] {
            fs::write(file.path(), text).unwrap();
            assert_eq!(watch.given_away_by(file.path()).as_deref(), found);
        }
    }
}
