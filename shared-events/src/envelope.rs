//! The CloudEvents 1.0 envelope, structured mode.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, de};
use uuid::Uuid;

use crate::event::IntegrationEvent;
use crate::schedule::rfc3339_millis;

/// The AMQP content type of every event.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// An event with its identity: what a message's body holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(bound(deserialize = "E: IntegrationEvent"))]
pub struct Envelope<E> {
    /// The CloudEvents version, always `1.0`.
    #[serde(deserialize_with = "version_one")]
    pub specversion: Cow<'static, str>,
    /// The event's id, also the AMQP `message-id`. A redelivered event keeps it.
    pub id: Uuid,
    /// The service that published it.
    pub source: Cow<'static, str>,
    /// The event's type with its version. An envelope of another type is refused when read.
    #[serde(rename = "type", deserialize_with = "type_of::<E, __D>")]
    pub event_type: Cow<'static, str>,
    /// The contractor that it is about.
    pub subject: Uuid,
    /// When what it tells of happened.
    #[serde(with = "rfc3339_millis")]
    pub time: DateTime<Utc>,
    /// The media type of `data`.
    pub datacontenttype: Cow<'static, str>,
    /// The event.
    pub data: E,
}

impl<E: IntegrationEvent> Envelope<E> {
    /// Wraps an event that happened at `time` under the identity `id`.
    #[must_use]
    pub fn new(id: Uuid, time: DateTime<Utc>, data: E) -> Self {
        Self {
            specversion: Cow::Borrowed("1.0"),
            id,
            source: Cow::Borrowed(E::SOURCE),
            event_type: Cow::Borrowed(E::TYPE),
            subject: data.contractor_id(),
            time,
            datacontenttype: Cow::Borrowed("application/json"),
            data,
        }
    }
}

fn version_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'static, str>, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    if text == "1.0" {
        Ok(Cow::Borrowed("1.0"))
    } else {
        Err(de::Error::custom(format_args!("specversion is {text:?}, only \"1.0\" is known")))
    }
}

fn type_of<'de, E: IntegrationEvent, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Cow<'static, str>, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    if text == E::TYPE {
        Ok(Cow::Borrowed(E::TYPE))
    } else {
        Err(de::Error::custom(format_args!("type is {text:?}, expected {:?}", E::TYPE)))
    }
}
