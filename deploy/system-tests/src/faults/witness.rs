//! Another service on the exchange: a durable queue of its own, read past the proxies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const QUEUE: &str = "fault-suite.witness";
const EXCHANGE: &str = "rosterwire.events";
/// A broker that says nothing for so long is left.
const SILENCE: Duration = Duration::from_secs(5);

/// Has seen what was published.
#[derive(Debug)]
pub struct Witness {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<BTreeMap<String, BTreeSet<i64>>>,
    twice: AtomicU64,
    /// Its binding was deleted, so it cannot have seen everything.
    is_excused: AtomicBool,
}

impl Witness {
    /// Begins to look, and waits until its queue is there.
    ///
    /// # Errors
    /// When the broker does not let it.
    pub async fn start(amqp_url: String) -> Result<Self, String> {
        let shared = Arc::new(Shared::default());
        let first = bind(&amqp_url).await.map_err(|error| error.to_string())?;
        drop(first);
        let task = tokio::spawn(watch(amqp_url, Arc::clone(&shared)));
        Ok(Self { shared, task })
    }

    /// The versions that it has seen of each contractor.
    #[must_use]
    pub fn seen(&self) -> BTreeMap<String, BTreeSet<i64>> {
        self.shared.seen.lock().clone()
    }

    /// How many events came more than once.
    #[must_use]
    pub fn twice(&self) -> u64 {
        self.shared.twice.load(Ordering::Relaxed)
    }

    /// From now on it need not have seen everything.
    pub fn excuse(&self) {
        self.shared.is_excused.store(true, Ordering::Relaxed);
    }

    /// Whether it need not have seen everything.
    #[must_use]
    pub fn is_excused(&self) -> bool {
        self.shared.is_excused.load(Ordering::Relaxed)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(amqp_url: String, shared: Arc<Shared>) {
    loop {
        let _ = look(&amqp_url, &shared).await;
        sleep(Duration::from_millis(100)).await;
    }
}

async fn bind(amqp_url: &str) -> lapin::Result<Connection> {
    let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    channel
        .queue_declare(QUEUE.into(), durable, arguments)
        .await?;
    channel
        .queue_bind(
            QUEUE.into(),
            EXCHANGE.into(),
            "schedule.updated.v1.#".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await?;
    Ok(connection)
}

async fn look(amqp_url: &str, shared: &Shared) -> lapin::Result<()> {
    let Ok(connection) = timeout(SILENCE, bind(amqp_url)).await else {
        return Ok(());
    };
    let connection = connection?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(200, BasicQosOptions::default()).await?;
    let mut events = channel
        .basic_consume(
            QUEUE.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    // Silence may mean anything; coming back finds out, and binds again what was unbound.
    while let Ok(Some(event)) = timeout(SILENCE, events.next()).await {
        let event = event?;
        if let Ok(body) = serde_json::from_slice::<Value>(&event.data) {
            let contractor = body["subject"].as_str().unwrap_or_default().to_owned();
            let version = body["data"]["version"].as_i64().unwrap_or_default();
            let is_new = shared
                .seen
                .lock()
                .entry(contractor)
                .or_default()
                .insert(version);
            if !is_new {
                shared.twice.fetch_add(1, Ordering::Relaxed);
            }
        }
        event.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

/// How many messages of these queues wait in all; none where the broker does not say.
pub(crate) async fn waiting(amqp_url: &str, queues: &[&str]) -> Option<u32> {
    let connection = Connection::connect(amqp_url, ConnectionProperties::default())
        .await
        .ok()?;
    let channel = connection.create_channel().await.ok()?;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let mut count = 0_u32;
    for queue in queues {
        let declared = channel
            .queue_declare((*queue).into(), passive, FieldTable::default())
            .await
            .ok()?;
        count = count.checked_add(declared.message_count())?;
    }
    let _ = connection.close(200, "asked".into()).await;
    Some(count)
}

/// The message id and the reason of each dead letter, which stay where they are; none where the
/// broker does not say.
pub(crate) async fn dead_letters(amqp_url: &str, queue: &str) -> Option<Vec<(String, String)>> {
    let connection = Connection::connect(amqp_url, ConnectionProperties::default())
        .await
        .ok()?;
    let channel = connection.create_channel().await.ok()?;
    let mut letters = Vec::new();
    while let Some(letter) = channel
        .basic_get(queue.into(), lapin::options::BasicGetOptions::default())
        .await
        .ok()?
    {
        let properties = &letter.delivery.properties;
        let id = properties
            .message_id()
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let reason = properties
            .headers()
            .as_ref()
            .and_then(|headers| headers.inner().get("x-rosterwire-reason"))
            .map(|reason| format!("{reason:?}"))
            .unwrap_or_default();
        letters.push((id, reason));
    }
    // Closing gives them back.
    let _ = connection.close(200, "looked".into()).await;
    Some(letters)
}
