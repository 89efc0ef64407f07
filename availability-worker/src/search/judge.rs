//! What one contractor's packed horizon says of a search, with as little of it decoded as will do.

use shared_events::schedule::Status;
use shared_events::zones::Zone;
use uuid::Uuid;

use super::{Place, Search};
use crate::cache::{Packed, Unreadable};
use crate::engine::{FreeWindows, Interval, Minute, first_slot};

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
            let Ok(zone) = Zone::named(packed.time_zone()?) else {
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

#[cfg(test)]
mod tests {
    use super::{Judge, Verdict};
    use crate::cache::{Entry, Packed, Peek};
    use crate::engine::{FreeWindows, Interval, Query, first_slot};
    use crate::search::{Place, Search};
    use proptest::prelude::*;
    use shared_events::schedule::Status;
    use shared_events::zones::Zone;
    use uuid::Uuid;

    /// 2026-10-24T00:00Z, the day before clocks change in Europe.
    const START: i64 = 20_750 * 1_440;

    fn entry() -> impl Strategy<Value = Entry> {
        let windows = prop::collection::vec((1_i64..900, 1_i64..400), 0..60);
        let days = prop_oneof![Just(28_i64), Just(60)];
        let interval = prop_oneof![Just(15_u32), Just(30), Just(60), Just(45), Just(7)];
        let zones = prop_oneof![
            Just("Europe/London"),
            Just("Asia/Kathmandu"),
            Just("Australia/Lord_Howe"),
        ];
        (windows, days, interval, zones, 0_u32..600, 0_i64..700).prop_map(
            |(gaps, days, slot_interval_minutes, zone, min_notice_minutes, earlier)| {
                let end = START + days * 1_440;
                let (mut at, mut windows) = (START - 1, Vec::new());
                for (gap, length) in gaps {
                    let window = Interval::new(at + gap, (at + gap + length).min(end));
                    if window.is_empty() {
                        break;
                    }
                    at = window.end;
                    windows.push(window);
                }
                let first = windows.first().map_or(START, |w| w.start);
                Entry {
                    version: 7,
                    calculated_at: chrono::DateTime::UNIX_EPOCH,
                    status: Status::Active,
                    min_notice_minutes,
                    slot_interval_minutes,
                    time_zone: zone.to_owned(),
                    skills: vec!["boiler".to_owned(), "gas".to_owned()],
                    free: FreeWindows {
                        range: Interval::new(START, end),
                        first_start: if first == START {
                            START - earlier
                        } else {
                            first
                        },
                        windows,
                    },
                    conflicts: Vec::new(),
                }
            },
        )
    }

    fn search(range: (i64, i64), now: i64, duration: i64) -> Search {
        Search {
            query: Query {
                range: Interval::new(START + range.0, START + range.0 + range.1),
                now: START + now,
                duration: Some(duration),
                slot_interval: None,
            },
            territory: None,
            only: None,
            skills: vec!["gas".to_owned()],
            limit: 10,
            after: None,
        }
    }

    /// The same by decoding everything.
    fn plain(search: &Search, entry: &Entry) -> Verdict {
        let open = search.query.open_range(entry.min_notice_minutes);
        let horizon = entry.free.range;
        if open.is_empty() {
            return Verdict::Never;
        }
        if open.start < horizon.start {
            return Verdict::Unknown(open.start);
        }
        let within = Interval::new(open.start, open.end.min(horizon.end));
        let request = search.request(entry.slot_interval_minutes);
        match first_slot(
            Zone::named(&entry.time_zone).unwrap(),
            &entry.free,
            within,
            request,
        ) {
            Some(start) => Verdict::Starts(start),
            None if open.end > horizon.end => {
                Verdict::Unknown(open.start.max(horizon.end - search.duration()))
            }
            None => Verdict::Never,
        }
    }

    fn packed(bytes: &[u8]) -> Packed<'_> {
        match Peek::of(bytes) {
            Ok(Peek::Live(packed)) => packed,
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn a_packed_entry_is_judged_as_a_decoded_one(
            entry in entry(),
            range in (-500_i64..60_000, 1_i64..90_000),
            now in -2_000_i64..50_000,
            duration in 1_i64..400,
            last in 0_i64..60_000,
            id in any::<u128>(),
        ) {
            let (search, id, bytes) = (search(range, now, duration), Uuid::from_u128(id), entry.encode());
            let wanted = plain(&search, &entry);
            let mut judge = Judge::new(&search);
            prop_assert_eq!(judge.judge(id, &packed(&bytes), None).unwrap(), wanted);
            // What is not wanted any more may go unjudged, and nothing else.
            let last = Place { start: START + last, id: Uuid::from_u128(u128::MAX / 2) };
            let judged = judge.judge(id, &packed(&bytes), Some(last)).unwrap();
            match wanted {
                Verdict::Starts(start) if last < (Place { start, id }) => {
                    prop_assert_eq!(judged, Verdict::TooLate);
                }
                Verdict::Never | Verdict::Unknown(_) if judged == Verdict::TooLate => {
                    let open = search.query.open_range(entry.min_notice_minutes);
                    let later = entry.free.windows.iter().any(|w| {
                        w.end > open.start && last < (Place { start: w.start.max(open.start), id })
                    });
                    prop_assert!(later);
                }
                wanted => prop_assert_eq!(judged, wanted),
            }
        }

        #[test]
        fn who_lacks_a_skill_or_is_on_leave_never_starts(mut entry in entry(), skill in "[a-f]{1,6}") {
            let mut search = search((0, 90_000), 0, 1);
            search.skills.push(skill);
            let bytes = entry.encode();
            prop_assert_eq!(Judge::new(&search).judge(Uuid::nil(), &packed(&bytes), None), Ok(Verdict::Never));
            search.skills.clear();
            entry.status = Status::OnLeave;
            let bytes = entry.encode();
            prop_assert_eq!(Judge::new(&search).judge(Uuid::nil(), &packed(&bytes), None), Ok(Verdict::Never));
        }
    }
}
