//! A client that reads strictly.

use std::collections::VecDeque;

use serde_json::Value;
use uuid::Uuid;

use crate::event_stream_reader::{Dispatched, EventStreamReader};
use crate::running::{DEADLINE, Running};

/// A client of the stream.
pub(crate) struct Client {
    response: reqwest::Response,
    pub(crate) reader: EventStreamReader,
    events: VecDeque<Dispatched>,
}

impl Client {
    /// Connects and takes `ready`.
    pub(crate) async fn connect(notifier: &Running, query: &str) -> Self {
        Self::resume(notifier, query, None).await
    }

    /// Connects with an id and takes `ready`.
    pub(crate) async fn resume(notifier: &Running, query: &str, id: Option<&str>) -> Self {
        Self::resume_at(&notifier.url(""), query, id).await
    }

    /// The same of a notifier at this URL.
    pub(crate) async fn resume_at(url: &str, query: &str, id: Option<&str>) -> Self {
        let mut client = Self::open_at(url, query, id).await;
        let ready = client.next().await;
        assert_eq!(ready.event, "ready");
        assert_eq!(
            client.reader.retry_ms(),
            Some(2000),
            "the reconnection time comes first"
        );
        client
    }

    /// Connects and takes nothing.
    pub(crate) async fn open(notifier: &Running, query: &str, id: Option<&str>) -> Self {
        Self::open_at(&notifier.url(""), query, id).await
    }

    async fn open_at(url: &str, query: &str, id: Option<&str>) -> Self {
        let mut request = reqwest::Client::new().get(format!("{url}/v1/events?{query}"));
        if let Some(id) = id {
            request = request.header("Last-Event-ID", id);
        }
        Self::of(request).await
    }

    /// Sends a request for a stream and takes nothing.
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        Self {
            response,
            reader: EventStreamReader::default(),
            events: VecDeque::new(),
        }
    }

    /// The next event; `None` where the stream ends or breaks.
    pub(crate) async fn try_next(&mut self) -> Option<Dispatched> {
        let next = async {
            while self.events.is_empty() {
                self.take_bytes().await?;
            }
            self.events.pop_front()
        };
        tokio::time::timeout(DEADLINE, next)
            .await
            .expect("an event or the end within the deadline")
    }

    /// Takes what comes next, an event or not.
    pub(crate) async fn take_bytes(&mut self) -> Option<()> {
        let chunk = tokio::time::timeout(DEADLINE, self.response.chunk()).await;
        let bytes = chunk
            .expect("bytes or the end within the deadline")
            .ok()
            .flatten()?;
        self.events.extend(self.reader.push(&bytes));
        Some(())
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Dispatched {
        self.try_next().await.expect("an event, not the end")
    }

    /// The next event, which is a change: its kind, whom it is about, and the version.
    pub(crate) async fn change(&mut self) -> Change {
        let event = self.next().await;
        Change::of(&event).unwrap_or_else(|| panic!("a change, not {event:?}"))
    }

    /// The next so many changes.
    pub(crate) async fn changes(&mut self, count: usize) -> Vec<Change> {
        let mut changes = Vec::new();
        for _ in 0..count {
            changes.push(self.change().await);
        }
        changes
    }

    /// Takes everything until the stream ends.
    pub(crate) async fn rest(&mut self) -> Vec<Dispatched> {
        let mut rest = Vec::new();
        while let Some(event) = self.try_next().await {
            rest.push(event);
        }
        rest
    }

    /// The id to resume with.
    pub(crate) fn last_event_id(&self) -> String {
        self.reader.last_event_id().to_owned()
    }
}

/// What tests compare of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) contractor: Uuid,
    pub(crate) version: i64,
}

impl Change {
    pub(crate) fn of(event: &Dispatched) -> Option<Self> {
        let data = data(event);
        Some(Self {
            id: event.id.clone(),
            event: event.event.clone(),
            contractor: data["contractorId"].as_str()?.parse().ok()?,
            version: data["version"].as_i64()?,
        })
    }
}

/// The versions alone.
pub(crate) fn versions(changes: &[Change]) -> Vec<i64> {
    changes.iter().map(|change| change.version).collect()
}

/// An event's data, read.
pub(crate) fn data(event: &Dispatched) -> Value {
    serde_json::from_str(&event.data).expect("JSON")
}
