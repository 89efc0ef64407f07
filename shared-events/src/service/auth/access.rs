//! From a request's headers to a caller.

use std::collections::{BTreeSet, HashSet};

use axum::http::header::{AUTHORIZATION, COOKIE as COOKIE_HEADER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::COOKIE;
use super::caller::{Caller, Role, Territories, forbidden};
use super::jwks::{KeyError, KeySet};
use super::settings::{AuthMode, AuthSettings};
use crate::schedule::is_slug;
use crate::service::clock::Clock;
use crate::service::cors::Origins;
use crate::service::problem::Problem;
use crate::trust::TrustSettings;

/// A longer token is refused unread.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// A subject is cut off here: it is written with every change.
const MAX_SUBJECT_CHARS: usize = 200;

/// Knows callers by their tokens.
#[derive(Debug)]
pub struct Access {
    keys: Option<Keys>,
    audience: String,
    issuer: Option<String>,
    leeway: TimeDelta,
    origins: Origins,
    clock: Clock,
}

enum Keys {
    Secret(DecodingKey),
    Published(KeySet),
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Secret(_) => "Secret",
            Self::Published(_) => "Published",
        })
    }
}

/// What is read of a token.
#[derive(Debug, Deserialize)]
struct Claims {
    #[serde(default)]
    sub: Option<String>,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    territories: Vec<String>,
}

/// Why a token is not taken.
enum Refusal {
    Missing,
    Invalid,
    Expired,
    /// A browser may have been made to send the cookie.
    ForeignPage,
    /// Nobody can tell now.
    KeysAway,
}

impl Access {
    /// Access by these settings. Nothing is read until it is first needed.
    pub fn new(
        settings: &AuthSettings,
        trust: &TrustSettings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let keys = match (
            settings.auth_mode,
            &settings.signing.auth_hs256_secret,
            &settings.auth_jwks_url,
        ) {
            (AuthMode::Disabled, _, _) => None,
            (AuthMode::Hs256, Some(secret), _) => Some(Keys::Secret(DecodingKey::from_secret(
                secret.reveal().as_bytes(),
            ))),
            (AuthMode::Jwks, _, Some(url)) => Some(Keys::Published(KeySet::new(
                url.clone(),
                settings.jwks_refresh(),
                trust,
            )?)),
            (AuthMode::Hs256, None, _) => anyhow::bail!("AUTH_HS256_SECRET must be set"),
            (AuthMode::Jwks, _, None) => anyhow::bail!("AUTH_JWKS_URL must be set"),
        };
        Ok(Self {
            keys,
            audience: settings.signing.auth_audience.clone(),
            issuer: settings.signing.auth_issuer.clone(),
            leeway: TimeDelta::seconds(settings.auth_leeway_seconds.into()),
            origins: Origins::new(&settings.allowed_origins),
            clock,
        })
    }

    /// Who sends a request; the problem to answer where that is not known.
    ///
    /// To change something by the cookie takes an `Origin` that is trusted, so that no other site can
    /// have a browser change anything.
    pub async fn caller(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Caller, Problem> {
        let Some(keys) = &self.keys else {
            return Ok(Caller::anybody());
        };
        let known = async {
            let token = match token_of(headers)? {
                Sent::Header(token) => token,
                Sent::Cookie(token) => {
                    let reads = matches!(*method, Method::GET | Method::HEAD);
                    if !reads && !self.origins.trust(uri, headers) {
                        return Err(Refusal::ForeignPage);
                    }
                    token
                }
            };
            self.known(keys, token).await
        };
        known.await.map_err(Refusal::problem)
    }

    /// Whom a token is of; the problem to answer where it is not taken. Anybody, where access is not
    /// checked.
    pub async fn caller_of(&self, token: &str) -> Result<Caller, Problem> {
        let Some(keys) = &self.keys else {
            return Ok(Caller::anybody());
        };
        self.known(keys, token).await.map_err(Refusal::problem)
    }

    /// Whether callers are checked at all.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        self.keys.is_some()
    }

    /// Whose pages may call with the cookie.
    #[must_use]
    pub fn origins(&self) -> &Origins {
        &self.origins
    }

    async fn known(&self, keys: &Keys, token: &str) -> Result<Caller, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refusal::Invalid)?;
        let claims = match keys {
            Keys::Secret(key) => self.claims(token, key, Algorithm::HS256)?,
            Keys::Published(keys) => {
                let found = keys.find(header.kid.as_deref(), header.alg).await;
                let key = found.map_err(|error| match error {
                    KeyError::Unknown => Refusal::Invalid,
                    KeyError::Away => Refusal::KeysAway,
                })?;
                self.claims(token, &key, header.alg)?
            }
        };
        let now = self.clock.now();
        let at = |seconds| DateTime::<Utc>::from_timestamp(seconds, 0).ok_or(Refusal::Invalid);
        let expires_at = at(claims.exp)?;
        if now >= expires_at + self.leeway {
            return Err(Refusal::Expired);
        }
        if let Some(not_before) = claims.nbf
            && now < at(not_before)? - self.leeway
        {
            return Err(Refusal::Invalid);
        }
        Ok(claims.caller(expires_at))
    }

    /// The claims of a token that `key` has signed, and that is for us.
    fn claims(
        &self,
        token: &str,
        key: &DecodingKey,
        algorithm: Algorithm,
    ) -> Result<Claims, Refusal> {
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[&self.audience]);
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
        }
        // The times are compared with our own clock, below.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.required_spec_claims = required(self.issuer.is_some());
        jsonwebtoken::decode::<Claims>(token, key, &validation)
            .map(|data| data.claims)
            .map_err(|_| Refusal::Invalid)
    }
}

fn required(issuer: bool) -> HashSet<String> {
    let names = ["exp", "aud"].into_iter().chain(issuer.then_some("iss"));
    names.map(str::to_owned).collect()
}

impl Claims {
    fn caller(self, expires_at: DateTime<Utc>) -> Caller {
        let roles: BTreeSet<Role> = self
            .roles
            .iter()
            .filter_map(|name| clap::ValueEnum::from_str(name, false).ok())
            .collect();
        let territories = if self.territories.iter().any(|slug| slug == "*") {
            Territories::All
        } else {
            Territories::Only(
                self.territories
                    .into_iter()
                    .filter(|t| is_slug(t))
                    .collect(),
            )
        };
        let subject = self
            .sub
            .filter(|sub| !sub.is_empty())
            .unwrap_or_else(|| "unnamed".to_owned());
        let subject = subject
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_SUBJECT_CHARS);
        Caller::new(subject.collect(), roles, territories, Some(expires_at))
    }
}

/// How a token came.
enum Sent<'h> {
    Header(&'h str),
    Cookie(&'h str),
}

/// A header goes before the cookie, which a browser sends unasked.
fn token_of(headers: &HeaderMap) -> Result<Sent<'_>, Refusal> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => {
            let text = line.to_str().map_err(|_| Refusal::Invalid)?;
            let (scheme, token) = text.split_once(' ').ok_or(Refusal::Invalid)?;
            if !scheme.eq_ignore_ascii_case("bearer") {
                return Err(Refusal::Invalid);
            }
            Ok(Sent::Header(token.trim()))
        }
        (Some(_), Some(_)) => Err(Refusal::Invalid),
        (None, _) => cookie_of(headers).map(Sent::Cookie).ok_or(Refusal::Missing),
    }
}

fn cookie_of(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE_HEADER)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, token)| token)
}

impl Refusal {
    fn problem(self) -> Problem {
        match self {
            Self::Missing => unauthenticated("Bearer realm=\"rosterwire\"")
                .detail("send a token: `Authorization: Bearer <token>`"),
            Self::Invalid => invalid_token().detail("the token is not valid here"),
            Self::Expired => invalid_token().detail("the token has expired"),
            Self::ForeignPage => foreign_page(),
            Self::KeysAway => Problem::unavailable("tokens cannot be checked for now", 1),
        }
    }
}

/// 403: a page may have had a browser send this that has no business here.
#[must_use]
pub fn foreign_page() -> Problem {
    forbidden().detail("the `Origin` of the page is not one of those allowed here")
}

fn unauthenticated(challenge: &'static str) -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthenticated",
        "A valid token is needed",
    )
    .header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

fn invalid_token() -> Problem {
    unauthenticated("Bearer realm=\"rosterwire\", error=\"invalid_token\"")
}
