//! A strict reader of the event stream format of the WHATWG HTML standard (section 9.2.6), for
//! tests: it takes bytes in pieces of any size and tells what a browser would dispatch.

/// An event as a browser would dispatch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dispatched {
    /// The last event id at that moment.
    pub(crate) id: String,
    /// The event's name, `message` where none was given.
    pub(crate) event: String,
    /// The data, its lines joined by LF.
    pub(crate) data: String,
}

/// The reader's state between two pieces.
#[derive(Debug, Default)]
pub(crate) struct EventStreamReader {
    line: Vec<u8>,
    after_cr: bool,
    started: bool,
    id_buffer: String,
    last_event_id: String,
    event: String,
    data: String,
    retry_ms: Option<u64>,
    comments: usize,
    blocks_without_data: usize,
}

impl EventStreamReader {
    /// Takes the next bytes and returns the events that they complete.
    ///
    /// # Panics
    /// On bytes that no server of ours may send: text that is not UTF-8, unknown fields, and blank
    /// lines that end nothing.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Dispatched> {
        let mut events = Vec::new();
        for &byte in bytes {
            let ends_crlf = std::mem::replace(&mut self.after_cr, byte == b'\r') && byte == b'\n';
            match byte {
                _ if ends_crlf => {}
                b'\r' | b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    let line = std::str::from_utf8(&line).expect("the stream is UTF-8");
                    let line = if std::mem::replace(&mut self.started, true) {
                        line
                    } else {
                        line.strip_prefix('\u{feff}').unwrap_or(line)
                    };
                    events.extend(self.take_line(line));
                }
                _ => self.line.push(byte),
            }
        }
        events
    }

    /// The id that the client would resume with.
    #[must_use]
    pub(crate) fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// The reconnection time that was set last.
    #[must_use]
    pub(crate) fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// How many comments came.
    #[must_use]
    pub(crate) fn comments(&self) -> usize {
        self.comments
    }

    /// How many blocks ended without data, and so were no events.
    #[must_use]
    pub(crate) fn blocks_without_data(&self) -> usize {
        self.blocks_without_data
    }

    fn take_line(&mut self, line: &str) -> Option<Dispatched> {
        if line.is_empty() {
            return self.dispatch();
        }
        if line.starts_with(':') {
            self.comments += 1;
            return None;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.id_buffer),
            "retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                self.retry_ms = value.parse().ok();
            }
            _ => panic!("a line that no frame of ours has: {line:?}"),
        }
        None
    }

    fn dispatch(&mut self) -> Option<Dispatched> {
        self.last_event_id.clone_from(&self.id_buffer);
        let event = std::mem::take(&mut self.event);
        let mut data = std::mem::take(&mut self.data);
        if data.is_empty() {
            assert!(event.is_empty(), "a block with a name and no data");
            self.blocks_without_data += 1;
            return None;
        }
        data.pop();
        let event = if event.is_empty() {
            "message".to_owned()
        } else {
            event
        };
        Some(Dispatched {
            id: self.last_event_id.clone(),
            event,
            data,
        })
    }
}
