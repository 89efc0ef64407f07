//! The packed form of one contractor's availability: a value of a territory's windows hash.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format: 1; 0 is a tombstone |
//! | 8 | version, big-endian |
//! | 4 | first day of the horizon, days since 1970-01-01, big-endian; a tombstone's: seconds since the epoch at which it was set, and nothing follows |
//! | varint | days of the horizon |
//! | varint | calculated at, milliseconds since the epoch |
//! | 1 | status: 0 active, 1 inactive, 2 on leave |
//! | varint × 2 | minimum notice, slot interval, in minutes |
//! | text | time zone: varint length, UTF-8 |
//! | varint, texts | skills |
//! | varint | start of the first window, unclipped, minutes since the epoch |
//! | varint, pairs of varints | windows: minutes since the end of the one before (at first: of the horizon's start), length |
//! | varint, 17 bytes + varint each | conflicts: job id, reason, end of the job in minutes since the epoch |
//!
//! Varints are LEB128 of at most ten bytes. The guard in `functions.lua` reads the first 13 bytes of
//! every format, so a later format keeps them.

use chrono::{DateTime, Utc};
use shared_events::schedule::Status;
use shared_events::{Conflict, ConflictReason};
use uuid::Uuid;

use crate::engine::civil_time::DAY;
use crate::engine::{EndingConflict, FreeWindows, Interval, Minute};

pub(super) const FORMAT: u8 = 1;
const TOMBSTONE: u8 = 0;

/// What the cache knows of one contractor in one territory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The version of the schedule that it was calculated from.
    pub version: i64,
    /// When it was calculated, to the millisecond.
    pub calculated_at: DateTime<Utc>,
    /// Whether the contractor takes work.
    pub status: Status,
    /// The minimum notice, in minutes.
    pub min_notice_minutes: u32,
    /// The schedule's own slot interval, in minutes.
    pub slot_interval_minutes: u32,
    /// IANA time zone.
    pub time_zone: String,
    /// Skill slugs, sorted.
    pub skills: Vec<String>,
    /// The free windows of the horizon, which is whole UTC days.
    pub free: FreeWindows,
    /// The conflicts of all jobs.
    pub conflicts: Vec<EndingConflict>,
}

/// A value of a windows hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// The contractor is here.
    Live(Box<Entry>),
    /// The contractor has left, as of this version.
    Tombstone {
        /// The version that moved the contractor away.
        version: i64,
        /// When that was written, seconds since the epoch.
        set_at: i64,
    },
    /// Something of this version that this build cannot read: of another format, or damaged. The
    /// schedule beside it is what counts then.
    Unreadable {
        /// The version; 0 where not even that can be read.
        version: i64,
    },
}

/// A value that this build cannot read: of another format, or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cache entry that cannot be read")]
pub struct Unreadable;

impl Entry {
    /// The first day of the horizon, days since 1970-01-01.
    #[must_use]
    pub fn horizon_day(&self) -> u32 {
        u32::try_from(self.free.range.start.div_euclid(DAY)).unwrap_or(0)
    }

    /// Packs it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96 + self.free.windows.len() * 4);
        out.push(FORMAT);
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.horizon_day().to_be_bytes());
        let range = self.free.range;
        varint(
            &mut out,
            range.end.saturating_sub(range.start).div_euclid(DAY),
        );
        varint(&mut out, self.calculated_at.timestamp_millis());
        out.push(match self.status {
            Status::Active => 0,
            Status::Inactive => 1,
            Status::OnLeave => 2,
        });
        varint(&mut out, self.min_notice_minutes.into());
        varint(&mut out, self.slot_interval_minutes.into());
        text(&mut out, &self.time_zone);
        length(&mut out, self.skills.len());
        for skill in &self.skills {
            text(&mut out, skill);
        }
        varint(&mut out, self.free.first_start);
        length(&mut out, self.free.windows.len());
        let mut previous = range.start;
        for window in &self.free.windows {
            varint(&mut out, window.start.saturating_sub(previous));
            varint(&mut out, window.end.saturating_sub(window.start));
            previous = window.end;
        }
        length(&mut out, self.conflicts.len());
        for EndingConflict { conflict, ends } in &self.conflicts {
            out.extend_from_slice(conflict.job_id.as_bytes());
            out.push(match conflict.reason {
                ConflictReason::ContractorInactive => 0,
                ConflictReason::TimeOff => 1,
                ConflictReason::OutsideWorkingHours => 2,
            });
            varint(&mut out, *ends);
        }
        out
    }
}

impl Held {
    /// The version, whatever else it is.
    #[must_use]
    pub fn version(&self) -> i64 {
        match self {
            Self::Live(entry) => entry.version,
            Self::Tombstone { version, .. } | Self::Unreadable { version } => *version,
        }
    }

    /// Which of two values of one contractor counts: the higher version, and of the same version the
    /// one that has not left. While a contractor moves, both territories may hold it for a moment.
    #[must_use]
    pub fn rank(&self) -> (i64, bool) {
        (self.version(), !matches!(self, Self::Tombstone { .. }))
    }

    /// Unpacks a value as far as it can be read.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        Self::decode(bytes).unwrap_or_else(|Unreadable| {
            let mut input = Input(bytes.get(1..).unwrap_or_default());
            let version = input.array().map_or(0, i64::from_be_bytes);
            Self::Unreadable { version }
        })
    }

    /// Unpacks a value.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut input = Input(bytes);
        let format = input.byte()?;
        let version = i64::from_be_bytes(input.array()?);
        let third = u32::from_be_bytes(input.array()?);
        match format {
            TOMBSTONE => Ok(Self::Tombstone {
                version,
                set_at: i64::from(third),
            }),
            FORMAT => input
                .entry(version, i64::from(third))
                .map(|e| Self::Live(Box::new(e))),
            _ => Err(Unreadable),
        }
    }
}

fn varint(out: &mut Vec<u8>, value: i64) {
    // Nothing that is kept is negative; what would be stands at the epoch.
    let mut rest = u64::try_from(value).unwrap_or(0);
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push((rest & 0x7f) as u8);
}

fn length(out: &mut Vec<u8>, length: usize) {
    varint(out, i64::try_from(length).unwrap_or(i64::MAX));
}

fn text(out: &mut Vec<u8>, text: &str) {
    length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn entry(&mut self, version: i64, horizon_day: i64) -> Result<Entry, Unreadable> {
        let start = horizon_day * DAY;
        let days = self.varint()?;
        let end = days
            .checked_mul(DAY)
            .and_then(|m| m.checked_add(start))
            .ok_or(Unreadable)?;
        let calculated_at = DateTime::from_timestamp_millis(self.varint()?).ok_or(Unreadable)?;
        let status = match self.byte()? {
            0 => Status::Active,
            1 => Status::Inactive,
            2 => Status::OnLeave,
            _ => return Err(Unreadable),
        };
        let min_notice_minutes = u32::try_from(self.varint()?).map_err(|_| Unreadable)?;
        let slot_interval_minutes = u32::try_from(self.varint()?).map_err(|_| Unreadable)?;
        let time_zone = self.text()?;
        let skills = self.list(1, Self::text)?;
        let first_start = self.varint()?;
        let mut previous = start;
        let windows = self.list(2, |input| {
            let from = previous.checked_add(input.varint()?).ok_or(Unreadable)?;
            previous = from.checked_add(input.varint()?).ok_or(Unreadable)?;
            Ok(Interval::new(from, previous))
        })?;
        let conflicts = self.list(18, Self::conflict)?;
        if !self.0.is_empty() {
            return Err(Unreadable);
        }
        let free = FreeWindows {
            range: Interval::new(start, end),
            windows,
            first_start,
        };
        Ok(Entry {
            version,
            calculated_at,
            status,
            min_notice_minutes,
            slot_interval_minutes,
            time_zone,
            skills,
            free,
            conflicts,
        })
    }

    fn conflict(&mut self) -> Result<EndingConflict, Unreadable> {
        let job_id = Uuid::from_bytes(self.array()?);
        let reason = match self.byte()? {
            0 => ConflictReason::ContractorInactive,
            1 => ConflictReason::TimeOff,
            2 => ConflictReason::OutsideWorkingHours,
            _ => return Err(Unreadable),
        };
        let ends: Minute = self.varint()?;
        Ok(EndingConflict {
            conflict: Conflict { job_id, reason },
            ends,
        })
    }

    /// A counted list; a count that the remaining bytes cannot hold is refused before anything is reserved.
    fn list<T>(
        &mut self,
        least_bytes: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<Vec<T>, Unreadable> {
        let count = usize::try_from(self.varint()?).map_err(|_| Unreadable)?;
        if count > self.0.len() / least_bytes {
            return Err(Unreadable);
        }
        (0..count).map(|_| item(self)).collect()
    }

    fn text(&mut self) -> Result<String, Unreadable> {
        let length = usize::try_from(self.varint()?).map_err(|_| Unreadable)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Unreadable)?;
        self.0 = rest;
        std::str::from_utf8(text)
            .map(str::to_owned)
            .map_err(|_| Unreadable)
    }

    fn varint(&mut self) -> Result<i64, Unreadable> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return i64::try_from(value).map_err(|_| Unreadable);
            }
        }
        Err(Unreadable)
    }

    fn byte(&mut self) -> Result<u8, Unreadable> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(Unreadable)?;
        self.0 = rest;
        Ok(*array)
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Held};
    use crate::engine::{EndingConflict, FreeWindows, Interval};
    use proptest::prelude::*;
    use shared_events::schedule::Status;
    use shared_events::{Conflict, ConflictReason};

    fn entry() -> impl Strategy<Value = Entry> {
        let windows = prop::collection::vec((1_i64..500, 1_i64..900), 0..40);
        let conflicts = prop::collection::vec((any::<u128>(), 0_i64..90_000_000), 0..4);
        let skills = prop::collection::vec("[a-z-]{1,12}", 0..4);
        (
            1_i64..1 << 53,
            0_i64..30_000,
            windows,
            conflicts,
            skills,
            0_u32..5000,
        )
            .prop_map(|(version, day, gaps, conflicts, skills, notice)| {
                let start = day * 1440;
                let mut at = start;
                let mut windows = Vec::new();
                for (gap, length) in gaps {
                    windows.push(Interval::new(at + gap, at + gap + length));
                    at += gap + length;
                }
                Entry {
                    version,
                    calculated_at: chrono::DateTime::from_timestamp_millis(start * 60_000 + 7)
                        .unwrap(),
                    status: Status::OnLeave,
                    min_notice_minutes: notice,
                    slot_interval_minutes: 30,
                    time_zone: "Europe/London".to_owned(),
                    skills,
                    free: FreeWindows {
                        range: Interval::new(start, start + 28 * 1440),
                        first_start: windows.first().map_or(start, |w| w.start),
                        windows,
                    },
                    conflicts: conflicts
                        .into_iter()
                        .map(|(id, ends)| EndingConflict {
                            conflict: Conflict {
                                job_id: uuid::Uuid::from_u128(id),
                                reason: ConflictReason::TimeOff,
                            },
                            ends,
                        })
                        .collect(),
                }
            })
    }

    proptest! {
        #[test]
        fn what_is_packed_unpacks_to_the_same(entry in entry()) {
            let bytes = entry.encode();
            let version = entry.version.to_be_bytes();
            prop_assert_eq!(&bytes[1..9], version.as_slice());
            prop_assert_eq!(Held::decode(&bytes), Ok(Held::Live(Box::new(entry))));
        }

        #[test]
        fn damaged_values_are_unreadable_and_nothing_worse(entry in entry(), cut in 0_usize..400, at in 0_usize..400, byte: u8) {
            let mut bytes = entry.encode();
            let cut = cut.min(bytes.len() - 1);
            prop_assert!(Held::decode(&bytes[..cut]).is_err());
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = Held::decode(&bytes);
            bytes[0] = 255;
            let version = i64::from_be_bytes(bytes[1..9].try_into().unwrap());
            prop_assert_eq!(Held::read(&bytes), Held::Unreadable { version });
        }
    }
}
