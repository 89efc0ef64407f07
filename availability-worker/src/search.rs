//! Who can take a job: contractors by their earliest start.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::cache::{Cache, CacheError, Entry, Held, TOMBSTONE_SECONDS};
use crate::engine::{FreeTime, Interval, Minute, Query, SlotRequest, first_slot, zone};
use shared_events::Schedule;
use shared_events::schedule::Status;

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The range, now, and the duration of the job.
    pub query: Query,
    /// The territory; all without one.
    pub territory: Option<String>,
    /// Skills, all of which are needed.
    pub skills: Vec<String>,
    /// How many are wanted.
    pub limit: usize,
    /// Only what comes after this place.
    pub after: Option<Place>,
}

/// A place in the order of the answers: earliest start, then id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The earliest start.
    pub start: Minute,
    /// The contractor.
    pub id: Uuid,
}

/// A contractor who can take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The earliest start, and who.
    pub place: Place,
    /// The contractor's territory.
    pub territory: String,
    /// The contractor's time zone.
    pub time_zone: String,
    /// The contractor's skills.
    pub skills: Vec<String>,
    /// The version that this was calculated from.
    pub version: i64,
}

/// One page of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The candidates, earliest first, ties by id.
    pub candidates: Vec<Candidate>,
    /// Where the next page begins, if there is one.
    pub next: Option<Place>,
}

/// What the horizon alone says of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The earliest start.
    Starts(Minute),
    /// There is none, whatever comes after the horizon.
    Never,
    /// There is none in the horizon, and the range goes beyond it.
    Unknown,
}

impl Search {
    /// Reads the territory in one round trip and scans it. What the horizon cannot answer is
    /// calculated from the schedules kept beside it, which takes a second round trip.
    pub async fn run(&self, cache: &Cache) -> Result<Page, CacheError> {
        let territories = match &self.territory {
            Some(territory) => vec![territory.clone()],
            None => cache.territories().await?,
        };
        let now_seconds = self.query.now.saturating_mul(60);
        let scanned = cache.scan(&territories).await?;
        let mut newest: BTreeMap<Uuid, (usize, Entry)> = BTreeMap::new();
        for (at, values) in scanned.into_iter().enumerate() {
            let mut expired = Vec::new();
            for (id, held) in values {
                match held {
                    // While a contractor moves, both territories may hold it for a moment.
                    Held::Live(entry) => match newest.get(&id) {
                        Some((_, known)) if known.version >= entry.version => {}
                        _ => {
                            newest.insert(id, (at, *entry));
                        }
                    },
                    Held::Tombstone { set_at, .. } if now_seconds - set_at > TOMBSTONE_SECONDS => {
                        expired.push(id);
                    }
                    Held::Tombstone { .. } => {}
                }
            }
            if !expired.is_empty() {
                cache
                    .purge(&territories[at], &expired, now_seconds - TOMBSTONE_SECONDS)
                    .await?;
            }
        }

        let mut candidates = Vec::new();
        let mut unknown: BTreeMap<usize, Vec<Uuid>> = BTreeMap::new();
        for (id, (at, entry)) in newest {
            match self.judge(&entry) {
                Verdict::Starts(start) => candidates.push(Candidate {
                    place: Place { start, id },
                    territory: territories[at].clone(),
                    time_zone: entry.time_zone,
                    skills: entry.skills,
                    version: entry.version,
                }),
                Verdict::Never => {}
                Verdict::Unknown => unknown.entry(at).or_default().push(id),
            }
        }
        for (at, ids) in unknown {
            let schedules = cache.schedules(&territories[at], &ids).await?;
            candidates.extend(schedules.iter().flatten().filter_map(|s| self.beyond(s)));
        }
        Ok(self.page(candidates))
    }

    fn judge(&self, entry: &Entry) -> Verdict {
        let open = self.query.open_range(entry.min_notice_minutes);
        if entry.status != Status::Active || !self.has_skills(&entry.skills) || open.is_empty() {
            return Verdict::Never;
        }
        let horizon = entry.free.range;
        if open.start < horizon.start {
            return Verdict::Unknown;
        }
        let within = Interval::new(open.start, open.end.min(horizon.end));
        let Ok(zone) = zone(&entry.time_zone) else {
            return Verdict::Never;
        };
        let request = self.request(entry.slot_interval_minutes);
        match first_slot(zone, &entry.free, within, request) {
            Some(start) => Verdict::Starts(start),
            None if open.end > horizon.end => Verdict::Unknown,
            None => Verdict::Never,
        }
    }

    fn beyond(&self, schedule: &Schedule) -> Option<Candidate> {
        let zone = zone(&schedule.time_zone).ok()?;
        let rules = schedule.booking_rules;
        let open = self.query.open_range(rules.min_notice_minutes);
        let free = FreeTime::new(schedule, zone).in_range(open);
        let start = first_slot(zone, &free, open, self.request(rules.slot_interval_minutes))?;
        Some(Candidate {
            place: Place {
                start,
                id: schedule.contractor_id,
            },
            territory: schedule.territory.clone(),
            time_zone: schedule.time_zone.clone(),
            skills: schedule.skills.clone(),
            version: schedule.version,
        })
    }

    fn request(&self, slot_interval: u32) -> SlotRequest {
        SlotRequest {
            duration: self.query.duration.unwrap_or(1),
            interval: i64::from(slot_interval),
        }
    }

    fn has_skills(&self, skills: &[String]) -> bool {
        self.skills.iter().all(|needed| skills.contains(needed))
    }

    fn page(&self, mut candidates: Vec<Candidate>) -> Page {
        if let Some(after) = self.after {
            candidates.retain(|c| c.place > after);
        }
        let more = candidates.len() > self.limit;
        if more {
            candidates.select_nth_unstable_by_key(self.limit, |c| c.place);
            candidates.truncate(self.limit);
        }
        candidates.sort_unstable_by_key(|c| c.place);
        let next = if more {
            candidates.last().map(|c| c.place)
        } else {
            None
        };
        Page { candidates, next }
    }
}
