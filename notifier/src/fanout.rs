//! From the feed to the clients: one ring, and a waker for each client.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metrics::{Counter, Gauge};
use parking_lot::RwLock;
use shared_events::service::Clock;

use crate::filter::Filter;
use crate::position::Position;
use crate::progress::Progress;
use crate::ring::{self, Entry, Found, Ring, Scan};
use crate::wakers::{Interests, PHASES, Wakers};
use crate::walk::Walk;

/// So many entries are looked at before the ring is let go of for a moment.
const SCAN_STEP: usize = 1024;

/// In so many turns all streams are ended, so that their clients do not all come to the others at once.
const ENDING_TURNS: u32 = 32;

/// What the feed writes and all clients read.
#[derive(Debug)]
pub struct Fanout {
    current: RwLock<Current>,
    wakers: Arc<Wakers>,
    progress: Progress,
    clock: Clock,
}

#[derive(Debug)]
struct Current {
    ring: Ring,
    /// Which stream this is: counts how often it was found made anew.
    epoch: u64,
}

/// How far one client has come. Two numbers and the stream that they belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Default))]
pub struct Cursor {
    epoch: u64,
    /// The number of the next entry to look at.
    next: u64,
    /// The number after the last entry whose id the client has.
    told: u64,
}

impl Cursor {
    /// The number of the next entry to look at.
    #[must_use]
    pub fn next(self) -> u64 {
        self.next
    }

    /// The same place, for a client that has not been given its id: the next heartbeat does.
    #[must_use]
    pub fn untold(self) -> Self {
        Self { told: 0, ..self }
    }
}

/// What there is for a client.
#[derive(Debug)]
pub enum Pulled {
    /// The next frames.
    Frames {
        /// Their bytes.
        bytes: Bytes,
        /// How many they are.
        count: u64,
    },
    /// Nothing for now.
    Nothing,
    /// The client has fallen behind what the ring holds.
    Behind,
    /// The stream was made anew; the cursor now stands behind this position in the new one.
    Replaced(Position),
}

/// Where a client can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Located {
    /// In the ring.
    Here(Cursor),
    /// In the stream, before the ring.
    Older,
    /// This feed has not come that far, yet or ever.
    Newer,
    /// Another message stands there.
    Unknown,
}

impl Fanout {
    /// No events and no clients.
    #[must_use]
    pub fn new(ring: Ring, wakers: Wakers, clock: Clock) -> Self {
        Self {
            current: RwLock::new(Current { ring, epoch: 0 }),
            wakers: Arc::new(wakers),
            progress: Progress::default(),
            clock,
        }
    }

    /// Where clients join.
    #[must_use]
    pub fn wakers(&self) -> &Arc<Wakers> {
        &self.wakers
    }

    /// How far the feed has come.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Adds the newest entries and has those woken who are interested.
    pub fn append(&self, mut entries: Vec<Entry>) {
        ring::pack(&mut entries);
        let mut interests = Interests::default();
        let shown = entries.iter().filter_map(|entry| entry.shown.as_ref());
        shown.for_each(|shown| interests.add(&shown.facts));
        {
            let mut current = self.current.write();
            for entry in entries {
                current.ring.push(entry);
            }
        }
        self.wakers.announce(&interests);
    }

    /// Begins with another stream. Every client learns of it.
    pub fn replace(&self, ring: Ring) {
        {
            let mut current = self.current.write();
            current.ring = ring;
            current.epoch += 1;
        }
        self.wakers.announce(&Interests::everything());
    }

    /// Where the newest entry stands, and the cursor after it. `None` until the feed knows.
    #[must_use]
    pub fn head(&self) -> Option<(Position, Cursor)> {
        let current = self.current.read();
        let end = current.ring.end();
        let cursor = Cursor {
            epoch: current.epoch,
            next: end,
            told: end,
        };
        current.ring.head().map(|position| (position, cursor))
    }

    /// Looks for a client's position.
    #[must_use]
    pub fn locate(&self, position: Position) -> Located {
        let current = self.current.read();
        match current.ring.find(position) {
            Found::Before(next) => Located::Here(Cursor {
                epoch: current.epoch,
                next,
                told: next,
            }),
            Found::Older => Located::Older,
            Found::Newer => Located::Newer,
            Found::Unknown => Located::Unknown,
        }
    }

    /// See [`Ring::can_follow`].
    #[must_use]
    pub fn can_follow(&self, offset: u64) -> bool {
        self.current.read().ring.can_follow(offset)
    }

    /// Takes what comes next at `cursor` and moves it on.
    pub fn pull(&self, cursor: &mut Cursor, filter: &Filter) -> Pulled {
        loop {
            let current = self.current.read();
            if current.epoch != cursor.epoch {
                let end = current.ring.end();
                *cursor = Cursor {
                    epoch: current.epoch,
                    next: end,
                    told: end,
                };
                // A ring takes another's place only when its head is known.
                return current
                    .ring
                    .head()
                    .map_or(Pulled::Nothing, Pulled::Replaced);
            }
            match current.ring.scan(cursor.next, SCAN_STEP, filter) {
                Scan::Frames { bytes, count, next } => {
                    *cursor = Cursor {
                        next,
                        told: next,
                        ..*cursor
                    };
                    return Pulled::Frames { bytes, count };
                }
                Scan::Nothing(next) => {
                    cursor.next = next;
                    if next >= current.ring.end() {
                        return Pulled::Nothing;
                    }
                }
                Scan::Behind => return Pulled::Behind,
            }
        }
    }

    /// The heartbeat that moves a client past what it was not shown. `None` where its id is that
    /// of the newest entry already, or where it has not seen all yet.
    pub fn moving_heartbeat(&self, cursor: &mut Cursor) -> Option<Bytes> {
        let current = self.current.read();
        let end = current.ring.end();
        let has_seen_all = current.epoch == cursor.epoch && cursor.next == end;
        (has_seen_all && cursor.told < end).then(|| {
            cursor.told = end;
            current.ring.heartbeat()
        })
    }

    /// The number that the ring's next entry will have.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.current.read().ring.end()
    }

    /// Lets heartbeats fall due, each client's once an `interval`; ends the streams of those whose
    /// token is no longer good; drops the connections of those
    /// that have taken nothing for `patience` intervals; and keeps the figures of the ring and of
    /// the clients' lag. Runs until it is dropped, on a thread of its own.
    pub async fn tick(&self, interval: Duration, patience: u32) {
        let mut ticks = tokio::time::interval(interval / PHASES);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let gauges = RingGauges::new();
        let mut walk = Walk::new(self);
        let lag = metrics::histogram!("notifier_client_lag_events");
        let stalled =
            metrics::counter!("notifier_slow_clients_closed_total", "reason" => "stalled");
        for phase in (0..PHASES).cycle() {
            ticks.tick().await;
            self.wakers.expire(self.clock.now());
            let end = self.end();
            let mut group = self.wakers.group(phase);
            for slot in &group {
                #[expect(clippy::cast_precision_loss, reason = "it is below the ring's length")]
                if let Some(events) = slot.lag(end) {
                    lag.record(events as f64);
                }
                if slot.heartbeat(patience)
                    && let Some(connection) = &slot.caller.connection
                {
                    stalled.increment(1);
                    connection.end_now();
                }
            }
            walk.serve_all(&mut group);
            gauges.show(&self.current.read().ring, &self.clock);
        }
    }

    /// Ends all streams in turns that are spread over `window`, at most as many as `ENDING_TURNS`.
    /// Completes when all have been told: sooner where they are few.
    pub async fn end_streams(&self, window: Duration) {
        let mut ticks =
            tokio::time::interval((window / ENDING_TURNS).max(Duration::from_micros(1)));
        let clients = self.wakers.all();
        let in_a_turn = clients.len().div_ceil(ENDING_TURNS as usize).max(1);
        for turn in clients.chunks(in_a_turn) {
            ticks.tick().await;
            for slot in turn {
                slot.end();
            }
        }
        // Those who were being let in at the start.
        self.wakers.all().iter().for_each(|slot| slot.end());
    }

    /// Brings what is new to the clients of one shard. Runs until it is dropped, on a thread of its own.
    pub async fn serve_shard(&self, shard: usize) {
        let mut walk = Walk::new(self);
        let mut clients = Vec::new();
        loop {
            self.wakers.next(shard, &mut clients).await;
            walk.serve_all(&mut clients);
        }
    }
}

struct RingGauges {
    events: Gauge,
    bytes: Gauge,
    oldest_age: Gauge,
}

impl RingGauges {
    fn new() -> Self {
        Self {
            events: metrics::gauge!("notifier_ring_events"),
            bytes: metrics::gauge!("notifier_ring_bytes"),
            oldest_age: metrics::gauge!("notifier_ring_oldest_age_seconds"),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "both are far below 2^53")]
    fn show(&self, ring: &Ring, clock: &Clock) {
        self.events.set(ring.len() as f64);
        self.bytes.set(ring.bytes() as f64);
        let age = ring
            .oldest()
            .map_or(0.0, |entry| (clock.now() - entry.read_at).as_seconds_f64());
        self.oldest_age.set(age);
    }
}

/// Counters of what leaves for the clients.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// Frames.
    pub frames: Counter,
    /// Their bytes.
    pub bytes: Counter,
    /// Streams that were ended because they had fallen behind.
    pub slow_closes: Counter,
}

impl Default for Delivered {
    fn default() -> Self {
        Self {
            frames: metrics::counter!("notifier_frames_sent_total"),
            bytes: metrics::counter!("notifier_bytes_sent_total"),
            slow_closes: metrics::counter!("notifier_slow_clients_closed_total", "reason" => "behind"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ENDING_TURNS, Fanout};
    use crate::caller::Caller;
    use crate::ring::Ring;
    use crate::ring::tests::ROOMY;
    use crate::slot::Slot;
    use crate::wakers::Wakers;
    use chrono::DateTime;
    use shared_events::service::Clock;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::time::timeout;

    const WINDOW: Duration = Duration::from_secs(ENDING_TURNS as u64);
    const FIRST_TURN: Duration = Duration::from_millis(1);
    const BEFORE_HALF: Duration = Duration::from_millis(ENDING_TURNS as u64 * 500 - 1);

    /// How many of so many clients have been told to end after `time`.
    async fn told(clients: usize, time: Duration) -> usize {
        let wakers = Wakers::new(2, Duration::ZERO);
        let fanout = Fanout::new(Ring::new(ROOMY), wakers, Clock::system());
        let join = || {
            let caller = Caller::at([127, 0, 0, 1]);
            let slot = Slot::new(caller, Arc::default(), DateTime::UNIX_EPOCH);
            fanout.wakers().join(slot)
        };
        let clients: Vec<_> = std::iter::repeat_with(join).take(clients).collect();
        let _ = timeout(time, fanout.end_streams(WINDOW)).await;
        clients.iter().filter(|it| it.slot().must_end()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn streams_are_ended_evenly_over_the_window_and_a_few_one_by_one() {
        for clients in [3, 31, 32, 33, 1000] {
            let first = told(clients, FIRST_TURN).await;
            assert_eq!(first, clients.div_ceil(32), "of {clients}");
            let half = told(clients, BEFORE_HALF).await;
            assert_eq!(half, clients.min(16 * first), "of {clients}");
            assert_eq!(told(clients, WINDOW).await, clients);
        }
        assert_eq!(told(0, FIRST_TURN).await, 0);
    }
}
