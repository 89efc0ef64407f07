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
#[path = "ring_tests.rs"]
pub(crate) mod tests;
