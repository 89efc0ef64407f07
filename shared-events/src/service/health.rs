//! Liveness and readiness.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::future::join_all;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// How long one dependency may take to answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

type Check = Arc<dyn Fn() -> CheckFuture + Send + Sync>;
type CheckFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
type Detail = Arc<dyn Fn() -> String + Send + Sync>;

/// The dependencies that must answer before a process is ready.
#[derive(Clone, Default)]
pub struct Health {
    checks: Vec<(&'static str, Check)>,
    details: Vec<(&'static str, Detail)>,
    draining: CancellationToken,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.checks.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Health {
    /// Ready as long as `draining` is not cancelled.
    #[must_use]
    pub fn new(draining: CancellationToken) -> Self {
        Self {
            checks: Vec::new(),
            details: Vec::new(),
            draining,
        }
    }

    /// Adds a dependency. `check` says in words what is wrong with it.
    #[must_use]
    pub fn check<C, F>(mut self, name: &'static str, check: C) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks
            .push((name, Arc::new(move || Box::pin(check()))));
        self
    }

    /// Adds something to tell that does not decide whether the process is ready.
    #[must_use]
    pub fn detail(
        mut self,
        name: &'static str,
        detail: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        self.details.push((name, Arc::new(detail)));
        self
    }

    /// Asks every dependency, at once and in bounded time.
    pub async fn report(&self) -> Report {
        let checks = self.checks.iter().map(|(name, check)| async {
            let answer = tokio::time::timeout(CHECK_TIMEOUT, check()).await;
            let word = match answer {
                Ok(Ok(())) => "ok".to_owned(),
                Ok(Err(reason)) => reason,
                Err(_) => format!("no answer within {CHECK_TIMEOUT:?}"),
            };
            ((*name).to_owned(), word)
        });
        let checks: BTreeMap<_, _> = join_all(checks).await.into_iter().collect();
        let status = if self.draining.is_cancelled() {
            "draining"
        } else if checks.values().all(|word| word == "ok") {
            "ready"
        } else {
            "unavailable"
        };
        let details = self.details.iter();
        let details = details
            .map(|(name, detail)| ((*name).to_owned(), detail()))
            .collect();
        Report {
            status,
            checks,
            details,
        }
    }
}

/// What `GET /health/ready` answers: 200 when `status` is `ready`, else 503.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `ready`, `unavailable` or `draining`.
    pub status: &'static str,
    /// `ok` or what is wrong, by dependency.
    pub checks: BTreeMap<String, String>,
    /// What else there is to tell; it does not decide the status.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

impl IntoResponse for Report {
    fn into_response(self) -> Response {
        let status = if self.status == "ready" {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        (status, Json(self)).into_response()
    }
}
