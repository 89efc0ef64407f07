//! A client of schedule-service.

use reqwest::{Client, Method};
use serde_json::Value;

use crate::http::{Answer, client};

/// Calls the write side.
#[derive(Debug, Clone)]
pub struct ScheduleApi {
    url: String,
    client: Client,
}

impl ScheduleApi {
    /// A client of the schedule-service at `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            client: client(),
        }
    }

    /// Sends one request to a path below `/v1`.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> reqwest::Result<Answer> {
        let mut request = self
            .client
            .request(method, format!("{}/v1{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::to(request).await
    }

    /// Creates a contractor and says its id.
    pub async fn create(&self, contractor: &Value) -> String {
        let answer = self
            .send(Method::POST, "/contractors", &[], Some(contractor))
            .await;
        let created = answer.expect("an answer").expect_status(201);
        assert_eq!(created.version(), 1);
        created.body["contractorId"]
            .as_str()
            .expect("an id")
            .to_owned()
    }

    /// Patches a schedule, whatever its version.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn try_patch(&self, contractor: &str, patch: &Value) -> reqwest::Result<Answer> {
        let route = format!("/contractors/{contractor}/schedule");
        self.send(Method::PATCH, &route, &[("if-match", "*")], Some(patch))
            .await
    }

    /// Patches a schedule, whatever its version, and says the new one.
    pub async fn patch(&self, contractor: &str, patch: &Value) -> i64 {
        let answer = self.try_patch(contractor, patch).await;
        answer.expect("an answer").expect_status(200).version()
    }

    /// Books a job: the answer may be a refusal.
    pub async fn book(&self, contractor: &str, job: &Value) -> Answer {
        let path = format!("/contractors/{contractor}/jobs");
        let answer = self.send(Method::POST, &path, &[], Some(job)).await;
        answer.expect("an answer")
    }

    /// Reads something that is there.
    pub async fn read(&self, path: &str) -> Value {
        let answer = self.send(Method::GET, path, &[], None).await;
        answer.expect("an answer").expect_status(200).body
    }

    /// The schedule of a contractor.
    pub async fn schedule(&self, contractor: &str) -> Value {
        self.read(&format!("/contractors/{contractor}/schedule"))
            .await
    }

    /// The version of a contractor's schedule.
    pub async fn version(&self, contractor: &str) -> i64 {
        let schedule = self.schedule(contractor).await;
        schedule["version"].as_i64().expect("a version")
    }

    /// The whole history of a contractor, page by page.
    pub async fn history(&self, contractor: &str) -> Vec<Value> {
        let mut history: Vec<Value> = Vec::new();
        let mut after = 0;
        loop {
            let path = format!("/contractors/{contractor}/changes?after={after}&limit=200");
            let page = self.read(&path).await;
            history.extend(page["items"].as_array().expect("items").iter().cloned());
            match page["nextAfter"].as_i64() {
                Some(next) => after = next,
                None => return history,
            }
        }
    }
}
