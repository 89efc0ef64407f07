//! One client: its filter, its cursor, and the body of its response.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::admission::Place;
use crate::fanout::{Cursor, Delivered, Fanout, Located, Pulled};
use crate::frame::{self, ResetReason};
use crate::replay::Replayed;
use crate::wakers::Membership;

/// Where a stream begins, once that is known.
#[derive(Debug)]
pub enum Start {
    /// In the ring.
    Live {
        /// Where.
        cursor: Cursor,
        /// What the client gets before anything else.
        first: Vec<Bytes>,
    },
    /// Before the ring.
    Replay {
        /// What was missed, up to the ring.
        frames: mpsc::Receiver<Replayed>,
        /// What the client gets before anything else.
        first: Vec<Bytes>,
    },
    /// It cannot be served now; it comes again by itself.
    NotNow,
}

enum State {
    Starting(BoxFuture<'static, Start>),
    Replaying(mpsc::Receiver<Replayed>),
    Live(Cursor),
    Ended,
}

/// A stream of frames for one client, as a response's body.
///
/// It holds no frames: those are the ring's, and what is yielded are references to them. The server
/// polls it only while the client takes what is sent, so a slow client costs its cursor alone.
pub struct EventStream {
    fanout: Arc<Fanout>,
    membership: Membership,
    first: VecDeque<Bytes>,
    state: State,
    delivered: Delivered,
    tally: Tally,
    /// Given back when the stream ends.
    _place: Place,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream")
            .field("slot", self.membership.slot())
            .finish_non_exhaustive()
    }
}

/// Counted apart while frames flow, so that clients do not contend for the counters.
#[derive(Debug, Default)]
struct Tally {
    frames: u64,
    bytes: u64,
}

impl EventStream {
    /// A stream that begins where `start` says.
    pub fn new(
        fanout: Arc<Fanout>,
        membership: Membership,
        start: BoxFuture<'static, Start>,
        delivered: Delivered,
        place: Place,
    ) -> Self {
        Self {
            fanout,
            membership,
            first: VecDeque::from([Bytes::from_static(frame::RETRY.as_bytes())]),
            state: State::Starting(start),
            delivered,
            tally: Tally::default(),
            _place: place,
        }
    }

    /// The next bytes; `Ready(None)` where the stream ends, always between two frames.
    fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let slot = self.membership.slot();
        slot.is_polled();
        // Whoever wakes this client finds the waker there, or has come before the look that follows.
        slot.register(context.waker());
        if slot.must_end() {
            return Poll::Ready(self.last_words());
        }
        if let Some(bytes) = self.next_of_first() {
            return Poll::Ready(Some(bytes));
        }
        self.catch_up();
        self.look(context).unwrap_or(Poll::Pending)
    }

    /// Goes on where others have brought the client while its task slept.
    fn catch_up(&mut self) {
        if let State::Live(cursor) = &mut self.state
            && let Some(line) = &self.membership.slot().caller.line
            && let Some(moved) = line.take()
        {
            *cursor = moved;
        }
    }

    /// What comes before the end: once, where there is something to say.
    fn last_words(&mut self) -> Option<Bytes> {
        let is_over = matches!(self.state, State::Ended);
        self.state = State::Ended;
        (!is_over && self.membership.slot().has_expired())
            .then(|| Bytes::from_static(frame::TOKEN_EXPIRED))
    }

    fn next_of_first(&mut self) -> Option<Bytes> {
        let next = self.first.pop_front();
        match next {
            Some(_) => self.tally.frames += 1,
            // Nothing of it is needed any more.
            None => self.first = VecDeque::new(),
        }
        next
    }

    fn look(&mut self, context: &mut Context<'_>) -> Option<Poll<Option<Bytes>>> {
        loop {
            match &mut self.state {
                State::Starting(start) => match start.as_mut().poll(context) {
                    Poll::Ready(Start::Live { cursor, first }) => {
                        self.state = State::Live(cursor);
                        self.first.extend(first);
                    }
                    Poll::Ready(Start::Replay { frames, first }) => {
                        self.state = State::Replaying(frames);
                        self.first.extend(first);
                    }
                    Poll::Ready(Start::NotNow) => self.state = State::Ended,
                    Poll::Pending => return self.plain_heartbeat(),
                },
                State::Replaying(frames) => match frames.poll_recv(context) {
                    Poll::Ready(Some(Replayed::Frame(frame))) => {
                        self.tally.frames += 1;
                        return some(frame);
                    }
                    Poll::Ready(Some(Replayed::HandOver(position))) => {
                        self.state = match self.fanout.locate(position) {
                            Located::Here(cursor) => State::Live(cursor.untold()),
                            // The ring has moved on, or the stream is another one: the client
                            // comes again and is told then.
                            Located::Older | Located::Newer | Located::Unknown => State::Ended,
                        };
                    }
                    Poll::Ready(None) => self.state = State::Ended,
                    Poll::Pending => return self.plain_heartbeat(),
                },
                State::Live(cursor) => match pull(&self.fanout, &self.membership, cursor) {
                    Pulled::Frames { bytes, count } => {
                        self.tally.frames += count;
                        return some(bytes);
                    }
                    Pulled::Nothing => {
                        let slot = self.membership.slot();
                        if slot.takes_heartbeat() {
                            self.tally.frames += 1;
                            let moving = self.fanout.moving_heartbeat(cursor);
                            return some(moving.unwrap_or_else(frame::heartbeat));
                        }
                        if let Some(line) = &slot.caller.line {
                            line.put(*cursor);
                        }
                        return None;
                    }
                    Pulled::Replaced(position) => {
                        self.tally.frames += 1;
                        return some(frame::counted_reset(position, ResetReason::StreamReplaced));
                    }
                    Pulled::Behind => {
                        self.delivered.slow_closes.increment(1);
                        self.state = State::Ended;
                    }
                },
                State::Ended => return Some(Poll::Ready(None)),
            }
            if let Some(bytes) = self.next_of_first() {
                return some(bytes);
            }
        }
    }

    fn plain_heartbeat(&mut self) -> Option<Poll<Option<Bytes>>> {
        self.membership.slot().takes_heartbeat().then(|| {
            self.tally.frames += 1;
            Poll::Ready(Some(frame::heartbeat()))
        })
    }

    fn report(&mut self) {
        let tally = std::mem::take(&mut self.tally);
        if tally.frames > 0 {
            self.delivered.frames.increment(tally.frames);
            self.delivered.bytes.increment(tally.bytes);
        }
    }
}

fn pull(fanout: &Fanout, membership: &Membership, cursor: &mut Cursor) -> Pulled {
    let slot = membership.slot();
    let pulled = fanout.pull(cursor, &slot.filter);
    slot.stands_at(cursor.next());
    pulled
}

#[expect(clippy::unnecessary_wraps, reason = "it is what the caller returns")]
fn some(bytes: Bytes) -> Option<Poll<Option<Bytes>>> {
    Some(Poll::Ready(Some(bytes)))
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        match this.poll_bytes(context) {
            Poll::Ready(Some(bytes)) => {
                this.tally.bytes += bytes.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Poll::Ready(None) => {
                this.state = State::Ended;
                this.report();
                Poll::Ready(None)
            }
            Poll::Pending => {
                this.report();
                Poll::Pending
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.report();
    }
}
