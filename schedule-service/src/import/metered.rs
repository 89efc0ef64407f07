//! A reader that knows how much it has read, and stops at a bound.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts for the progress bar, and refuses to read on when the allowance is used up, so that a row
/// that never ends (a quote that is left open) does not take all memory.
pub(super) struct Metered {
    source: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
    allowance: usize,
}

impl Metered {
    /// Counts into `read`; nothing is bounded until [`allow`](Self::allow) says so.
    pub(super) fn new(source: Box<dyn Read + Send>, read: Arc<AtomicU64>) -> Self {
        Self {
            source,
            read,
            allowance: usize::MAX,
        }
    }

    /// Lets that many bytes more be read.
    pub(super) fn allow(&mut self, bytes: usize) {
        self.allowance = bytes;
    }
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.allowance == 0 {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the row is too large",
            ));
        }
        let most = buffer.len().min(self.allowance);
        let count = self.source.read(&mut buffer[..most])?;
        self.allowance -= count;
        self.read
            .fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
        Ok(count)
    }
}
