//! The ways in which the cache can differ from its source.

use std::fmt;

use crate::engine::Minute;
use crate::stamp::Stamp;

/// One way in which the cache is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// Not all contractors are known to be there; searches wait, and then are 503.
    Unmarked,
    /// Nothing is cached.
    Missing,
    /// What is cached is of an earlier version.
    Stale {
        /// The cached version.
        held: i64,
        /// The version of schedule-service.
        wanted: i64,
    },
    /// What is cached is of a version that schedule-service does not have.
    Ahead {
        /// The cached version.
        held: i64,
        /// The version of schedule-service.
        known: i64,
    },
    /// It is cached in a territory that is not the contractor's.
    Ghost {
        /// That territory.
        territory: String,
        /// The version there.
        version: i64,
    },
    /// What is cached cannot be read.
    Unreadable,
    /// The version is right, but not what was made of it.
    Different {
        /// What of it: `windows`, `conflicts`, `skills` and so on.
        what: Vec<&'static str>,
    },
    /// The horizon ends more than a day too early.
    HorizonShort {
        /// Where it ends.
        end: Minute,
        /// Where it should end, at least.
        wanted: Minute,
    },
    /// schedule-service knows no such contractor.
    Unknown {
        /// Where it is cached.
        territory: String,
    },
    /// schedule-service has a schedule that cannot be calculated.
    Unacceptable(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmarked => {
                f.write_str("incomplete: the cache is not marked as holding everybody")
            }
            Self::Missing => f.write_str("missing: nothing is cached"),
            Self::Stale { held, wanted } => {
                write!(f, "stale: version {held} is cached, {wanted} is there")
            }
            Self::Ahead { held, known } => write!(
                f,
                "ahead: version {held} is cached, schedule-service has {known}"
            ),
            Self::Ghost { territory, version } => write!(
                f,
                "ghost: version {version} is still in the territory {territory}"
            ),
            Self::Unreadable => f.write_str("unreadable: what is cached cannot be read"),
            Self::Different { what } => write!(f, "different: {}", what.join(", ")),
            Self::HorizonShort { end, wanted } => write!(
                f,
                "horizon short: it ends at {}, not at {} or later",
                Stamp(*end),
                Stamp(*wanted)
            ),
            Self::Unknown { territory } => write!(
                f,
                "unknown: schedule-service has no such contractor; it is cached in {territory}"
            ),
            Self::Unacceptable(error) => write!(f, "unacceptable: {error}"),
        }
    }
}
