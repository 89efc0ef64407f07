//! Start times at which a job of a given duration fits.

use chrono_tz::Tz;

use super::civil_time::{local_minute, offset_minutes};
use super::intervals::{Interval, Minute};
use super::windows::{FreeWindows, LOOKBACK};

/// What slots are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRequest {
    /// Minutes that the job takes; at least 1.
    pub duration: i64,
    /// Minutes between start times; at least 1.
    pub interval: i64,
}

/// All slots that start and end within `clip`, ascending.
#[must_use]
pub fn slots(zone: Tz, free: &FreeWindows, clip: Interval, request: SlotRequest) -> Vec<Minute> {
    let mut found = Vec::new();
    each_slot(zone, free, clip, request, |slot| {
        found.push(slot);
        true
    });
    found
}

/// The earliest slot that starts and ends within `clip`.
#[must_use]
pub fn first_slot(
    zone: Tz,
    free: &FreeWindows,
    clip: Interval,
    request: SlotRequest,
) -> Option<Minute> {
    let mut first = None;
    each_slot(zone, free, clip, request, |slot| {
        first = Some(slot);
        false
    });
    first
}

fn each_slot(
    zone: Tz,
    free: &FreeWindows,
    clip: Interval,
    request: SlotRequest,
    mut found: impl FnMut(Minute) -> bool,
) {
    let SlotRequest { duration, interval } = request;
    if duration < 1 || interval < 1 {
        return;
    }
    let skipped = free.windows.partition_point(|w| w.end <= clip.start);
    for (index, window) in free.windows.iter().enumerate().skip(skipped) {
        let open = window.intersection(clip);
        let Some(last) = open.end.checked_sub(duration) else {
            continue;
        };
        if window.start >= clip.end {
            break;
        }
        if 60 % interval == 0 {
            let mut slot = next_on_the_wall_clock(zone, open.start, interval);
            while slot <= last {
                if !found(slot) {
                    return;
                }
                slot = next_on_the_wall_clock(zone, slot + 1, interval);
            }
        } else {
            let start = if index == 0 {
                free.first_start
            } else {
                window.start
            };
            // A window that began longer ago than is looked back counts from the epoch.
            let origin = if start < clip.start.saturating_sub(LOOKBACK) {
                0
            } else {
                start
            };
            let mut slot = open.start + (origin - open.start).rem_euclid(interval);
            while slot <= last {
                if !found(slot) {
                    return;
                }
                slot += interval;
            }
        }
    }
}

/// The first minute from `from` on whose wall clock is a multiple of `interval`, which divides 60.
fn next_on_the_wall_clock(zone: Tz, from: Minute, interval: i64) -> Minute {
    let offset = offset_minutes(zone, from);
    let candidate = from + (-(from + offset)).rem_euclid(interval);
    if offset_minutes(zone, candidate) == offset {
        return candidate;
    }
    // The clocks change in between, and the new offset may bring a multiple sooner or later.
    (from..=candidate.saturating_add(interval))
        .find(|&minute| local_minute(zone, minute).rem_euclid(interval) == 0)
        .unwrap_or(candidate)
}
