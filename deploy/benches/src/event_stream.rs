//! Reads server-sent events only as far as the benchmark needs them: which event, of which
//! contractor, of which version.

use std::sync::LazyLock;

use anyhow::{Result, bail};
use memchr::memmem::{self, Finder};
use uuid::Uuid;

/// Which of the two events of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `schedule.updated`
    Schedule,
    /// `availability.updated`
    Availability,
}

/// An event as far as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// `ready`
    Ready,
    /// `reset`: something was missed.
    Reset,
    /// One of a contractor's two.
    Update {
        /// Which.
        kind: Kind,
        /// Whose.
        contractor: Uuid,
        /// The schedule's version.
        version: i64,
    },
}

/// Undoes the chunked transfer coding (RFC 9112, section 7.1).
#[derive(Debug, Default)]
pub struct Chunks {
    state: State,
}

#[derive(Debug)]
enum State {
    Size(usize),
    Extension(usize),
    Data(usize),
    AfterData,
    Ended,
}

impl Default for State {
    fn default() -> Self {
        Self::Size(0)
    }
}

impl Chunks {
    /// Hands the data in `bytes` to `each`, piece by piece.
    ///
    /// # Errors
    /// When the coding is broken, or the last chunk has come.
    pub fn read(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<()> {
        while let Some(&byte) = bytes.first() {
            match self.state {
                State::Size(size) | State::Extension(size) if byte == b'\n' => {
                    self.state = if size == 0 {
                        State::Ended
                    } else {
                        State::Data(size)
                    };
                }
                State::Size(size) => match char::from(byte).to_digit(16) {
                    Some(digit) => self.state = State::Size(size * 16 + digit as usize),
                    None if byte == b';' || byte == b'\r' => self.state = State::Extension(size),
                    None => bail!("a chunk's size holds the byte {byte}"),
                },
                State::Extension(_) => {}
                State::Data(left) => {
                    let (data, rest) = bytes.split_at(left.min(bytes.len()));
                    each(data);
                    bytes = rest;
                    self.state = match left - data.len() {
                        0 => State::AfterData,
                        left => State::Data(left),
                    };
                    continue;
                }
                State::AfterData => {
                    if byte == b'\n' {
                        self.state = State::Size(0);
                    }
                }
                State::Ended => bail!("the stream has ended"),
            }
            bytes = &bytes[1..];
        }
        if matches!(self.state, State::Ended) {
            bail!("the stream has ended");
        }
        Ok(())
    }
}

/// Cuts a stream into events.
#[derive(Debug, Default)]
pub struct Events {
    /// The start of an event that is not whole yet.
    begun: Vec<u8>,
}

impl Events {
    /// Hands the events that `data` completes to `each`.
    pub fn read(&mut self, data: &[u8], mut each: impl FnMut(Seen)) {
        if self.begun.is_empty() {
            let rest = cut(data, &mut each);
            self.begun.extend_from_slice(rest);
        } else {
            let mut whole = std::mem::take(&mut self.begun);
            whole.extend_from_slice(data);
            let used = whole.len() - cut(&whole, &mut each).len();
            whole.drain(..used);
            self.begun = whole;
        }
    }
}

fn cut<'a>(mut data: &'a [u8], each: &mut impl FnMut(Seen)) -> &'a [u8] {
    static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\n\n"));
    while let Some(end) = END.find(data) {
        if let Some(seen) = look(&data[..end]) {
            each(seen);
        }
        data = &data[end + 2..];
    }
    data
}

/// What an event is; none if it is none of those that count.
fn look(event: &[u8]) -> Option<Seen> {
    static CONTRACTOR: LazyLock<Finder<'static>> =
        LazyLock::new(|| Finder::new("\"contractorId\":\""));
    static VERSION: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"version\":"));
    let name = memmem::find(event, b"event: ")? + 7;
    let name_end = name + memchr::memchr(b'\n', &event[name..])?;
    let kind = match &event[name..name_end] {
        b"availability.updated" => Kind::Availability,
        b"schedule.updated" => Kind::Schedule,
        b"ready" => return Some(Seen::Ready),
        b"reset" => return Some(Seen::Reset),
        _ => return None,
    };
    let data = &event[name_end..];
    let contractor = CONTRACTOR.find(data)? + 16;
    let version = VERSION.find(data)? + 10;
    let digits = data[version..].iter().take_while(|b| b.is_ascii_digit());
    Some(Seen::Update {
        kind,
        contractor: Uuid::try_parse_ascii(data.get(contractor..contractor + 36)?).ok()?,
        version: digits.fold(0, |number, b| number * 10 + i64::from(b - b'0')),
    })
}

#[cfg(test)]
mod tests {
    use super::{Chunks, Events, Kind, Seen};
    use uuid::Uuid;

    fn chunked(pieces: &[&str]) -> Vec<u8> {
        pieces
            .iter()
            .flat_map(|piece| format!("{:X}\r\n{piece}\r\n", piece.len()).into_bytes())
            .collect()
    }

    #[test]
    fn events_are_seen_wherever_the_network_cuts() {
        let contractor = Uuid::from_u128(7);
        let id = contractor.to_string();
        let bytes = chunked(&[
            "retry: 2000\n\n",
            "id: 1\nevent: ready\ndata: {}\n\n:\n",
            &format!(
                "id: 2\nevent: schedule.updated\ndata: {{\"contractorId\":\"{id}\",\"version\":12}}\n\n"
            ),
            &format!(
                "id: 3\nevent: availability.updated\ndata: {{\"contractorId\":\"{id}\",\"version\":12,\"x\":1}}\n\n"
            ),
            "event: reset\ndata: {}\n\n",
        ]);
        let update = |kind| Seen::Update {
            kind,
            contractor,
            version: 12,
        };
        for size in 1..bytes.len() {
            let (mut chunks, mut events, mut seen) =
                (Chunks::default(), Events::default(), Vec::new());
            for piece in bytes.chunks(size) {
                chunks
                    .read(piece, |data| events.read(data, |event| seen.push(event)))
                    .unwrap();
            }
            let all = [
                Seen::Ready,
                update(Kind::Schedule),
                update(Kind::Availability),
                Seen::Reset,
            ];
            assert_eq!(seen, all, "in pieces of {size}");
        }
    }

    #[test]
    fn the_end_of_the_stream_is_told() {
        assert!(Chunks::default().read(b"0\r\n\r\n", |_| {}).is_err());
        assert!(Chunks::default().read(b"zz", |_| {}).is_err());
    }
}
