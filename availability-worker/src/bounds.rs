//! What may be asked: the bounds of a query, the same on the command line and over HTTP.

use chrono::{DateTime, Utc};

use crate::engine::civil_time::{DAY, FIRST_MINUTE, LAST_MINUTE};
use crate::engine::{Interval, Query, minute_ceil, minute_floor};

/// The longest range, 366 days, in minutes.
pub const MAX_RANGE: i64 = 366 * DAY;
/// The longest job that slots are looked for, 31 days, in minutes.
pub const MAX_DURATION: i64 = 44_640;
/// The longest slot interval, a day, in minutes.
pub const MAX_SLOT_INTERVAL: i64 = DAY;

/// A query as it was asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The start of the range; within a minute it means the next whole one.
    pub from: DateTime<Utc>,
    /// The end of the range; within a minute it means the last whole one.
    pub to: DateTime<Utc>,
    /// Now; within a minute it means the next whole one.
    pub now: DateTime<Utc>,
    /// Minutes that a job takes.
    pub duration: Option<i64>,
    /// Minutes between slots.
    pub slot_interval: Option<i64>,
}

/// A part of a query that is out of bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfBounds {
    /// The name of the part.
    pub name: &'static str,
    /// What is wrong with it.
    pub detail: String,
}

impl Asked {
    /// The query in whole minutes, or all that is wrong with it.
    pub fn check(&self) -> Result<Query, Vec<OutOfBounds>> {
        let mut wrong = Vec::new();
        let mut refuse = |name, detail: String| wrong.push(OutOfBounds { name, detail });
        let range = Interval::new(minute_ceil(self.from), minute_floor(self.to));
        for (name, minute) in [("from", range.start), ("to", range.end)] {
            if !(FIRST_MINUTE..=LAST_MINUTE).contains(&minute) {
                refuse(name, "must lie in the years 1970 to 2200".to_owned());
            }
        }
        if self.to <= self.from {
            refuse("to", "must be after from".to_owned());
        } else if range.end.saturating_sub(range.start) > MAX_RANGE {
            refuse("to", "must be at most 366 days after from".to_owned());
        }
        for (name, value, most) in [
            ("durationMinutes", self.duration, MAX_DURATION),
            ("slotIntervalMinutes", self.slot_interval, MAX_SLOT_INTERVAL),
        ] {
            if value.is_some_and(|v| !(1..=most).contains(&v)) {
                refuse(name, format!("must be from 1 to {most}"));
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Query {
            range,
            now: minute_ceil(self.now),
            duration: self.duration,
            slot_interval: self.slot_interval,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Asked;

    fn asked(
        from: &str,
        to: &str,
        duration: Option<i64>,
        slot_interval: Option<i64>,
    ) -> Result<(i64, i64), String> {
        let at = |text: &str| text.parse().unwrap();
        let asked = Asked {
            from: at(from),
            to: at(to),
            now: at("2026-01-01T00:00:00Z"),
            duration,
            slot_interval,
        };
        asked
            .check()
            .map(|q| (q.range.start, q.range.end))
            .map_err(|wrong| {
                wrong
                    .into_iter()
                    .map(|w| format!("{} {}", w.name, w.detail))
                    .collect::<Vec<_>>()
                    .join("; ")
            })
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        assert_eq!(
            asked("1970-01-01T00:00:30Z", "1970-01-01T00:05:30Z", None, None),
            Ok((1, 5))
        );
        for (from, to, duration, interval, told) in [
            (
                "2026-01-02T00:00:00Z",
                "2026-01-02T00:00:00Z",
                None,
                None,
                "to must be after from",
            ),
            (
                "2026-01-01T00:00:00Z",
                "2027-01-02T00:01:00Z",
                None,
                None,
                "to must be at most 366 days after from",
            ),
            (
                "1969-12-31T23:00:00Z",
                "1970-01-02T00:00:00Z",
                None,
                None,
                "from must lie in the years 1970 to 2200",
            ),
            (
                "2026-01-01T00:00:00Z",
                "2026-01-02T00:00:00Z",
                Some(0),
                Some(1441),
                "durationMinutes must be from 1 to 44640; slotIntervalMinutes must be from 1 to 1440",
            ),
        ] {
            assert_eq!(asked(from, to, duration, interval), Err(told.to_owned()));
        }
    }
}
