//! Sends changes, at a rate or as fast as they arrive.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::pipeline::board::{Board, Figures, Next};
use crate::pipeline::writers::Writers;
use crate::usage::{self, Program, Usage};

/// How long what was sent may take to arrive before it counts as lost.
const LATEST: Duration = Duration::from_secs(20);

/// What one stage is.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// So many changes a second, sent at fixed moments whatever became of those before. Times count
    /// from these moments, so a system that stands still is not let off the requests that it kept
    /// from being sent (coordinated omission).
    PerSecond(u32),
    /// The next change of a connection follows when every client has the frame of the one before.
    AsFastAsTheyArrive,
}

/// What came of a stage.
#[derive(Debug)]
pub struct Outcome {
    /// All that was measured.
    pub figures: Figures,
    /// Changes that were sent while it was measured. All of them arrived everywhere.
    pub sent: u64,
    /// Changes that arrived everywhere while it was measured, a second.
    pub completed_per_second: f64,
    /// From the last change sent until everything had arrived.
    pub drained_in: Duration,
    /// What was used, the warm-up and the end included.
    pub usage: Vec<Usage>,
    /// How many changes that was for.
    pub usage_changes: u64,
}

/// The whole load of the benchmark.
#[derive(Debug)]
pub struct Load {
    /// The connections.
    pub writers: Writers,
    /// Which of them may send.
    pub idle: Receiver<usize>,
    /// What is under way.
    pub board: Board,
    /// Whose use of the machine is measured.
    pub programs: Vec<Program>,
}

impl Load {
    /// Runs one stage: `warm_up` unmeasured, then `measured`, then until all has arrived.
    ///
    /// # Errors
    /// When a change is refused or lost, or a client loses its stream.
    pub fn run(&mut self, pace: Pace, warm_up: Duration, measured: Duration) -> Result<Outcome> {
        // The kernel may else be 50 µs late with every wait.
        nix::sys::prctl::set_timerslack(1).context("the accuracy of waits")?;
        self.board.begin(match pace {
            Pace::PerSecond(_) => Next::AfterAnswer,
            Pace::AsFastAsTheyArrive => Next::AfterFrames,
        });
        let usage_before = usage::read(&self.programs)?;
        let start = Instant::now() + Duration::from_millis(20);
        let measured_from = start + warm_up;
        let end = measured_from + measured;
        let mut measuring_since = None;
        let (mut sent_before, mut sent) = (0, 0);
        let mut number: u32 = 0;
        loop {
            let planned = match pace {
                Pace::PerSecond(rate) => start + Duration::from_secs(1) * number / rate,
                Pace::AsFastAsTheyArrive => Instant::now(),
            };
            if planned >= end {
                break;
            }
            let is_measured = planned >= measured_from;
            if is_measured && measuring_since.is_none() {
                measuring_since = Some((self.board.completed(), Instant::now()));
            }
            std::thread::sleep(planned.saturating_duration_since(Instant::now()));
            let writer = self.idle_writer()?;
            // Where there is a rate to keep, waiting for a connection counts.
            let planned = match pace {
                Pace::PerSecond(_) => planned,
                Pace::AsFastAsTheyArrive => Instant::now(),
            };
            let (change, bytes) = self.writers.next(writer);
            self.board
                .sending(change.place, change.version, writer, planned, is_measured);
            self.writers.send(writer, &bytes)?;
            number += 1;
            if is_measured {
                sent += 1;
            } else {
                sent_before += 1;
            }
        }
        let last_sent = Instant::now();
        let (completed_before, since) = measuring_since.context("the stage has no time")?;
        let completed = self.board.completed() - completed_before;
        let seconds = since.elapsed().as_secs_f64();
        self.drain(last_sent)?;
        let drained_in = last_sent.elapsed();
        let usage = usage_before.until(&usage::read(&self.programs)?, &self.programs);
        Ok(Outcome {
            figures: self.board.figures(),
            sent,
            completed_per_second: float(completed) / seconds,
            drained_in,
            usage,
            usage_changes: sent_before + sent,
        })
    }

    fn idle_writer(&self) -> Result<usize> {
        let waited_since = Instant::now();
        loop {
            match self.idle.recv_timeout(Duration::from_secs(1)) {
                Ok(writer) => return Ok(writer),
                Err(RecvTimeoutError::Disconnected) => bail!("the writers are gone"),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(failure) = self.board.failure() {
                bail!(failure);
            }
            if waited_since.elapsed() > LATEST {
                bail!("no connection has become free for {LATEST:?}");
            }
        }
    }

    /// Waits until all has arrived, which also frees every connection.
    fn drain(&self, since: Instant) -> Result<()> {
        loop {
            if let Some(failure) = self.board.failure() {
                bail!(failure);
            }
            let open = self.board.open();
            if open == 0 {
                return Ok(());
            }
            if since.elapsed() > LATEST {
                bail!("{open} changes have not reached every client after {LATEST:?}: lost");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
