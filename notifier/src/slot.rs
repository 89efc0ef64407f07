//! What the others know of one client, and may ask of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::Waker;

use chrono::{DateTime, Utc};
use futures::task::AtomicWaker;

use crate::caller::Caller;
use crate::filter::Filter;

const HEARTBEAT: u8 = 1;
const END: u8 = 2;
const EXPIRED: u8 = 4;

/// Stands for the cursor of a client that does not follow the ring yet.
const NOT_LIVE: u64 = u64::MAX;

/// One client, seen from outside.
#[derive(Debug)]
pub struct Slot {
    /// Who it is.
    pub caller: Caller,
    /// What it is shown.
    pub filter: Arc<Filter>,
    /// Since when it is there.
    pub opened: DateTime<Utc>,
    waker: AtomicWaker,
    flags: AtomicU8,
    /// Heartbeats that fell due since the server last asked it for bytes.
    unanswered: AtomicU32,
    /// The number of the ring's entry that it looks at next.
    next: AtomicU64,
}

impl Slot {
    /// A client that has just come.
    #[must_use]
    pub fn new(caller: Caller, filter: Arc<Filter>, opened: DateTime<Utc>) -> Self {
        Self {
            caller,
            filter,
            opened,
            waker: AtomicWaker::new(),
            flags: AtomicU8::new(0),
            unanswered: AtomicU32::new(0),
            next: AtomicU64::new(NOT_LIVE),
        }
    }

    /// Remembers whom to wake. What happened before is not told: look again after this.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// The client's side: it is being asked for bytes, so the other end takes some.
    pub fn is_polled(&self) {
        if self.unanswered.load(Ordering::Relaxed) > 0 {
            self.unanswered.store(0, Ordering::Relaxed);
        }
    }

    /// The client's side: where it stands in the ring.
    pub fn stands_at(&self, next: u64) {
        self.next.store(next, Ordering::Relaxed);
    }

    /// How many entries a ring that ends at `end` has for it to look at; `None` where it does not
    /// follow the ring yet.
    #[must_use]
    pub fn lag(&self, end: u64) -> Option<u64> {
        let next = self.next.load(Ordering::Relaxed);
        (next != NOT_LIVE).then(|| end.saturating_sub(next))
    }

    /// True once after each time that a heartbeat fell due.
    pub fn takes_heartbeat(&self) -> bool {
        self.flags.load(Ordering::Acquire) & HEARTBEAT != 0
            && self.flags.fetch_and(!HEARTBEAT, Ordering::AcqRel) & HEARTBEAT != 0
    }

    /// True from the moment on that the stream is to end.
    pub fn must_end(&self) -> bool {
        self.flags.load(Ordering::Acquire) & END != 0
    }

    /// True where the stream is to end because its token is no longer good.
    pub fn has_expired(&self) -> bool {
        self.flags.load(Ordering::Acquire) & EXPIRED != 0
    }

    /// There is something to look at.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// A heartbeat falls due, which the client is to be served. True where it has not been asked for
    /// a byte for the last `patience` intervals, though each time it was woken: the other end takes
    /// nothing.
    pub fn heartbeat(&self, patience: u32) -> bool {
        let unanswered = self.unanswered.fetch_add(1, Ordering::Relaxed);
        self.flags.fetch_or(HEARTBEAT, Ordering::AcqRel);
        unanswered >= patience
    }

    /// The stream is to end.
    pub fn end(&self) {
        self.raise(END);
    }

    /// The stream is to end, since its token is no longer good.
    pub fn expire(&self) {
        self.raise(END | EXPIRED);
    }

    fn raise(&self, flag: u8) {
        self.flags.fetch_or(flag, Ordering::AcqRel);
        self.waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::Slot;
    use crate::caller::Caller;
    use chrono::DateTime;
    use std::sync::Arc;

    fn slot() -> Slot {
        let caller = Caller::at([127, 0, 0, 1]);
        Slot::new(caller, Arc::default(), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn who_is_not_asked_for_bytes_for_long_is_stalled() {
        let slot = slot();
        assert!(!slot.heartbeat(2) && !slot.heartbeat(2));
        assert!(slot.heartbeat(2));
        slot.is_polled();
        assert!(!slot.heartbeat(2));
    }

    #[test]
    fn the_lag_is_known_once_the_ring_is_followed() {
        let slot = slot();
        assert_eq!(slot.lag(5), None);
        slot.stands_at(3);
        assert_eq!((slot.lag(5), slot.lag(2)), (Some(2), Some(0)));
    }
}
