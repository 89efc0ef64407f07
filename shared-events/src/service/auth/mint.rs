//! Making tokens, where they are signed with a shared secret.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::caller::Role;
use super::settings::{Secret, SigningSettings};
use crate::service::clock::Clock;

/// A token could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the token cannot be signed: {0}")]
pub struct MintError(#[from] jsonwebtoken::errors::Error);

/// Makes tokens.
#[derive(Clone)]
pub struct Minter {
    key: EncodingKey,
    audience: String,
    issuer: Option<String>,
}

impl std::fmt::Debug for Minter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Minter").finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    aud: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    iat: i64,
    exp: i64,
    roles: &'a [Role],
    territories: &'a [String],
}

impl Minter {
    /// Makes tokens that are signed with `secret`.
    #[must_use]
    pub fn new(secret: &Secret, audience: &str, issuer: Option<&str>) -> Self {
        Self {
            key: EncodingKey::from_secret(secret.reveal().as_bytes()),
            audience: audience.to_owned(),
            issuer: issuer.map(str::to_owned),
        }
    }

    /// Makes tokens by these settings, if they hold a secret.
    #[must_use]
    pub fn of(signing: &SigningSettings) -> Option<Self> {
        let secret = signing.auth_hs256_secret.as_ref()?;
        let issuer = signing.auth_issuer.as_deref();
        Some(Self::new(secret, &signing.auth_audience, issuer))
    }

    /// A token for `subject`, good until `expires_at`. The territory `*` stands for all.
    pub fn mint(
        &self,
        subject: &str,
        roles: &[Role],
        territories: &[String],
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<String, MintError> {
        let claims = Claims {
            sub: subject,
            aud: &self.audience,
            iss: self.issuer.as_deref(),
            iat: now.timestamp(),
            exp: expires_at.timestamp(),
            roles,
            territories,
        };
        let header = Header::new(Algorithm::HS256);
        Ok(jsonwebtoken::encode(&header, &claims, &self.key)?)
    }
}

/// The token with which a program of ours calls a service.
#[derive(Debug)]
pub struct OwnToken {
    subject: &'static str,
    role: Role,
    given: Option<Secret>,
    minter: Option<Minter>,
    clock: Clock,
    made: Mutex<Option<(String, DateTime<Utc>)>>,
}

/// How long a made token is good, and how long before its end another is made: far longer than the clocks of
/// two services differ, or one could not call the other.
const LIFE: TimeDelta = TimeDelta::hours(4);
const RENEW: TimeDelta = TimeDelta::hours(2);

impl OwnToken {
    /// The token of `subject`, for all territories: `given`, or one made with the shared secret; none
    /// where there is neither.
    #[must_use]
    pub fn new(
        subject: &'static str,
        role: Role,
        given: Option<Secret>,
        signing: &SigningSettings,
        clock: Clock,
    ) -> Self {
        Self {
            subject,
            role,
            given,
            minter: Minter::of(signing),
            clock,
            made: Mutex::default(),
        }
    }

    /// The token to send now.
    pub fn current(&self) -> Result<Option<String>, MintError> {
        if let Some(given) = &self.given {
            return Ok(Some(given.reveal().to_owned()));
        }
        let Some(minter) = &self.minter else {
            return Ok(None);
        };
        let now = self.clock.now();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((token, expires_at)) = made.as_ref()
            && now + RENEW < *expires_at
        {
            return Ok(Some(token.clone()));
        }
        let expires_at = now + LIFE;
        let all = ["*".to_owned()];
        let token = minter.mint(self.subject, &[self.role], &all, now, expires_at)?;
        *made = Some((token.clone(), expires_at));
        Ok(Some(token))
    }
}
