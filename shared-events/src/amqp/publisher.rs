//! Publishing with confirms: a message is sent only when the broker has said so.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::{join_all, try_join_all};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::sync::Mutex;

use super::connection::{AmqpSettings, ConnectError, connect, declare};
use crate::envelope::CONTENT_TYPE;
use crate::topology::{self, Part};
use crate::trace::TraceHeaders;

/// A message on its way to the broker. It is always persistent and mandatory.
#[derive(Debug, Clone)]
pub struct Message {
    /// The exchange.
    pub exchange: &'static str,
    /// The routing key, at most 255 bytes.
    pub routing_key: String,
    /// The event's id.
    pub message_id: String,
    /// The event's type.
    pub event_type: String,
    /// When what it tells of happened; AMQP carries whole seconds of it.
    pub timestamp: DateTime<Utc>,
    /// The envelope, encoded.
    pub body: Vec<u8>,
    /// The trace that it belongs to.
    pub trace: TraceHeaders,
    /// Further headers.
    pub headers: Vec<(&'static str, AMQPValue)>,
    /// How long a queue keeps it at most.
    pub expires_after: Option<Duration>,
}

impl Message {
    /// A message for [`topology::EXCHANGE`] without further headers.
    #[must_use]
    pub fn event(
        routing_key: String,
        message_id: String,
        event_type: String,
        timestamp: DateTime<Utc>,
        body: Vec<u8>,
        trace: TraceHeaders,
    ) -> Self {
        Self {
            exchange: topology::EXCHANGE,
            routing_key,
            message_id,
            event_type,
            timestamp,
            body,
            trace,
            headers: Vec::new(),
            expires_after: None,
        }
    }

    /// What AMQP calls a short string holds 255 bytes.
    fn check(&self) -> Result<(), Refused> {
        let short = [
            ("routing key", &self.routing_key),
            ("message id", &self.message_id),
            ("type", &self.event_type),
        ];
        let too_long = short.iter().find(|(_, text)| text.len() > 255);
        too_long.map_or(Ok(()), |(name, text)| {
            Err(Refused::TooLong(name, text.len()))
        })
    }

    fn properties(&self) -> BasicProperties {
        let mut headers = FieldTable::default();
        let trace = [
            ("traceparent", &self.trace.traceparent),
            ("tracestate", &self.trace.tracestate),
        ];
        for (name, value) in trace {
            if let Some(value) = value {
                headers.insert(name.into(), AMQPValue::LongString(value.as_str().into()));
            }
        }
        for (name, value) in &self.headers {
            headers.insert((*name).into(), value.clone());
        }
        let properties = match self.expires_after {
            Some(wait) => {
                BasicProperties::default().with_expiration(wait.as_millis().to_string().into())
            }
            None => BasicProperties::default(),
        };
        properties
            .with_content_type(CONTENT_TYPE.into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(self.message_id.as_str().into())
            .with_type(self.event_type.as_str().into())
            .with_timestamp(u64::try_from(self.timestamp.timestamp()).unwrap_or(0))
            .with_headers(headers)
    }
}

/// What a publisher is let do or not.
const PUBLISHING: &str = "publishing";

/// AMQP's delivery mode for messages that survive a restart of the broker.
const PERSISTENT: u8 = 2;

/// Nothing of a batch is known to have arrived. Publish all of it again.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke.
    #[error("publishing failed: {0}")]
    Broker(#[from] lapin::Error),
    /// The broker did not confirm in time, as when a memory or disk alarm blocks publishers.
    #[error("the broker did not confirm within {0:?}")]
    TimedOut(Duration),
}

/// The broker took the batch, but not this message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No queue is bound for it.
    #[error("unroutable: {0}")]
    Unroutable(String),
    /// A queue could not take it.
    #[error("refused by the broker (basic.nack)")]
    Nacked,
    /// AMQP cannot carry it; it was not sent.
    #[error("its {0} has {1} bytes, and AMQP carries 255")]
    TooLong(&'static str, usize),
}

/// Publishes with confirms over one channel, which it opens when first used and again after a failure.
#[derive(Debug)]
pub struct Publisher {
    settings: AmqpSettings,
    name: String,
    part: Part,
    live: Mutex<Option<Arc<Live>>>,
}

#[derive(Debug)]
struct Live {
    channel: Channel,
    /// Closes when its last handle is dropped.
    connection: Connection,
}

impl Publisher {
    /// A publisher that has not connected yet, and declares its part when it does. `name` is shown in
    /// RabbitMQ's list of connections.
    #[must_use]
    pub fn new(settings: AmqpSettings, name: impl Into<String>, part: Part) -> Self {
        Self {
            settings,
            name: name.into(),
            part,
            live: Mutex::new(None),
        }
    }

    /// What it declares.
    pub(super) fn part(&self) -> Part {
        self.part
    }

    /// How long it waits for the broker's confirms.
    pub(super) fn timeout(&self) -> Duration {
        self.settings.publish_timeout()
    }

    /// Opens the connection if there is none: the readiness of the broker.
    pub async fn connect(&self) -> Result<(), ConnectError> {
        self.live().await.map(|_| ())
    }

    /// Declares its part, over the connection that there is: others may wait for what was deleted, and
    /// nobody else makes it.
    pub async fn declare(&self) -> Result<(), PublishError> {
        let live = self.live().await?;
        let declared = self.bounded(declare(&live.connection, self.part)).await;
        if declared.is_err() {
            self.drop_connection(&live).await;
        }
        declared
    }

    /// Publishes all of `messages`, then waits for all confirms: the answers, in their order.
    ///
    /// Several calls may run at once. An error drops the connection; the next call opens another. So
    /// does an event that no queue takes, because connecting declares what an operator has deleted.
    pub async fn publish(
        &self,
        messages: &[Message],
    ) -> Result<Vec<Result<(), Refused>>, PublishError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let live = self.live().await?;
        let answers = self.bounded(send(&live.channel, messages)).await;
        self.keep_if_well(&live, answers).await
    }

    /// Publishes one message over a channel of its own, so that an error of the channel can only be
    /// about this message.
    pub async fn publish_alone(
        &self,
        message: &Message,
    ) -> Result<Result<(), Refused>, PublishError> {
        let live = self.live().await?;
        let answers = self
            .bounded(async {
                let channel = confirming(&live.connection).await?;
                let answers = send(&channel, std::slice::from_ref(message)).await?;
                channel.close(200, "done".into()).await?;
                Ok(answers)
            })
            .await;
        let answers = self.keep_if_well(&live, answers).await?;
        Ok(answers.into_iter().next().unwrap_or(Ok(())))
    }

    async fn bounded<T>(
        &self,
        sending: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, PublishError> {
        let limit = self.settings.publish_timeout();
        tokio::time::timeout(limit, sending)
            .await
            .map_err(|_| PublishError::TimedOut(limit))?
            .map_err(PublishError::Broker)
    }

    async fn keep_if_well(
        &self,
        live: &Arc<Live>,
        answers: Result<Vec<Result<(), Refused>>, PublishError>,
    ) -> Result<Vec<Result<(), Refused>>, PublishError> {
        match &answers {
            Ok(_) => self.settings.was_let(PUBLISHING),
            Err(PublishError::Broker(error)) => self.settings.was_not_let(PUBLISHING, error),
            Err(_) => {}
        }
        let is_well = answers.as_ref().is_ok_and(|answers| {
            let mut answers = answers.iter();
            !answers.any(|answer| matches!(answer, Err(Refused::Unroutable(_))))
        });
        if !is_well {
            self.drop_connection(live).await;
        }
        answers
    }

    async fn live(&self) -> Result<Arc<Live>, ConnectError> {
        let mut slot = self.live.lock().await;
        if let Some(live) = slot.as_ref()
            && live.channel.status().connected()
        {
            return Ok(Arc::clone(live));
        }
        *slot = None;
        let connection = connect(&self.settings, &self.name, self.part).await?;
        let limit = self.settings.connect_timeout();
        // Bounded like all else: a broker that falls silent here would hold up every publisher.
        let channel = tokio::time::timeout(limit, confirming(&connection))
            .await
            .map_err(|_| ConnectError::TimedOut(limit))??;
        let live = Arc::new(Live {
            channel,
            connection,
        });
        *slot = Some(Arc::clone(&live));
        Ok(live)
    }

    /// Forgets `failed`, unless another call has replaced it already.
    async fn drop_connection(&self, failed: &Arc<Live>) {
        let mut slot = self.live.lock().await;
        if slot.as_ref().is_some_and(|live| Arc::ptr_eq(live, failed)) {
            *slot = None;
        }
    }
}

async fn confirming(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    Ok(channel)
}

async fn send(channel: &Channel, messages: &[Message]) -> lapin::Result<Vec<Result<(), Refused>>> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let confirms = try_join_all(messages.iter().map(|message| async {
        if let Err(refused) = message.check() {
            return Ok(Err(refused));
        }
        let confirm = channel.basic_publish(
            message.exchange.into(),
            message.routing_key.as_str().into(),
            options,
            &message.body,
            message.properties(),
        );
        confirm.await.map(Ok)
    }))
    .await?;
    join_all(confirms.into_iter().map(|confirm| async {
        let confirm = match confirm {
            Ok(confirm) => confirm.await?,
            Err(refused) => return Ok(Err(refused)),
        };
        Ok(match confirm {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(returned)) => {
                Err(Refused::Unroutable(returned.reply_text.to_string()))
            }
            Confirmation::Nack(_) | Confirmation::NotRequested => Err(Refused::Nacked),
        })
    }))
    .await
    .into_iter()
    .collect()
}
