//! Who can take a job: contractors by their earliest start.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::cache::{Cache, CacheError, Entry, Found, Held};
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
    /// Where no territory is named, only these.
    pub only: Option<Vec<String>>,
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
    /// When it was calculated.
    pub calculated_at: DateTime<Utc>,
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SearchError {
    /// Redis did not answer.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// An answer now could leave people out, and nobody could tell.
    #[error("the cache is being rebuilt")]
    Incomplete,
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

/// How often someone is looked up who moves on from territory to territory meanwhile.
const ROUNDS: usize = 3;

impl Search {
    /// Reads the territory in one round trip and scans it. What the horizon cannot answer is
    /// calculated as of `now` from the schedules kept beside it, which takes more.
    pub async fn run(&self, cache: &Cache, now: DateTime<Utc>) -> Result<Page, SearchError> {
        let (begun, mut territories) = match &self.territory {
            Some(territory) => (None, vec![territory.clone()]),
            None => cache.marked_territories().await?,
        };
        if let Some(only) = &self.only {
            territories.retain(|territory| only.contains(territory));
        }
        let scan = cache.scan(&territories).await?;
        if scan.mark.is_none() || (self.territory.is_none() && scan.mark != begun) {
            return Err(SearchError::Incomplete);
        }
        let mut newest: BTreeMap<Uuid, (usize, Held)> = BTreeMap::new();
        for (at, values) in scan.territories.into_iter().enumerate() {
            for (id, held) in values {
                match newest.get(&id) {
                    Some((_, known)) if known.rank() >= held.rank() => {}
                    _ => {
                        newest.insert(id, (at, held));
                    }
                }
            }
        }

        let mut candidates = Vec::new();
        let mut unknown: BTreeMap<usize, Vec<Uuid>> = BTreeMap::new();
        let mut moved = Vec::new();
        for (id, (at, held)) in newest {
            match held {
                Held::Live(entry) => match self.judge(&entry) {
                    Verdict::Starts(start) => {
                        candidates.push(candidate(id, start, &territories[at], *entry));
                    }
                    Verdict::Never => {}
                    Verdict::Unknown => unknown.entry(at).or_default().push(id),
                },
                Held::Unreadable { .. } => unknown.entry(at).or_default().push(id),
                // It has left the territory that was asked for. Where all were asked for, it went
                // to one that had been read already.
                Held::Tombstone { .. } if self.territory.is_some() => {}
                Held::Tombstone { .. } => moved.push(id),
            }
        }
        if unknown.is_empty() && moved.is_empty() {
            return Ok(self.page(candidates));
        }
        for (at, ids) in unknown {
            let schedules = cache.schedules(&territories[at], &ids).await?;
            for (id, schedule) in ids.into_iter().zip(schedules) {
                match schedule {
                    Some(schedule) => candidates.extend(self.beyond(&schedule, now)),
                    None => moved.push(id),
                }
            }
        }
        for id in moved {
            candidates.extend(self.follow(cache, id, now).await?);
        }
        // What was read after the scan was read from the same filling of the cache.
        if cache.mark().await? != scan.mark {
            return Err(SearchError::Incomplete);
        }
        Ok(self.page(candidates))
    }

    /// Looks up someone who moved while the territories were read.
    async fn follow(
        &self,
        cache: &Cache,
        id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Option<Candidate>, SearchError> {
        for _ in 0..ROUNDS {
            let Some(Found { territory, entry }) = cache.find(id).await? else {
                return Ok(None);
            };
            let only = self.only.as_ref();
            if self.territory.as_ref().is_some_and(|t| *t != territory)
                || only.is_some_and(|only| !only.contains(&territory))
            {
                return Ok(None);
            }
            match self.judge(&entry) {
                Verdict::Starts(start) => return Ok(Some(candidate(id, start, &territory, entry))),
                Verdict::Never => return Ok(None),
                Verdict::Unknown => {
                    let mut kept = cache.schedules(&territory, &[id]).await?;
                    if let Some(schedule) = kept.pop().flatten() {
                        return Ok(self.beyond(&schedule, now));
                    }
                }
            }
        }
        Err(SearchError::Incomplete)
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

    fn beyond(&self, schedule: &Schedule, now: DateTime<Utc>) -> Option<Candidate> {
        if !self.has_skills(&schedule.skills) {
            return None;
        }
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
            calculated_at: now,
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

fn candidate(id: Uuid, start: Minute, territory: &str, entry: Entry) -> Candidate {
    Candidate {
        place: Place { start, id },
        territory: territory.to_owned(),
        time_zone: entry.time_zone,
        skills: entry.skills,
        version: entry.version,
        calculated_at: entry.calculated_at,
    }
}
