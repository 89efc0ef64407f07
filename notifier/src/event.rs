//! Reads what the notifier must know of an event, and leaves the rest as it came.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use shared_events::{AvailabilityUpdated, IntegrationEvent, ScheduleUpdated};
use uuid::Uuid;

/// The two kinds of events that clients are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `schedule.updated`
    Schedule,
    /// `availability.updated`
    Availability,
}

impl Kind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Schedule, Self::Availability];

    /// The name of the SSE event.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Schedule => "schedule.updated",
            Self::Availability => "availability.updated",
        }
    }

    /// The CloudEvents type.
    #[must_use]
    pub fn event_type(self) -> &'static str {
        match self {
            Self::Schedule => ScheduleUpdated::TYPE,
            Self::Availability => AvailabilityUpdated::TYPE,
        }
    }

    /// The kind whose SSE name or CloudEvents type this is.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| text == kind.name() || text == kind.event_type())
    }
}

/// An event, read as far as the fan-out needs it.
///
/// Fields that this version does not know travel on in `fields`, as they came.
#[derive(Debug)]
pub struct Event<'a> {
    /// Which of the two.
    pub kind: Kind,
    /// When what it tells of happened, if it says so legibly.
    pub time: Option<DateTime<Utc>>,
    /// Whom it is about.
    pub contractor: Uuid,
    /// The version of that contractor's schedule.
    pub version: i64,
    /// The territory that the contractor belongs to now.
    pub territory: Cow<'a, str>,
    /// The territory that the contractor has just left, where that is what changed.
    pub previous_territory: Option<Cow<'a, str>>,
    /// The members of `data`, in their order, each as it was written.
    pub fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// Why a message cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum Undecodable {
    /// Not JSON, or JSON without what an event must have.
    #[error("not an event: {0}")]
    Malformed(#[from] serde_json::Error),
    /// An event of a type that clients are not shown.
    #[error("unknown type {0:?}")]
    UnknownType(String),
    /// A field of `data` that must be there is not.
    #[error("data has no {0}")]
    Missing(&'static str),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Fields<'a>,
}

#[derive(Deserialize)]
struct Placed<'a> {
    #[serde(borrow)]
    territory: Cow<'a, str>,
}

#[derive(Deserialize)]
struct PlacedBefore<'a> {
    #[serde(borrow, default)]
    territory: Option<Cow<'a, str>>,
}

impl<'a> Event<'a> {
    /// Reads a message's body.
    pub fn read(body: &'a [u8]) -> Result<Self, Undecodable> {
        let envelope: Envelope<'a> = serde_json::from_slice(body)?;
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| envelope.event_type == kind.event_type())
            .ok_or_else(|| Undecodable::UnknownType(shortened(&envelope.event_type)))?;
        let fields = envelope.data.0;
        let field = |name: &'static str| {
            fields
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.get())
                .ok_or(Undecodable::Missing(name))
        };
        let (territory, previous_territory) = match kind {
            Kind::Schedule => {
                let now: Placed<'a> = serde_json::from_str(field("schedule")?)?;
                let before: PlacedBefore<'a> = serde_json::from_str(field("previousValues")?)?;
                (now.territory, before.territory)
            }
            Kind::Availability => (
                serde_json::from_str::<Text<'a>>(field("territory")?)?.0,
                None,
            ),
        };
        Ok(Self {
            kind,
            time: envelope
                .time
                .and_then(|raw| serde_json::from_str(raw.get()).ok()),
            contractor: serde_json::from_str(field("contractorId")?)?,
            version: serde_json::from_str(field("version")?)?,
            previous_territory: previous_territory.filter(|before| *before != territory),
            territory,
            fields,
        })
    }
}

/// A type's name for a log line: whoever wrote it may have written a long one.
fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

/// A string that is borrowed where it holds no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// An object's members in their order, unread.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                /// An event has about a dozen; far more is no event.
                const MOST: usize = 256;
                let mut members = Vec::with_capacity(12);
                while let Some((Text(key), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    if members.len() == MOST {
                        return Err(de::Error::custom("more than 256 members"));
                    }
                    members.push((key, value));
                }
                Ok(Fields(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Kind, Undecodable};

    const SCHEDULE: &[u8] = include_bytes!("../../shared-events/fixtures/schedule.updated.v1.json");
    const AVAILABILITY: &[u8] =
        include_bytes!("../../shared-events/fixtures/availability.updated.v1.json");

    #[test]
    fn the_golden_events_are_read() {
        let event = Event::read(SCHEDULE).expect("the golden event");
        assert_eq!((event.kind, event.version), (Kind::Schedule, 7));
        assert_eq!(event.territory, "london-north");
        assert_eq!(event.previous_territory, None);
        assert!(event.time.is_some());
        assert_eq!(
            event.fields.first().map(|(key, _)| key.as_ref()),
            Some("contractorId")
        );

        let event = Event::read(AVAILABILITY).expect("the golden event");
        assert_eq!((event.kind, event.version), (Kind::Availability, 7));
        assert_eq!(event.territory, "london-north");
    }

    #[test]
    fn a_move_names_the_territory_that_was_left() {
        let body = r#"{"type":"rosterwire.schedule.updated.v1","data":{
            "contractorId":"018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01","version":2,
            "previousValues":{"territory":"leeds"},"schedule":{"territory":"york"}}}"#;
        let event = Event::read(body.as_bytes()).expect("an event");
        assert_eq!(event.territory, "york");
        assert_eq!(event.previous_territory.as_deref(), Some("leeds"));
    }

    #[test]
    fn a_created_contractor_was_in_no_territory_before() {
        let body = r#"{"type":"rosterwire.schedule.updated.v1","data":{
            "contractorId":"018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01","version":1,
            "previousValues":{"territory":null},"schedule":{"territory":"york"}}}"#;
        let event = Event::read(body.as_bytes()).expect("an event");
        assert_eq!(event.previous_territory, None);
    }

    #[test]
    fn what_is_no_event_says_why() {
        let refused = |body: &str| Event::read(body.as_bytes()).expect_err(body).to_string();
        assert!(refused("").starts_with("not an event"));
        assert!(refused("[]").starts_with("not an event"));
        assert!(refused(r#"{"type":"rosterwire.schedule.updated.v1"}"#).contains("data"));
        let unknown = r#"{"type":"rosterwire.schedule.updated.v2","data":{}}"#;
        assert!(matches!(
            Event::read(unknown.as_bytes()),
            Err(Undecodable::UnknownType(_))
        ));
        let bare = r#"{"type":"rosterwire.availability.updated.v1","data":{}}"#;
        assert_eq!(refused(bare), "data has no territory");
        let fraction = r#"{"type":"rosterwire.availability.updated.v1","data":{"territory":"a",
            "contractorId":"018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01","version":1.5}}"#;
        assert!(refused(fraction).starts_with("not an event"));
        Event::read(&[0xff, 0xfe]).expect_err("not UTF-8");
    }

    #[test]
    fn a_kind_is_known_by_both_its_names() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.name()), Some(kind));
            assert_eq!(Kind::parse(kind.event_type()), Some(kind));
        }
        assert_eq!(Kind::parse("ready"), None);
    }
}
