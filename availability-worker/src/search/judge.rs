//! What one contractor's packed horizon says of a search, with as little of it decoded as will do.

use shared_events::schedule::Status;
use uuid::Uuid;

use super::{Place, Search};
use crate::cache::{Packed, Unreadable};
use crate::engine::{FreeWindows, Interval, Minute, first_slot, zone};

/// What the horizon alone says of a contractor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The earliest start.
    Starts(Minute),
    /// There is none, whatever comes after the horizon.
    Never,
    /// The horizon does not tell it; it is not before this minute.
    Unknown(Minute),
    /// It comes after the last place that is wanted.
    TooLate,
}

/// Judges one contractor after the other.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    search: &'a Search,
    duration: i64,
    /// The one window that is looked at, so that none is allocated for each.
    window: FreeWindows,
}

impl<'a> Judge<'a> {
    pub(super) fn new(search: &'a Search) -> Self {
        Self {
            search,
            duration: search.duration(),
            window: FreeWindows {
                range: Interval::new(0, 0),
                windows: Vec::with_capacity(1),
                first_start: 0,
            },
        }
    }

    /// The verdict of `packed`, whose contractor is `id`; nothing after `last` is wanted.
    pub(super) fn judge(
        &mut self,
        id: Uuid,
        packed: &Packed<'_>,
        last: Option<Place>,
    ) -> Result<Verdict, Unreadable> {
        let open = self.search.query.open_range(packed.min_notice_minutes);
        if packed.status != Status::Active
            || open.is_empty()
            || !packed.has_skills(&self.search.skills)?
        {
            return Ok(Verdict::Never);
        }
        let horizon = packed.horizon;
        if open.start < horizon.start {
            return Ok(Verdict::Unknown(open.start));
        }
        let within = Interval::new(open.start, open.end.min(horizon.end));
        if packed.longest >= self.duration
            && let Some(verdict) = self.earliest(id, packed, within, last)?
        {
            return Ok(verdict);
        }
        if open.end > horizon.end {
            // What would end within the horizon would have been found.
            let earliest = open.start.max(horizon.end - self.duration);
            return Ok(Verdict::Unknown(earliest));
        }
        Ok(Verdict::Never)
    }

    /// The earliest start in `within`, which lies in the horizon.
    fn earliest(
        &mut self,
        id: Uuid,
        packed: &Packed<'_>,
        within: Interval,
        last: Option<Place>,
    ) -> Result<Option<Verdict>, Unreadable> {
        let too_late = |start| last.is_some_and(|last| last < Place { start, id });
        for place in packed.windows.first_after(within.start)..packed.windows.len() {
            let Some(window) = packed.windows.get(place) else {
                break;
            };
            if window.start >= within.end {
                break;
            }
            let open = window.intersection(within);
            if open.end - open.start < self.duration {
                continue;
            }
            // A slot is not before the window, and the windows after it are later still.
            if too_late(open.start) {
                return Ok(Some(Verdict::TooLate));
            }
            let Ok(zone) = zone(packed.time_zone()?) else {
                return Ok(Some(Verdict::Never));
            };
            self.window.range = packed.horizon;
            self.window.windows.clear();
            self.window.windows.push(window);
            self.window.first_start = if place == 0 {
                packed.first_start
            } else {
                window.start
            };
            let request = self.search.request(packed.slot_interval_minutes);
            match first_slot(zone, &self.window, within, request) {
                Some(start) if too_late(start) => return Ok(Some(Verdict::TooLate)),
                Some(start) => return Ok(Some(Verdict::Starts(start))),
                None => {}
            }
        }
        Ok(None)
    }
}
