//! RabbitMQ's management API, as far as tests and the stack need it.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use reqwest::{Client, Method, StatusCode, Url};
use serde_json::{Value, json};

use crate::rights;

/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(15);
/// The user that every fresh broker has, allowed from this machine only.
const USER: &str = "guest";

/// A client of the management API, for one virtual host.
#[derive(Debug, Clone)]
pub struct Management {
    base: Url,
    vhost: String,
    client: Client,
}

impl Management {
    /// A client for the API at `url` (with user and password) and the virtual host `vhost`.
    ///
    /// # Errors
    /// When `url` is none.
    pub fn new(url: &str, vhost: &str) -> Result<Self> {
        let base = Url::parse(url).with_context(|| format!("{url} is no URL"))?;
        let client = Client::builder().timeout(DEADLINE).no_proxy().build()?;
        Ok(Self {
            base,
            vhost: vhost.to_owned(),
            client,
        })
    }

    /// The address of the API, with user and password.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The virtual host that this client is for.
    #[must_use]
    pub fn vhost(&self) -> &str {
        &self.vhost
    }

    /// The broker's overview.
    ///
    /// # Errors
    /// When the API does not answer.
    pub async fn overview(&self) -> Result<Value> {
        self.ask(Method::GET, &["overview"], None).await
    }

    /// Whether the broker lacks memory or disk space, for which it blocks publishers.
    ///
    /// # Errors
    /// When the API does not answer.
    pub async fn has_alarm(&self) -> Result<bool> {
        let nodes = list(self.ask(Method::GET, &["nodes"], None).await?)?;
        let is_set = |node: &Value, alarm: &str| node[alarm].as_bool() == Some(true);
        Ok(nodes
            .iter()
            .any(|node| is_set(node, "mem_alarm") || is_set(node, "disk_free_alarm")))
    }

    /// Makes the virtual host unless it is there, with the users of the services, their rights in it, and
    /// all rights for this client's own.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn create_vhost(&self) -> Result<()> {
        let mut definitions = rights::rabbitmq(&self.vhost)?;
        if let Some(permissions) = definitions["permissions"].as_array_mut() {
            permissions.push(json!({
                "user": USER, "vhost": self.vhost, "configure": ".*", "write": ".*", "read": ".*",
            }));
        }
        self.ask(Method::POST, &["definitions"], Some(definitions))
            .await?;
        Ok(())
    }

    /// Deletes the virtual host with all that is in it.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn delete_vhost(&self) -> Result<()> {
        self.ask(Method::DELETE, &["vhosts", &self.vhost], None)
            .await?;
        Ok(())
    }

    /// All queues and streams of the virtual host, as the API shows them. Counts in there
    /// (`messages`) are as old as the broker's statistics interval: wait for them, or count by
    /// a passive declare over AMQP, which is exact.
    ///
    /// # Errors
    /// When the API does not answer.
    pub async fn queues(&self) -> Result<Vec<Value>> {
        list(
            self.ask(Method::GET, &["queues", &self.vhost], None)
                .await?,
        )
    }

    /// One queue; none when it does not exist.
    ///
    /// # Errors
    /// When the API does not answer.
    pub async fn queue(&self, name: &str) -> Result<Option<Value>> {
        self.find(&["queues", &self.vhost, name]).await
    }

    /// Empties a queue.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn purge_queue(&self, name: &str) -> Result<()> {
        self.ask(
            Method::DELETE,
            &["queues", &self.vhost, name, "contents"],
            None,
        )
        .await?;
        Ok(())
    }

    /// Makes a policy for the queues whose names match `pattern`.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn put_policy(&self, name: &str, pattern: &str, definition: &Value) -> Result<()> {
        let body = json!({"pattern": pattern, "definition": definition, "apply-to": "queues"});
        self.ask(Method::PUT, &["policies", &self.vhost, name], Some(body))
            .await?;
        Ok(())
    }

    /// Deletes a queue or a stream.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn delete_queue(&self, name: &str) -> Result<()> {
        self.ask(Method::DELETE, &["queues", &self.vhost, name], None)
            .await?;
        Ok(())
    }

    /// Deletes an exchange.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn delete_exchange(&self, name: &str) -> Result<()> {
        self.ask(Method::DELETE, &["exchanges", &self.vhost, name], None)
            .await?;
        Ok(())
    }

    /// Takes up to `count` messages off a queue, each as the API shows it.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn take_messages(&self, queue: &str, count: u32) -> Result<Vec<Value>> {
        let body = json!({"count": count, "ackmode": "ack_requeue_false", "encoding": "auto"});
        list(
            self.ask(
                Method::POST,
                &["queues", &self.vhost, queue, "get"],
                Some(body),
            )
            .await?,
        )
    }

    /// The names of the open connections to the virtual host.
    ///
    /// # Errors
    /// When the API does not answer.
    pub async fn connections(&self) -> Result<Vec<String>> {
        let all = list(
            self.ask(Method::GET, &["vhosts", &self.vhost, "connections"], None)
                .await?,
        )?;
        Ok(all
            .iter()
            .filter_map(|one| Some(one["name"].as_str()?.to_owned()))
            .collect())
    }

    /// Closes all connections to the virtual host, as an operator would, and says how many.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn close_connections(&self) -> Result<usize> {
        let names = self.connections().await?;
        for name in &names {
            self.find_with(Method::DELETE, &["connections", name])
                .await?;
        }
        Ok(names.len())
    }

    async fn ask(&self, method: Method, path: &[&str], body: Option<Value>) -> Result<Value> {
        match self.send(method.clone(), path, body).await? {
            (status, answer) if status.is_success() => Ok(answer),
            (status, answer) => bail!(
                "{method} {} was answered {status}: {answer}",
                path.join("/")
            ),
        }
    }

    async fn find(&self, path: &[&str]) -> Result<Option<Value>> {
        self.find_with(Method::GET, path).await
    }

    async fn find_with(&self, method: Method, path: &[&str]) -> Result<Option<Value>> {
        match self.send(method.clone(), path, None).await? {
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, answer) if status.is_success() => Ok(Some(answer)),
            (status, answer) => bail!(
                "{method} {} was answered {status}: {answer}",
                path.join("/")
            ),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        body: Option<Value>,
    ) -> Result<(StatusCode, Value)> {
        let mut url = self.base.clone();
        // Each segment is percent-encoded, so names may hold slashes and spaces.
        url.path_segments_mut()
            .map_err(|()| anyhow!("{} cannot be the base of the management API", self.base))?
            .pop_if_empty()
            .push("api")
            .extend(path);
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        Ok((
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        ))
    }
}

fn list(answer: Value) -> Result<Vec<Value>> {
    match answer {
        Value::Array(all) => Ok(all),
        other => bail!("the management API answers {other} where a list was expected"),
    }
}
