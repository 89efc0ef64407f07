//! Brings what is new to the clients, one after the other.

use std::sync::Arc;

use bytes::Bytes;

use crate::fanout::{Cursor, Delivered, Fanout, Pulled};
use crate::filter::Filter;
use crate::frame;
use crate::line::MOST_SLICES;
use crate::slot::Slot;

/// One walk after the other. Clients that stand at the same place with the same filter get the same,
/// so it is looked up once for all that follow each other.
#[derive(Debug)]
pub struct Walk<'a> {
    fanout: &'a Fanout,
    delivered: Delivered,
    /// What the client before was given.
    found: Option<Found>,
    frames: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Found {
    from: Cursor,
    filter: Arc<Filter>,
    to: Cursor,
    slices: Vec<Bytes>,
    frames: u64,
    bytes: u64,
    is_all: bool,
    /// False where the client has to be told more than frames.
    is_plain: bool,
}

impl<'a> Walk<'a> {
    /// Nobody has been served yet.
    #[must_use]
    pub fn new(fanout: &'a Fanout) -> Self {
        Self {
            fanout,
            delivered: Delivered::default(),
            found: None,
            frames: 0,
            bytes: 0,
        }
    }

    /// Serves these clients, and lets go of them.
    pub fn serve_all(&mut self, clients: &mut Vec<Arc<Slot>>) {
        for slot in clients.drain(..) {
            self.serve(&slot);
        }
        self.pause();
    }

    /// Gives a client what there is for it: by its line, where it has one and its task sleeps;
    /// otherwise by waking the task.
    fn serve(&mut self, slot: &Slot) {
        if !self.has_served(slot) {
            slot.wake();
        }
    }

    fn has_served(&mut self, slot: &Slot) -> bool {
        let line = slot.caller.line.as_ref().filter(|_| !slot.must_end());
        let Some(parked) = line.and_then(|line| line.parked()) else {
            return false;
        };
        let fanout = self.fanout;
        let found = self.look(parked.cursor(), &slot.filter);
        if !found.is_plain {
            return false;
        }
        let (mut to, mut frames, mut bytes) = (found.to, found.frames, found.bytes);
        let is_heartbeat = found.is_all && found.slices.is_empty() && slot.takes_heartbeat();
        let heartbeat = is_heartbeat.then(|| {
            let moving = fanout.moving_heartbeat(&mut to);
            moving.unwrap_or_else(frame::heartbeat)
        });
        if let Some(heartbeat) = &heartbeat {
            (frames, bytes) = (1, heartbeat.len() as u64);
        }
        slot.is_polled();
        slot.stands_at(to.next());
        let slices = heartbeat
            .as_ref()
            .map_or(found.slices.as_slice(), std::slice::from_ref);
        let is_done = parked.give(slices, to, found.is_all);
        self.frames += frames;
        self.bytes += bytes;
        is_done
    }

    fn look(&mut self, from: Cursor, filter: &Arc<Filter>) -> &Found {
        let is_known = self.found.as_ref().is_some_and(|found| {
            found.from == from && (Arc::ptr_eq(&found.filter, filter) || found.filter == *filter)
        });
        if !is_known {
            self.found = None;
        }
        self.found
            .get_or_insert_with(|| pull(self.fanout, from, filter))
    }

    /// Counts what was sent, and forgets what was found.
    fn pause(&mut self) {
        self.found = None;
        self.delivered
            .frames
            .increment(std::mem::take(&mut self.frames));
        self.delivered
            .bytes
            .increment(std::mem::take(&mut self.bytes));
    }
}

fn pull(fanout: &Fanout, from: Cursor, filter: &Arc<Filter>) -> Found {
    let mut found = Found {
        from,
        filter: Arc::clone(filter),
        to: from,
        slices: Vec::new(),
        frames: 0,
        bytes: 0,
        is_all: false,
        is_plain: true,
    };
    while found.slices.len() < MOST_SLICES {
        let mut next = found.to;
        match fanout.pull(&mut next, filter) {
            Pulled::Frames { bytes, count } => {
                found.frames += count;
                found.bytes += bytes.len() as u64;
                found.slices.push(bytes);
                found.to = next;
            }
            Pulled::Nothing => {
                found.to = next;
                found.is_all = true;
                break;
            }
            // What came before it goes first.
            Pulled::Behind | Pulled::Replaced(_) => {
                found.is_plain = !found.slices.is_empty();
                break;
            }
        }
    }
    found
}
