//! The source of truth: schedules as schedule-service has them.

use std::time::Duration;

use futures::StreamExt;
use shared_events::Schedule;
use shared_events::service::auth::{MintError, OwnToken, Role, Secret, SigningSettings};
use shared_events::service::{Clock, https_client};
use shared_events::trust::{TrustSettings, told};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// How to reach schedule-service.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "schedule-service")]
pub struct SourceSettings {
    /// schedule-service, which is asked for schedules that the cache does not have
    #[arg(long, env = "SCHEDULE_SERVICE_URL", default_value = "http://127.0.0.1:8080", value_parser = parse_url)]
    pub schedule_service_url: reqwest::Url,

    /// The token to send it, of the role `service` for all territories. Not needed with
    /// `AUTH_MODE=hs256`, where the worker makes its own
    #[arg(long, env = "SCHEDULE_SERVICE_TOKEN", hide_env_values = true, value_parser = parse_token)]
    pub schedule_service_token: Option<Secret>,

    /// Milliseconds to wait for an answer of schedule-service
    #[arg(long, env = "SCHEDULE_SERVICE_TIMEOUT_MS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub schedule_service_timeout_ms: u64,

    /// How many requests to schedule-service are under way at once
    #[arg(long, env = "SCHEDULE_SERVICE_CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub schedule_service_concurrency: u32,

    /// Bytes of a schedule document that are accepted
    #[arg(long, env = "SCHEDULE_MAX_BYTES", default_value_t = 4_194_304, value_parser = clap::value_parser!(u32).range(1_024..=67_108_864))]
    pub schedule_max_bytes: u32,
}

fn parse_url(text: &str) -> Result<reqwest::Url, String> {
    match text.parse::<reqwest::Url>() {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("not an HTTP URL, such as http://host:8080".to_owned()),
    }
}

fn parse_token(text: &str) -> Result<Secret, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("not a token, which is made of visible ASCII characters".to_owned());
    }
    Ok(Secret::new(text))
}

/// schedule-service gave no schedule, and did not say that there is none.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// It could not be reached, or broke off, or took too long.
    #[error("schedule-service does not answer: {0}")]
    Unreachable(String),
    /// It answered something else.
    #[error("schedule-service answered {0}")]
    Unexpected(String),
    /// It wants a token, and there is none to send.
    #[error("no token for schedule-service: {0}")]
    Token(String),
}

/// Reads schedules over HTTP.
#[derive(Debug)]
pub struct ScheduleSource {
    client: reqwest::Client,
    token: OwnToken,
    base: String,
    permits: Semaphore,
    timeout: Duration,
    max_bytes: usize,
}

impl ScheduleSource {
    /// A source that connects when it is first used.
    pub fn new(
        settings: &SourceSettings,
        signing: &SigningSettings,
        trust: &TrustSettings,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let given = settings.schedule_service_token.clone();
        let token = OwnToken::new("availability-worker", Role::Service, given, signing, clock);
        let timeout = Duration::from_millis(settings.schedule_service_timeout_ms);
        Ok(Self {
            client: https_client(trust)?.no_proxy().timeout(timeout).build()?,
            token,
            base: settings
                .schedule_service_url
                .as_str()
                .trim_end_matches('/')
                .to_owned(),
            permits: Semaphore::new(
                usize::try_from(settings.schedule_service_concurrency).unwrap_or(1),
            ),
            timeout,
            max_bytes: usize::try_from(settings.schedule_max_bytes).unwrap_or(usize::MAX),
        })
    }

    /// The schedule of a contractor; none if schedule-service knows no such contractor.
    pub async fn schedule(&self, id: Uuid) -> Result<Option<Schedule>, SourceError> {
        let asked = async {
            let _permit = self.permits.acquire().await;
            self.ask(id).await
        };
        // The wait for a permit counts too.
        tokio::time::timeout(self.timeout, asked)
            .await
            .unwrap_or_else(|_| {
                Err(SourceError::Unreachable(format!(
                    "nothing within {:?}",
                    self.timeout
                )))
            })
    }

    /// The next schedules by contractor id, at most `limit`; none after the last.
    pub async fn page(
        &self,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Schedule>, SourceError> {
        let after = after.unwrap_or(Uuid::nil());
        let url = format!("{}/v1/schedules?after={after}&limit={limit}", self.base);
        let max_bytes = self.max_bytes.saturating_mul(limit);
        let Some(body) = self.read(url, max_bytes).await? else {
            return Err(SourceError::Unexpected("status 404".to_owned()));
        };
        serde_json::Deserializer::from_slice(&body)
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|error| SourceError::Unexpected(format!("no schedules: {error}")))
    }

    async fn ask(&self, id: Uuid) -> Result<Option<Schedule>, SourceError> {
        let url = format!("{}/v1/contractors/{id}/schedule", self.base);
        let Some(body) = self.read(url, self.max_bytes).await? else {
            return Ok(None);
        };
        let schedule: Schedule = serde_json::from_slice(&body)
            .map_err(|error| SourceError::Unexpected(format!("no schedule: {error}")))?;
        if schedule.contractor_id == id {
            Ok(Some(schedule))
        } else {
            Err(SourceError::Unexpected(
                "another contractor's schedule".to_owned(),
            ))
        }
    }

    /// A body of at most `max_bytes`; none where there is nothing.
    async fn read(&self, url: String, max_bytes: usize) -> Result<Option<Vec<u8>>, SourceError> {
        let unreachable =
            |error: reqwest::Error| SourceError::Unreachable(told(&error.without_url()));
        let mut request = self.client.get(url);
        let token = self.token.current();
        if let Some(token) = token.map_err(|e: MintError| SourceError::Token(e.to_string()))? {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        if status == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if status != reqwest::StatusCode::OK {
            return Err(SourceError::Unexpected(format!("status {status}")));
        }
        let mut body = Vec::new();
        let mut chunks = answer.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            body.extend_from_slice(&chunk.map_err(unreachable)?);
            if body.len() > max_bytes {
                return Err(SourceError::Unexpected(format!(
                    "more than {max_bytes} bytes"
                )));
            }
        }
        Ok(Some(body))
    }
}
