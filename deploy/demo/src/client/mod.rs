//! schedule-service's public API, as the demo uses it.

mod call;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use reqwest::header::{ETAG, HeaderValue, IF_MATCH};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::Serialize;
use serde_json::{Value, json};
use shared_events::Schedule;
use shared_events::service::auth::OwnToken;
use shared_events::service::https_client;
use shared_events::trust::TrustSettings;
use tokio::time::Instant;
use uuid::Uuid;

use crate::contractor::{NewContractor, NewDay, NewJob, NewTimeOff};

pub use call::CallError;
pub use retry::Retries;

/// The longest line of `GET /v1/schedules` that is read: far more than a schedule at its limits has.
const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

/// How the demo reaches schedule-service.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Where it is, without `/v1`.
    pub url: Url,
    /// The bearer token, where access is controlled.
    pub token: Arc<OwnToken>,
    /// Whose certificate it may have.
    pub trust: TrustSettings,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How often a request is tried while the service does not answer.
    pub attempts: u32,
}

/// A client of schedule-service. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Arc<OwnToken>,
    retries: Retries,
}

impl Client {
    /// A client; it connects when it is used.
    ///
    /// # Errors
    /// When the platform gives no TLS roots.
    pub fn new(settings: &ClientSettings) -> Result<Self, CallError> {
        let http = https_client(&settings.trust)?
            .timeout(settings.request_timeout)
            .user_agent(concat!("rosterwire-demo/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            base: settings.url.as_str().trim_end_matches('/').to_owned(),
            token: Arc::clone(&settings.token),
            retries: Retries {
                attempts: settings.attempts,
            },
        })
    }

    /// Waits until the service says that it is ready.
    ///
    /// # Errors
    /// When it does not within `patience`, with what it said last.
    pub async fn wait_until_ready(&self, patience: Duration) -> Result<(), CallError> {
        let deadline = Instant::now() + patience;
        let url = format!("{}/health/ready", self.base);
        loop {
            let last = match self.http.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => CallError::from_answer(answer).await,
                Err(error) => CallError::from(error),
            };
            tracing::debug!(%url, error = %last, "not ready yet");
            let pause = Duration::from_millis(250);
            if Instant::now() + pause > deadline {
                return Err(last);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Every schedule.
    pub async fn schedules(&self) -> Result<Vec<Schedule>, CallError> {
        let mut all: Vec<Schedule> = Vec::new();
        loop {
            let before = all.len();
            let after = all.last().map(|last| ("after", last.contractor_id));
            let answer = self
                .retries
                .send(|| {
                    self.request(Method::GET, "/schedules")
                        .query(after.as_slice())
                })
                .await?;
            read_lines(answer, &mut all).await?;
            if all.len() == before {
                return Ok(all);
            }
        }
    }

    /// One schedule.
    pub async fn schedule(&self, contractor: Uuid) -> Result<Schedule, CallError> {
        let path = format!("/contractors/{contractor}/schedule");
        Ok(self
            .retries
            .send(|| self.request(Method::GET, &path))
            .await?
            .json()
            .await?)
    }

    /// Creates a contractor, once however often it is called with the same key.
    pub async fn create(&self, key: &str, body: &NewContractor) -> Result<(), CallError> {
        self.post("/contractors", key, body).await
    }

    /// Books a job, once however often it is called with the same key.
    pub async fn book(&self, contractor: Uuid, key: &str, job: &NewJob) -> Result<(), CallError> {
        self.post(&format!("/contractors/{contractor}/jobs"), key, job)
            .await
    }

    /// Blocks instants, once however often it is called with the same key.
    pub async fn add_time_off(
        &self,
        contractor: Uuid,
        key: &str,
        off: &NewTimeOff,
    ) -> Result<(), CallError> {
        self.post(&format!("/contractors/{contractor}/time-off"), key, off)
            .await
    }

    /// Ends time off. That it is gone already is as well: then it says false.
    pub async fn end_time_off(&self, contractor: Uuid, off: Uuid) -> Result<bool, CallError> {
        self.delete(&format!("/contractors/{contractor}/time-off/{off}"), None)
            .await
    }

    /// Changes a job of a schedule at `version`: its time, or whose it is. False where the schedule that
    /// it is on then has that version still.
    pub async fn change_job(
        &self,
        job: Uuid,
        version: i64,
        change: &Value,
    ) -> Result<bool, CallError> {
        self.conditional(Method::PATCH, &format!("/jobs/{job}"), version, change)
            .await
    }

    /// Cancels a job. That it is gone already is as well: then it says false.
    pub async fn cancel(&self, job: Uuid) -> Result<bool, CallError> {
        self.delete(&format!("/jobs/{job}"), None).await
    }

    /// Changes fields of a schedule that is at `version`. False where they were so already.
    pub async fn patch_schedule(
        &self,
        contractor: Uuid,
        version: i64,
        change: &Value,
    ) -> Result<bool, CallError> {
        let path = format!("/contractors/{contractor}/schedule");
        self.conditional(Method::PATCH, &path, version, change)
            .await
    }

    /// Replaces a local day of a schedule that is at `version`. False where it was so already.
    pub async fn put_day(
        &self,
        contractor: Uuid,
        version: i64,
        date: NaiveDate,
        day: &NewDay,
    ) -> Result<bool, CallError> {
        let path = format!("/contractors/{contractor}/date-overrides/{date}");
        self.conditional(Method::PUT, &path, version, &json!(day))
            .await
    }

    /// Gives a local day of a schedule that is at `version` its usual hours back. False where it had
    /// them already.
    pub async fn delete_day(
        &self,
        contractor: Uuid,
        version: i64,
        date: NaiveDate,
    ) -> Result<bool, CallError> {
        let path = format!("/contractors/{contractor}/date-overrides/{date}");
        self.delete(&path, Some(version)).await
    }

    async fn post(&self, path: &str, key: &str, body: &impl Serialize) -> Result<(), CallError> {
        let request = || {
            self.request(Method::POST, path)
                .header("Idempotency-Key", key)
                .json(body)
        };
        self.written(request).await.map(|_| ())
    }

    async fn conditional(
        &self,
        method: Method,
        path: &str,
        version: i64,
        body: &Value,
    ) -> Result<bool, CallError> {
        let version = etag(version);
        let request = || {
            self.request(method.clone(), path)
                .header(IF_MATCH, &version)
                .json(body)
        };
        Ok(self.written(request).await? != version)
    }

    async fn delete(&self, path: &str, version: Option<i64>) -> Result<bool, CallError> {
        let version = version.map(etag);
        let request = || {
            let request = self.request(Method::DELETE, path);
            match &version {
                Some(version) => request.header(IF_MATCH, version),
                None => request,
            }
        };
        match self.written(request).await {
            // Gone: by somebody else, or by an attempt whose answer was lost.
            Err(error) if error.status() == Some(404) => Ok(false),
            other => other.map(|_| true),
        }
    }

    /// Sends a write and holds the service to its word that every write answers an `ETag`.
    async fn written(
        &self,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<HeaderValue, CallError> {
        let answer = self.retries.send(request).await?;
        answer.headers().get(ETAG).cloned().ok_or(CallError::NoEtag)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}/v1{path}", self.base));
        match self.token.current() {
            Ok(Some(token)) => request.bearer_auth(token),
            // It is refused, which says why.
            Ok(None) | Err(_) => request,
        }
    }
}

fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// Reads NDJSON line by line, as it comes.
async fn read_lines(mut answer: Response, into: &mut Vec<Schedule>) -> Result<(), CallError> {
    let mut rest: Vec<u8> = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        rest.extend_from_slice(&chunk);
        let Some(end) = rest.iter().rposition(|&byte| byte == b'\n') else {
            if rest.len() > MAX_LINE_BYTES {
                return Err(CallError::TooLong);
            }
            continue;
        };
        let tail = rest.split_off(end + 1);
        parse_lines(&rest, into)?;
        rest = tail;
    }
    parse_lines(&rest, into)
}

fn parse_lines(text: &[u8], into: &mut Vec<Schedule>) -> Result<(), CallError> {
    for line in text
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
    {
        into.push(serde_json::from_slice(line)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
