//! Reads the notifier's event stream, and takes nothing but what the contract allows: less than a
//! browser would take, so that a frame which only a lenient reader understands fails a test.

use serde_json::Value;

/// A frame is shorter than this many bytes.
const FRAME_LIMIT: usize = 64 * 1024;

/// A frame as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The id that a client holds after this frame; empty before the first.
    pub id: String,
    /// `ready`, `schedule.updated`, `availability.updated` or `reset`.
    pub event: String,
    /// The data's text.
    pub text: String,
    /// The data.
    pub data: Value,
}

impl Frame {
    /// Whom a change is about; empty for the other frames.
    #[must_use]
    pub fn contractor(&self) -> &str {
        self.data["contractorId"].as_str().unwrap_or_default()
    }

    /// The version that a change made; 0 for the other frames.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.data["version"].as_i64().unwrap_or_default()
    }

    /// Whether this is a change of this kind of this contractor.
    #[must_use]
    pub fn is_of(&self, event: &str, contractor: &str) -> bool {
        self.event == event && self.contractor() == contractor
    }
}

/// Reads one connection.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
    id: String,
    greeted: bool,
}

impl FrameReader {
    /// A reader for a connection of a client that holds `id`, or the empty string.
    #[must_use]
    pub fn resuming_at(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            ..Self::default()
        }
    }

    /// The id that the client holds now.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Takes bytes as they come and says which frames they complete.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.buffer.extend_from_slice(bytes);
        let mut frames = Vec::new();
        loop {
            if self.buffer.first() == Some(&b':') {
                // A comment is one line, outside of any block.
                let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') else {
                    break;
                };
                self.buffer.drain(..=end);
                continue;
            }
            let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") else {
                break;
            };
            let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
            frames.extend(self.block(&block));
        }
        assert!(self.buffer.len() < FRAME_LIMIT, "a frame without an end");
        frames
    }

    fn block(&mut self, block: &[u8]) -> Option<Frame> {
        assert!(block.len() < FRAME_LIMIT, "{} bytes", block.len());
        let text = std::str::from_utf8(block).expect("UTF-8");
        let lines: Vec<&str> = text.trim_end_matches('\n').split('\n').collect();
        if !std::mem::replace(&mut self.greeted, true) {
            assert_eq!(lines, ["retry: 2000"], "what a stream begins with");
            return None;
        }
        let (id, rest) = match lines.as_slice() {
            [first, rest @ ..] if first.starts_with("id: ") => (first.strip_prefix("id: "), rest),
            rest => (None, rest),
        };
        if let Some(id) = id {
            let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
            assert!(is_plain, "the id {id:?}");
            id.clone_into(&mut self.id);
        }
        let (event, data) = match rest {
            // It only moves the id.
            [] => return None,
            [event, data] => (event.strip_prefix("event: "), data.strip_prefix("data: ")),
            _ => panic!("not a frame: {text:?}"),
        };
        let (Some(event), Some(data)) = (event, data) else {
            panic!("not a frame: {text:?}");
        };
        let known = ["ready", "schedule.updated", "availability.updated", "reset"];
        assert!(known.contains(&event), "an unknown event: {event}");
        assert!(event == "ready" || id.is_some(), "{event} without an id");
        Some(Frame {
            id: self.id.clone(),
            event: event.to_owned(),
            text: data.to_owned(),
            data: serde_json::from_str(data).expect("JSON"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::FrameReader;

    const STREAM: &str = "retry: 2000\n\nevent: ready\ndata: {\"position\":\"1-a\"}\n\n:\nid: 2-b\n\
        event: reset\ndata: {}\n\n:\nid: 3-c\n\n";

    #[test]
    fn frames_come_out_the_same_however_the_bytes_are_cut() {
        let mut whole = FrameReader::default();
        let expected = whole.take(STREAM.as_bytes());
        assert_eq!(expected.len(), 2);
        assert_eq!((expected[1].event.as_str(), whole.id()), ("reset", "3-c"));
        let mut cut = FrameReader::default();
        let frames: Vec<_> = STREAM.bytes().flat_map(|byte| cut.take(&[byte])).collect();
        assert_eq!(frames, expected);
    }

    #[test]
    #[should_panic(expected = "not a frame")]
    fn data_of_two_lines_is_refused() {
        FrameReader::default().take(b"retry: 2000\n\nid: 1\nevent: reset\ndata: {\ndata: }\n\n");
    }

    #[test]
    #[should_panic(expected = "an unknown event")]
    fn a_carriage_return_is_refused() {
        FrameReader::default().take(b"retry: 2000\n\nid: 1\nevent: reset\r\ndata: {}\r\n\n");
    }
}
