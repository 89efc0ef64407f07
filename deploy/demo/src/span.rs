//! Half-open intervals of whole minutes since the epoch.

use chrono::{DateTime, Utc};

/// `[start, end)` in whole minutes since 1970-01-01T00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first minute inside.
    pub start: i64,
    /// The first minute after it.
    pub end: i64,
}

impl Span {
    /// The span from `start` to `end`, which may be empty.
    #[must_use]
    pub const fn new(start: i64, end: i64) -> Self {
        Self { start, end }
    }

    /// The span between two instants, finer parts of a minute cut off.
    #[must_use]
    pub fn between(start: DateTime<Utc>, end: DateTime<Utc>) -> Self {
        Self::new(minute_of(start), minute_of(end))
    }

    /// Its length in minutes; nothing or less for an empty one.
    #[must_use]
    pub const fn minutes(self) -> i64 {
        self.end - self.start
    }

    /// Whether the two share a minute.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether `other` lies wholly inside.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// What both share, or none.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        let shared = Self::new(self.start.max(other.start), self.end.min(other.end));
        (shared.minutes() > 0).then_some(shared)
    }
}

/// Whole minutes since the epoch at `instant`.
#[must_use]
pub fn minute_of(instant: DateTime<Utc>) -> i64 {
    instant.timestamp().div_euclid(60)
}

/// The instant at `minute` since the epoch.
#[must_use]
pub fn instant_at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(minute * 60, 0).unwrap_or_default()
}

/// Sorts spans and joins those that overlap or touch; empty ones disappear.
#[must_use]
pub fn merge(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|span| span.minutes() > 0);
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

/// What is left of `spans` without `blocked`; both sorted and disjoint, as [`merge`] makes them.
#[must_use]
pub fn subtract(spans: &[Span], blocked: &[Span]) -> Vec<Span> {
    let mut rest = Vec::with_capacity(spans.len());
    let mut next = 0;
    for &span in spans {
        let mut start = span.start;
        while next < blocked.len() && blocked[next].end <= start {
            next += 1;
        }
        for block in blocked[next..]
            .iter()
            .take_while(|block| block.start < span.end)
        {
            if start < block.start {
                rest.push(Span::new(start, block.start));
            }
            start = start.max(block.end);
        }
        if start < span.end {
            rest.push(Span::new(start, span.end));
        }
    }
    rest
}

/// Minutes that `spans`, sorted and disjoint, share with `window`.
#[must_use]
pub fn shared_minutes(spans: &[Span], window: Span) -> i64 {
    spans
        .iter()
        .filter_map(|span| span.intersection(window))
        .map(Span::minutes)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_joins_what_touches_and_drops_what_is_empty() {
        let spans = vec![
            Span::new(5, 9),
            Span::new(0, 3),
            Span::new(3, 4),
            Span::new(7, 7),
        ];
        assert_eq!(merge(spans), [Span::new(0, 4), Span::new(5, 9)]);
    }

    #[test]
    fn subtracting_keeps_every_minute_that_no_block_covers_and_no_other() {
        let spans = [Span::new(0, 10), Span::new(20, 30), Span::new(40, 45)];
        let blocked = [
            Span::new(-5, 2),
            Span::new(4, 5),
            Span::new(8, 25),
            Span::new(39, 50),
        ];
        let rest = subtract(&spans, &blocked);
        let inside = |set: &[Span], m: i64| set.iter().any(|s| s.start <= m && m < s.end);
        for minute in -10..60 {
            assert_eq!(
                inside(&rest, minute),
                inside(&spans, minute) && !inside(&blocked, minute),
                "{minute}"
            );
        }
    }
}
