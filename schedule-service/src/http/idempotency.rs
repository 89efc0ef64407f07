//! `Idempotency-Key`: the same request again gets the same answer again.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, Method, StatusCode};
use metrics::counter;
use sha2::{Digest, Sha256};
use shared_events::service::{Caller, Problem};
use sqlx::PgConnection;

use super::Api;
use super::answer::Answer;
use crate::error::from_store;
use crate::store::StoreError;
use crate::store::idempotency::{Remembered, find, remember};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key, in characters.
const MAX_KEY_CHARS: usize = 255;

/// The key of a request, if it has one, and where it was sent to.
#[derive(Debug, Clone)]
pub(super) struct IdempotencyKey {
    key: Option<String>,
    method: Method,
    path: String,
}

/// A keyed request: what it is remembered under.
#[derive(Debug, Clone)]
pub(super) struct KeyedRequest {
    actor: String,
    key: String,
    request_hash: [u8; 32],
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut lines = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let key = match (lines.next(), lines.next()) {
            (None, _) => None,
            (Some(line), None) => Some(
                line.to_str()
                    .ok()
                    .filter(|key| (1..=MAX_KEY_CHARS).contains(&key.len()))
                    .filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()))
                    .ok_or_else(malformed)?
                    .to_owned(),
            ),
            (Some(_), Some(_)) => return Err(malformed()),
        };
        Ok(Self {
            key,
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
        })
    }
}

fn malformed() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "malformed-header",
        "A header cannot be read",
    )
    .detail(format!(
        "Idempotency-Key must be 1 to {MAX_KEY_CHARS} visible ASCII characters, once"
    ))
}

impl IdempotencyKey {
    /// The request with its body, if it has a key.
    pub(super) fn with_body(self, caller: &Caller, body: &[u8]) -> Option<KeyedRequest> {
        let key = self.key?;
        let mut hash = Sha256::new();
        hash.update(self.method.as_str());
        hash.update([0]);
        hash.update(&self.path);
        hash.update([0]);
        hash.update(body);
        Some(KeyedRequest {
            actor: caller.subject().to_owned(),
            key,
            request_hash: hash.finalize().into(),
        })
    }
}

impl KeyedRequest {
    /// The answer that was given before, if any; 422 if it was another request.
    pub(super) async fn replay(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<Answer>, Problem> {
        let Some(found) = find(connection, &self.actor, &self.key)
            .await
            .map_err(from_store)?
        else {
            return Ok(None);
        };
        if found.request_hash != self.request_hash {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "The Idempotency-Key was used for another request",
            )
            .detail("a key belongs to one request: its route and its body, byte for byte"));
        }
        counter!("idempotent_replays_total").increment(1);
        Ok(Some(Answer::replayed(found)))
    }

    /// What is stored with the change that `answer` tells of.
    pub(super) fn remembered<'a>(&'a self, answer: &'a Answer) -> Remembered<'a> {
        Remembered {
            actor: &self.actor,
            key: &self.key,
            request_hash: &self.request_hash,
            status: answer.status.as_u16().into(),
            headers: &answer.headers,
            body: &answer.body,
        }
    }

    /// Remembers an answer that changed nothing, and gives the one to send: the first, if another
    /// request with this key was faster.
    pub(super) async fn settle(&self, api: &Api, answer: Answer) -> Result<Answer, Problem> {
        let mut connection = api.connection().await?;
        match remember(&mut connection, &self.remembered(&answer), api.now()).await {
            Ok(()) => Ok(answer),
            Err(StoreError::KeyTaken) => self
                .replay(&mut connection)
                .await?
                .ok_or_else(crate::error::busy),
            Err(error) => Err(from_store(error)),
        }
    }
}
