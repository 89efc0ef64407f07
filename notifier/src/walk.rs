//! Brings what is new to the clients, one after the other.

use std::sync::Arc;

use bytes::Bytes;

use crate::fanout::{Cursor, Delivered, Fanout, Pulled};
use crate::filter::Filter;
use crate::frame;
use crate::line::MOST_SLICES;
use crate::slot::Slot;

/// A client is given about so much, and then comes again after the others: so the last gets its first
/// bytes sooner, and the readers have taken much of what was written before there is more.
const TURN_BYTES: u64 = 64 * 1024;

/// Who has not had all after so many turns goes on by its task: others may be waiting.
const TURNS: usize = 16;

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
        for _ in 0..TURNS {
            clients.retain(|slot| self.serve(slot));
        }
        for slot in clients.drain(..) {
            slot.wake();
        }
        self.pause();
    }

    /// Gives a client what there is for it: by its line, where it has one and its task sleeps;
    /// otherwise by waking the task. True where there is more for its next turn.
    fn serve(&mut self, slot: &Slot) -> bool {
        let turn = self.write(slot);
        if turn.is_none() {
            slot.wake();
        }
        turn.is_some_and(|has_all| !has_all)
    }

    /// Whether it has all then. `None` where its task has to do it.
    fn write(&mut self, slot: &Slot) -> Option<bool> {
        let line = slot.caller.line.as_ref().filter(|_| !slot.must_end());
        let parked = line.and_then(|line| line.parked())?;
        let fanout = self.fanout;
        let found = self.look(parked.cursor(), &slot.filter);
        if !found.is_plain {
            return None;
        }
        let (mut to, mut frames, mut bytes) = (found.to, found.frames, found.bytes);
        let has_all = found.is_all;
        let is_heartbeat = has_all && found.slices.is_empty() && slot.takes_heartbeat();
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
        let is_written = parked.give(slices, to);
        self.frames += frames;
        self.bytes += bytes;
        is_written.then_some(has_all)
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
    while found.slices.len() < MOST_SLICES && found.bytes < TURN_BYTES {
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

#[cfg(test)]
mod tests {
    use super::{TURN_BYTES, Walk};
    use crate::caller::Caller;
    use crate::fanout::Fanout;
    use crate::line::tests::line;
    use crate::ring::Ring;
    use crate::ring::tests::{ROOMY, entry};
    use crate::slot::Slot;
    use crate::wakers::Wakers;
    use bytes::Bytes;
    use chrono::DateTime;
    use shared_events::service::Clock;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::io::AsyncReadExt;

    const FRAME_BYTES: u64 = 4096;

    /// Whether two clients, served once, have so many frames in order and are not left to their tasks.
    async fn are_served(frames: u8) -> bool {
        let wakers = Wakers::new(1, Duration::ZERO);
        let fanout = Fanout::new(Ring::new(ROOMY), wakers, Clock::system());
        fanout.append(vec![entry(0, Some("leeds"))]);
        let (_, start) = fanout.head().expect("an entry");
        let (mut memberships, mut lines, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..2 {
            let (line, other) = line().await;
            line.put(start);
            line.park();
            let line = Arc::new(line);
            let caller = Caller {
                line: Some(Arc::clone(&line)),
                ..Caller::at([127, 0, 0, 1])
            };
            let slot = Slot::new(caller, Arc::default(), DateTime::UNIX_EPOCH);
            memberships.push(fanout.wakers().join(slot));
            lines.push(line);
            others.push(other);
        }
        let length = usize::try_from(FRAME_BYTES).expect("small");
        let mut expected = Vec::new();
        for number in 1..=frames {
            let mut entry = entry(u64::from(number), Some("leeds"));
            let bytes = vec![number; length];
            expected.extend_from_slice(&bytes);
            let shown = entry.shown.as_mut().expect("an event");
            shown.frame = Bytes::from(bytes).into();
            fanout.append(vec![entry]);
        }
        let mut clients = fanout.wakers().all();
        Walk::new(&fanout).serve_all(&mut clients);
        assert!(clients.is_empty());
        let (_, end) = fanout.head().expect("an entry");
        for (line, mut other) in lines.into_iter().zip(others) {
            if line.parked().is_none_or(|parked| parked.cursor() != end) {
                return false;
            }
            let mut read = vec![0; expected.len()];
            let reading =
                tokio::time::timeout(Duration::from_secs(30), other.read_exact(&mut read));
            reading.await.expect("in time").expect("the bytes");
            assert!(read == expected);
        }
        true
    }

    #[tokio::test]
    async fn who_is_some_turns_behind_is_given_all_in_order() {
        assert!(are_served(1).await);
        let two_turns = u8::try_from(2 * TURN_BYTES / FRAME_BYTES).expect("small");
        assert!(are_served(two_turns - 1).await);
        assert!(are_served(two_turns).await);
    }
}
