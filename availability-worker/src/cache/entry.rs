//! The packed form of one contractor's availability: a value of a territory's windows hash.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format: 2; 0 is a tombstone |
//! | 8 | version |
//! | 4 | first day of the horizon, days since 1970-01-01; a tombstone's: seconds since the epoch at which it was set, and nothing follows |
//! | 2 | days of the horizon |
//! | 1 | status: 0 active, 1 inactive, 2 on leave |
//! | varint × 2 | minimum notice, slot interval, in minutes |
//! | varint | minutes of the longest window |
//! | varint | start of the first window, unclipped, minutes since the epoch |
//! | varint, pairs | windows: start and end, minutes since the horizon's start, each of 2 bytes in a horizon of at most 45 days, else of 4 |
//! | varint | calculated at, milliseconds since the epoch |
//! | text | time zone: varint length, UTF-8 |
//! | varint, texts | skills |
//! | varint, 17 bytes + varint each | conflicts: job id, reason, end of the job in minutes since the epoch |
//!
//! Numbers of a fixed size are big-endian; varints are LEB128 of at most ten bytes. What a search
//! needs of everyone comes first, and windows have a fixed size, so that it finds those of a late
//! range without reading those before: [`super::packed`]. The guard in `functions.lua` reads the first
//! 13 bytes of every format, so a later format keeps them.
//!
//! Format 1 had windows as pairs of varints after the skills.

use chrono::{DateTime, Utc};
use shared_events::ConflictReason;
use shared_events::schedule::Status;

use super::packed::{Packed, Peek, Rest, rank};
use crate::engine::civil_time::DAY;
use crate::engine::{EndingConflict, FreeWindows, Interval};

pub(super) const FORMAT: u8 = 2;
pub(super) const TOMBSTONE: u8 = 0;

/// The longest horizon whose minutes fit into 2 bytes.
pub(super) const NARROW_DAYS: i64 = 45;

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

    /// Decodes all of a packed entry.
    pub(super) fn unpack(packed: &Packed<'_>) -> Result<Self, Unreadable> {
        let Rest {
            calculated_at,
            time_zone,
            skills,
            conflicts,
        } = packed.rest()?;
        let mut windows: Vec<Interval> = Vec::with_capacity(packed.windows.len());
        for window in (0..packed.windows.len()).filter_map(|place| packed.windows.get(place)) {
            let previous = windows.last().map_or(packed.horizon.start, |w| w.end);
            if window.is_empty() || window.start < previous || window.end > packed.horizon.end {
                return Err(Unreadable);
            }
            windows.push(window);
        }
        Ok(Self {
            version: packed.version,
            calculated_at,
            status: packed.status,
            min_notice_minutes: packed.min_notice_minutes,
            slot_interval_minutes: packed.slot_interval_minutes,
            time_zone,
            skills,
            free: FreeWindows {
                range: packed.horizon,
                windows,
                first_start: packed.first_start,
            },
            conflicts,
        })
    }

    /// Packs it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96 + self.free.windows.len() * 4);
        out.push(FORMAT);
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.horizon_day().to_be_bytes());
        let range = self.free.range;
        let days = range.end.saturating_sub(range.start).div_euclid(DAY);
        out.extend_from_slice(&u16::try_from(days).unwrap_or(u16::MAX).to_be_bytes());
        out.push(match self.status {
            Status::Active => 0,
            Status::Inactive => 1,
            Status::OnLeave => 2,
        });
        varint(&mut out, self.min_notice_minutes.into());
        varint(&mut out, self.slot_interval_minutes.into());
        let windows = &self.free.windows;
        let longest = windows.iter().map(|w| w.end - w.start).max();
        varint(&mut out, longest.unwrap_or(0));
        varint(&mut out, self.free.first_start);
        length(&mut out, windows.len());
        for minute in windows.iter().flat_map(|w| [w.start, w.end]) {
            // Windows are clipped to the horizon, so they fit.
            let after = minute - range.start;
            if days <= NARROW_DAYS {
                out.extend_from_slice(&u16::try_from(after).unwrap_or(u16::MAX).to_be_bytes());
            } else {
                out.extend_from_slice(&u32::try_from(after).unwrap_or(u32::MAX).to_be_bytes());
            }
        }
        varint(&mut out, self.calculated_at.timestamp_millis());
        text(&mut out, &self.time_zone);
        length(&mut out, self.skills.len());
        for skill in &self.skills {
            text(&mut out, skill);
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
            let (version, _) = rank(bytes);
            Self::Unreadable { version }
        })
    }

    /// Unpacks a value.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        match Peek::of(bytes)? {
            Peek::Tombstone { version, set_at } => Ok(Self::Tombstone { version, set_at }),
            Peek::Live(packed) => Entry::unpack(&packed).map(|e| Self::Live(Box::new(e))),
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

#[cfg(test)]
mod tests {
    use super::{Entry, Held, rank};
    use crate::engine::{EndingConflict, FreeWindows, Interval};
    use proptest::prelude::*;
    use shared_events::schedule::Status;
    use shared_events::{Conflict, ConflictReason};

    fn entry() -> impl Strategy<Value = Entry> {
        let windows = prop::collection::vec((1_i64..500, 1_i64..900), 0..40);
        let days = prop_oneof![Just(45_i64), Just(46), Just(366)];
        let conflicts = prop::collection::vec((any::<u128>(), 0_i64..90_000_000), 0..4);
        let skills = prop::collection::vec("[a-z-]{1,12}", 0..4);
        (
            1_i64..1 << 53,
            0_i64..30_000,
            windows,
            conflicts,
            skills,
            0_u32..5000,
            days,
        )
            .prop_map(|(version, day, gaps, conflicts, skills, notice, days)| {
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
                        range: Interval::new(start, start + days * 1440),
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
            for format in [0, 2, 255] {
                bytes[0] = format;
                prop_assert_eq!(rank(&bytes[..cut]), Held::read(&bytes[..cut]).rank());
            }
        }
    }
}
