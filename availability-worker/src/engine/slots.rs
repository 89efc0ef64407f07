//! Start times at which a job of a given duration fits.

use shared_events::zones::Zone;

use super::civil_time::even_stretches;
use super::intervals::{Interval, Minute};
use super::windows::FreeWindows;

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
pub fn slots(zone: Zone, free: &FreeWindows, clip: Interval, request: SlotRequest) -> Vec<Minute> {
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
    zone: Zone,
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
    zone: Zone,
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
        let mut offer = |first: Minute, end: Minute| {
            let mut slot = first;
            while slot < end {
                if !found(slot) {
                    return false;
                }
                slot = slot.saturating_add(interval);
            }
            true
        };
        let go_on = if 60 % interval == 0 {
            even_stretches(zone, Interval::new(open.start, last + 1)).all(|(stretch, offset)| {
                let first = stretch.start + (-(stretch.start + offset)).rem_euclid(interval);
                offer(first, stretch.end)
            })
        } else {
            let start = if index == 0 {
                free.first_start
            } else {
                window.start
            };
            let first = open.start + (start - open.start).rem_euclid(interval);
            offer(first, last + 1)
        };
        if !go_on {
            return;
        }
    }
}
