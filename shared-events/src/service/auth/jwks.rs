//! The published keys of an issuer: read when first needed, again now and then, and at once when a
//! token names a key that is not among them.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;

use crate::service::tls::https_client;
use crate::trust::{TrustSettings, told};

/// How long the issuer may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The largest set that is read.
const MAX_BYTES: usize = 1 << 20;

/// Between two attempts lies at least so much, whatever tokens come.
const PAUSE: Duration = Duration::from_secs(10);

/// The algorithms that are taken; a shared secret is not one of them.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyError {
    /// The set has no such key, or not for this algorithm.
    Unknown,
    /// The set has never been read.
    Away,
}

#[derive(Debug)]
pub(super) struct KeySet {
    client: reqwest::Client,
    url: reqwest::Url,
    refresh: Duration,
    held: RwLock<Option<Arc<Held>>>,
    /// When the set was last asked for; held while it is.
    asked: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Held {
    keys: Vec<Jwk>,
    read_at: Instant,
}

impl KeySet {
    pub(super) fn new(
        url: reqwest::Url,
        refresh: Duration,
        trust: &TrustSettings,
    ) -> anyhow::Result<Self> {
        let client = https_client(trust)?
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            client,
            url,
            refresh,
            held: RwLock::new(None),
            asked: Mutex::new(None),
        })
    }

    /// The key that a token says it is signed with.
    pub(super) async fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<DecodingKey, KeyError> {
        if !ALGORITHMS.contains(&algorithm) {
            return Err(KeyError::Unknown);
        }
        let held = self.held.read().await.clone();
        let is_fresh = held
            .as_ref()
            .is_some_and(|h| h.read_at.elapsed() < self.refresh);
        if is_fresh && let Some(key) = held.as_ref().and_then(|h| pick(h, id, algorithm)) {
            return Ok(key);
        }
        // What is held stays good where the issuer does not answer.
        self.read_again(held.as_ref()).await;
        let held = self.held.read().await.clone().ok_or(KeyError::Away)?;
        pick(&held, id, algorithm).ok_or(KeyError::Unknown)
    }

    /// Reads the set, unless somebody has since `known`, or has tried just now.
    async fn read_again(&self, known: Option<&Arc<Held>>) {
        let mut asked = self.asked.lock().await;
        let now_held = self.held.read().await.clone();
        let is_newer = match (known, &now_held) {
            (None, Some(_)) => true,
            (Some(known), Some(now)) => !Arc::ptr_eq(known, now),
            (_, None) => false,
        };
        if is_newer || asked.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        *asked = Some(Instant::now());
        match self.ask().await {
            Ok(set) => {
                let held = Held {
                    keys: set.keys,
                    read_at: Instant::now(),
                };
                *self.held.write().await = Some(Arc::new(held));
            }
            Err(reason) => {
                tracing::warn!(url = %self.url, reason, "the keys of the tokens cannot be read");
            }
        }
    }

    async fn ask(&self) -> Result<JwkSet, String> {
        let failed = |error: reqwest::Error| told(&error.without_url());
        let mut answer = self
            .client
            .get(self.url.clone())
            .send()
            .await
            .map_err(failed)?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(format!("status {}", answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BYTES {
                return Err(format!("more than {MAX_BYTES} bytes"));
            }
        }
        serde_json::from_slice(&body).map_err(|error| format!("no key set: {error}"))
    }
}

/// The key of that id; where the token names none, the only one that fits.
fn pick(held: &Held, id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
    let mut fitting = held.keys.iter().filter(|key| {
        let own = key.common.key_algorithm;
        own.is_none_or(|own| own == name_of(algorithm))
            && id.is_none_or(|id| key.common.key_id.as_deref() == Some(id))
    });
    let key = fitting.next()?;
    if id.is_none() && fitting.next().is_some() {
        return None;
    }
    DecodingKey::from_jwk(key).ok()
}

fn name_of(algorithm: Algorithm) -> KeyAlgorithm {
    match algorithm {
        Algorithm::RS256 => KeyAlgorithm::RS256,
        Algorithm::ES256 => KeyAlgorithm::ES256,
        Algorithm::EdDSA => KeyAlgorithm::EdDSA,
        _ => KeyAlgorithm::UNKNOWN_ALGORITHM,
    }
}
