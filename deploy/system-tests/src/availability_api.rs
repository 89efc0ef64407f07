//! A client of the availability-worker.

use reqwest::Client;
use serde_json::Value;

use crate::eventually::eventually;
use crate::http::{Answer, client};

/// Calls the read side.
#[derive(Debug, Clone)]
pub struct AvailabilityApi {
    url: String,
    client: Client,
}

impl AvailabilityApi {
    /// A client of the availability-worker at `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            client: client(),
        }
    }

    /// Asks for one contractor.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn ask(&self, contractor: &str, query: &[(&str, &str)]) -> reqwest::Result<Answer> {
        let url = format!("{}/v1/availability/{contractor}", self.url);
        Answer::to(self.client.get(url).query(query)).await
    }

    /// Asks for one contractor until the answer is of at least `version` and comes from the cache.
    pub async fn cached(&self, contractor: &str, version: i64, query: &[(&str, &str)]) -> Value {
        let version = version.to_string();
        let mut query = query.to_vec();
        query.push(("minVersion", &version));
        let what = format!("version {version} of {contractor} in the cache");
        eventually(&what, async || {
            let answer = self.ask(contractor, &query).await.ok()?;
            assert!(matches!(answer.status, 200 | 503), "{}", answer.body);
            (answer.body["source"] == "cache").then_some(answer.body)
        })
        .await
    }

    /// Asks who can take a job: the first page, or a refusal.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn try_search(&self, query: &[(&str, &str)]) -> reqwest::Result<Answer> {
        let url = format!("{}/v1/availability", self.url);
        Answer::to(self.client.get(url).query(query)).await
    }

    /// Asks who can take a job: the first page.
    pub async fn search(&self, query: &[(&str, &str)]) -> Value {
        let answer = self.try_search(query).await;
        answer.expect("an answer").expect_status(200).body
    }
}
