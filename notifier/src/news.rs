//! From a message of the stream to what clients see of it.

use crate::event::Event;
use crate::filter::Facts;
use crate::frame;
use crate::ring::Shown;
use crate::stream::Message;
use crate::versions::Versions;

/// Reads messages in the order of the stream and tells news from the rest.
///
/// The feed has one for all clients; each replay has one of its own, since it begins elsewhere. To
/// show the same, both first look at some of what stands before their beginning.
#[derive(Debug)]
pub struct News {
    versions: Versions,
}

impl News {
    /// Has seen nothing yet; see [`Versions::new`].
    #[must_use]
    pub fn new(max_contractors: usize) -> Self {
        Self {
            versions: Versions::new(max_contractors),
        }
    }

    /// Notes what a message says without showing it.
    pub fn note(&mut self, message: &Message) {
        if message.marker.is_none()
            && let Ok(event) = Event::read(&message.body)
        {
            self.versions
                .is_news(event.contractor, event.kind, event.version);
        }
    }

    /// What clients see of a message, and when it happened; `None` for markers, duplicates, stale
    /// events and what cannot be read.
    pub fn show(&mut self, message: &Message) -> Option<Seen> {
        if message.marker.is_some() {
            return None;
        }
        let event = match Event::read(&message.body) {
            Ok(event) => event,
            Err(error) => {
                metrics::counter!("notifier_undecodable_messages_total").increment(1);
                tracing::warn!(offset = message.position.offset, %error, "message skipped");
                return None;
            }
        };
        if !self
            .versions
            .is_news(event.contractor, event.kind, event.version)
        {
            metrics::counter!("notifier_stale_events_total").increment(1);
            return None;
        }
        let frame = frame::event(message.position, &event).into();
        let facts = Facts {
            kind: event.kind,
            contractor: event.contractor,
            territory: event.territory.into(),
            previous_territory: event.previous_territory.map(Into::into),
        };
        Some(Seen {
            shown: Shown { frame, facts },
            time: event.time,
        })
    }
}

/// What clients see of an event.
#[derive(Debug)]
pub struct Seen {
    /// The frame and what filters look at.
    pub shown: Shown,
    /// When what it tells of happened.
    pub time: Option<chrono::DateTime<chrono::Utc>>,
}
