//! Server-sent events: every frame that a client can receive, as bytes.
//!
//! A frame is `id`, `event` and one `data` line. The format knows three line ends (CR, LF, CRLF) and
//! nothing else, so one line of JSON, in which control characters are always escaped, is safe
//! whatever its strings hold.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use shared_events::event::{Field, FieldValues};

use crate::event::{Event, Kind};
use crate::filter::Filter;
use crate::position::Position;

/// No frame is longer. What does not fit says `"truncated":true`, and its reader reads over HTTP.
pub const MAX_FRAME_BYTES: usize = 64 * 1024 - 1;

/// Tells a client to come back two seconds after its stream has ended.
pub const RETRY: &str = "retry: 2000\n\n";

/// Keeps proxies from taking a quiet stream for a dead one.
///
/// A comment is one line. A blank line after it would end an event, and although an event without
/// data is none to a browser, clients that are less strict would tell of an empty message.
pub const HEARTBEAT: &[u8] = b":\n";

/// The last words of a stream whose token is no longer good.
pub const TOKEN_EXPIRED: &[u8] = b": the token has expired\n";

/// The frame of an event at `position`.
#[must_use]
pub fn event(position: Position, event: &Event<'_>) -> Bytes {
    let heavy: &[&str] = match event.kind {
        Kind::Schedule => &["previousValues", "currentValues"],
        Kind::Availability => &["windowsEpochMinutes", "conflicts"],
    };
    let identity: &[&str] = &["contractorId", "version", "territory"];
    let whole = write_event(position, event, |_| true, false);
    if whole.len() <= MAX_FRAME_BYTES {
        return whole;
    }
    let light = write_event(position, event, |field| !heavy.contains(&field), true);
    if light.len() <= MAX_FRAME_BYTES {
        return light;
    }
    write_event(position, event, |field| identity.contains(&field), true)
}

fn write_event(
    position: Position,
    event: &Event<'_>,
    keeps: impl Fn(&str) -> bool,
    truncated: bool,
) -> Bytes {
    let room: usize = event
        .fields
        .iter()
        .map(|(_, value)| value.get().len() + 24)
        .sum();
    let mut out = Vec::with_capacity(room.min(MAX_FRAME_BYTES) + 192);
    write_head(&mut out, Some(&position.to_string()), event.kind.name());
    let mut members = Members::open(&mut out);
    for (key, value) in &event.fields {
        let kept = keeps(key) && !(event.kind == Kind::Schedule && key == "schedule");
        if kept && key != "truncated" {
            members.raw(key, value);
        }
    }
    if event.kind == Kind::Schedule && !event.fields.iter().any(|(key, _)| key == "territory") {
        members.value("territory", &event.territory);
    }
    if truncated {
        members.value("truncated", &true);
    }
    members.close();
    Bytes::from(out)
}

/// What a stream begins with: where it is, and how the request was understood.
///
/// `id` is the id that the client shall hold from now on. Where it resumes, that is the one it
/// came with: the frames that it has missed are still to come.
#[must_use]
pub fn ready(
    id: Option<&str>,
    position: &str,
    now: DateTime<Utc>,
    filter: &Filter,
    heartbeat_seconds: u64,
) -> Bytes {
    let data = Ready {
        position: position.to_owned(),
        server_time: now.to_rfc3339_opts(SecondsFormat::Millis, true),
        filters: filter.clone(),
        heartbeat_seconds,
    };
    write_data(id, "ready", &data)
}

/// The data of `ready`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// Events that follow are newer than this id.
    pub position: String,
    /// The server's time, UTC.
    pub server_time: String,
    /// The filters as they were understood; an empty list shows all.
    pub filters: Filter,
    /// A comment comes at least so often.
    pub heartbeat_seconds: u64,
}

/// The data of `reset`: all that the client holds must be read again.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Reset {
    /// Events that follow are newer than this id.
    pub position: String,
    /// `tooOld`, `unknownId` or `streamReplaced`.
    pub reason: &'static str,
}

/// The data of `schedule.updated`: a ScheduleUpdated event without its `schedule`.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "it describes what is written from the event's own text"
)]
pub struct ScheduleUpdatedData {
    /// Whose schedule has changed.
    contractor_id: uuid::Uuid,
    /// The names of the changed fields, sorted.
    updated_fields: Vec<Field>,
    /// The changed fields as they were; absent where truncated.
    previous_values: Option<FieldValues>,
    /// Commit time of the change.
    timestamp: DateTime<Utc>,
    /// The changed fields as they are now; absent where truncated.
    current_values: Option<FieldValues>,
    /// The schedule's version after the change.
    version: i64,
    /// Who asked for the change.
    actor: String,
    /// The contractor's territory after the change.
    territory: String,
    /// True where the values did not fit: read the schedule over HTTP.
    truncated: Option<bool>,
}

/// Why what a client holds must be read anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetReason {
    /// What followed the client's id is no longer kept.
    TooOld,
    /// The client's id belongs to another stream, or is none of ours.
    UnknownId,
    /// The stream was made anew while the client was reading it.
    StreamReplaced,
}

impl ResetReason {
    fn name(self) -> &'static str {
        match self {
            Self::TooOld => "tooOld",
            Self::UnknownId => "unknownId",
            Self::StreamReplaced => "streamReplaced",
        }
    }
}

/// Tells a client to read the snapshot again; live events follow `position`.
#[must_use]
pub fn reset(position: Position, reason: ResetReason) -> Bytes {
    let id = position.to_string();
    write_data(
        Some(&id),
        "reset",
        &Reset {
            position: id.clone(),
            reason: reason.name(),
        },
    )
}

/// [`reset`], counted by its reason.
#[must_use]
pub fn counted_reset(position: Position, reason: ResetReason) -> Bytes {
    metrics::counter!("notifier_resets_total", "reason" => reason.name()).increment(1);
    reset(position, reason)
}

/// A heartbeat that also moves the client's id past what it was not shown.
///
/// The blank line is needed here: an id counts from the end of its block on. Having no data, the
/// block is no event.
#[must_use]
pub fn heartbeat_at(position: Position) -> Bytes {
    Bytes::from(format!(":\nid: {position}\n\n"))
}

/// [`HEARTBEAT`] as it is sent.
#[must_use]
pub fn heartbeat() -> Bytes {
    Bytes::from_static(HEARTBEAT)
}

fn write_head(out: &mut Vec<u8>, id: Option<&str>, name: &str) {
    if let Some(id) = id {
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(id.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
}

fn write_data(id: Option<&str>, name: &str, data: &impl Serialize) -> Bytes {
    let mut out = Vec::with_capacity(256);
    write_head(&mut out, id, name);
    write_json(&mut out, data);
    out.extend_from_slice(b"\n\n");
    Bytes::from(out)
}

/// Writes one line of JSON. serde_json escapes every control character in strings.
fn write_json(out: &mut Vec<u8>, value: &impl Serialize) {
    // Writing strings, numbers and lists of them to memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

/// The members of one JSON object, written one after the other.
struct Members<'a> {
    out: &'a mut Vec<u8>,
    is_first: bool,
}

impl<'a> Members<'a> {
    fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self {
            out,
            is_first: true,
        }
    }

    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
        write_json(self.out, &key);
        self.out.push(b':');
    }

    fn value(&mut self, key: &str, value: &impl Serialize) {
        self.key(key);
        write_json(self.out, value);
    }

    /// Writes a value as it came, without the line breaks between its tokens.
    fn raw(&mut self, key: &str, value: &RawValue) {
        self.key(key);
        let text = value.get().as_bytes();
        if text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            // A string cannot hold a raw line break, so each one stands between two tokens.
            self.out
                .extend(text.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
        } else {
            self.out.extend_from_slice(text);
        }
    }

    fn close(self) {
        self.out.extend_from_slice(b"}\n\n");
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
