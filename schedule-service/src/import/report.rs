//! How the import goes: a bar on a terminal, plain lines elsewhere; bad lines; the sum.

use std::fmt::Write;
use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

/// After how many lines a plain line of progress is due.
const PLAIN_EVERY: u64 = 5_000;

/// What became of one line.
pub(super) enum Outcome {
    /// It is in the database now.
    Loaded,
    /// It was there before.
    AlreadyThere,
    /// It is not acceptable, for this reason.
    Bad(String),
}

/// Counts what became of the lines, and tells it.
pub(super) struct Report {
    loaded: u64,
    already_there: u64,
    bad: u64,
    told_at: u64,
    read: Arc<AtomicU64>,
    /// Where there is a terminal to draw it on.
    bar: Option<ProgressBar>,
}

impl Report {
    /// `size` is that of the file, where it is known; `read` is how much of it has been read.
    pub(super) fn new(size: Option<u64>, read: Arc<AtomicU64>) -> Self {
        let bar = stderr().is_terminal().then(|| match size {
            Some(size) => ProgressBar::new(size).with_style(style(
                "{bar:40} {bytes}/{total_bytes}  {msg}  {elapsed} elapsed, {eta} to go",
            )),
            None => ProgressBar::no_length()
                .with_style(style("{spinner} {bytes}  {msg}  {elapsed} elapsed")),
        });
        Self {
            loaded: 0,
            already_there: 0,
            bad: 0,
            told_at: 0,
            read,
            bar,
        }
    }

    /// Counts a line, and tells it if it is bad.
    pub(super) fn count(&mut self, line: u64, outcome: Outcome) {
        match outcome {
            Outcome::Loaded => self.loaded += 1,
            Outcome::AlreadyThere => self.already_there += 1,
            Outcome::Bad(reason) => {
                self.bad += 1;
                self.tell(&format!("line {line}: {reason}"));
            }
        }
    }

    /// Shows how far it has come.
    pub(super) fn progress(&mut self) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.read.load(Ordering::Relaxed));
            bar.set_message(self.counts());
        } else if self.lines() / PLAIN_EVERY > self.told_at / PLAIN_EVERY {
            self.told_at = self.lines();
            self.tell(&format!("{} so far", self.counts()));
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Whether any line was bad.
    pub(super) fn has_bad_lines(&self) -> bool {
        self.bad > 0
    }

    /// The sum in one line.
    pub(super) fn summary(&self, dry_run: bool) -> String {
        let mut summary = self.counts();
        if dry_run {
            // Writing into a string does not fail.
            let _ = write!(summary, " (dry run: nothing was kept)");
        }
        summary
    }

    fn lines(&self) -> u64 {
        self.loaded + self.already_there + self.bad
    }

    fn counts(&self) -> String {
        format!(
            "{} loaded, {} already there, {} bad",
            self.loaded, self.already_there, self.bad
        )
    }

    fn tell(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
