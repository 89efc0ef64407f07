//! Publishes as the two other services do.

use chrono::DateTime;
use clap::Parser;
use serde_json::{Value, json};
use shared_events::amqp::{AmqpSettings, Message, Publisher, TraceHeaders};
use shared_events::topology;
use uuid::Uuid;

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    amqp: AmqpSettings,
}

/// A publisher into the test's own virtual host.
pub(crate) struct Publishing(Publisher);

impl Publishing {
    pub(crate) fn new(amqp_url: &str) -> Self {
        let settings =
            Settings::try_parse_from(["x", "--amqp-url", amqp_url]).expect("a broker's URL");
        Self(Publisher::new(settings.amqp, "test", topology::Part::All))
    }

    /// Makes what the other services and the notifiers have at the broker.
    pub(crate) async fn declare(&self) {
        self.0.connect().await.expect("the broker");
    }

    /// Publishes in order and waits for the broker's word.
    pub(crate) async fn publish(&self, messages: &[Message]) {
        for batch in messages.chunks(200) {
            for answer in self
                .0
                .publish(batch)
                .await
                .expect("the broker takes the batch")
            {
                answer.expect("the broker takes the message");
            }
        }
    }

    /// As [`publish`](Self::publish), until the broker is there again.
    pub(crate) async fn publish_when_possible(&self, messages: &[Message]) {
        crate::running::wait_until("the broker to take a message", async || {
            self.0
                .publish(messages)
                .await
                .is_ok_and(|answers| answers.iter().all(Result::is_ok))
        })
        .await;
    }
}

pub(crate) fn contractor(number: u128) -> Uuid {
    Uuid::from_u128(0x018f_6b1c_0000_7000_0000_0000_0000_0000 + number)
}

/// A change of the name of contractor `number`.
pub(crate) fn schedule(number: u128, version: i64, territory: &str) -> Message {
    let changes = json!({"name": format!("before {version}")});
    schedule_with(number, version, territory, &changes)
}

/// A move of contractor `number` between two territories.
pub(crate) fn moved(number: u128, version: i64, from: &str, to: &str) -> Message {
    schedule_with(number, version, to, &json!({"territory": from}))
}

pub(crate) fn schedule_with(
    number: u128,
    version: i64,
    territory: &str,
    before: &Value,
) -> Message {
    let data = json!({
        "contractorId": contractor(number), "updatedFields": ["name"], "previousValues": before,
        "timestamp": "2026-11-24T08:00:00.123Z", "currentValues": {"name": "after"},
        "version": version, "actor": "test", "schedule": {"territory": territory},
    });
    let key = topology::schedule_updated_routing_key(territory);
    event(key, "rosterwire.schedule.updated.v1", &data)
}

/// New availability of contractor `number`.
pub(crate) fn availability(number: u128, version: i64, territory: &str) -> Message {
    let data = json!({
        "contractorId": contractor(number), "territory": territory, "version": version,
        "calculatedAt": "2026-11-24T08:00:00.127Z",
        "horizon": {"from": "2026-11-24T00:00:00Z", "to": "2026-12-23T00:00:00Z"},
        "windowsEpochMinutes": [[29_925_120, 29_925_600]], "conflicts": [],
    });
    let key = topology::availability_updated_routing_key(territory);
    event(key, "rosterwire.availability.updated.v1", &data)
}

fn event(key: String, event_type: &str, data: &Value) -> Message {
    let id = Uuid::new_v4();
    let envelope = json!({
        "specversion": "1.0", "id": id, "source": "/test", "type": event_type,
        "subject": data["contractorId"], "time": "2026-11-24T08:00:00.123Z",
        "datacontenttype": "application/json", "data": data,
    });
    raw(key, event_type, envelope.to_string().into_bytes())
}

/// Any bytes at all.
pub(crate) fn raw(key: String, event_type: &str, body: Vec<u8>) -> Message {
    let id = Uuid::new_v4().to_string();
    let time = DateTime::UNIX_EPOCH;
    Message::event(
        key,
        id,
        event_type.to_owned(),
        time,
        body,
        TraceHeaders::default(),
    )
}
