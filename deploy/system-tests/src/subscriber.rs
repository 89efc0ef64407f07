//! Another service's queue on the exchange, and a publisher for what tests deliver by hand.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::eventually::DEADLINE;

/// The exchange that all events are published on.
const EXCHANGE: &str = "rosterwire.events";

/// The queue of what the availability workers could not handle.
pub const DEAD_LETTER_QUEUE: &str = "availability-worker.schedule-updated.dead-letter";

/// The queue of the availability workers.
pub const SCHEDULE_UPDATED_QUEUE: &str = "availability-worker.schedule-updated";

/// The `type` of an event about a schedule.
pub const SCHEDULE_UPDATED: &str = "rosterwire.schedule.updated.v1";

/// The `type` of an event about availability.
pub const AVAILABILITY_UPDATED: &str = "rosterwire.availability.updated.v1";

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// The routing key.
    pub routing_key: String,
    /// All properties.
    pub properties: BasicProperties,
    /// The body's bytes.
    pub bytes: Vec<u8>,
    /// The body.
    pub body: Value,
}

impl Received {
    fn of(delivery: &Delivery) -> Self {
        Self {
            routing_key: delivery.routing_key.to_string(),
            properties: delivery.properties.clone(),
            bytes: delivery.data.clone(),
            body: serde_json::from_slice(&delivery.data).expect("JSON"),
        }
    }

    /// The event's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.body["id"].as_str().expect("an id")
    }

    /// The event's data.
    #[must_use]
    pub fn data(&self) -> &Value {
        &self.body["data"]
    }

    /// The version that the event tells of.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.data()["version"].as_i64().expect("a version")
    }

    /// Whether it is of this type and about this contractor.
    #[must_use]
    pub fn is_of(&self, kind: &str, contractor: &str) -> bool {
        self.body["type"] == kind && self.body["subject"] == contractor
    }

    /// The headers that are text.
    #[must_use]
    pub fn headers(&self) -> BTreeMap<String, String> {
        let table = self.properties.headers().clone().unwrap_or_default();
        table
            .inner()
            .iter()
            .filter_map(|(name, value)| match value {
                AMQPValue::LongString(text) => Some((name.to_string(), text.to_string())),
                _ => None,
            })
            .collect()
    }
}

/// A queue of its own that is bound to the exchange, and everything that has come out of it.
#[derive(Debug)]
pub struct Subscriber {
    received: Arc<Mutex<Vec<Received>>>,
    news: Arc<Notify>,
    task: JoinHandle<()>,
    _connection: Connection,
}

impl Subscriber {
    /// Binds a queue by `pattern` and reads it from now on.
    pub async fn bind(amqp_url: &str, pattern: &str) -> Self {
        let (connection, channel) = connect(amqp_url).await;
        let only_ours = QueueDeclareOptions {
            exclusive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = channel
            .queue_declare("".into(), only_ours, FieldTable::default())
            .await
            .expect("a queue");
        channel
            .queue_bind(
                queue.name().clone(),
                EXCHANGE.into(),
                pattern.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .expect("a binding");
        let no_ack = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let mut consumer = channel
            .basic_consume(
                queue.name().clone(),
                "".into(),
                no_ack,
                FieldTable::default(),
            )
            .await
            .expect("a consumer");
        let (received, news) = (
            Arc::<Mutex<Vec<Received>>>::default(),
            Arc::new(Notify::new()),
        );
        let (into, tell) = (Arc::clone(&received), Arc::clone(&news));
        let task = tokio::spawn(async move {
            while let Some(Ok(delivery)) = consumer.next().await {
                into.lock().push(Received::of(&delivery));
                tell.notify_waiters();
            }
        });
        Self {
            received,
            news,
            task,
            _connection: connection,
        }
    }

    /// Everything that has come so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().clone()
    }

    /// Waits for so many different events: where a confirm is late, a relay publishes one again.
    pub async fn events(&self, count: usize) -> Vec<Received> {
        let what = format!("{count} events");
        self.wait_for(&what, |received| {
            let mut ids = HashSet::new();
            let mut events = received.to_vec();
            events.retain(|event| ids.insert(event.id().to_owned()));
            (events.len() == count).then_some(events)
        })
        .await
    }

    /// Waits until `look` sees something in what has come.
    pub async fn wait_for<T>(&self, what: &str, look: impl Fn(&[Received]) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let news = self.news.notified();
                if let Some(seen) = look(&self.received.lock()) {
                    return seen;
                }
                news.await;
            }
        };
        timeout(DEADLINE, waiting).await.unwrap_or_else(|_| {
            let came = self.received.lock().len();
            panic!("not within {DEADLINE:?} on the exchange, where {came} came: {what}")
        })
    }

    /// Waits for the event of this type about this version of a contractor.
    pub async fn event(&self, kind: &str, contractor: &str, version: i64) -> Received {
        let what = format!("{kind} of version {version} of {contractor}");
        self.wait_for(&what, |received| {
            let mut received = received.iter();
            received
                .find(|event| event.is_of(kind, contractor) && event.version() == version)
                .cloned()
        })
        .await
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Publishes events by hand, as they came, straight into a queue.
#[derive(Debug)]
pub struct Publishing {
    channel: Channel,
    _connection: Connection,
}

impl Publishing {
    /// Connects to a broker.
    pub async fn connect(amqp_url: &str) -> Self {
        let (connection, channel) = connect(amqp_url).await;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .expect("confirms");
        Self {
            channel,
            _connection: connection,
        }
    }

    /// Puts these events into the workers' queue in this order, and waits for the broker's word.
    pub async fn deliver(&self, events: &[Received]) {
        let mut confirms = Vec::new();
        for event in events {
            let confirm = self.channel.basic_publish(
                "".into(),
                SCHEDULE_UPDATED_QUEUE.into(),
                BasicPublishOptions::default(),
                &event.bytes,
                event.properties.clone(),
            );
            confirms.push(confirm.await.expect("the broker takes it"));
        }
        for confirm in confirms {
            assert!(confirm.await.expect("an answer").is_ack());
        }
    }

    /// How many messages of a queue wait to be delivered.
    pub async fn waiting(&self, queue: &str) -> u32 {
        waiting(&self.channel, queue).await
    }
}

/// How many messages of a queue wait to be delivered.
pub async fn waiting_in(amqp_url: &str, queue: &str) -> u32 {
    let (connection, channel) = connect(amqp_url).await;
    let count = waiting(&channel, queue).await;
    let _ = connection.close(200, "asked".into()).await;
    count
}

async fn waiting(channel: &Channel, queue: &str) -> u32 {
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await
        .expect("a queue of that name")
        .message_count()
}

async fn connect(amqp_url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(amqp_url, ConnectionProperties::default())
        .await
        .expect("a connection to the broker");
    let channel = connection.create_channel().await.expect("a channel");
    (connection, channel)
}
