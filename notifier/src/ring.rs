//! The newest events, encoded once, in memory for all clients.

use std::collections::VecDeque;
use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};

use crate::filter::{Facts, Filter};
use crate::frame;
use crate::position::Position;

/// One message of the stream.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it stands in the stream.
    pub position: Position,
    /// When this notifier read it.
    pub read_at: DateTime<Utc>,
    /// What clients see of it. Nothing, where it was a duplicate, stale, a marker or unreadable:
    /// such a message only moves positions on.
    pub shown: Option<Shown>,
}

/// An event that clients are shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The frame, the same bytes for every client.
    pub frame: Frame,
    /// What filters look at.
    pub facts: Facts,
}

/// A frame, which is a part of a block that it shares with its neighbours.
///
/// Neighbours can be handed out together as one slice, so that a client that is shown all of a
/// batch costs one reference and not one for each frame.
#[derive(Debug, Clone)]
pub struct Frame {
    whole: Bytes,
    from: usize,
    to: usize,
}

impl From<Bytes> for Frame {
    /// A block of one frame.
    fn from(frame: Bytes) -> Self {
        Self {
            from: 0,
            to: frame.len(),
            whole: frame,
        }
    }
}

impl Frame {
    /// The frame's length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.to - self.from
    }

    /// True where there is nothing in it; no frame is so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The frame.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.whole.slice(self.from..self.to)
    }

    /// True where it begins at `end` of the block of `first`.
    fn follows(&self, first: &Self, end: usize) -> bool {
        // Both hold on to their block, so the same address is the same block.
        self.from == end && self.whole.as_ptr() == first.whole.as_ptr()
    }
}

/// No block is longer, unless it is a single frame: whoever holds one frame holds its block.
const BLOCK_BYTES: usize = 64 * 1024;

/// Puts the frames of neighbours side by side.
pub fn pack(entries: &mut [Entry]) {
    let mut all: Vec<&mut Frame> = entries
        .iter_mut()
        .filter_map(|entry| entry.shown.as_mut().map(|shown| &mut shown.frame))
        .collect();
    let mut frames = all.as_mut_slice();
    while !frames.is_empty() {
        let mut length = 0;
        let fits = |frame: &&&mut Frame| {
            length += frame.len();
            length <= BLOCK_BYTES
        };
        let count = frames.iter().take_while(fits).count().max(1);
        let (together, others) = frames.split_at_mut(count);
        frames = others;
        let mut whole = BytesMut::with_capacity(together.iter().map(|frame| frame.len()).sum());
        for frame in together.iter() {
            whole.extend_from_slice(&frame.bytes());
        }
        let whole = whole.freeze();
        let mut from = 0;
        for frame in together {
            let to = from + frame.len();
            **frame = Frame {
                whole: whole.clone(),
                from,
                to,
            };
            from = to;
        }
    }
}

/// How much a ring holds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// At most so many entries.
    pub events: usize,
    /// At most so many bytes: of frames, and 256 for each entry. One entry is kept however long.
    pub bytes: usize,
}

/// What an entry takes beside its frame, rounded up.
const ENTRY_OVERHEAD: usize = 256;

/// The newest entries of the stream, ascending by offset.
///
/// An entry is known here by its number, counted from the making of the ring without gaps, so that
/// a cursor is one number and to find an entry is one subtraction.
#[derive(Debug)]
pub struct Ring {
    entries: VecDeque<Entry>,
    first: u64,
    bytes: usize,
    limits: Limits,
    heartbeat: OnceLock<Bytes>,
}

/// Where a position stands, seen from a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// In the ring. What follows it begins with this number.
    Before(u64),
    /// Older than all that the ring holds.
    Older,
    /// Newer than all that the ring holds.
    Newer,
    /// Within the ring's range another message stands there.
    Unknown,
}

/// What a cursor finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scan {
    /// The next frames, one or more that stand side by side, and the number after the last.
    Frames {
        /// Their bytes.
        bytes: Bytes,
        /// How many they are.
        count: u64,
        /// The number of the entry after them.
        next: u64,
    },
    /// Nothing to be shown so far; go on at this number.
    Nothing(u64),
    /// The ring no longer holds what comes next.
    Behind,
}

impl Ring {
    /// An empty ring.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            bytes: 0,
            limits,
            heartbeat: OnceLock::new(),
        }
    }

    /// Adds the newest entry and lets go of the oldest ones that no longer fit.
    pub fn push(&mut self, entry: Entry) {
        self.bytes += weight(&entry);
        self.entries.push_back(entry);
        self.heartbeat = OnceLock::new();
        while self.entries.len() > 1
            && (self.entries.len() > self.limits.events || self.bytes > self.limits.bytes)
        {
            if let Some(oldest) = self.entries.pop_front() {
                self.bytes -= weight(&oldest);
                self.first += 1;
            }
        }
    }

    /// The number that the next entry will have.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The position of the newest entry.
    #[must_use]
    pub fn head(&self) -> Option<Position> {
        self.entries.back().map(|entry| entry.position)
    }

    /// The oldest entry.
    #[must_use]
    pub fn oldest(&self) -> Option<&Entry> {
        self.entries.front()
    }

    /// How many entries are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True where nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes are held, counted as [`Limits::bytes`] says.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The heartbeat that moves a client to the newest entry: encoded once, when first asked for.
    #[must_use]
    pub fn heartbeat(&self) -> Bytes {
        let bytes = || {
            self.head()
                .map_or(Bytes::from_static(frame::HEARTBEAT), frame::heartbeat_at)
        };
        self.heartbeat.get_or_init(bytes).clone()
    }

    /// Looks a position up.
    #[must_use]
    pub fn find(&self, position: Position) -> Found {
        let (Some(oldest), Some(newest)) = (self.entries.front(), self.entries.back()) else {
            return Found::Newer;
        };
        if position.offset < oldest.position.offset {
            return Found::Older;
        }
        if position.offset > newest.position.offset {
            return Found::Newer;
        }
        let index = self
            .entries
            .partition_point(|e| e.position.offset < position.offset);
        match self.entries.get(index) {
            Some(entry) if entry.position == position => {
                Found::Before(self.first + index as u64 + 1)
            }
            _ => Found::Unknown,
        }
    }

    /// True where a reader of the stream that has come to `offset` may hand over to the ring: the
    /// ring holds that offset, and half of its entries, or all that there are, come after it, so
    /// the ring will not have moved on a moment later.
    #[must_use]
    pub fn can_follow(&self, offset: u64) -> bool {
        let middle = self.entries.get(self.entries.len() / 2);
        let newest = self.entries.back();
        middle.is_some_and(|entry| entry.position.offset <= offset)
            && newest.is_some_and(|entry| entry.position.offset >= offset)
    }

    /// Looks for the next frames that `filter` shows, from the number `from` on, in at most `most`
    /// entries.
    #[must_use]
    pub fn scan(&self, from: u64, most: usize, filter: &Filter) -> Scan {
        let Some(index) = from
            .checked_sub(self.first)
            .and_then(|i| usize::try_from(i).ok())
        else {
            return Scan::Behind;
        };
        let mut number = from;
        let mut found: Option<(&Frame, usize, u64, u64)> = None;
        for entry in self
            .entries
            .range(index.min(self.entries.len())..)
            .take(most)
        {
            number += 1;
            let Some(shown) = &entry.shown else { continue };
            if !filter.shows(&shown.facts) {
                continue;
            }
            match &mut found {
                None => found = Some((&shown.frame, shown.frame.to, 1, number)),
                Some((first, to, count, next)) if shown.frame.follows(first, *to) => {
                    (*to, *count, *next) = (shown.frame.to, *count + 1, number);
                }
                Some(_) => break,
            }
        }
        found.map_or(Scan::Nothing(number), |(first, to, count, next)| {
            Scan::Frames {
                bytes: first.whole.slice(first.from..to),
                count,
                next,
            }
        })
    }
}

fn weight(entry: &Entry) -> usize {
    ENTRY_OVERHEAD + entry.shown.as_ref().map_or(0, |shown| shown.frame.len())
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_BYTES, ENTRY_OVERHEAD, Entry, Found, Limits, Ring, Scan, Shown, pack};
    use crate::event::Kind;
    use crate::filter::{Facts, Filter};
    use crate::position::Position;
    use bytes::Bytes;
    use chrono::DateTime;
    use proptest::prelude::*;
    use uuid::Uuid;

    const ROOMY: Limits = Limits {
        events: 1000,
        bytes: 1_000_000,
    };

    fn position(offset: u64) -> Position {
        Position {
            offset,
            fingerprint: 7,
        }
    }

    fn entry(offset: u64, territory: Option<&str>) -> Entry {
        Entry {
            position: position(offset),
            read_at: DateTime::UNIX_EPOCH,
            shown: territory.map(|territory| Shown {
                frame: Bytes::from(format!("{offset}")).into(),
                facts: Facts {
                    kind: Kind::Schedule,
                    contractor: Uuid::nil(),
                    territory: territory.into(),
                    previous_territory: None,
                },
            }),
        }
    }

    fn ring(limits: Limits, offsets: impl IntoIterator<Item = u64>) -> Ring {
        let mut ring = Ring::new(limits);
        offsets
            .into_iter()
            .for_each(|offset| ring.push(entry(offset, Some("leeds"))));
        ring
    }

    fn frames(ring: &Ring, mut from: u64, filter: &Filter) -> Vec<String> {
        let mut frames = Vec::new();
        loop {
            match ring.scan(from, 3, filter) {
                Scan::Frames { bytes, next, .. } => {
                    frames.push(String::from_utf8_lossy(&bytes).into_owned());
                    from = next;
                }
                Scan::Nothing(next) if next == from => return frames,
                Scan::Nothing(next) => from = next,
                Scan::Behind => panic!("behind at {from}"),
            }
        }
    }

    #[test]
    fn a_cursor_sees_what_its_filter_shows_in_order() {
        let mut ring = Ring::new(ROOMY);
        for (offset, territory) in [
            (5, Some("leeds")),
            (6, Some("york")),
            (7, None),
            (8, Some("york")),
            (9, None),
        ] {
            ring.push(entry(offset, territory));
        }
        let york = Filter::parse("territory=york", 10).expect("a filter");
        assert_eq!(frames(&ring, 0, &york), ["6", "8"]);
        assert_eq!(frames(&ring, 2, &Filter::default()), ["8"]);
        assert_eq!(frames(&ring, ring.end(), &york), [""; 0]);
    }

    #[test]
    fn neighbours_that_are_shown_are_one_slice() {
        let mut entries: Vec<Entry> = [
            (1, Some("leeds")),
            (2, None),
            (3, Some("leeds")),
            (4, Some("york")),
            (5, Some("leeds")),
        ]
        .map(|(offset, territory)| entry(offset, territory))
        .into();
        pack(&mut entries);
        let mut ring = Ring::new(ROOMY);
        for entry in entries {
            ring.push(entry);
        }
        // Another batch is another block.
        ring.push(entry(6, Some("leeds")));
        let leeds = Filter::parse("territory=leeds", 10).expect("a filter");
        let scan = |from, filter| match ring.scan(from, 10, filter) {
            Scan::Frames { bytes, count, next } => {
                (String::from_utf8_lossy(&bytes).into_owned(), count, next)
            }
            other => panic!("{other:?}"),
        };
        let all = Filter::default();
        assert_eq!(scan(0, &all), ("1345".to_owned(), 4, 5));
        assert_eq!(scan(2, &all), ("345".to_owned(), 3, 5));
        assert_eq!(scan(5, &all), ("6".to_owned(), 1, 6));
        assert_eq!(scan(0, &leeds), ("13".to_owned(), 2, 3));
        assert_eq!(scan(3, &leeds), ("5".to_owned(), 1, 5));
    }

    #[test]
    fn no_block_is_longer_than_it_may_be() {
        let mut entries: Vec<Entry> = (0..10).map(|n| entry(n, Some("leeds"))).collect();
        for entry in &mut entries {
            let shown = entry.shown.as_mut().expect("a frame");
            shown.frame = Bytes::from(vec![b'x'; BLOCK_BYTES / 3]).into();
        }
        let long = &mut entries[4].shown.as_mut().expect("a frame").frame;
        *long = Bytes::from(vec![b'x'; BLOCK_BYTES + 1]).into();
        pack(&mut entries);
        let mut ring = Ring::new(ROOMY);
        for entry in entries {
            ring.push(entry);
        }
        let (mut from, mut counts) = (0, Vec::new());
        while let Scan::Frames { count, next, .. } = ring.scan(from, 100, &Filter::default()) {
            counts.push(count);
            from = next;
        }
        assert_eq!(counts, [3, 1, 1, 3, 2]);
    }

    #[test]
    fn a_position_is_found_by_offset_and_fingerprint() {
        let ring = ring(ROOMY, [5, 6, 9]);
        assert_eq!(ring.find(position(4)), Found::Older);
        assert_eq!(ring.find(position(5)), Found::Before(1));
        assert_eq!(ring.find(position(9)), Found::Before(3));
        assert_eq!(ring.find(position(10)), Found::Newer);
        assert_eq!(ring.find(position(7)), Found::Unknown);
        assert_eq!(
            ring.find(Position {
                offset: 6,
                fingerprint: 8
            }),
            Found::Unknown
        );
        assert_eq!(Ring::new(ROOMY).find(position(0)), Found::Newer);
    }

    #[test]
    fn a_cursor_that_the_ring_has_passed_is_behind() {
        let ring = ring(Limits { events: 2, ..ROOMY }, 0..5);
        assert_eq!((ring.len(), ring.end()), (2, 5));
        assert_eq!(ring.scan(2, 10, &Filter::default()), Scan::Behind);
        assert_eq!(frames(&ring, 3, &Filter::default()), ["3", "4"]);
    }

    #[test]
    fn one_entry_stays_however_long_it_is() {
        let ring = ring(
            Limits {
                events: 10,
                bytes: 1,
            },
            0..3,
        );
        assert_eq!((ring.len(), ring.head()), (1, Some(position(2))));
    }

    #[test]
    fn a_replay_hands_over_where_the_ring_has_room_behind_it() {
        let ring = ring(ROOMY, 10..20);
        assert!(!ring.can_follow(9) && !ring.can_follow(14) && !ring.can_follow(20));
        assert!(ring.can_follow(15) && ring.can_follow(19));
        assert!(!Ring::new(ROOMY).can_follow(0));
    }

    #[test]
    fn the_heartbeat_is_of_the_newest_entry() {
        let mut ring = ring(ROOMY, [1]);
        assert_eq!(ring.heartbeat(), ":\nid: 1-00000007\n\n");
        ring.push(entry(2, None));
        assert_eq!(ring.heartbeat(), ":\nid: 2-00000007\n\n");
    }

    proptest! {
        #[test]
        fn a_ring_holds_the_newest_within_its_bounds(
            events in 1_usize..20, bytes in 1_usize..8000, pushed in 1_u64..60,
        ) {
            let ring = ring(Limits { events, bytes }, 0..pushed);
            prop_assert!(ring.len() <= events);
            prop_assert!(ring.len() == 1 || ring.bytes() <= bytes);
            prop_assert_eq!(ring.end(), pushed);
            let sum: usize =
                ring.entries.iter().map(|e| ENTRY_OVERHEAD + e.position.offset.to_string().len()).sum();
            prop_assert_eq!(ring.bytes(), sum);
            let expected: Vec<String> =
                (pushed - ring.len() as u64..pushed).map(|n| n.to_string()).collect();
            prop_assert_eq!(frames(&ring, ring.first, &Filter::default()), expected);
        }
    }
}
