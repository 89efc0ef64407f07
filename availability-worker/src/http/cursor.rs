//! Where a page of a search ended, and what the search was of.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::engine::{Interval, Minute, Query};
use crate::search::Place;

/// The cursor of a search: its now, its range, and the last place of the page, in hexadecimal with
/// dots in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The now of the first page.
    pub(super) now: Minute,
    /// The start of the range.
    pub(super) from: Minute,
    /// The end of the range.
    pub(super) to: Minute,
    /// The next page begins after this.
    pub(super) after: Place,
}

/// Not a cursor.
#[derive(Debug)]
pub(super) struct NoCursor;

impl Cursor {
    pub(super) fn new(query: &Query, after: Place) -> Self {
        let Query { now, range, .. } = *query;
        let (from, to) = (range.start, range.end);
        Self {
            now,
            from,
            to,
            after,
        }
    }

    pub(super) fn range(&self) -> Interval {
        Interval::new(self.from, self.to)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            now,
            from,
            to,
            after: Place { start, id },
        } = self;
        write!(f, "{now:x}.{from:x}.{to:x}.{start:x}.{}", id.simple())
    }
}

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let parts: Vec<&str> = text.split('.').collect();
        let &[now, from, to, start, id] = parts.as_slice() else {
            return Err(NoCursor);
        };
        let minute = |text| i64::from_str_radix(text, 16).map_err(|_| NoCursor);
        Ok(Self {
            now: minute(now)?,
            from: minute(from)?,
            to: minute(to)?,
            after: Place {
                start: minute(start)?,
                id: Uuid::try_parse(id).map_err(|_| NoCursor)?,
            },
        })
    }
}
