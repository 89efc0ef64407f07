//! The CloudEvents 1.0 envelope, structured mode.

use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::event::IntegrationEvent;
use crate::schedule::rfc3339_millis;

/// The AMQP content type of every event.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// An event with its identity: what a message's body holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(bound(serialize = "E: IntegrationEvent", deserialize = "E: IntegrationEvent"))]
pub struct Envelope<E> {
    /// The CloudEvents version, always `1.0`.
    #[cfg_attr(feature = "schema", schema(value_type = String, pattern = r"^1\.0$"))]
    pub specversion: SpecVersion,
    /// The event's id, also the AMQP `message-id`. A redelivered event keeps it.
    pub id: Uuid,
    /// The service that published it, as a URI reference.
    pub source: String,
    /// The event's type with its version. An envelope of another type is refused when read.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub event_type: EventType<E>,
    /// The contractor that it is about.
    pub subject: Uuid,
    /// When what it tells of happened.
    #[serde(with = "rfc3339_millis")]
    pub time: DateTime<Utc>,
    /// The media type of `data`.
    pub datacontenttype: String,
    /// The event.
    pub data: E,
}

impl<E: IntegrationEvent> Envelope<E> {
    /// Wraps an event that happened at `time` under the identity `id`.
    #[must_use]
    pub fn new(id: Uuid, time: DateTime<Utc>, data: E) -> Self {
        Self {
            specversion: SpecVersion,
            id,
            source: E::SOURCE.to_owned(),
            event_type: EventType(PhantomData),
            subject: data.contractor_id(),
            time,
            datacontenttype: "application/json".to_owned(),
            data,
        }
    }
}

/// The CloudEvents version that Rosterwire speaks: reads and writes `1.0`, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecVersion;

impl SpecVersion {
    const TEXT: &'static str = "1.0";
}

impl Serialize for SpecVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Self::TEXT)
    }
}

impl<'de> Deserialize<'de> for SpecVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_str(Exactly(Self::TEXT))
            .map(|()| Self)
    }
}

/// The `type` of an envelope around `E`: reads and writes [`IntegrationEvent::TYPE`] alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventType<E>(PhantomData<E>);

impl<E: IntegrationEvent> Serialize for EventType<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(E::TYPE)
    }
}

impl<'de, E: IntegrationEvent> Deserialize<'de> for EventType<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_str(Exactly(E::TYPE))
            .map(|()| Self(PhantomData))
    }
}

/// Accepts one string.
struct Exactly(&'static str);

impl de::Visitor<'_> for Exactly {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        if text == self.0 {
            Ok(())
        } else {
            Err(E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }
}
