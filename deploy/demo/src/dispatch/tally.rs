//! Counts what the dispatchers did.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::kind::Kind;
use super::round::Round;

/// What has come of the changes so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Committed changes by kind.
    pub changes: BTreeMap<Kind, u64>,
    /// Changes refused because jobs would overlap (409).
    pub conflicts: u64,
    /// Changes refused because somebody else's came first (412).
    pub stale: u64,
    /// Changes refused for another reason, which is a mistake of the demo's or the service's.
    pub refused: u64,
    /// Changes that nobody answered, or that the service could not make now.
    pub unanswered: u64,
}

impl Tally {
    /// All committed changes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.changes.values().sum()
    }

    pub(super) fn add(&mut self, round: &Round) {
        if let Some(kind) = round.done {
            *self.changes.entry(kind).or_default() += 1;
        }
        self.conflicts += u64::from(round.conflicts);
        self.stale += u64::from(round.stale);
        match &round.failure {
            Some(error) if error.status().is_some_and(|status| status < 500) => self.refused += 1,
            Some(_) => self.unanswered += 1,
            None => {}
        }
    }

    /// The changes by kind in words: `booked 12, moved 5`.
    pub(super) fn in_words(&self) -> String {
        let mut counts: Vec<(&str, u64)> = Vec::new();
        for (kind, count) in &self.changes {
            match counts.last_mut() {
                Some((word, sum)) if *word == kind.done() => *sum += count,
                _ => counts.push((kind.done(), *count)),
            }
        }
        let mut words = String::new();
        for (word, count) in counts {
            let comma = if words.is_empty() { "" } else { ", " };
            // Writing to a string does not fail.
            let _ = write!(words, "{comma}{word} {count}");
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_booking_are_told_as_one() {
        let changes = BTreeMap::from([(Kind::Book, 3), (Kind::BookBlind, 2), (Kind::Cancel, 1)]);
        let tally = Tally {
            changes,
            ..Tally::default()
        };
        assert_eq!(tally.in_words(), "booked 5, cancelled 1");
        assert_eq!(tally.total(), 6);
    }
}
