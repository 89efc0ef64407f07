//! The dispatchers' side: connections on which changes are sent, each with contractors of its own,
//! so that no change ever has to wait for another one's version.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use tokio::net::tcp::OwnedWriteHalf;
use uuid::Uuid;

use crate::http_client::{AnswerReader, authority, connect, request};
use crate::pipeline::board::Board;
use crate::pipeline::roster;

/// All connections.
#[derive(Debug)]
pub struct Writers {
    host: String,
    writers: Vec<Writer>,
}

/// One connection. It has one request under way at most.
#[derive(Debug)]
struct Writer {
    socket: OwnedWriteHalf,
    /// Place, id and present version of the contractors that are changed here, in turns.
    contractors: Vec<(usize, Uuid, i64)>,
    turn: usize,
    /// The place of the contractor whose change is under way.
    under_way: Arc<AtomicUsize>,
}

impl Writers {
    /// Connects; answers go to `board`. The contractors have version 1.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(
        schedule_url: &str,
        count: usize,
        contractors: &[Uuid],
        board: &Board,
    ) -> Result<Self> {
        let host = authority(schedule_url)?.to_owned();
        let mut writers = Vec::new();
        for number in 0..count {
            let (answers, socket) = connect(&host).await?;
            socket.writable().await?;
            let under_way = Arc::new(AtomicUsize::new(0));
            let places = contractors.iter().copied().enumerate();
            writers.push(Writer {
                socket,
                contractors: places
                    .filter(|(place, _)| place % count == number)
                    .map(|(place, id)| (place, id, 1))
                    .collect(),
                turn: 0,
                under_way: Arc::clone(&under_way),
            });
            let board = board.clone();
            tokio::spawn(async move {
                if let Err(error) = take_answers(answers, &under_way, &board).await {
                    board.failed(format!("a change: {error:#}"));
                }
            });
        }
        Ok(Self { host, writers })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.writers.len()
    }

    /// Makes the next change on connection `number`: what to tell the board of it, and the bytes to
    /// send.
    pub fn next(&mut self, number: usize) -> (Change, Vec<u8>) {
        let host = &self.host;
        let writer = &mut self.writers[number];
        let turn = writer.turn % writer.contractors.len();
        writer.turn = turn + 1;
        let (place, id, version) = &mut writer.contractors[turn];
        let path = format!("/v1/contractors/{id}/schedule");
        let body = roster::change(*version);
        let bytes = request("PATCH", &path, host, Some(*version), &body);
        *version += 1;
        writer.under_way.store(*place, Ordering::Release);
        let change = Change {
            place: *place,
            version: *version,
        };
        (change, bytes)
    }

    /// Sends what [`next`](Self::next) made.
    ///
    /// # Errors
    /// When the connection does not take it at once: requests are far smaller than its buffer.
    pub fn send(&self, number: usize, bytes: &[u8]) -> Result<()> {
        let sent = self.writers[number]
            .socket
            .try_write(bytes)
            .context("sending a change")?;
        if sent != bytes.len() {
            bail!("a change could not be sent at once");
        }
        Ok(())
    }
}

/// A change that is made.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// The contractor's number.
    pub place: usize,
    /// The version after the change.
    pub version: i64,
}

async fn take_answers(
    mut answers: AnswerReader,
    under_way: &AtomicUsize,
    board: &Board,
) -> Result<()> {
    loop {
        let answer = answers.next().await?;
        match (answer.status, answer.version) {
            (200, Some(version)) => board.answered(under_way.load(Ordering::Acquire), version),
            _ => bail!("it is answered {answer:?}"),
        }
    }
}
