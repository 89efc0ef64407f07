//! The socket of a client that has it for itself, shared by the client's task and by whoever walks
//! the clients with what is new.
//!
//! While such a client has all that there is, its task sleeps and its place in the ring stands here.
//! Then who walks writes to the socket itself: of the whole connection only this is touched. Where
//! the socket does not take everything, the rest is left here and the task woken, which alone knows
//! how to wait.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use parking_lot::{Mutex, MutexGuard};
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::fanout::Cursor;

/// So many slices are written by one system call.
pub const MOST_SLICES: usize = 32;

/// A socket, and who writes to it.
#[derive(Debug)]
pub struct Line {
    socket: TcpStream,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The client's place in the ring, while its task does not hold it.
    cursor: Option<Cursor>,
    /// True while the task sleeps with everything written.
    is_parked: bool,
    /// Handed over and not taken by the socket.
    rest: VecDeque<Bytes>,
}

/// A client whose task sleeps, kept from waking while this is held.
#[derive(Debug)]
pub struct Parked<'a> {
    socket: &'a TcpStream,
    state: MutexGuard<'a, State>,
    cursor: Cursor,
}

impl Parked<'_> {
    /// Where the client stands.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Gives it these bytes, after which it stands at `cursor`. True where all is written and it sleeps on:
    /// what there is after `cursor` is the caller's to give. False where its task has to go on: wake it.
    #[must_use]
    pub fn give(mut self, slices: &[Bytes], cursor: Cursor) -> bool {
        self.state.cursor = Some(cursor);
        // A socket that is broken takes nothing; its task finds out why.
        let written = match slices {
            [] => 0,
            [only] => SockRef::from(self.socket).send(only).unwrap_or(0),
            several => SockRef::from(self.socket)
                .send_vectored(vectors(several, &mut [IoSlice::new(&[]); MOST_SLICES]))
                .unwrap_or(0),
        };
        self.state.rest = unwritten(slices, written);
        self.state.is_parked = self.state.rest.is_empty();
        self.state.is_parked
    }
}

impl Line {
    /// A socket that the task writes to.
    #[must_use]
    pub fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            state: Mutex::default(),
        }
    }

    /// The task's side: it has seen everything up to here.
    pub fn put(&self, cursor: Cursor) {
        self.state.lock().cursor = Some(cursor);
    }

    /// The task's side: where to go on, if others may have moved the place since [`put`](Self::put).
    pub fn take(&self) -> Option<Cursor> {
        self.state.lock().cursor.take()
    }

    /// The task's side: everything is written, and it is about to sleep.
    pub fn park(&self) {
        let mut state = self.state.lock();
        state.is_parked = state.cursor.is_some();
    }

    /// The task's side: it is awake, and takes what others have left.
    pub fn unpark(&self) -> VecDeque<Bytes> {
        let mut state = self.state.lock();
        state.is_parked = false;
        std::mem::take(&mut state.rest)
    }

    /// The walker's side: the client, if its task sleeps.
    #[must_use]
    pub fn parked(&self) -> Option<Parked<'_>> {
        let state = self.state.lock();
        let cursor = state.cursor.filter(|_| state.is_parked)?;
        Some(Parked {
            socket: &self.socket,
            state,
            cursor,
        })
    }

    /// Writes of `unsent` what the socket takes at once, and waits until it takes some.
    pub fn poll_write(
        &self,
        context: &mut Context<'_>,
        unsent: &VecDeque<Bytes>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_write_ready(context))?;
            match write_several(&self.socket, unsent) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// Ready when the client has closed its side. What else it sends is of no interest.
    pub fn poll_gone(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = [0; 512];
        loop {
            ready!(self.socket.poll_read_ready(context))?;
            match self.socket.try_read(&mut room) {
                Ok(0) => return Poll::Ready(Ok(())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Says that nothing more comes.
    pub fn end(&self) -> io::Result<()> {
        SockRef::from(&self.socket).shutdown(Shutdown::Write)
    }
}

fn write_several<'a>(
    socket: &TcpStream,
    slices: impl IntoIterator<Item = &'a Bytes>,
) -> io::Result<usize> {
    let mut room = [IoSlice::new(&[]); MOST_SLICES];
    socket.try_write_vectored(vectors(slices, &mut room))
}

fn vectors<'a, 'b>(
    slices: impl IntoIterator<Item = &'a Bytes>,
    room: &'b mut [IoSlice<'a>],
) -> &'b [IoSlice<'a>] {
    let mut count = 0;
    for (vector, bytes) in room.iter_mut().zip(slices) {
        *vector = IoSlice::new(bytes);
        count += 1;
    }
    room.get(..count).unwrap_or_default()
}

/// What is left of `slices` after so many bytes.
fn unwritten(slices: &[Bytes], mut written: usize) -> VecDeque<Bytes> {
    let mut rest = VecDeque::new();
    for bytes in slices {
        if written >= bytes.len() {
            written -= bytes.len();
            continue;
        }
        let mut bytes = bytes.clone();
        bytes.advance(std::mem::take(&mut written));
        rest.push_back(bytes);
    }
    rest
}

#[cfg(test)]
#[path = "line_tests.rs"]
pub(crate) mod tests;
