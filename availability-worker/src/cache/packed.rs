//! A packed entry as it lies in Redis, of which no more is decoded than is asked for: a search looks
//! at ten thousand of them, and at few of their windows.

use chrono::{DateTime, Utc};
use shared_events::schedule::Status;
use shared_events::{Conflict, ConflictReason};
use uuid::Uuid;

use super::entry::{FORMAT, NARROW_DAYS, TOMBSTONE, Unreadable};
use crate::engine::civil_time::DAY;
use crate::engine::{EndingConflict, Interval, Minute};

/// The bytes that every format begins with.
const HEAD: usize = 13;

/// A value of a windows hash, as far as a search looks at first.
#[derive(Debug, Clone, Copy)]
pub enum Peek<'a> {
    /// The contractor is here.
    Live(Packed<'a>),
    /// The contractor has left, as of this version.
    Tombstone {
        /// The version that moved the contractor away.
        version: i64,
        /// When that was written, seconds since the epoch.
        set_at: i64,
    },
}

/// An entry, packed.
#[derive(Debug, Clone, Copy)]
pub struct Packed<'a> {
    /// The version of the schedule that it was calculated from.
    pub version: i64,
    /// Whether the contractor takes work.
    pub status: Status,
    /// The minimum notice, in minutes.
    pub min_notice_minutes: u32,
    /// The schedule's own slot interval, in minutes.
    pub slot_interval_minutes: u32,
    /// The horizon.
    pub horizon: Interval,
    /// The length of the longest window.
    pub longest: Minute,
    /// The unclipped start of the first window.
    pub first_start: Minute,
    /// The free windows of the horizon.
    pub windows: PackedWindows<'a>,
    rest: Input<'a>,
}

/// What follows the windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// When it was calculated.
    pub calculated_at: DateTime<Utc>,
    /// IANA time zone.
    pub time_zone: String,
    /// Skill slugs, sorted.
    pub skills: Vec<String>,
    /// The conflicts of all jobs.
    pub conflicts: Vec<EndingConflict>,
}

/// Which of two values of one contractor counts, by their first bytes: see
/// [`Held::rank`](super::Held::rank).
#[must_use]
pub fn rank(bytes: &[u8]) -> (i64, bool) {
    let version = bytes.get(1..).and_then(<[u8]>::first_chunk);
    let version = version.map_or(0, |bytes| i64::from_be_bytes(*bytes));
    let has_left = bytes.first() == Some(&TOMBSTONE) && bytes.len() >= HEAD;
    (version, !has_left)
}

impl<'a> Peek<'a> {
    /// Reads the beginning of a value.
    pub fn of(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let mut input = Input(bytes);
        let format = input.byte()?;
        let version = i64::from_be_bytes(input.array()?);
        let third = i64::from(u32::from_be_bytes(input.array()?));
        match format {
            TOMBSTONE => Ok(Self::Tombstone {
                version,
                set_at: third,
            }),
            FORMAT => Packed::of(version, third, input).map(Self::Live),
            _ => Err(Unreadable),
        }
    }
}

impl<'a> Packed<'a> {
    fn of(version: i64, horizon_day: i64, mut input: Input<'a>) -> Result<Self, Unreadable> {
        let start = horizon_day * DAY;
        let days = i64::from(u16::from_be_bytes(input.array()?));
        let status = match input.byte()? {
            0 => Status::Active,
            1 => Status::Inactive,
            2 => Status::OnLeave,
            _ => return Err(Unreadable),
        };
        let min_notice_minutes = u32::try_from(input.varint()?).map_err(|_| Unreadable)?;
        let slot_interval_minutes = u32::try_from(input.varint()?).map_err(|_| Unreadable)?;
        let longest = input.varint()?;
        let first_start = input.varint()?;
        let count = input.length()?;
        let pair = if days <= NARROW_DAYS { 4 } else { 8 };
        let bytes = input.take(count.checked_mul(pair).ok_or(Unreadable)?)?;
        Ok(Self {
            version,
            status,
            min_notice_minutes,
            slot_interval_minutes,
            horizon: Interval::new(start, start + days * DAY),
            longest,
            first_start,
            windows: PackedWindows { bytes, pair, start },
            rest: input,
        })
    }

    /// Whether the contractor has all of `skills`.
    pub fn has_skills(&self, skills: &[String]) -> Result<bool, Unreadable> {
        if skills.is_empty() {
            return Ok(true);
        }
        let mut input = self.rest;
        input.varint()?;
        input.text()?;
        let (count, listed) = (input.length()?, input);
        for needed in skills {
            let mut input = listed;
            let mut found = false;
            for _ in 0..count {
                if input.text()? == needed.as_bytes() {
                    found = true;
                    break;
                }
            }
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The name of the time zone.
    pub fn time_zone(&self) -> Result<&'a str, Unreadable> {
        let mut input = self.rest;
        input.varint()?;
        std::str::from_utf8(input.text()?).map_err(|_| Unreadable)
    }

    /// Decodes what follows the windows.
    pub fn rest(&self) -> Result<Rest, Unreadable> {
        let mut input = self.rest;
        let calculated_at = DateTime::from_timestamp_millis(input.varint()?).ok_or(Unreadable)?;
        let time_zone = input.string()?;
        let skills = input.list(1, Input::string)?;
        let conflicts = input.list(18, Input::conflict)?;
        if !input.0.is_empty() {
            return Err(Unreadable);
        }
        Ok(Rest {
            calculated_at,
            time_zone,
            skills,
            conflicts,
        })
    }
}

/// The windows of an entry: pairs of a fixed size, so that any of them is found without those before.
#[derive(Debug, Clone, Copy)]
pub struct PackedWindows<'a> {
    bytes: &'a [u8],
    /// Bytes of one window.
    pair: usize,
    /// The start of the horizon, from which their minutes count.
    start: Minute,
}

impl PackedWindows<'_> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() / self.pair
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A window by its place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<Interval> {
        let pair = self.bytes.get(place * self.pair..(place + 1) * self.pair)?;
        let (start, end) = pair.split_at(self.pair / 2);
        // Big-endian, of 2 or 4 bytes.
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, &byte| n << 8 | i64::from(byte));
        Some(Interval::new(
            self.start + number(start),
            self.start + number(end),
        ))
    }

    /// The place of the first window that ends after `minute`.
    #[must_use]
    pub fn first_after(&self, minute: Minute) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle).is_some_and(|window| window.end <= minute) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// Bytes that are read from the front.
#[derive(Debug, Clone, Copy)]
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
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
        let count = self.length()?;
        if count > self.0.len() / least_bytes {
            return Err(Unreadable);
        }
        (0..count).map(|_| item(self)).collect()
    }

    fn string(&mut self) -> Result<String, Unreadable> {
        std::str::from_utf8(self.text()?)
            .map(str::to_owned)
            .map_err(|_| Unreadable)
    }

    fn text(&mut self) -> Result<&'a [u8], Unreadable> {
        let length = self.length()?;
        self.take(length)
    }

    fn length(&mut self) -> Result<usize, Unreadable> {
        usize::try_from(self.varint()?).map_err(|_| Unreadable)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Unreadable)?;
        self.0 = rest;
        Ok(taken)
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
