//! What somebody else says of civil time: tz-rs, another reader, of zone data from elsewhere.
//!
//! The data is that of tzdb_data, or of the folder that `ORACLE_ZONEINFO` names, such as
//! `/usr/share/zoneinfo`.

use std::path::{Path, PathBuf};

use tz::datetime::{DateTime, FoundDateTimeKind, UtcDateTime};
use tz::timezone::{TimeZone, TimeZoneRef};

/// Where zone data comes from.
pub(super) enum Source {
    /// tzdb_data, whatever the machine.
    Bundled,
    /// Compiled zones in files by their names.
    Folder(PathBuf),
}

impl Source {
    /// The folder that `ORACLE_ZONEINFO` names.
    pub(super) fn asked_for() -> Option<Self> {
        Some(Self::Folder(std::env::var_os("ORACLE_ZONEINFO")?.into()))
    }

    /// The release of the IANA database, where it is told.
    pub(super) fn release(&self) -> Option<String> {
        match self {
            Self::Bundled => Some(tzdb_data::VERSION.to_owned()),
            Self::Folder(folder) => {
                let rules = std::fs::read_to_string(folder.join("tzdata.zi")).ok()?;
                Some(rules.lines().next()?.strip_prefix("# version ")?.to_owned())
            }
        }
    }

    /// What it says of a zone, where it has it.
    pub(super) fn zone(&self, name: &str) -> Option<Witness> {
        match self {
            Self::Bundled => tzdb_data::find_tz(name.as_bytes()).copied().map(Witness),
            Self::Folder(folder) => read(&folder.join(name)).map(Witness),
        }
    }
}

/// A file's zone, which stays for as long as the tests run.
fn read(file: &Path) -> Option<TimeZoneRef<'static>> {
    let data = std::fs::read(file).ok()?;
    let zone = TimeZone::from_tz_data(&data).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    Some(Box::leak(Box::new(zone)).as_ref())
}

/// What the other reader says of one zone.
#[derive(Clone, Copy)]
pub(super) struct Witness(TimeZoneRef<'static>);

/// What a time of the wall clock means, in seconds since the epoch.
#[derive(Clone, Copy)]
pub(super) enum Meaning {
    Once(i64),
    /// The first time and the second.
    Twice(i64, i64),
    /// Never: the clocks jump over it in the second `jump`; `before` is what the offset before means.
    Never {
        jump: i64,
        before: i64,
    },
}

impl Witness {
    /// Seconds east of UTC at a second.
    pub(super) fn offset_at(self, second: i64) -> i64 {
        self.0
            .find_local_time_type(second)
            .unwrap()
            .ut_offset()
            .into()
    }

    /// The minute of the day on the wall clock.
    pub(super) fn wall_clock(self, second: i64) -> i64 {
        let local = DateTime::from_timespec(second, 0, self.0).unwrap();
        i64::from(local.hour()) * 60 + i64::from(local.minute())
    }

    /// What `local`, seconds since 1970-01-01T00:00 on the wall clock, means.
    pub(super) fn meaning(self, local: i64) -> Meaning {
        let date = UtcDateTime::from_timespec(local, 0).unwrap();
        let found = DateTime::find(
            date.year(),
            date.month(),
            date.month_day(),
            date.hour(),
            date.minute(),
            date.second(),
            0,
            self.0,
        );
        match found.unwrap().into_inner().as_slice() {
            [FoundDateTimeKind::Normal(only)] => Meaning::Once(only.unix_time()),
            [
                FoundDateTimeKind::Normal(first),
                FoundDateTimeKind::Normal(second),
            ] => Meaning::Twice(first.unix_time(), second.unix_time()),
            [
                FoundDateTimeKind::Skipped {
                    before_transition, ..
                },
            ] => Meaning::Never {
                jump: before_transition.unix_time(),
                before: local - i64::from(before_transition.local_time_type().ut_offset()),
            },
            other => panic!("{local}: {other:?}"),
        }
    }
}
