//! Sorted half-open intervals of whole minutes since 1970-01-01T00:00Z, and the merges over them.

use serde::{Deserialize, Serialize};

/// Minutes since 1970-01-01T00:00Z.
pub type Minute = i64;

/// A half-open range of minutes, `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Interval {
    /// The first minute.
    pub start: Minute,
    /// The first minute after it.
    pub end: Minute,
}

impl Interval {
    /// The range `start..end`; empty when `end` is not after `start`.
    #[must_use]
    pub const fn new(start: Minute, end: Minute) -> Self {
        Self { start, end }
    }

    /// Whether it holds no minute.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// The minutes that both hold; may be empty.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// Whether both hold some minute.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        !self.intersection(other).is_empty()
    }

    /// Whether it holds `minute`.
    #[must_use]
    pub const fn contains(self, minute: Minute) -> bool {
        self.start <= minute && minute < self.end
    }
}

/// Sorts, drops what is empty and joins what overlaps or touches.
#[must_use]
pub fn merge(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.retain(|i| !i.is_empty());
    intervals.sort_unstable();
    intervals.dedup_by(|next, kept| {
        let joins = next.start <= kept.end;
        if joins {
            kept.end = kept.end.max(next.end);
        }
        joins
    });
    intervals
}

/// What of `from` is not in `blocked`. Both must be merged; so is the result.
#[must_use]
pub fn subtract(from: &[Interval], blocked: &[Interval]) -> Vec<Interval> {
    let mut left = Vec::with_capacity(from.len() + blocked.len());
    let mut next = 0;
    for &whole in from {
        // What ends before this one starts cannot touch a later one either.
        while blocked.get(next).is_some_and(|b| b.end <= whole.start) {
            next += 1;
        }
        let mut start = whole.start;
        for b in blocked[next..].iter().take_while(|b| b.start < whole.end) {
            if b.start > start {
                left.push(Interval::new(start, b.start));
            }
            start = start.max(b.end);
        }
        if start < whole.end {
            left.push(Interval::new(start, whole.end));
        }
    }
    left
}

/// Those of `intervals`, which must be merged, that hold a minute of `range`.
#[must_use]
pub fn overlapping(intervals: &[Interval], range: Interval) -> &[Interval] {
    let first = intervals.partition_point(|i| i.end <= range.start);
    let rest = &intervals[first..];
    &rest[..rest.partition_point(|i| i.start < range.end)]
}

/// What of `intervals`, which must be merged, lies in `range`.
#[must_use]
pub fn clip(intervals: &[Interval], range: Interval) -> Vec<Interval> {
    overlapping(intervals, range)
        .iter()
        .map(|i| i.intersection(range))
        .filter(|i| !i.is_empty())
        .collect()
}

/// Whether one of `intervals`, which must be merged, holds all of `inner`.
#[must_use]
pub fn covers(intervals: &[Interval], inner: Interval) -> bool {
    let next = intervals.partition_point(|i| i.end < inner.end);
    intervals
        .get(next)
        .is_some_and(|i| i.start <= inner.start && inner.end <= i.end)
}

/// Whether one of `intervals`, which must be merged, holds a minute of `other`.
#[must_use]
pub fn any_overlap(intervals: &[Interval], other: Interval) -> bool {
    let next = intervals.partition_point(|i| i.end <= other.start);
    intervals.get(next).is_some_and(|i| i.overlaps(other))
}

#[cfg(test)]
mod tests {
    use super::{Interval, any_overlap, clip, covers, merge, subtract};
    use proptest::prelude::*;

    fn set(pairs: &[(i64, i64)]) -> Vec<Interval> {
        pairs.iter().map(|&(a, b)| Interval::new(a, b)).collect()
    }

    #[test]
    fn touching_intervals_merge_and_empty_ones_vanish() {
        let merged = merge(set(&[(5, 9), (1, 3), (3, 4), (7, 7), (8, 12)]));
        assert_eq!(merged, set(&[(1, 4), (5, 12)]));
    }

    #[test]
    fn subtracting_splits_trims_and_removes() {
        let left = subtract(
            &set(&[(0, 10), (20, 30), (40, 50)]),
            &set(&[(3, 5), (8, 22), (40, 50)]),
        );
        assert_eq!(left, set(&[(0, 3), (5, 8), (22, 30)]));
    }

    fn arbitrary() -> impl Strategy<Value = Vec<Interval>> {
        prop::collection::vec((0_i64..60, 0_i64..15), 0..12).prop_map(|v| {
            v.into_iter()
                .map(|(s, l)| Interval::new(s, s + l))
                .collect()
        })
    }

    fn holds(set: &[Interval], minute: i64) -> bool {
        set.iter().any(|i| i.contains(minute))
    }

    proptest! {
        #[test]
        fn the_merges_agree_with_sets_of_minutes(a in arbitrary(), b in arbitrary(), r in (0_i64..60, 0_i64..40)) {
            let range = Interval::new(r.0, r.0 + r.1);
            let (ma, mb) = (merge(a.clone()), merge(b.clone()));
            let (left, clipped) = (subtract(&ma, &mb), clip(&ma, range));
            for minute in 0..90 {
                prop_assert_eq!(holds(&ma, minute), holds(&a, minute));
                prop_assert_eq!(holds(&left, minute), holds(&a, minute) && !holds(&b, minute));
                prop_assert_eq!(holds(&clipped, minute), holds(&a, minute) && range.contains(minute));
            }
            for merged in [&ma, &left, &clipped] {
                prop_assert!(merged.windows(2).all(|w| w[0].end < w[1].start));
                prop_assert!(merged.iter().all(|i| !i.is_empty()));
            }
            if !range.is_empty() {
                prop_assert_eq!(covers(&ma, range), (range.start..range.end).all(|m| holds(&a, m)));
            }
            prop_assert_eq!(any_overlap(&ma, range), (range.start..range.end).any(|m| holds(&a, m)));
        }
    }
}
