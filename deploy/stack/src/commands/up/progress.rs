//! What `stack up` tells the person in front of it.

use std::fmt::Display;
use std::io::Write;
use std::time::Instant;

/// Lines with the time since the start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    begin: Instant,
}

impl Progress {
    /// Starts counting.
    pub(crate) fn begin() -> Self {
        Self {
            begin: Instant::now(),
        }
    }

    /// One line, after the seconds since the start.
    pub(crate) fn say(self, text: impl Display) {
        let seconds = self.begin.elapsed().as_secs_f64();
        // Nobody may be listening any more; that is no reason to stop.
        let _ = writeln!(std::io::stdout(), "{seconds:>7.1} s  {text}");
    }

    /// Lines as they are.
    pub(crate) fn print(text: impl Display) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}
