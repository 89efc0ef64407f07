//! Reads the stream `notifier.updates` over AMQP 0.9.1, from any offset.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicPublishOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, Consumer};
use shared_events::amqp::{Headers, consume};
use shared_events::topology::{MARKER_EXCHANGE, UPDATES_STREAM};
use uuid::Uuid;

use crate::position::{Position, fingerprint};

/// The AMQP `type` of a marker: a message that a notifier sends to the stream itself and waits for,
/// to know that it has read everything before it. Clients never see one.
pub const MARKER_TYPE: &str = "rosterwire.notifier.marker.v1";

/// Both the consumer's argument and the header of each delivery.
const STREAM_OFFSET: &str = "x-stream-offset";

/// Where to begin to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With what comes after the consumer is there.
    Next,
    /// With what came in the last so many seconds, to the accuracy of the broker's chunks.
    Ago(u64),
    /// With this offset, or the first one after it that is still kept. A broker passes nothing on
    /// below it, so on a stream that ends before it nothing comes.
    Offset(u64),
}

/// A message of the stream.
#[derive(Debug)]
pub struct Message {
    /// Where it stands.
    pub position: Position,
    /// The message id of a marker; `None` where it is none.
    pub marker: Option<Uuid>,
    /// What was published.
    pub body: Vec<u8>,
}

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The connection or the channel broke.
    #[error("the broker ended the reading: {0}")]
    Broker(#[from] lapin::Error),
    /// The broker took the consumer away.
    #[error("the broker cancelled the reading: the stream was deleted or has moved")]
    Cancelled,
    /// A delivery did not say where it stands, so this is no stream.
    #[error("a delivery came without its offset")]
    NoOffset,
    /// Nothing came in time.
    #[error("nothing came from the stream within {0:?}")]
    Stalled(Duration),
}

/// A reader with a channel of its own. Dropping it closes the channel.
#[derive(Debug)]
pub struct StreamReader {
    channel: Channel,
    consumer: Consumer,
    /// The broker sends so many messages ahead of their acknowledgement.
    prefetch: u16,
    unacked: u16,
    last_tag: u64,
}

impl StreamReader {
    /// Begins to read.
    pub async fn open(
        connection: &Connection,
        from: From,
        prefetch: u16,
    ) -> Result<Self, ReadError> {
        let channel = connection.create_channel().await?;
        channel
            .basic_qos(prefetch, BasicQosOptions::default())
            .await?;
        let offset = match from {
            From::Next => AMQPValue::LongString("next".into()),
            From::Ago(seconds) => AMQPValue::LongString(format!("{seconds}s").into()),
            From::Offset(offset) => {
                AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX))
            }
        };
        let mut arguments = FieldTable::default();
        arguments.insert(STREAM_OFFSET.into(), offset);
        let consumer = consume(&channel, UPDATES_STREAM, arguments).await?;
        Ok(Self {
            channel,
            consumer,
            prefetch,
            unacked: 0,
            last_tag: 0,
        })
    }

    /// The next messages: waits for one and takes those that are there already, at most `most`.
    /// Nothing is lost where the future is dropped.
    pub async fn next_batch(&mut self, most: usize) -> Result<Vec<Message>, ReadError> {
        // Acknowledged before waiting, not after taking, so that nothing is held while waiting.
        if self.unacked >= self.prefetch / 4 {
            self.acknowledge().await?;
        }
        let first = self.consumer.next().await.ok_or(ReadError::Cancelled)??;
        let mut batch = vec![self.take(first)?];
        while batch.len() < most
            && let Some(Some(delivery)) = self.consumer.next().now_or_never()
        {
            batch.push(self.take(delivery?)?);
        }
        Ok(batch)
    }

    /// The next message, in bounded time.
    pub async fn next_within(&mut self, limit: Duration) -> Result<Message, ReadError> {
        let batch = tokio::time::timeout(limit, self.next_batch(1)).await;
        let mut batch = batch.map_err(|_| ReadError::Stalled(limit))??;
        batch.pop().ok_or(ReadError::Cancelled)
    }

    /// Acknowledges what was read. On a stream this only lets the broker send more: it is done by
    /// itself whenever a quarter of the prefetch has been read, and to be called now and then when
    /// little comes, since a broker closes a channel that acknowledges nothing for too long.
    pub async fn acknowledge(&mut self) -> Result<(), ReadError> {
        if self.unacked > 0 {
            self.channel
                .basic_ack(self.last_tag, BasicAckOptions { multiple: true })
                .await?;
            self.unacked = 0;
        }
        Ok(())
    }

    /// Sends a marker to the stream, on this reader's channel.
    pub async fn send_marker(&self, instance: Uuid) -> Result<Uuid, ReadError> {
        let id = Uuid::new_v4();
        let properties = BasicProperties::default()
            .with_type(MARKER_TYPE.into())
            .with_message_id(id.to_string().into())
            .with_content_type("application/json".into())
            .with_delivery_mode(2);
        let body = format!("{{\"instance\":\"{instance}\"}}");
        // Whether it arrives is seen by whether it comes back.
        let options = BasicPublishOptions::default();
        self.channel
            .basic_publish(
                MARKER_EXCHANGE.into(),
                "".into(),
                options,
                body.as_bytes(),
                properties,
            )
            .await?;
        Ok(id)
    }

    fn take(&mut self, delivery: Delivery) -> Result<Message, ReadError> {
        self.last_tag = delivery.delivery_tag;
        self.unacked = self.unacked.saturating_add(1);
        let properties = &delivery.properties;
        let offset = Headers::of(properties)
            .unsigned(STREAM_OFFSET)
            .ok_or(ReadError::NoOffset)?;
        let message_id = properties
            .message_id()
            .as_ref()
            .map_or("", |id| id.as_str());
        let is_marker = properties
            .kind()
            .as_ref()
            .is_some_and(|kind| kind.as_str() == MARKER_TYPE);
        Ok(Message {
            position: Position {
                offset,
                fingerprint: fingerprint(message_id, &delivery.data),
            },
            marker: if is_marker {
                message_id.parse().ok().or(Some(Uuid::nil()))
            } else {
                None
            },
            body: delivery.data,
        })
    }
}
