//! One HTTP answer, read whole.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder, RequestBuilder};
use serde_json::Value;
use stack::AccessKey;

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(40);

/// An answer with its body.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body: its JSON, null where it is empty, and a string where it is anything else.
    pub body: Value,
}

impl Answer {
    /// Sends `request` and reads what comes.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn to(request: RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Ok(Self {
            status,
            headers,
            body,
        })
    }

    /// Asserts its status.
    pub fn assert_status(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.body);
    }

    /// Itself, if its status is this one.
    #[must_use]
    pub fn expect_status(self, status: u16) -> Self {
        self.assert_status(status);
        self
    }

    /// The version that its `ETag` names.
    #[must_use]
    pub fn version(&self) -> i64 {
        let tag = self.headers.get("etag").expect("an ETag");
        let tag = tag.to_str().expect("ASCII");
        let digits = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        digits
            .and_then(|digits| digits.parse().ok())
            .unwrap_or_else(|| panic!("the version in quotes, not {tag}"))
    }
}

/// A client that talks to this machine directly, may do everything, and gives up after a bounded wait.
pub(crate) fn client() -> Client {
    builder().timeout(LIMIT).build().expect("a client")
}

/// The same for answers that have no end.
pub(crate) fn streaming_client() -> Client {
    builder().build().expect("a client")
}

fn builder() -> ClientBuilder {
    let bearer = format!("Bearer {}", AccessKey::of_this_process().admin());
    let mut bearer = HeaderValue::from_str(&bearer).expect("a token");
    bearer.set_sensitive(true);
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    Client::builder().no_proxy().default_headers(headers)
}
