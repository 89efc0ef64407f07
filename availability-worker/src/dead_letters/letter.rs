//! One dead letter.

use chrono::{DateTime, SecondsFormat, Utc};
use lapin::message::Delivery;
use lapin::types::AMQPValue;
use serde::Deserialize;
use serde_json::{Value, json};
use shared_events::amqp::{Headers, Message, TraceHeaders};
use shared_events::topology::{
    ATTEMPTS_HEADER, REASON_HEADER, ROUTING_KEY_HEADER, SCHEDULE_UPDATED_QUEUE, SETTLEMENT_EXCHANGE,
};
use uuid::Uuid;

/// A message that could not be handled.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) message_id: String,
    pub(super) attempts: u32,
    pub(super) reason: String,
    /// When what it tells of happened; none where it does not say.
    pub(super) time: Option<DateTime<Utc>>,
    /// Whom it is about, where its body says so.
    pub(super) contractor: Option<Uuid>,
    version: Option<i64>,
    event_type: String,
    routing_key: String,
    trace: TraceHeaders,
    body: Vec<u8>,
}

/// As much of an event as can be read of one that may be broken otherwise.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Sketch {
    subject: Option<Uuid>,
    data: SketchOfData,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SketchOfData {
    contractor_id: Option<Uuid>,
    version: Option<i64>,
}

impl Letter {
    pub(super) fn of(message: &Delivery) -> Self {
        let properties = &message.properties;
        let headers = Headers::of(properties);
        let by_broker = || {
            let word = headers.text("x-first-death-reason")?;
            Some(format!("the broker: {word}"))
        };
        let sketch: Sketch = serde_json::from_slice(&message.data).unwrap_or_default();
        let short = |value: &Option<lapin::types::ShortString>| {
            value.as_ref().map(ToString::to_string).unwrap_or_default()
        };
        Self {
            message_id: short(properties.message_id()),
            attempts: headers.count(ATTEMPTS_HEADER),
            reason: headers
                .text(REASON_HEADER)
                .or_else(by_broker)
                .unwrap_or_default(),
            time: properties
                .timestamp()
                .and_then(|seconds| i64::try_from(seconds).ok())
                .and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
            contractor: sketch.data.contractor_id.or(sketch.subject),
            version: sketch.data.version,
            event_type: short(properties.kind()),
            routing_key: headers
                .text(ROUTING_KEY_HEADER)
                .unwrap_or_else(|| message.routing_key.to_string()),
            trace: headers.trace(),
            body: message.data.clone(),
        }
    }

    /// One line, in columns.
    pub(super) fn line(&self) -> String {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let columns = [
            self.message_id.clone(),
            or_dash(self.contractor.map(|id| id.to_string())),
            or_dash(self.version.map(|version| version.to_string())),
            self.attempts.to_string(),
            or_dash(self.time.map(rfc3339)),
            self.reason.clone(),
        ];
        // A letter's text may hold anything, and a line is a line.
        columns.map(|column| one_line(&column)).join("\t")
    }

    /// All of it.
    pub(super) fn whole(&self) -> Value {
        let body = serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&self.body).into_owned()));
        json!({
            "messageId": self.message_id, "type": self.event_type, "contractorId": self.contractor,
            "version": self.version, "attempts": self.attempts, "time": self.time.map(rfc3339),
            "reason": self.reason, "routingKey": self.routing_key,
            "traceparent": self.trace.traceparent, "bytes": self.body.len(), "body": body,
        })
    }

    /// The message as it goes to the workers once more: as it came first.
    pub(super) fn redriven(&self) -> Message {
        let mut message = Message::event(
            SCHEDULE_UPDATED_QUEUE.to_owned(),
            self.message_id.clone(),
            self.event_type.clone(),
            self.time.unwrap_or_default(),
            self.body.clone(),
            self.trace.clone(),
        );
        message.exchange = SETTLEMENT_EXCHANGE;
        message.headers = vec![(
            ROUTING_KEY_HEADER,
            AMQPValue::LongString(self.routing_key.as_str().into()),
        )];
        message
    }
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}
