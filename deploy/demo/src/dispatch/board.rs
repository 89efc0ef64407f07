//! The roster as the dispatchers last saw it.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, NaiveDate, Utc};
use rand::RngExt;
use rand::rngs::StdRng;
use shared_events::Schedule;
use shared_events::schedule::{LocalWindow, Status};
use shared_events::zones::Zone;
use uuid::Uuid;

use crate::cities::{self, City};
use crate::roster::HORIZON_DAYS;
use crate::span::{Span, minute_of};
use crate::working_time::{fill, uncovered_jobs};

/// The reason of time off that somebody called in.
pub(super) const SICK: &str = "sick";

/// The reason of a local day on which somebody works another's hours.
pub(super) const SWAP: &str = "shift swap";

/// The most days of agreed shift swaps that wait to be entered.
const MAX_AGREED_DAYS: usize = 256;

/// A schedule with what follows from it at the time when it was seen.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) schedule: Schedule,
    pub(super) zone: Zone,
    pub(super) city: &'static City,
    /// How full the days ahead are, 0 to 1; none where no time is staffed.
    pub(super) fill: Option<f64>,
    /// Until when the contractor is away sick.
    pub(super) sick_until: Option<DateTime<Utc>>,
    /// The first swapped day that is entered.
    pub(super) swapped: Option<NaiveDate>,
    /// Whether jobs ahead are not covered.
    pub(super) uncovered: bool,
}

/// A day of a swap that has been agreed but is not entered yet.
#[derive(Debug, Clone)]
pub(super) struct AgreedDay {
    pub(super) contractor: Uuid,
    pub(super) date: NaiveDate,
    pub(super) windows: Vec<LocalWindow>,
}

/// Everybody of the demo's territories.
#[derive(Debug, Default)]
pub(super) struct Board {
    seen: BTreeMap<Uuid, Seen>,
    /// The keys of `seen`, to draw from.
    ids: Vec<Uuid>,
    agreed: VecDeque<AgreedDay>,
}

impl Board {
    pub(super) fn new(schedules: Vec<Schedule>, now: DateTime<Utc>) -> Self {
        let mut board = Self::default();
        for schedule in schedules {
            board.see(schedule, now);
        }
        board
    }

    /// Takes a schedule as it is now, unless a newer one has been seen. Contractors of territories
    /// that are not the demo's are somebody else's, and left alone.
    pub(super) fn see(&mut self, schedule: Schedule, now: DateTime<Utc>) {
        let id = schedule.contractor_id;
        let known = self.seen.get(&id);
        if known.is_some_and(|known| known.schedule.version > schedule.version) {
            return;
        }
        let Some(city) = cities::of_territory(&schedule.territory) else {
            return self.forget(id);
        };
        let zone = Zone::named(&schedule.time_zone).unwrap_or_else(|_| city.zone());
        let active = schedule.status == Status::Active;
        let ahead = schedule.jobs.iter().any(|job| job.start > now);
        let sick = schedule
            .time_off
            .iter()
            .filter(|off| off.reason.as_deref() == Some(SICK));
        let mut swaps = schedule
            .date_overrides
            .iter()
            .filter(|day| day.reason.as_deref() == Some(SWAP));
        let seen = Seen {
            fill: fill(&schedule, zone, days_ahead(now)),
            sick_until: sick.map(|off| off.end).max(),
            swapped: swaps.next().map(|day| day.date),
            uncovered: if active {
                uncovered_jobs(&schedule, zone, now).next().is_some()
            } else {
                ahead
            },
            schedule,
            zone,
            city,
        };
        if self.seen.insert(id, seen).is_none() {
            self.ids.push(id);
        }
    }

    /// Takes a contractor off the board.
    pub(super) fn forget(&mut self, id: Uuid) {
        if self.seen.remove(&id).is_some() {
            self.ids.retain(|other| *other != id);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn get(&self, id: Uuid) -> Option<&Seen> {
        self.seen.get(&id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Seen> {
        self.seen.values()
    }

    /// Anybody.
    pub(super) fn draw(&self, rng: &mut StdRng) -> Option<&Seen> {
        let id = self.ids.get(rng.random_range(0..self.ids.len().max(1)))?;
        self.seen.get(id)
    }

    /// Somebody for whom `fits` holds, if a few draws find one.
    pub(super) fn draw_where(
        &self,
        rng: &mut StdRng,
        fits: impl Fn(&Seen) -> bool,
    ) -> Option<&Seen> {
        (0..24).find_map(|_| self.draw(rng).filter(|seen| fits(seen)))
    }

    /// How full the days ahead are for those who work, 0 to 1.
    pub(super) fn mean_fill(&self) -> f64 {
        let fills = || {
            self.all()
                .filter(|seen| seen.is_active())
                .filter_map(|seen| seen.fill)
        };
        share(fills().sum(), fills().count())
    }

    /// The share of people for whom `holds`, 0 to 1.
    pub(super) fn share_of(&self, holds: impl Fn(&Seen) -> bool) -> f64 {
        let count = u32::try_from(self.all().filter(|seen| holds(seen)).count());
        share(count.map_or(0.0, f64::from), self.seen.len())
    }

    /// Remembers days of a swap, as many as there is room for.
    pub(super) fn agree(&mut self, days: impl IntoIterator<Item = AgreedDay>) {
        let room = MAX_AGREED_DAYS.saturating_sub(self.agreed.len());
        self.agreed.extend(days.into_iter().take(room));
    }

    /// The next agreed day to be entered.
    pub(super) fn next_agreed(&mut self) -> Option<AgreedDay> {
        self.agreed.pop_front()
    }

    pub(super) fn has_agreed(&self) -> bool {
        !self.agreed.is_empty()
    }
}

impl Seen {
    pub(super) fn is_active(&self) -> bool {
        self.schedule.status == Status::Active
    }

    pub(super) fn is_sick(&self, now: DateTime<Utc>) -> bool {
        self.sick_until.is_some_and(|until| until > now)
    }
}

/// The days for which dispatchers plan.
pub(super) fn days_ahead(now: DateTime<Utc>) -> Span {
    let start = minute_of(now) + 1;
    Span::new(start, start + HORIZON_DAYS * 24 * 60)
}

fn share(sum: f64, count: usize) -> f64 {
    match u32::try_from(count) {
        Ok(count) if count > 0 => sum / f64::from(count),
        _ => 0.0,
    }
}
