//! Minutes as they are written: RFC 3339 in UTC, whole seconds.

use std::fmt;

use chrono::Datelike;
use serde::{Serialize, Serializer};

use crate::engine::civil_time::{DAY, date_of};
use crate::engine::{Interval, Minute};

/// A minute that is written as `2026-12-01T09:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2026-12-01T09:00:00Z"))]
pub struct Stamp(pub Minute);

/// A half-open range of instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Span {
    /// The first instant.
    pub start: Stamp,
    /// The first instant after it.
    pub end: Stamp,
}

impl From<Interval> for Span {
    fn from(interval: Interval) -> Self {
        Self {
            start: Stamp(interval.start),
            end: Stamp(interval.end),
        }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = date_of(self.0.div_euclid(DAY)).unwrap_or_default();
        let (minute, mut text) = (self.0.rem_euclid(DAY), *b"0000-00-00T00:00:00Z");
        let year = i64::from(date.year()).clamp(0, 9999);
        let mut put = |at: usize, digits: usize, mut value: i64| {
            for place in text[at..at + digits].iter_mut().rev() {
                *place = b'0' + u8::try_from(value.rem_euclid(10)).unwrap_or(0);
                value /= 10;
            }
        };
        put(0, 4, year);
        put(5, 2, date.month().into());
        put(8, 2, date.day().into());
        put(11, 2, minute / 60);
        put(14, 2, minute % 60);
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Stamp;
    use crate::engine::instant;
    use chrono::SecondsFormat;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_stamp_reads_as_chrono_writes_it(minute in 0_i64..121_000_000) {
            prop_assert_eq!(Stamp(minute).to_string(), instant(minute).to_rfc3339_opts(SecondsFormat::Secs, true));
        }
    }
}
